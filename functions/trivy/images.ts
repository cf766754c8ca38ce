import * as z from 'zod';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding, Normalized } from '../../shared/finding/finding.ts';
import { badRowsOf, descriptiveText, judgedRowsOf, objectMetadata } from '../../shared/finding/object-schema.ts';
import { parseSeverity, type Severity } from '../../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, text, timeOf } from '../../shared/finding/values.ts';
import { withoutPodNames } from '../../shared/finding/workload.ts';
import { countsOf, mergedByIdentity, mergeFindings, withTexts } from './merge.ts';
import { placeOf, withoutVersions } from './places.ts';
import { type Subject, scannedImage } from './subject.ts';
import { vulnerabilityText } from './texts.ts';

/** A text that tells findings apart. A row without it can't be read. */
const requiredText = z.string().refine(isPresent, { error: 'must not be empty' });

const linkTexts = z.array(z.unknown()).nullish().catch(undefined);

const vulnerability = z.object({
  vulnerabilityID: requiredText,
  severity: descriptiveText,
  resource: descriptiveText,
  installedVersion: descriptiveText,
  fixedVersion: descriptiveText,
  title: descriptiveText,
  primaryLink: descriptiveText,
  links: linkTexts,
  target: descriptiveText,
  class: descriptiveText,
  packagePath: descriptiveText,
  packagePURL: descriptiveText,
});

/** `match` only tells rows apart: it is not kept, since it may hold the secret. */
const exposedSecret = z.object({
  ruleID: requiredText,
  severity: descriptiveText,
  category: descriptiveText,
  target: descriptiveText,
  title: descriptiveText,
  match: descriptiveText,
});

const os = z
  .object({ family: descriptiveText, name: descriptiveText, eosl: z.boolean().nullish().catch(undefined) })
  .nullish()
  .catch(undefined);

export const vulnerabilityReport = z.object({
  kind: z.enum(['VulnerabilityReport', 'ClusterVulnerabilityReport']),
  metadata: objectMetadata,
  report: z.object({ ...scannedImage, os, vulnerabilities: judgedRowsOf(vulnerability) }),
});

export const exposedSecretReport = z.object({
  kind: z.literal('ExposedSecretReport'),
  metadata: objectMetadata,
  report: z.object({ ...scannedImage, secrets: judgedRowsOf(exposedSecret) }),
});

type VulnerabilityReport = z.infer<typeof vulnerabilityReport>['report'];
type SecretReport = z.infer<typeof exposedSecretReport>['report'];

/** The URLs that a tool gives, in order and each once. */
export function urlsOf(...links: readonly unknown[]): readonly string[] | undefined {
  const urls = links.filter((link) => typeof link === 'string').filter((link) => /^https?:\/\/\S+$/.test(link));
  return urls.length > 0 ? [...new Set(urls)].sort() : undefined;
}

