import * as z from 'zod';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding, ResourceRef } from '../../shared/finding/finding.ts';
import { vulnerabilityCount } from '../../shared/finding/summary-text.ts';
import { identityOf } from '../../shared/finding/values.ts';
import { workloadKey } from '../../shared/finding/workload.ts';
import { type Properties, pick, unversionedPackage } from './properties.ts';
import { placeOf } from './subjects.ts';

/** What databases of vulnerabilities call them. */
const knownId =
  /\b(?:CVE-\d{4}-\d{4,12}|GHSA(?:-[a-z0-9]{4}){3}|TEMP-\d{1,12}-[0-9A-F]{1,12}|(?:RHSA|RHBA|ELSA|ALAS2?|DSA|DLA|USN|GO|OSV|PYSEC|RUSTSEC|SNYK|XRAY|PRISMA)-[\w:-]{1,60})/i;

const idKeys = [/\b(?:vulnerability|vuln|cve|advisory)(?: ids?| name)?$/];
const packageKeys = [
  /\b(?:pkg|package)(?: ?name)?$/,
  /\b(?:component|library|dependency|module)(?: name)?$/,
  /\bartifact name$/,
  /^resource$/,
];
const pathKeys = [/\b(?:pkg|package|component|artifact|file) ?(?:path|location)$/, /^(?:path|location|file|filename)$/];
const installedKeys = [
  /\b(?:installed|current|detected) ?version$/,
  /\b(?:pkg|package|component) ?version$/,
  /^version$/,
];
const fixedKeys = [/\b(?:fixed|fix|patched)(?: in)?(?: ?versions?)?$/];
const containerKeys = [/\bcontainer(?: ?name)?$/];

/** A version of the package that was found, and the one that has the flaw no more. */
const versionPair = z.object({ installed: z.string().optional(), fixed: z.string().optional() });

type VersionPair = z.infer<typeof versionPair>;

/** What the details of a vulnerability's finding say of it. */
const vulnerabilityDetails = z.object({
  vulnerabilityID: z.string(),
  package: z.string(),
  packagePath: z.string().optional(),
  container: z.string().optional(),
  versions: z.array(versionPair),
});

export type Vulnerability = z.infer<typeof vulnerabilityDetails>;

interface Named {
  readonly policy: string;
  readonly rule?: string | undefined;
  readonly category?: string | null | undefined;
}

function idOf({ policy, rule, category }: Named, properties: Properties): string | undefined {
  const given = pick(properties, idKeys);
  const known = [policy, rule, given].map((one) => knownId.exec(one ?? '')?.[0]).find((id) => id !== undefined);
  return known ?? (/vulnerab|\bcve/i.test(category ?? '') ? (given ?? policy) : undefined);
}

/** What a vulnerability scanner says of a package, whatever it calls the properties; `undefined` of anything else. */
export function vulnerabilityOf(named: Named, properties: Properties): Vulnerability | undefined {
  const id = idOf(named, properties);
  const name = pick(properties, packageKeys);
  if (id === undefined || name === undefined) return undefined;
  const [path, container] = [pick(properties, pathKeys), pick(properties, containerKeys)];
  const [installed, fix] = [pick(properties, installedKeys), pick(properties, fixedKeys)];
  // Some say only that there is a fix.
  const fixed = fix !== undefined && /\d/.test(fix) ? fix : undefined;
  return {
    vulnerabilityID: id,
    package: unversionedPackage(name),
    packagePath: path,
    container,
    versions: [{ installed, fixed }],
  };
}

/** Whether a key is shown in other words already: as package, path, container or versions. */
export function isShownOfVulnerability(value: string, { versions, ...found }: Vulnerability): boolean {
  return (
    Object.values(found).includes(value) || versions.some(({ installed, fixed }) => [installed, fixed].includes(value))
  );
}

/** A path without the numbers of versions, so that an update of the package doesn't move it. */
export function unversionedPath(path: string): string {
  return path.replaceAll(/\d{1,9}(?:\.\d{1,9}){1,9}/g, '*');
}

function listOf(values: readonly (string | undefined)[]): string {
  return [...new Set(values.filter((value) => value !== undefined))].join(' and ');
}

