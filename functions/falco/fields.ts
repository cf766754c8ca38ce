import { canonicalJson, contentHash } from '../../shared/finding/canonical-json.ts';
import { maskSecrets } from '../../shared/finding/mask-secrets.ts';
import { text } from '../../shared/finding/values.ts';
import { objectFields, volatileFields, volatileWords } from './tables.ts';

/** `output_fields`, by their dotted names. */
export type Fields = ReadonlyMap<string, unknown>;

/** Log shippers may turn `k8s.ns.name` into nested objects. No field of Falco has more parts than this. */
const maxFieldDepth = 6;

/**
 * Undoes the nesting, and leaves out integers above 2^53: they have been rounded by now, by each sender in its own way.
 */
export function flatten(value: object, prefix = '', depth = maxFieldDepth): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [key, member] of Object.entries(value)) {
    const name = prefix + key;
    if (isNested(member) && depth > 1) {
      for (const [inner, leaf] of flatten(member, `${name}.`, depth - 1)) fields.set(inner, leaf);
    } else if (!Number.isInteger(member) || Number.isSafeInteger(member)) fields.set(name, member);
  }
  return fields;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many fields there are when the nesting is undone. */
function countFields(value: object, depth: number): number {
  const counts = Object.values(value).map((member) =>
    isNested(member) && depth > 1 ? countFields(member, depth - 1) : 1,
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

export function hasMoreFields(value: unknown, max: number): boolean {
  return isNested(value) && countFields(value, maxFieldDepth) > max;
}

/** falcosidekick cuts texts of more bytes in long alerts to 507, and marks them. */
const maxTextBytes = 512;
const cutBytes = 507;
const sidekickMark = '[...]';
const encoder = new TextEncoder();

function headOf(value: string, maxBytes: number): string {
  // No character takes more.
  if (value.length * 3 <= maxBytes) return value;
  return value.slice(0, encoder.encodeInto(value, new Uint8Array(maxBytes)).read);
}

/** The last word of a text that was cut may be the beginning of a token, which nobody would recognize as a secret. */
const cutWord = /(?<=[\s"'=,;|&<>()])[^\s"'=,;|&<>()]{1,80}$|(?<=\W)\w{1,40}$/;

/** A text as it is stored: the same, whether it comes from Falco or was cut by falcosidekick. */
export function shortened(value: string): string {
  const isCut = value.endsWith(sidekickMark) && headOf(value, cutBytes - 4).length < value.length;
  if (!isCut && headOf(value, maxTextBytes).length === value.length) return value;
  const whole = isCut ? value.slice(0, -sidekickMark.length).replace(/\uFFFD{1,3}$/, '') : value;
  return `${headOf(whole, cutBytes).replace(cutWord, '')}…`;
}

/** The first of these fields that says something. */
export function fieldOf(fields: Fields, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = text(fields.get(name))?.trim();
    if (value !== undefined) return shortened(value);
  }
  return undefined;
}

/** Parameters of a request to the API server that differ between repeats of the request. */
const volatileParameter =
  /^(?:resourceVersion|resourceVersionMatch|timeout|timeoutSeconds|continue|allowWatchBookmarks)=/;

/** Kernel addresses of both ends of a Unix socket, before its path. */
const socketAddresses = /^(?:0x)?[0-9a-f]+->(?:0x)?[0-9a-f]+\s*/i;

/** The port that a client has for the time of a connection: 50 connections to one server are the same act. */
export const sourcePort = /:\d{1,5}->/g;

/** A file, connection or URI without what differs between repeats. */
export function stableName(name: string): string | undefined {
  const query = name.startsWith('/') ? name.split('?')[1] : undefined;
  if (query === undefined) return text(name.replace(socketAddresses, '').replace(sourcePort, '->'));
  const path = name.slice(0, name.indexOf('?'));
  const parameters = query.split('&').filter((one) => !volatileParameter.test(one));
  return parameters.length > 0 ? `${path}?${parameters.join('&')}` : path;
}

function isStable(name: string, isInPod: boolean): boolean {
  if (!name.includes('.') || (isInPod && name === 'container.id')) return false;
  const words = name.toLowerCase().split(/[^a-z0-9]/);
  return (
    !words.some((word) => volatileWords.has(word) || word.endsWith('timestamp')) &&
    !volatileFields.some((field) => field.test(name))
  );
}

const names: ReadonlySet<string> = new Set(objectFields);
const imageField = /\bimages?\b/i;
const imageVersion = /(?:@sha256:[0-9a-f]+|:\w[\w.-]*)(?=$|[,)\s])/g;
/** Numbers of processes and file descriptors in `evt.args`. */
const argumentNumber = /\b(fd|pid|tid|ptid|vtid|vpid|ino|dev|res)=-?\d+/g;

function stableValue(name: string, value: string): string | undefined {
  if (names.has(name)) return stableName(value);
  const stable = value.replace(sourcePort, '->');
  if (name.startsWith('evt.')) return stable.replace(argumentNumber, '$1=');
  return imageField.test(name) ? stable.replace(imageVersion, '') : stable;
}

/**
 * The fields that repeats of an event have in common. falcosidekick adds fields of its own, which have no dot in their
 * names.
 */
export function stableFields(fields: Fields, isInPod: boolean): Record<string, string> {
  const stable: Record<string, string> = {};
  for (const name of [...fields.keys()].sort()) {
    const value = fields.get(name);
    const whole = text(typeof value === 'object' ? canonicalJson(value) : value)?.trim();
    if (whole === undefined || !isStable(name, isInPod)) continue;
    const part = stableValue(name, shortened(whole));
    if (part !== undefined) stable[name] = part;
  }
  return stable;
}

/** A hash of fields as they are stored. falcosidekick can be told to write `proc.aname[2]` otherwise. */
export function fieldsHash(fields: Readonly<Record<string, string>>): string {
  const stored = Object.entries(fields).map(([name, value]) => [
    name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''),
    Object.values(Object.assign({}, maskSecrets({ [name]: value }))),
  ]);
  return contentHash(stored.sort());
}
