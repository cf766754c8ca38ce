import { describe, expect, it } from 'vitest';
import { jsonDocuments } from '../../shared/finding/json-documents.ts';

describe('jsonDocuments', () => {
  it.each<[string, string, unknown[]]>([
    ['one document', ' {"a":1}\n', [{ a: 1 }]],
    ['a number', '7', [7]],
    ['documents in a row', '{"a":1}\n[2]\n{"b":\n{}}', [{ a: 1 }, [2], { b: {} }]],
    ['documents between log lines', 'I0301 start\n[INFO] x\n{"a":"}\\"{"}\nDone {\n', [{ a: '}"{' }]],
    ['a document after a byte order mark', '\uFEFF{"a":1}', [{ a: 1 }]],
    ['documents after prefixes', '[pod/x] {"a":1}\n2026-03-01T10:00:00Z [{"b":2}]\r\nno {\n', [{ a: 1 }, [{ b: 2 }]]],
  ])('finds %s', (_what, text, documents) => {
    expect(jsonDocuments(text)).toEqual(documents);
  });

  it.each([
    ['nothing', ''],
    ['a log', 'I0301 start\n[INFO] x\n'],
    ['a document that was cut off', 'x\n{"a":1}\n{"b":\n'],
    ['a prefixed document that was cut off', 'x {"a":'],
    ['false starts alone', '[\n'.repeat(200_000)],
    ['false starts that end', `${'[\n'.repeat(100_000)}x${']'.repeat(100_000)}`],
  ])('throws on %s', (_what, text) => {
    expect(() => jsonDocuments(text)).toThrow(SyntaxError);
  });
});
