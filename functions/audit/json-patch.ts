import { isRecord } from './values.ts';

const maxOperations = 1000;

type Draft = Record<string, unknown> | unknown[];

/** Nobody looks at more items of a list. */
const maxItems = 1000;

function isIndex(segment: string | undefined): boolean {
  return segment === '-' || Number(segment) < maxItems;
}

function write(draft: Draft, key: string, value: unknown): void {
  if (!Array.isArray(draft)) draft[key] = value;
  else if (key === '-') draft.push(value);
  // A list of any length could be asked for.
  else if (isIndex(key)) draft[Number(key)] = value;
}

function set(root: Draft, path: readonly string[], value: unknown): void {
  let draft = root;
  for (const [index, key] of path.slice(0, -1).entries()) {
    // What an operation brought along is copied before a later one writes into it: it belongs to the event.
    const found: unknown = Reflect.get(draft, key);
    const empty = isIndex(path[index + 1]) ? [] : {};
    const next: Draft = Array.isArray(found) ? [...found] : isRecord(found) ? { ...found } : empty;
    write(draft, key, next);
    draft = next;
  }
  const last = path.at(-1);
  if (last !== undefined) write(draft, last, value);
}

/** The segments of a JSON Pointer (RFC 6901); `undefined` for one that no object of Kubernetes can have. */
function segmentsOf(pointer: unknown): string[] | undefined {
  if (typeof pointer !== 'string') return undefined;
  const segments = pointer.split('/').slice(1);
  // No name that is looked for has a tilde, so that `~0` may stay as it is.
  return segments.includes('__proto__') ? undefined : segments.map((segment) => segment.replaceAll('~1', '/'));
}

/** What an operation writes; labels that are replaced as a whole have the strategic merge patch's mark. */
function writtenBy({ op, path, value }: Readonly<Record<string, unknown>>): unknown {
  if (op === 'remove') return null;
  if (op !== 'add' && op !== 'replace') return undefined;
  return path === '/metadata/labels' && isRecord(value) ? { ...value, $patch: 'replace' } : value;
}

/**
 * A JSON Patch (RFC 6902) as the object that its operations write, in the form of a merge patch: what is removed is null.
 */
export function objectOfPatch(operations: readonly unknown[]): Readonly<Record<string, unknown>> {
  let written: Record<string, unknown> = {};
  for (const operation of operations.slice(0, maxOperations).filter(isRecord)) {
    const segments = segmentsOf(operation.path);
    const value = writtenBy(operation);
    if (segments === undefined || value === undefined) continue;
    // The empty path is the whole object.
    if (segments.length === 0 && isRecord(value)) written = { ...value };
    else set(written, segments, value);
  }
  return written;
}
