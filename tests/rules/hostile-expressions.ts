/** A generator of expressions that mean no good: long, nested, with patterns and lists that multiply. */

/** Numbers from a seed, so that a failure can be repeated. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
}

const lists = ['actor.groups', 'details.list', '[1, 2, 3]', 'details', '(actor.groups + details.list)'];
const texts = ['summary', 'rule', 'details.text', 'details.text + details.text', '"x"', 'details.none'];
const patterns = [
  '(a|b)*a(a|b){40}d',
  '(?:.*a){20}d',
  '(a?){40}a{40}d',
  '((a|b)*a(a|b){12}d)+',
  '[ab]*a[ab]{200}d',
  '(a{1,30}){30}d',
  '(?i)(x|y|z)+d',
  '\\\\b(a|b)+\\\\bd',
  '(((((((((((a*)*)*)*)*)*)*)*)*)*)*)*d',
  '(',
];
function nested(open: string, close: string, depth: number, inside: string): string {
  return `${open.repeat(depth)}${inside}${close.repeat(depth)}`;
}

const macros = ['all', 'exists', 'exists_one', 'filter', 'map'];

/** One expression of the sort, of up to about 1,200 characters. */
export function hostileExpression(seed: number): string {
  const below = randomFrom(seed);
  const one = (words: readonly string[]): string => words[below(words.length)] ?? '';

  function listOf(depth: number): string {
    if (depth === 0) return one(lists);
    const name = `v${below(3)}`;
    switch (below(6)) {
      case 0:
        return `${listOf(depth - 1)}.map(${name}, ${listOf(depth - 1)})`;
      case 1:
        return `${listOf(depth - 1)}.filter(${name}, ${test(depth - 1)})`;
      case 2:
        return `(${Array.from({ length: 2 + below(6) }, () => one(lists)).join(' + ')})`;
      case 3:
        return `[${Array.from({ length: below(30) }, (_, index) => index).join(', ')}]`;
      case 4:
        return `${one(lists)}${`.map(${name}, ${name} + ${name})`.repeat(below(20))}`;
      default:
        return one(lists);
    }
  }

  function test(depth: number): string {
    if (depth === 0) return below(2) === 0 ? `${one(texts)}.contains("d")` : 'v0 == v1';
    switch (below(9)) {
      case 0:
      case 1:
        return `${listOf(depth - 1)}.${one(macros)}(v${below(3)}, ${test(depth - 1)})`;
      case 2:
        return `${one(texts)}.matches("${one(patterns)}")`;
      case 3:
        return Array.from({ length: 2 + below(4) }, () => test(depth - 1)).join(below(2) === 0 ? ' || ' : ' && ');
      case 4:
        return nested('(', ')', below(60), test(depth - 1));
      case 5:
        return `${'!'.repeat(below(200))}(${test(depth - 1)})`;
      case 6:
        return `${listOf(depth - 1)} == ${listOf(depth - 1)}`;
      case 7:
        return `${`${test(depth - 1)} ? true : `.repeat(1 + below(6))}false`;
      default:
        return `detectedAt.getHours("${one(['Europe/Berlin', 'x'.repeat(50), '+02:00'])}") > size(${one(texts)})`;
    }
  }

  return below(20) === 0 ? nested('[', ']', below(300), test(1)) : test(2 + below(2));
}

const words = Array.from({ length: 400 }, (_, index) => (index % 3 === 0 ? 'ab' : 'ba')).join('');

/** The largest that a finding can be where expressions see it: whatever is longer is cut. */
export const largestFinding = {
  source: 'trivy',
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  rule: `d${words}`.slice(0, 253),
  summary: `d${words}`.slice(0, 256),
  resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'n'.repeat(63), name: 'a'.repeat(253) },
  actor: { username: 'u'.repeat(253), groups: Array.from({ length: 500 }, (_, index) => `group-${index}`) },
  details: {
    text: `d${words.repeat(3)}`,
    list: Array.from({ length: 5000 }, (_, index) => `i${index}`),
    more: Array.from({ length: 5000 }, (_, index) => ({ index, text: words })),
  },
  detectedAt: '2026-03-01T10:00:00Z',
} as const;