/** `pkg:maven/org.example/core@1.2?type=jar` without its version. */
function packageOf({ resource, packagePURL }: z.infer<typeof vulnerability>): string | undefined {
  const purl = text(packagePURL)
    ?.replace(/[?#].*/s, '')
    .replace(/(?<=[^/])@[^@/]*$/, '');
  return text(resource) ?? purl;
}

function vulnerabilityFinding(row: z.infer<typeof vulnerability>, subject: Subject, detectedAt: string): Finding {
  const { vulnerabilityID, links, primaryLink } = row;
  const { resource, place, image, repository } = subject;
  const packageName = packageOf(row);
  const target = placeOf(row, repository);
  const packagePath = text(row.packagePath);
  const title = text(row.title);
  const version = detailsOf({ installedVersion: row.installedVersion, fixedVersion: row.fixedVersion });
  const found = { vulnerabilityID, package: packageName, packagePath, target, ...place };
  return withTexts({
    category: 'security',
    severity: parseSeverity(row.severity),
    eventType: 'vulnerability',
    rule: vulnerabilityID,
    summary: '',
    resource,
    identity: identityOf({
      ...found,
      packagePath: packagePath && withoutVersions(packagePath),
      target: target && withoutVersions(target),
      // Without a package there is nothing else that tells rows of one CVE apart.
      title: packageName === undefined ? title : undefined,
    }),
    references: urlsOf(primaryLink, ...(links ?? [])),
    details: detailsOf({ ...found, image, versions: Object.keys(version).length > 0 ? [version] : [], title }),
    detectedAt,
  });
}

/** How bad it is, of what can be below a minimum; nobody knows that of UNKNOWN. */
const ranks: Readonly<Record<Severity, number>> = { CRITICAL: 4, HIGH: 3, MEDIUM: 2, LOW: 1, UNKNOWN: 5 };

/** Counts what is below the minimum in one finding: etcd is no database for a hundred rows an image. */
function minorFinding(
  [first, ...others]: readonly [Finding, ...Finding[]],
  { resource, place, image }: Subject,
): Finding {
  const minor = [first, ...others];
  const counts: Partial<Record<Severity, number>> = {};
  for (const { severity } of minor) counts[severity] = (counts[severity] ?? 0) + 1;
  const fixable = minor.filter(({ remediation }) => remediation !== undefined);
  const details = {
    ...place,
    image,
    vulnerabilities: counts,
    withFix: fixable.length,
    fixable: fixable.map((finding) => vulnerabilityText(finding.details)),
  };
  const { severity } = minor.reduce((a, b) => (ranks[b.severity] > ranks[a.severity] ? b : a));
  // Merging it with itself puts the list in order, and cuts it.
  const finding: Finding = {
    category: 'security',
    severity,
    eventType: 'minor-vulnerabilities',
    rule: 'minor',
    summary: '',
    resource,
    identity: identityOf(place),
    details: detailsOf(details),
    detectedAt: first.detectedAt,
  };
  return mergeFindings([finding, finding]);
}

function endOfLifeFinding({ os: found }: VulnerabilityReport, subject: Subject, detectedAt: string): Finding[] {
  if (found?.eosl !== true) return [];
  const { resource, place, image } = subject;
  const family = text(found.family);
  return [
    withTexts({
      category: 'security',
      severity: 'HIGH',
      eventType: 'end-of-life-os',
      rule: 'eosl',
      summary: '',
      resource,
      identity: identityOf({ family, ...place }),
      remediation: `build the image on a supported release${family === undefined ? '' : ` of ${family}`}`,
      details: detailsOf({ family, osVersions: [found.name], ...place, image }),
      detectedAt,
    }),
  ];
}

export function fromVulnerabilities(
  report: VulnerabilityReport,
  subject: Subject,
  { time, minimum }: { readonly time: string; readonly minimum: Severity },
): Normalized {
  const detectedAt = timeOf(report.updateTimestamp, time);
  const { vulnerabilities } = report;
  const all = mergedByIdentity(vulnerabilities.rows.map((row) => vulnerabilityFinding(row, subject, detectedAt)));
  const { major = [], minor = [] } = Object.groupBy(all, ({ severity }) =>
    ranks[severity] < ranks[minimum] ? 'minor' : 'major',
  );
  const [first, ...others] = minor;
  return {
    findings: [
      ...major,
      ...(first ? [minorFinding([first, ...others], subject)] : []),
      ...endOfLifeFinding(report, subject, detectedAt),
    ],
    skipped: countsOf({ minor: minor.length, merged: vulnerabilities.rows.length - all.length }),
    badRows: badRowsOf('report.vulnerabilities', vulnerabilities),
    leftOut: { minor },
  };
}

function secretFinding(row: z.infer<typeof exposedSecret>, subject: Subject, detectedAt: string): Finding {
  const { resource, place, image, repository } = subject;
  const inside = placeOf({ target: row.target }, repository);
  const target = inside && withoutPodNames(inside, resource);
  const found = { ruleID: row.ruleID, target, ...place };
  return withTexts({
    category: 'security',
    severity: parseSeverity(row.severity),
    eventType: 'exposed-secret',
    rule: row.ruleID,
    summary: '',
    resource,
    identity: identityOf({ ...found, target: target && withoutVersions(target) }),
    details: detailsOf({ ...found, image, title: text(row.title), category: text(row.category) }),
    detectedAt,
  });
}

/** Several of one kind in one file are one finding that counts them: nothing stable tells them apart. */
export function fromSecrets(report: SecretReport, subject: Subject, time: string): Normalized {
  const detectedAt = timeOf(report.updateTimestamp, time);
  const distinct = new Map(report.secrets.rows.map((row) => [canonicalJson(row), row]));
  const all = [...distinct.values()].map((row) => secretFinding(row, subject, detectedAt));
  const counts = new Map<string, number>();
  for (const { identity } of all) {
    const key = canonicalJson(identity);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const findings = mergedByIdentity(all).map((finding) => {
    const occurrences = counts.get(canonicalJson(finding.identity)) ?? 1;
    return occurrences > 1 ? withTexts({ ...finding, details: { ...finding.details, occurrences } }) : finding;
  });
  return {
    findings,
    skipped: countsOf({ merged: report.secrets.rows.length - findings.length }),
    badRows: badRowsOf('report.secrets', report.secrets),
  };
}
