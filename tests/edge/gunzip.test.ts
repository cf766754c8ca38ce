import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bytesOfBase64, saidLength } from '../../shared/edge/gunzip.ts';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const max = 1_000_000;

/** What says that it is so long when it is decompressed. */
function claiming(bytes: Buffer, length: number): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32LE(length, changed.length - 4);
  return changed;
}

describe('bytesOfBase64', () => {
  it.each([0, 1, 100, 70_000, max])('gives %i bytes, compressed or not', (length) => {
    const bytes = Buffer.alloc(length, 'x');
    expect(bytesOfBase64(base64(gzipSync(bytes)), max).equals(bytes)).toBe(true);
    expect(bytesOfBase64(base64(bytes), max).equals(bytes)).toBe(true);
  });

  it.each([['1f20'], ['208b'], ['1f'], ['']])('takes %j for no gzip', (hex) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(bytesOfBase64(base64(bytes), max)).toEqual(bytes);
  });

  it('gives several files in one, of which only the last says its length', () => {
    const parts = [Buffer.alloc(300_000, 'a'), Buffer.alloc(10, 'b')];
    const whole = bytesOfBase64(base64(Buffer.concat(parts.map((part) => gzipSync(part)))), max);
    expect(whole.equals(Buffer.concat(parts))).toBe(true);
  });

  it.each<[string, Buffer]>([
    ['what is too long', gzipSync(Buffer.alloc(max + 1))],
    ['what is too long, in two files', Buffer.concat([gzipSync(Buffer.alloc(max)), gzipSync(Buffer.alloc(1))])],
    ['what says too little', claiming(gzipSync(Buffer.alloc(100_000)), 10)],
    ['what says too much', claiming(gzipSync(Buffer.alloc(100_000)), 500_000)],
    ['what is cut off', gzipSync(Buffer.alloc(100_000, 'x')).subarray(0, -20)],
  ])('throws for %s', (_case, bytes) => {
    expect(() => bytesOfBase64(base64(bytes), max)).toThrow();
  });
});

describe('saidLength', () => {
  it.each([
    ['', 0],
    ['ffffff', 0],
    ['2a000000', 42],
    ['ffff01020000', 513],
    ['ffffffff', 4_294_967_295],
  ])('of %j is %i', (hex, length) => {
    expect(saidLength(Buffer.from(hex, 'hex'))).toBe(length);
  });
});
