import * as z from 'zod';
import type { Finding } from '../../shared/finding/finding.ts';
import { oneLine } from '../../shared/finding/one-line.ts';
import { severities } from '../../shared/finding/severity.ts';
import { vulnerabilityCount, withObject } from '../../shared/finding/summary-text.ts';
import { workloadName } from '../../shared/finding/workload.ts';

const optionalText = z.string().optional();

/** Versions that are installed, and for each the ones that have the fix. */
const versions = z
  .array(z.object({ installedVersion: optionalText, fixedVersion: optionalText }))
  .catch([])
  .default([]);

type Versions = z.infer<typeof versions>;

/** The details of all our findings, as far as their texts are made from them. */
const facts = z.object({
  artifact: optionalText,
  category: optionalText,
  cause: optionalText,
  checkID: optionalText,
  compliance: optionalText,
  container: optionalText,
  control: optionalText,
  description: optionalText,
  failedTargets: z.number().optional(),
  family: optionalText,
  image: optionalText,
  message: optionalText,
  occurrences: z.number().default(1),
  osVersions: z.array(z.string()).default([]),
  package: optionalText,
  packagePath: optionalText,
  ruleID: optionalText,
  target: optionalText,
  targets: z.array(z.string()).default([]),
  title: optionalText,
  versions,
  vulnerabilities: z.partialRecord(z.enum(severities), z.number()).default({}),
  vulnerabilityID: optionalText,
  withFix: z.number().default(0),
});

type Facts = z.infer<typeof facts>;

/** How much of a path or a message a summary shows, so that there is room for what follows. */
const mostPath = 80;
const mostMessage = 180;
/** How many versions, paths or targets a summary names. */
const mostNamed = 3;

function shortPath(path: string): string {
  return path.length <= mostPath ? path : `…${path.slice(-mostPath)}`;
}

/** `a, b, c and 4 more`. */
function listed(items: readonly string[], all = items.length): string {
  const named = items.slice(0, mostNamed);
  const more = all - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}

/** Where a finding is, in brackets; nothing if that isn't known. */
function inBrackets(found: Facts, ...others: readonly (string | undefined)[]): string {
  const image = found.image === undefined ? undefined : `image ${listed(found.image.split('\n'))}`;
  const container = found.container === undefined ? undefined : `container ${found.container}`;
  const parts = [...others, container ?? found.artifact ?? image].filter((part) => part !== undefined);
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}

function fixText(fixedVersion: string | undefined): string {
  return fixedVersion === undefined ? ', no fix known' : `, fixed in ${fixedVersion}`;
}

function versionsText(pairs: Versions): { readonly installed: string; readonly fix: string } {
  const fixes = new Set(pairs.map(({ fixedVersion }) => fixedVersion));
  if (fixes.size <= 1) {
    const installed = pairs.flatMap(({ installedVersion }) => installedVersion ?? []);
    return { installed: installed.length > 0 ? ` ${listed(installed)}` : '', fix: fixText(pairs[0]?.fixedVersion) };
  }
  const each = pairs.map(({ installedVersion, fixedVersion }) =>
    `${installedVersion ?? ''}${fixText(fixedVersion)}`.replace(/^, /, ''),
  );
  return { installed: ` ${each.slice(0, mostNamed).join('; ')}`, fix: each.length > mostNamed ? '; and more' : '' };
}

/** What is vulnerable: `CVE-2099-0001 in openssl 3.0.1, fixed in 3.0.2`, with the path of its package. */
export function vulnerabilityText(details: Finding['details']): string {
  return flawText(facts.parse(details));
}

function flawText({ vulnerabilityID, package: name, packagePath, target, title, versions: pairs }: Facts): string {
  const { installed, fix } = versionsText(pairs);
  const [path, ...otherPaths] = (packagePath ?? (target?.includes('/') ? target : '')).split('\n');
  const more = otherPaths.length > 0 ? ` and ${otherPaths.length} more` : '';
  const place = path ? ` at ${shortPath(path)}${more}` : '';
  if (name === undefined) return `${vulnerabilityID}${title === undefined ? '' : `: ${title}`}${place}${fix}`;
  // With several versions, each has its fix beside it, so the place comes first.
  return fix.startsWith(',')
    ? `${vulnerabilityID} in ${name}${installed}${place}${fix}`
    : `${vulnerabilityID} in ${name}${place}${place && ','}${installed}${fix}`;
}

function vulnerabilitySummary(found: Facts): string {
  const kind = found.packagePath === undefined && !found.target?.includes('/') ? found.target : undefined;
  return `${flawText(found)}${inBrackets(found, kind)}`;
}

function minorSummary(found: Facts): string {
  const counts = severities.flatMap((severity) => {
    const count = found.vulnerabilities[severity];
    return count === undefined ? [] : { severity, count };
  });
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const words = counts
    .map(({ severity, count }) => `${count} ${severity}`)
    .join(', ')
    .replace(/, (?=[^,]*$)/, ' and ');
  return `${vulnerabilityCount(words, total, found.withFix)}${inBrackets(found)}`;
}

