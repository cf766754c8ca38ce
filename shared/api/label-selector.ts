type Labels = Readonly<Record<string, string>>;

/** Whether an object with these labels matches. */
export type Selector = (labels: Labels) => boolean;

const key = `([A-Za-z0-9](?:[-A-Za-z0-9_./]{0,315}[A-Za-z0-9])?)`;
const value = `([A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?`;
const equality = new RegExp(String.raw`^${key}\s*(==|=|!=)\s*${value}$`);
const membership = new RegExp(String.raw`^${key}\s+(in|notin)\s+\(([-A-Za-z0-9_., ]*)\)$`);
const existence = new RegExp(`^(!?)\\s*${key}$`);

function parseRequirement(text: string): Selector | undefined {
  const equal = equality.exec(text);
  if (equal) {
    const [, name = '', operator, expected = ''] = equal;
    return operator === '!=' ? (labels) => labels[name] !== expected : (labels) => labels[name] === expected;
  }
  const set = membership.exec(text);
  if (set) {
    const [, name = '', operator, list = ''] = set;
    const words = new Set(list.split(',').map((word) => word.trim()));
    const isIn = operator === 'in';
    return ({ [name]: found }) => (found !== undefined && words.has(found)) === isIn;
  }
  const exists = existence.exec(text);
  if (!exists) return undefined;
  const [, not, name = ''] = exists;
  return (labels) => Object.hasOwn(labels, name) === (not === '');
}

/**
 * Parses a selector as `kubectl -l` accepts it; `undefined` if the text is not one:
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
export function parseLabelSelector(text: string): Selector | undefined {
  // A comma inside parentheses separates values, not requirements.
  const parts = text.split(/,(?![^(]*\))/).map((part) => parseRequirement(part.trim()));
  if (parts.some((part) => part === undefined)) return undefined;
  return (labels) => parts.every((part) => part?.(labels));
}
