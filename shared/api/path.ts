/** Selects a value inside an object, as a parsed path. */
export interface Path {
  /** Whether the path starts at the whole object (`$`). Without `$` it starts at one of the object's items. */
  readonly isWhole: boolean;
  readonly steps: readonly Step[];
}

type Step =
  | { readonly type: 'key'; readonly key: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'match'; readonly keys: readonly string[]; readonly value: string };

/**
 * `.key`, `[0]`, `['a.b/c']` or `[type=Ready]`. Sticky, so that each step starts exactly where the previous one ended.
 */
const step = /\.([A-Za-z0-9_-]+)|\[(\d{1,9})\]|\['([^']+)'\]|\[([A-Za-z0-9_.-]+)=([^\]]+)\]/y;
const maxPathLength = 512;

export function isPath(text: string): boolean {
  return text.startsWith('.') || text.startsWith('$');
}

/** `undefined` if the text is not a path. */
export function parsePath(text: string): Path | undefined {
  if (!isPath(text) || text.length > maxPathLength) return undefined;
  const isWhole = text.startsWith('$');
  const steps: Step[] = [];
  for (let index = isWhole ? 1 : 0; index < text.length; index = step.lastIndex) {
    step.lastIndex = index;
    const match = step.exec(text);
    if (!match) return undefined;
    steps.push(stepOf(match));
  }
  return isWhole || steps.length > 0 ? { isWhole, steps } : undefined;
}

function stepOf([, key, index, quoted, field, value]: RegExpExecArray): Step {
  if (index !== undefined) return { type: 'index', index: Number(index) };
  if (field !== undefined && value !== undefined) return { type: 'match', keys: field.split('.'), value };
  return { type: 'key', key: key ?? quoted ?? '' };
}

/** Reads own data properties of plain objects only, so that a path can't reach a prototype, a method or a length. */
function field(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}

function matches(element: unknown, keys: readonly string[], value: string): boolean {
  const found = keys.reduce(field, element);
  return scalarText(found ?? field(element, keys.join('.'))) === value;
}

/** The value that a path leads to; `undefined` if there is none. */
export function valueAt({ isWhole, steps }: Path, whole: unknown, item: unknown): unknown {
  let value = isWhole ? whole : item;
  for (const one of steps) {
    if (value === undefined || value === null) return undefined;
    if (one.type === 'key') value = field(value, one.key);
    else if (!Array.isArray(value)) return undefined;
    else if (one.type === 'index') value = value[one.index];
    else value = value.find((element) => matches(element, one.keys, one.value));
  }
  return value;
}

/** A string, number or boolean as text; `undefined` for anything else. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
