import { describe, expect, it } from 'vitest';
import { free, freeChunk } from '../../shared/edge/free.ts';

describe('free', () => {
  it('gives back what is large, and leaves alone what may be shared', () => {
    const large = Buffer.alloc(100_000);
    const part = large.subarray(5, 10);
    free(part);
    expect([large.length, part.length]).toEqual([0, 0]);
    const small = Buffer.from('small');
    free(small);
    expect(small.toString()).toBe('small');
  });
});

describe('freeChunk', () => {
  it('gives back what has its memory alone, and leaves parts of something alone', () => {
    const alone = Buffer.allocUnsafeSlow(10_000);
    freeChunk(alone);
    expect(alone.length).toBe(0);
    const whole = Buffer.allocUnsafeSlow(20_000);
    freeChunk(whole.subarray(0, 10_000));
    expect(whole.length).toBe(20_000);
    const pooled = Buffer.from('x'.repeat(100));
    freeChunk(pooled);
    expect(pooled.toString()).toBe('x'.repeat(100));
  });
});