function osSummary(found: Facts): string {
  const system = found.family ?? 'the operating system';
  const named = [system, listed(found.osVersions)].filter((part) => part !== '').join(' ');
  return `${named} is past its end of life: no more security fixes${inBrackets(found)}`;
}

/** What kind of secret it is. Some titles are only the name of a company: `Stripe (stripe-access-token)`. */
function secretText({ title, category, ruleID }: Facts): string {
  const named = title ?? category ?? ruleID ?? '';
  const words = named.toLowerCase().split(/[^a-z0-9]+/);
  const more = ruleID?.toLowerCase().split(/[^a-z0-9]+/) ?? [];
  const saysMore = more.length > words.length && words.every((word) => more.includes(word));
  return saysMore ? `${named} (${ruleID})` : named;
}

function secretSummary(found: Facts): string {
  const what = secretText(found);
  const places = found.occurrences > 1 ? `, ${found.occurrences} places` : '';
  if (found.target !== undefined) {
    return `${what} in ${listed(found.target.split('\n').map(shortPath))}${places}${inBrackets(found)}`;
  }
  const image = found.image === undefined ? '' : ` in image ${listed(found.image.split('\n'))}`;
  const isShown = found.container === undefined && found.artifact === undefined;
  return `${what}${image}${places}${isShown ? '' : inBrackets(found)}`;
}

const containerName = /\bcontainer ["'`]?([^\s"'`]+)/i;

/** How many more there are than the message that is shown. */
function othersText(messages: readonly string[]): string {
  const containers = new Set(messages.flatMap((message) => containerName.exec(message)?.[1] ?? []));
  if (containers.size > 1) return `, ${containers.size} containers`;
  return messages.length > 1 ? `, and ${messages.length - 1} more` : '';
}

function sentence(text: string): string {
  return text.trim().replace(/[.:,;\s]+$/, '');
}

const jsonList = /\["([^[\]]*)"\]/g;

/** Checks say `for verbs ["create", "update"]`. */
function withoutJsonLists(message: string): string {
  return message.replaceAll(jsonList, (_list, members: string) => members.replaceAll(/",\s*"/g, ', '));
}

function checkSummary(found: Facts, { resource }: Finding): string {
  const messages = withoutJsonLists(found.message ?? '')
    .split('\n')
    .filter((message) => message !== '');
  const title = sentence(found.title ?? '');
  const first = sentence(messages[0] ?? (title === '' ? (found.description ?? '') : ''));
  const isTold = first === '' || first.toLowerCase() === title.toLowerCase();
  const message = isTold ? '' : `: ${oneLine(first, mostMessage)}`;
  const what = withObject(found.checkID ?? '', title, aboutText(resource, found, `${title} ${first}`));
  return `${what}${message}${othersText(messages)}`;
}

/** What a check is about, where the texts beside it don't say so. */
function aboutText(resource: Finding['resource'], found: Facts, said: string): string | undefined {
  if (resource === undefined) {
    const where = [found.cause, found.target, found.artifact].filter((part) => part !== undefined);
    return where.length > 0 ? where.map(shortPath).join(', ') : undefined;
  }
  const name = workloadName(resource);
  const spellings = [`'${name}'`, `"${name}"`, `${resource.kind} ${name}`];
  if (name === undefined || spellings.some((spelling) => said.includes(spelling))) return undefined;
  return name === resource.name ? `${resource.kind} ${name}` : name;
}

function complianceSummary(found: Facts): string {
  const { compliance, control, title, failedTargets = 0, targets } = found;
  const what = [compliance, control, title && sentence(title)].filter((part) => part !== undefined && part !== '');
  const failures =
    targets.length > 0
      ? `fails for ${listed(targets, failedTargets)}`
      : `${failedTargets} ${failedTargets === 1 ? 'failure' : 'failures'}`;
  return `${what.join(' ')}: ${failures}`;
}

const summaries: Readonly<Record<string, (found: Facts, finding: Finding) => string>> = {
  vulnerability: vulnerabilitySummary,
  'minor-vulnerabilities': minorSummary,
  'end-of-life-os': osSummary,
  'exposed-secret': secretSummary,
  'compliance-failure': complianceSummary,
};

export function summaryOf(finding: Finding): string {
  const summary = summaries[finding.eventType] ?? checkSummary;
  return summary(facts.parse(finding.details), finding);
}

/** What to do about a vulnerability; of anything else, what the tool says. */
export function remediationOf({ eventType, remediation, details }: Finding): string | undefined {
  if (eventType !== 'vulnerability') return remediation;
  const { package: name, versions: pairs } = facts.parse(details);
  const fixed = pairs.filter(({ fixedVersion }) => fixedVersion !== undefined);
  if (name === undefined || fixed.length === 0) return undefined;
  const fixes = new Set(fixed.map(({ fixedVersion }) => fixedVersion));
  if (fixes.size === 1) return `upgrade ${name} to ${fixed[0]?.fixedVersion}`;
  const each = fixed.map(({ installedVersion, fixedVersion }) =>
    installedVersion === undefined ? `to ${fixedVersion}` : `from ${installedVersion} to ${fixedVersion}`,
  );
  return `upgrade ${name} ${each.join(', ')}`;
}