/** Where a vulnerability is, in brackets: in a container or, if none is named, in a resource. */
function whereText(container: string | undefined, resource: ResourceRef): string {
  return ` (${container === undefined ? placeOf(resource, '') : `container ${container}`})`;
}

/** Such as `CVE-2099-0001 in libwebp6 0.5.2-1, fixed in 0.5.2-2 (container web)`. */
export function summaryOfVulnerability(found: Vulnerability, resource: ResourceRef): string {
  return `${flawText(found)}${whereText(found.container, resource)}`;
}

function flawText(found: Vulnerability): string {
  const installed = listOf(found.versions.map((pair) => pair.installed));
  const fixed = listOf(found.versions.map((pair) => pair.fixed));
  return [
    `${found.vulnerabilityID} in ${found.package}`,
    installed && ` ${installed}`,
    found.packagePath !== undefined && ` at ${found.packagePath}`,
    fixed === '' ? ', no fix known' : `, fixed in ${fixed}`,
  ]
    .filter((part) => part !== false)
    .join('');
}

export function remediationOfVulnerability(found: Vulnerability): string | undefined {
  const fixed = listOf(found.versions.map((pair) => pair.fixed));
  return fixed === '' ? undefined : `upgrade ${found.package} to ${fixed}`;
}

/** What is said of a vulnerability that is in several versions of one package: all of them, sorted. */
export function withVersionsOf(merged: Finding, rows: readonly Finding[]): Finding {
  const found = vulnerabilityDetails.safeParse(merged.details).data;
  if (!found) return merged;
  const pairs = rows.flatMap(({ details }) => vulnerabilityDetails.safeParse(details).data?.versions ?? []);
  const byKey = new Map(pairs.map((pair): [string, VersionPair] => [canonicalJson(pair), pair]));
  const versions = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pair]) => pair);
  const united = { ...found, versions };
  return {
    ...merged,
    summary: merged.resource ? summaryOfVulnerability(united, merged.resource) : merged.summary,
    remediation: remediationOfVulnerability(united),
    details: { ...merged.details, versions },
  };
}

/** A vulnerability that is too slight for an Observation of its own. */
export interface MinorVulnerability {
  readonly resource: ResourceRef;
  readonly engine: string;
  readonly found: Vulnerability;
  readonly detectedAt: string;
}

const maxNamed = 50;

/** What the finding that counts minor vulnerabilities is called, as its event type and as its rule. */
export const minorEventType = 'minor-vulnerabilities';

/** One finding for all minor vulnerabilities that one engine found in one container, or in one resource. */
export function minorFindings(rows: readonly MinorVulnerability[]): Finding[] {
  const groups = new Map<string, [MinorVulnerability, ...MinorVulnerability[]]>();
  for (const row of rows) {
    const { resource, engine, found } = row;
    const key = canonicalJson({ workload: workloadKey(resource), engine, container: found.container });
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return [...groups.values()].map(minorFinding);
}

function minorFinding(rows: readonly [MinorVulnerability, ...MinorVulnerability[]]): Finding {
  const [
    {
      engine,
      found: { container },
    },
  ] = rows;
  const resources = rows.map(({ resource }) => resource);
  const resource = resources.reduce((a, b) => (canonicalJson(b) < canonicalJson(a) ? b : a));
  const times = rows.map(({ detectedAt }) => detectedAt);
  const found = [...new Map(rows.map((row) => [canonicalJson(row.found), row.found])).values()];
  const fixable = found.filter(({ versions }) => versions.some(({ fixed }) => fixed !== undefined));
  const named = fixable.map(flawText).sort();
  const more = named.length > maxNamed ? [`and ${named.length - maxNamed} more`] : [];
  return {
    category: 'security',
    severity: 'LOW',
    eventType: minorEventType,
    rule: 'minor',
    summary: `${vulnerabilityCount(`${found.length} LOW`, found.length, fixable.length)}${whereText(container, resource)}`,
    resource,
    identity: identityOf({ engine: engine.toLowerCase(), container }),
    details: {
      ...identityOf({ engine, container }),
      vulnerabilities: found.length,
      ...(named.length > 0 && { fixable: [...named.slice(0, maxNamed), ...more] }),
    },
    detectedAt: times.reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a)),
  };
}
