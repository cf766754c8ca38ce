import type { MappingRules } from '../api/mapping-rules.ts';
import { bearsOwnMark } from '../api/own-mark.ts';
import { isPath, type Path, parsePath, scalarText, valueAt } from '../api/path.ts';
import { canonicalJson, contentHash } from '../finding/canonical-json.ts';
import type { Finding, Normalized, ResourceRef } from '../finding/finding.ts';
import { parseSeverity, type Severity } from '../finding/severity.ts';
import type { ExpressionFailure } from './expression.ts';
import type { Mapped } from './expression-values.ts';

export interface MapOptions {
  /** The resource that findings are about if the mapping names none. */
  readonly about: ResourceRef | undefined;
  /** RFC 3339: when findings count as detected. */
  readonly time: string;
  /** Repeats within this many seconds are one finding. Without it, repeats are always one finding. */
  readonly windowSeconds: number | undefined;
  /** Is told why the mapping's expression could not be answered for an item, which is kept. */
  readonly onFailure?: (failure: string) => void;
}

/** Turns data into findings. Pure; never throws, whatever the data is. */
export type MapData = (data: unknown, options: MapOptions) => Normalized;

/** Reads a value from the data, or returns a literal. */
type ReadValue = (whole: unknown, item: unknown) => unknown;

/** Reads something from an item. What comes from the whole data is made once for all items, which may be many. */
function reader<Value>(path: Path, make: (value: unknown) => Value) {
  const read = (whole: unknown, item: unknown): Value => make(valueAt(path, whole, item));
  if (!path.isWhole) return read;
  const found = new WeakMap<object, { readonly value: Value }>();
  return (whole: unknown, item: unknown): Value => {
    if (typeof whole !== 'object' || whole === null) return read(whole, item);
    const made = found.get(whole) ?? { value: read(whole, item) };
    found.set(whole, made);
    return made.value;
  };
}

function compileValue(text: string): ReadValue {
  const path = isPath(text) ? parsePath(text) : undefined;
  return path ? reader(path, (value) => value) : () => text;
}

function compilePath(text: string): Path {
  return parsePath(text) ?? { isWhole: false, steps: [] };
}

/** Lower-case words joined by hyphens, as event types and categories are written. */
function slug(text: string | undefined): string | undefined {
  const words = text
    ?.slice(0, 256)
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .match(/[a-z0-9]+/g);
  return words?.join('-').slice(0, 63).replace(/-$/, '');
}

type ReadText = (whole: unknown, item: unknown) => string | undefined;

function compileText(text: string | undefined): ReadText {
  if (text === undefined) return () => undefined;
  const value = compileValue(text);
  return (whole, item) => {
    const found = scalarText(value(whole, item));
    return found === '' ? undefined : found;
  };
}

function compileSeverity(
  text: string,
  severityMap: MappingRules['severityMap'],
): (whole: unknown, item: unknown) => Severity {
  const read = compileText(text);
  const words = new Map(Object.entries(severityMap).map(([word, severity]) => [word.toLowerCase(), severity]));
  return (whole, item) => {
    const word = read(whole, item);
    return word === undefined ? 'UNKNOWN' : (words.get(word.toLowerCase()) ?? parseSeverity(word));
  };
}

function compileResource(resource: MappingRules['mappings']['resource']) {
  if (!resource) return undefined;
  const [apiVersion, kind, namespace, name] = [
    resource.apiVersion,
    resource.kind,
    resource.namespace,
    resource.name,
  ].map(compileText);
  return (whole: unknown, item: unknown): ResourceRef | undefined => {
    const found = kind?.(whole, item);
    if (found === undefined) return undefined;
    return {
      apiVersion: apiVersion?.(whole, item),
      kind: found,
      namespace: namespace?.(whole, item),
      name: name?.(whole, item),
    };
  };
}

function compileWhen(conditions: MappingRules['when']): (whole: unknown, item: unknown) => boolean {
  const compiled = conditions.map(({ path, in: allowed, notIn }) => ({
    read: reader(compilePath(path), (value) => scalarText(value) ?? ''),
    isIn: allowed !== undefined,
    words: new Set(allowed ?? notIn),
  }));
  return (whole, item) => compiled.every(({ read, isIn, words }) => words.has(read(whole, item)) === isIn);
}

/** Any value as text, so that different values make different identities. */
function identityText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  try {
    return scalarText(value) ?? canonicalJson(value);
  } catch {
    return 'nested too deeply';
  }
}

function contentText(value: unknown): string {
  try {
    return contentHash(value);
  } catch {
    return 'nested too deeply';
  }
}

type ReadIdentity = (whole: unknown, item: unknown, options: MapOptions) => Record<string, string> | undefined;

