import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../shared/api/condition.ts';
import { tableOf } from '../../shared/view/table.ts';
import { crdOf, fieldsRead, readKinds } from './crds.ts';
import { differences, expectNone } from './faults.ts';
import { root } from './markdown.ts';
import { observed } from './observed.ts';

/** The keys of a path such as `.metadata.labels.a\.b/c`. */
function keysOf(jsonPath: string): string[] {
  const parts = jsonPath.split(/(?<!\\)\./).slice(1);
  return parts.map((part) => part.replaceAll('\\.', '.'));
}

function valueAt(object: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined || typeof object !== 'object' || object === null) return object;
  return valueAt(new Map<string, unknown>(Object.entries(object)).get(key), rest);
}

const created = '2026-03-01T10:00:00Z';
const { metadata, ...rest } = observed();
const object = { ...rest, metadata: { ...metadata, creationTimestamp: created } };

/** The header and the row of a table of that one Observation. */
function tableAs(isWide: boolean) {
  const lines = tableOf([object], { now: Date.parse(created), isWide, width: undefined });
  const [header = '', row = ''] = lines.map(stripVTControlCharacters);
  return { header, row, headers: header.split(/\s+/) };
}

const { headers } = tableAs(false);
const wide = tableAs(true);

describe('the columns of npm run observations', () => {
  const { file, columns } = crdOf('Observation');
  const table = 'shared/view/columns.ts';

  it.each([
    ['', 0, headers],
    [' with -o wide', 1, wide.headers],
  ])("are kubectl's%s", (_option, priority, shown) => {
    const printed = columns.filter((column) => column.priority <= priority).map(({ name }) => name.toUpperCase());
    expectNone(
      differences(shown, ['NAMESPACE', 'NAME', ...printed], {
        onlyHere: (name) => `${file} lacks the printer column ${name}, which ${table} has`,
        onlyThere: (name) => `${table} lacks the column ${name}, which ${file} prints`,
      }),
    );
    expect(shown).toEqual(['NAMESPACE', 'NAME', ...printed]);
  });

  it.each(columns.filter(({ name }) => name !== 'Age'))('show what kubectl shows as $name', ({ name, jsonPath }) => {
    const value = String(valueAt(object, keysOf(jsonPath)) ?? '');
    expect(value).toEqual(expect.stringMatching(/./));
    const start = wide.header.indexOf(name.toUpperCase());
    expect(wide.row.slice(start).split(/\s{2,}/)[0]).toBe(value);
  });

  it('are those in the example in README.md', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const example =
      /^ +NAMESPACE .*$/m
        .exec(readme)?.[0]
        .trim()
        .split(/\s{2,}/) ?? [];
    // A terminal is not as wide as all of them.
    expect(example.length).toBeGreaterThan(4);
    expect(headers.filter((name) => example.includes(name))).toEqual(example);
  });
});

const conditions: Readonly<Record<Condition['type'], true>> = {
  Accepted: true,
  Ready: true,
  Failing: true,
  Pending: true,
  Expired: true,
  NeverMatched: true,
};

describe.each(readKinds)('the printer columns of $kind', ({ kind, spec }) => {
  const { columns, file } = crdOf(kind);

  it('show only fields that are read or written', () => {
    const known = new Set([
      ...[...fieldsRead(spec).keys()].map((path) => `.${path}`),
      ...Object.keys(conditions).map((type) => `.status.conditions[?(@.type=='${type}')].status`),
      '.metadata.creationTimestamp',
      '.status.matched',
    ]);
    const unknown = columns.filter(({ jsonPath }) => !known.has(jsonPath));
    expectNone(
      unknown.map(({ name, jsonPath }) => `${file}: the column ${name} shows ${jsonPath}, but there is no such field`),
    );
  });
});
