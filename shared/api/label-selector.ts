type Labels = Readonly<Record<string, string>>;

/** Whether an object with these labels is picked. */
export type Selector = (labels: Labels) => boolean;

const key = `([A-Za-z0-9](?:[-A-Za-z0-9_./]{0,315}[A-Za-z0-9])?)`;
const value = `([A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?`;
const equality = new RegExp(String.raw`^${key}\s*(==|=|!=)\s*${value}$`);
const among = new RegExp(String.raw`^${key}\s+(in|notin)\s+\(([-A-Za-z0-9_., ]*)\)$`);
const presence = new RegExp(`^(!?)\\s*${key}$`);

function parseRequirement(text: string): Selector | undefined {
  const equal = equality.exec(text);
  if (equal) {
    const [, name = '', operator, wanted = ''] = equal;
    return operator === '!=' ? (labels) => labels[name] !== wanted : (labels) => labels[name] === wanted;
  }
  const set = among.exec(text);
  if (set) {
    const [, name = '', operator, list = ''] = set;
    const words = new Set(list.split(',').map((word) => word.trim()));
    const isIn = operator === 'in';
    return ({ [name]: found }) => (found !== undefined && words.has(found)) === isIn;
  }
  const there = presence.exec(text);
  if (!there) return undefined;
  const [, not, name = ''] = there;
  return (labels) => Object.hasOwn(labels, name) === (not === '');
}

/**
 * A selector as `kubectl -l` takes it, `undefined` where the text is none:
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
export function parseLabelSelector(text: string): Selector | undefined {
  // A comma in parentheses is between values.
  const parts = text.split(/,(?![^(]*\))/).map((part) => parseRequirement(part.trim()));
  if (parts.some((part) => part === undefined)) return undefined;
  return (labels) => parts.every((part) => part?.(labels));
}
