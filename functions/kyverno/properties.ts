import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import { remembered } from '../../shared/finding/remembered.ts';
import { text } from '../../shared/finding/values.ts';

/** What an engine says about a result, besides what every result has: texts by key, without those that say nothing. */
export type Properties = ReadonlyMap<string, string>;

/** The properties of a result. Strictly they are texts, but not every engine is strict. */
export function propertiesOf(values: Readonly<Record<string, unknown>> | null | undefined): Properties {
  const texts = Object.entries(values ?? {}).map(([key, value]): [string, string | undefined] => [key, textOf(value)]);
  return new Map(texts.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function textOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return text(value)?.trim();
  const isEmpty = Object.keys(value).length === 0;
  return isEmpty ? undefined : canonicalJson(value);
}

/** The words of a key, in lower case: `primary url` for `primaryURL`, `primary-url`, `primary_url` and `primary.url`. */
export const wordsOf = remembered((key) =>
  key
    .replaceAll(/([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$3 $2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, ' ')
    .trim(),
);

/** The first property that one of the patterns matches, in the order of the patterns. */
export function pick(properties: Properties, patterns: readonly RegExp[]): string | undefined {
  if (properties.size === 0) return undefined;
  const entries = [...properties].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const pattern of patterns) {
    const found = entries.find(([key]) => pattern.test(wordsOf(key)));
    if (found) return found[1];
  }
  return undefined;
}

/**
 * Keys whose values change while the finding stays the same, or that only its engine understands: times, uids, scores,
 * counts, and what names one Pod or process among its equals.
 */
const passing: readonly RegExp[] = [
  /\b(?:date|datetime|timestamps?)\b/,
  /\b(?:time|times|created|updated|modified|published|scanned|detected|seen|expires|expiry|age|duration)$/,
  /(?:ed|seen|run|start|end) (?:at|on)$/,
  /\b(?:uids?|uuids?|guids?)\b/,
  /\b(?:p|pp|t|sp)ids?$/,
  /\b(?:resource version|generation)\b/,
  /\b(?:scores?|cvss\w*|epss|risk|counts?|counter|total|occurrences|hits)\b/,
  /\b(?:pod|container|host|node|process|result|report|scan|event|session|request|trace|instance|image) ?ids?$/,
  /\b(?:pod|podname|pod name|pod ip|host ip)$/,
  /\b(?:source|src|client|remote|ephemeral|s) ?port$/,
];

/** Keys of the machine that something runs on: of a workload's Pods, any one. */
const machine = /\b(?:host|hostname|host name|node|nodename|node name)$/;

/** Keys of what holds as long as the finding does, but may be said in other words or numbers tomorrow. */
const facts: readonly RegExp[] = [
  /\b(?:versions?|release|tags?|digests?|sha\d*|checksum|hash|commit|build)\b/,
  /\b(?:fix|fixes|fixed|patched)\b/,
  /\b(?:severity|severities|priority|urgency|criticality|status|state)\b/,
  /\b(?:urls?|uris?|links?|href|refs?|references?|website)$/,
  /\b(?:messages?|msg|descriptions?|titles?|text|details?|summary|reasons?|rationale|output|explanation|impact)\b/,
  /\b(?:notes?|comments?|info|information|resolution|remediations?|recommendations?|solution|mitigation)\b/,
];

const passingValue = [
  // A time.
  /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d|$)/,
  // A uid.
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
];

const factValue = [/^https?:\/\//i, /^(?:sha\d{1,3}:)?[0-9a-f]{32,128}$/i];

const image = /\b(?:image|artifact)(?: (?:name|ref|reference|repository))?$/;

/** How long a property counts: `finding` tells findings apart, `fact` is shown only, and `scan` is left out. */
type Lifetime = 'finding' | 'fact' | 'scan';

function lifetimeOf(key: string, value: string, isWorkload: boolean): Lifetime {
  const words = wordsOf(key);
  const has = (patterns: readonly RegExp[], tested: string): boolean => patterns.some((one) => one.test(tested));
  if (has(passing, words) || has(passingValue, value)) return 'scan';
  if (machine.test(words)) return isWorkload ? 'scan' : 'finding';
  if (image.test(words)) return 'finding';
  return has(facts, words) || has(factValue, value) ? 'fact' : 'finding';
}

/** A package URL without its version, its qualifiers and its subpath. Any other text stays as it is. */
export function unversionedPackage(name: string): string {
  const [location = name] = name.split(/[?#]/, 1);
  return name.startsWith('pkg:') ? location.replace(/@[^/@]*$/, '') : name;
}

/** An image without tag and digest, a package URL without version. Other values stay as they are. */
function unversioned(key: string, value: string): string {
  if (value.startsWith('pkg:')) return unversionedPackage(value);
  return image.test(wordsOf(key)) ? value.replace(/@[^/@]*$/, '').replace(/:[^/:]*$/, '') : value;
}

export interface SortedProperties {
  /** What tells findings apart. */
  readonly stable: Readonly<Record<string, string>>;
  /** What a person may want to read: the stable ones, and facts such as versions and texts. */
  readonly shown: Readonly<Record<string, string>>;
}

const nothing: SortedProperties = { stable: {}, shown: {} };

/**
 * Properties by how long they count. Of a resource that runs as interchangeable Pods (`isWorkload`), the node doesn't
 * count either.
 */
export function sortProperties(properties: Properties, isWorkload: boolean): SortedProperties {
  if (properties.size === 0) return nothing;
  const stable: Record<string, string> = {};
  const shown: Record<string, string> = {};
  for (const [key, given] of properties) {
    const lifetime = lifetimeOf(key, given, isWorkload);
    const value = unversioned(key, given);
    if (lifetime === 'finding') stable[key] = value;
    if (lifetime !== 'scan') shown[key] = value;
  }
  return { stable, shown };
}