/** Reads what tells an item apart; `undefined` if the paths that should lead to it lead nowhere. */
function compileIdentity({ identity = [], items }: MappingRules): ReadIdentity {
  const paths = identity.map((text) => ({ text, read: reader(compilePath(text), identityText) }));
  return (whole, item, { about }) => {
    // An object is told apart by its name; what it lists, or what is posted, by everything in it.
    if (paths.length === 0) return items !== undefined || !about ? { content: contentText(item) } : {};
    const parts: Record<string, string> = {};
    for (const { text, read } of paths) {
      const part = read(whole, item);
      if (part !== undefined) parts[text] = part;
    }
    return Object.keys(parts).length > 0 ? parts : undefined;
  };
}

function compileDetails({ message, details }: MappingRules['mappings']) {
  const readMessage = compileText(message);
  const values = Object.entries(details).map(([key, text]) => ({ key, read: compileValue(text) }));
  return (whole: unknown, item: unknown): Record<string, unknown> => {
    const all = [
      { key: 'message', value: readMessage(whole, item) },
      ...values.map(({ key, read }) => ({ key, value: read(whole, item) })),
    ];
    return Object.fromEntries(
      all.filter(({ value }) => value !== undefined && value !== null).map(({ key, value }) => [key, value]),
    );
  };
}

function windowOf({ time, windowSeconds }: MapOptions): Record<string, string> {
  return windowSeconds === undefined ? {} : { window: String(Math.floor(Date.parse(time) / 1000 / windowSeconds)) };
}

/** Why an item is none of a mapping's findings; anything else is a fault. */
const unwanted = ['when', 'expression', 'self'];

function summaryOf(eventType: string, about: ResourceRef | undefined, message: unknown): string {
  const what = about ? `${eventType}: ${[about.kind, about.name].filter(Boolean).join(' ')}` : eventType;
  return typeof message === 'string' ? `${what}: ${message}` : what;
}

/** Whether it is what we have told somebody ourselves, as no object of the cluster is. */
function isOwn(whole: unknown, item: unknown, { about }: MapOptions): boolean {
  return about === undefined && (bearsOwnMark(whole) || bearsOwnMark(item));
}

/** Whether a mapping's expression wants a finding. */
export type Wants = (finding: Finding, mapped: Mapped) => boolean | ExpressionFailure;

/** Compiles a mapping, whose expression has been compiled. */
export function compileMapping(rules: MappingRules, wants?: Wants): MapData {
  const { mappings } = rules;
  const items = rules.items === undefined ? undefined : compilePath(rules.items);
  const isFinding = compileWhen(rules.when);
  const severity = compileSeverity(mappings.severity, rules.severityMap);
  const [category, eventType] = [mappings.category, mappings.eventType].map(compileText);
  const resource = compileResource(mappings.resource);
  const readDetails = compileDetails(mappings);
  const readIdentity = compileIdentity(rules);

  /** The finding in an item, or the reason why there is none. */
  function findingOf(whole: unknown, item: unknown, options: MapOptions): Finding | string {
    if (isOwn(whole, item, options)) return 'self';
    if (!isFinding(whole, item)) return 'when';
    const [foundCategory, foundType] = [slug(category?.(whole, item)), slug(eventType?.(whole, item))];
    if (!foundCategory) return 'no_category';
    if (!foundType) return 'no_event_type';
    const identity = readIdentity(whole, item, options);
    if (identity === undefined) return 'no_identity';
    const about = resource ? resource(whole, item) : options.about;
    const details = readDetails(whole, item);
    return {
      category: foundCategory,
      severity: severity(whole, item),
      eventType: foundType,
      rule: foundType,
      summary: summaryOf(foundType, about, details.message),
      resource: about,
      identity: { ...identity, ...windowOf(options) },
      // What tells findings apart has to be visible.
      details: Object.keys(identity).length > 0 ? { ...details, identity } : details,
      detectedAt: options.time,
    };
  }

  /** The same, unless the expression doesn't want it. What can't be answered is kept. */
  function wantedOf(object: unknown, item: unknown, options: MapOptions): Finding | string {
    const found = findingOf(object, item, options);
    const answer = typeof found === 'string' ? undefined : wants?.(found, { object, item });
    if (typeof answer === 'object') options.onFailure?.(answer.failure);
    return answer === false ? 'expression' : found;
  }

  return (data, options) => {
    const found = items ? valueAt(items, data, data) : [data];
    // Go writes an empty list as null.
    const list = found === null ? [] : found;
    // It may be a format that the mapping doesn't know, which must not be taken for an empty one.
    if (!Array.isArray(list)) return { findings: [], skipped: { no_items: 1 }, isPartial: true };
    const findings: Finding[] = [];
    const skipped: Record<string, number> = {};
    for (const item of list) {
      const result = wantedOf(data, item, options);
      if (typeof result === 'string') skipped[result] = (skipped[result] ?? 0) + 1;
      else findings.push(result);
    }
    const isUnnamed = findings.length === 0 && Object.keys(skipped).some((reason) => !unwanted.includes(reason));
    return { findings, skipped, isPartial: isUnnamed };
  };
}
