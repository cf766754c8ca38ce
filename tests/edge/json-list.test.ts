import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJsonList } from '../../shared/edge/json-list.ts';
import { maxValues } from '../../shared/function/json.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { isQuick } from '../quick.ts';

function read(text: string) {
  const list = readJsonList(new TextEncoder().encode(text), 'items');
  return list && { ...list.rest, items: [...list.elements] };
}

describe('a JSON object that holds a list', () => {
  it.each([
    '{"items":[]}',
    '{"items":[1]}',
    ' {\n"kind" : "List" , "items" : [ 1 , "a,]}\\"" , {"x":[1,{"y":"]"}]} , null,true,-1.5e3 ] , "after":{"items":[1]} }\n',
    '{"a":"\\\\","items":["\\u0041","ü🦀"]}',
    '{"\\u0069tems":[1,2]}',
  ])('reads %s as JSON.parse does', (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it.each(['[]', '"items"', '{}', '{"items":1}', '{"items":{}}', '{"other":[1]}', '{"nested":{"items":[1]}}', ''])(
    'has none in %s',
    (text) => {
      expect(read(text)).toBeUndefined();
    },
  );

  it.each([
    ...[
      '{"items":[1,]}',
      '{"items":[,1]}',
      '{"items":[1 2]}',
      '{"items":[1',
      '{"items":[1]',
      '{"items":[{]}]}',
      '{"items":[1]}x',
    ],
    ...[
      '{"items":[1] "a":1}',
      '{"items":[1],}',
      '{"items":["a]}',
      '{"items" [1]}',
      '{"items":[tru]}',
      '{"items":[01]}',
    ],
    ...['{"items":[1],"items":[2]}', '{"items":[[1}]}'],
  ])('refuses %s', (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ status: 400 }));
  });

  it.skipIf(isQuick)('refuses more members than may be parsed, whether or not there is a list behind them', () => {
    expect(() => read(`{${'"":0,'.repeat(maxValues() + 1)}}`)).toThrow(expect.objectContaining({ status: 413 }));
  });

  describe('with too many values in an element', () => {
    const many = `[${'"",'.repeat(maxValues())}""]`;
    const shortens = { members: ['body', 'answer'], text: 'too long' };
    const shortened = (...elements: readonly string[]): readonly unknown[] => [
      ...(readJsonList(Buffer.from(`{"items":[${elements.join()}]}`), 'items', shortens)?.elements ?? []),
    ];

    it('reads that without what it can do without, and the others whole', () => {
      const one = `{"who":"eve","body":{"args":${many}},"answer": {"a":[1]} ,"body2":[1]}`;
      const other = '{"who":"bob","body":{"args":[""]}}';
      expect(shortened(other, one, other)).toEqual([
        JSON.parse(other),
        { who: 'eve', body: 'too long', answer: 'too long', body2: [1] },
        JSON.parse(other),
      ]);
    });

    it.each([`{"who":${many},"body":1}`, many])('refuses what has too many all the same', (element) => {
      expect(() => shortened(element)).toThrow(expect.objectContaining({ status: 413 }));
    });
  });

  it('reads every object as JSON.parse does', () => {
    const object = fc.record(
      { kind: fc.jsonValue(), items: fc.array(fc.jsonValue()), more: fc.jsonValue() },
      { requiredKeys: ['items'] },
    );
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(read(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('agrees with JSON.parse about every text, but that a member may not be there twice', () => {
    const part = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"items"',
      '"a"',
      '"',
      '\\',
      '1',
      'true',
      ' ',
      '{"items":[',
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 14 }).map((parts) => parts.join('')),
        (text) => {
          let expected: unknown;
          try {
            expected = JSON.parse(text);
          } catch {
            expected = undefined;
          }
          try {
            const found = read(text);
            if (found) expect(found).toEqual(expected);
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
            if (expected !== undefined) expect(text.match(/"items"/g)?.length).toBeGreaterThan(1);
          }
        },
      ),
      { numRuns: isQuick ? 4000 : 20_000 },
    );
  });
});
