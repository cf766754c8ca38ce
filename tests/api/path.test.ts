import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePath, valueAt } from '../../shared/api/path.ts';

const data = {
  spec: { items: [{ name: 'a' }, { name: 'b' }], 'dashed-key': 1, replicas: 3, on: false, none: null },
  metadata: { labels: { 'a.b/c': 'labelled', "it's": 'quoted' } },
  status: {
    conditions: [
      { type: 'Issuing', status: 'True' },
      { type: 'Ready', status: 'False', reason: 'Expired', nested: { at: 7 } },
      { type: 'Ready', status: 'second' },
    ],
  },
};

function at(text: string, item: unknown = data): unknown {
  const path = parsePath(text);
  if (!path) throw new Error(`not a path: ${text}`);
  return valueAt(path, data, item);
}

describe('a path', () => {
  it.each<[string, unknown]>([
    ['.spec.replicas', 3],
    ['.spec.on', false],
    ['.spec.none', null],
    ['.spec.dashed-key', 1],
    ['.spec.items[0].name', 'a'],
    ['.spec.items[1].name', 'b'],
    ['.spec.items[2].name', undefined],
    [".metadata.labels['a.b/c']", 'labelled'],
    ['.status.conditions[type=Ready].reason', 'Expired'],
    ['.status.conditions[type=Ready].status', 'False'],
    ['.status.conditions[type=Gone].reason', undefined],
    ['.status.conditions[nested.at=7].status', 'False'],
    ['.spec.items', data.spec.items],
    ['$', data],
    ['$.spec.replicas', 3],
    ['.nowhere.at.all', undefined],
    ['.spec.replicas.more', undefined],
    ['.spec[0]', undefined],
    ['.spec.items.length', undefined],
    ['.spec.items.name', undefined],
    ['.__proto__', undefined],
    ['.constructor.name', undefined],
    ['.spec.toString', undefined],
    [".spec['hasOwnProperty']", undefined],
  ])('%s', (text, expected) => {
    expect(at(text)).toEqual(expected);
  });

  it('starts at the item, or, with $, at the whole object', () => {
    const item = { name: 'item' };
    expect([at('.name', item), at('$.spec.replicas', item), at('.spec.replicas', item)]).toEqual([
      'item',
      3,
      undefined,
    ]);
  });

  it.each([
    '',
    'spec',
    '.',
    '..a',
    '.a.',
    '.a..b',
    '.a[',
    '.a[]',
    '.a[x]',
    ".a['']",
    '.a[b=]',
    '.a b',
    '$$',
    '$a',
    '.a[0',
    '.ä',
    `.${'a'.repeat(512)}`,
  ])('can not be %s', (text) => {
    expect(parsePath(text)).toBeUndefined();
  });

  it('never throws, and never leads outside the data', () => {
    const key = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString', 'length', 'prototype');
    const steps = fc.array(
      fc.oneof(
        key.map((one) => `.${one}`),
        fc.nat(3).map((one) => `[${one}]`),
        key.map((one) => `['${one}']`),
        fc.tuple(key, key).map(([a, b]) => `[${a}=${b}]`),
      ),
      { minLength: 1, maxLength: 6 },
    );
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('a', 'b', 1, null, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 3 }),
      ),
    })).value;
    const reachable = (value: unknown, found = new Set<unknown>()): Set<unknown> => {
      found.add(value);
      if (typeof value === 'object' && value !== null) for (const one of Object.values(value)) reachable(one, found);
      return found;
    };
    fc.assert(
      fc.property(steps, fc.boolean(), json, (all, isWhole, generated) => {
        const value: unknown = JSON.parse(JSON.stringify(generated));
        const path = parsePath(`${isWhole ? '$' : ''}${all.join('')}`);
        if (!path) return;
        const found = valueAt(path, value, value);
        expect(found === undefined || reachable(value).has(found)).toBe(true);
      }),
    );
  });

  it('is parsed in linear time', () => {
    const long = `.${Array.from({ length: 255 }, () => 'a').join('.')}`;
    expect(parsePath(long)?.steps).toHaveLength(255);
    for (const hostile of [`.a${'[a='.repeat(170)}`, `.${'a-'.repeat(255)}!`, `.a['${"'".repeat(500)}`]) {
      expect(parsePath(hostile)).toBeUndefined();
    }
  });
});
