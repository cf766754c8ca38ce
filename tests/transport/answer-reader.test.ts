import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAnswerReader } from '../../shared/transport/answer-reader.ts';

/** What is read of these pieces, one after the other, and of the end of the connection where `ends`. */
function readAll(pieces: readonly Buffer[], ends = false) {
  const seen = { status: 0, headers: {}, body: Buffer.alloc(0), heads: 0, ends: 0 };
  const reader = createAnswerReader({
    onHead({ status, field }) {
      const headers = { 'audit-id': field('audit-id'), 'x-two': field('x-two'), 'x-three': field('x-three') };
      Object.assign(seen, { status, headers, heads: seen.heads + 1 });
    },
    onData(chunk) {
      seen.body = Buffer.concat([seen.body, chunk]);
    },
    onEnd() {
      seen.ends += 1;
    },
  });
  for (const piece of pieces) reader.read(piece);
  if (ends) reader.end();
  return { ...seen, body: seen.body.toString('latin1'), isOver: reader.isOver(), isReusable: reader.isReusable() };
}

/** The bytes, cut at any places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...sorted, bytes.length].map((end, index) => bytes.subarray(sorted[index - 1] ?? 0, end));
}

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 6 });
const places = fc.array(fc.nat({ max: 5000 }), { maxLength: 40 });
const framings = fc.constantFrom('length', 'chunks', 'to the end');

function encode(parts: readonly Uint8Array[], framing: string): Buffer {
  const body = Buffer.concat(parts);
  const head = (field: string) =>
    Buffer.from(`HTTP/1.1 200 OK\r\nAudit-Id: a:b\r\n${field}X-Two: 1\r\nx-two:  2 \r\n\r\n`);
  if (framing === 'to the end') return Buffer.concat([head(''), body]);
  if (framing === 'length') return Buffer.concat([head(`Content-Length: ${body.length}\r\n`), body]);
  const chunks = parts.flatMap((part, index) => [
    Buffer.from(`${part.length.toString(16)}${index % 2 ? ';some=thing' : ''}\r\n`),
    part,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([head('Transfer-Encoding: chunked\r\n'), ...chunks, Buffer.from('0\r\nTrailer: x\r\n\r\n')]);
}

function text(answer: string): Buffer[] {
  return [Buffer.from(answer, 'latin1')];
}

describe('an answer of HTTP/1.1', () => {
  it('is the same in whatever pieces it arrives', () => {
    fc.assert(
      fc.property(bodies, framings, places, (parts, framing, at) => {
        const ends = framing === 'to the end';
        const { headers, ...rest } = readAll(cut(encode(parts, framing), at), ends);
        expect(headers).toEqual({ 'audit-id': 'a:b', 'x-two': '1, 2', 'x-three': undefined });
        expect(rest).toEqual({
          ...{ status: 200, heads: 1, ends: 1, isOver: true, isReusable: !ends },
          body: Buffer.concat(parts).toString('latin1'),
        });
      }),
    );
  });

  it('is not over before its last byte, and cut off where the connection ends before', () => {
    fc.assert(
      fc.property(bodies, fc.constantFrom('length', 'chunks'), fc.nat(), (parts, framing, at) => {
        const whole = encode(parts, framing);
        const beginning = [whole.subarray(0, at % whole.length)];
        expect(readAll(beginning).isOver).toBe(false);
        expect(() => readAll(beginning, true)).toThrow('cut off');
      }),
    );
  });

  it('is an error, and nothing worse, of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), places, (bytes, at) => {
        const answer = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), bytes]);
        try {
          expect(readAll(cut(answer, at)).ends).toBeLessThanOrEqual(1);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  it.each([
    ['after what comes before an answer', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n', 204, true],
    ['that says it is the last', 'HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', 409, false],
    ['with more behind it', 'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1', 204, false],
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', 200, false],
    ['without a reason', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', 200, true],
  ])('is read %s', (_name, answer, status, isReusable) => {
    expect(readAll(text(answer))).toMatchObject({ status, isReusable, isOver: true });
  });

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9\r\n\r\n', 'no answer of HTTP'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'no length'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx', 'no length'],
    ['a chunk without a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 'no length'],
    [
      'a chunk that is longer',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n',
      'longer than it says',
    ],
    ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'transfer encoding'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, 'a line without an end'],
  ])('is refused with %s', (_name, answer, message) => {
    expect(() => readAll(text(answer))).toThrow(message);
  });
});
