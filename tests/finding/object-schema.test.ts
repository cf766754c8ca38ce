import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { badRowsOf, judgedRowsOf } from '../../shared/finding/object-schema.ts';

const row = z.object({ id: z.string(), parts: z.array(z.object({ size: z.number() })).default([]) });
const list = judgedRowsOf(row);

describe('judgedRowsOf', () => {
  it.each([[undefined], [null], [[]]])('reads %j as no rows', (given) => {
    expect(list.parse(given)).toEqual({ rows: [], bad: [] });
  });

  it('reads the rows that can be read, in their order, and says where and how the others break the schema', () => {
    const good = [
      { id: 'a', parts: [] },
      { id: 'b', parts: [{ size: 1 }] },
    ];
    const given = [good[0], { id: 7 }, null, good[1], { id: 'c', parts: [{ size: 1 }, { size: 'x' }] }];
    const { rows, bad } = list.parse(given);
    expect(rows).toEqual(good);
    expect(bad).toEqual([
      { index: 1, path: ['id'], message: expect.stringContaining('expected string') },
      { index: 2, path: [], message: expect.stringContaining('expected object') },
      { index: 4, path: ['parts', 1, 'size'], message: expect.stringContaining('expected number') },
    ]);
  });

  it('counts a row once, however many of its fields are bad', () => {
    expect(list.parse([{ id: 7, parts: 'x' }]).bad).toHaveLength(1);
  });

  it.each([['text'], [7], [{ id: 'a' }]])('refuses %j, which is no list', (given) => {
    expect(list.safeParse(given).success).toBe(false);
  });

  it('gives rows as their schema makes them', () => {
    const trimmed = judgedRowsOf(z.string().transform((text) => text.trim()));
    expect(trimmed.parse([' a ', 1, 'b']).rows).toEqual(['a', 'b']);
  });
});

describe('badRowsOf', () => {
  it('names each by the path in the object', () => {
    const judged = list.parse([{ id: 'a' }, 7, { id: 'c', parts: [{ size: 'x' }] }]);
    expect(badRowsOf('report.checks', judged)).toEqual([
      { path: 'report.checks[1]', message: judged.bad[0]?.message },
      { path: 'report.checks[2].parts[0].size', message: judged.bad[1]?.message },
    ]);
  });

  it('has none of a list without any', () => {
    expect(badRowsOf('results', list.parse([{ id: 'a' }]))).toEqual([]);
  });
});
