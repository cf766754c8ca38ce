import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chunksOf } from '../../shared/kubernetes/answer-body.ts';

describe('chunksOf', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  function answering(...texts: readonly string[]) {
    const answer = new PassThrough();
    for (const text of texts) answer.write(text);
    return { answer, chunks: chunksOf(answer, 1000) };
  }

  it('gives what arrives, to its end', async () => {
    const { answer, chunks } = answering('one');
    expect(String((await chunks.next()).value)).toBe('one');
    answer.end('two');
    expect(String((await chunks.next()).value)).toBe('two');
    expect(await chunks.next()).toEqual({ value: undefined, done: true });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives up an answer that falls silent', async () => {
    const { answer, chunks } = answering('one');
    await chunks.next();
    const next = expect(chunks.next()).rejects.toThrow('no answer in time');
    await vi.advanceTimersByTimeAsync(1000);
    await next;
    expect(answer.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives up an answer that is silent from the start', async () => {
    const { chunks } = answering();
    const next = expect(chunks.next()).rejects.toThrow('no answer in time');
    await vi.advanceTimersByTimeAsync(1000);
    await next;
  });

  it('leaves a reader all the time it takes', async () => {
    const { answer, chunks } = answering('one');
    await chunks.next();
    await vi.advanceTimersByTimeAsync(100_000);
    answer.write('two');
    expect(String((await chunks.next()).value)).toBe('two');
    // And then waits as long as ever for what comes next.
    await vi.advanceTimersByTimeAsync(100_000);
    const next = chunks.next();
    await vi.advanceTimersByTimeAsync(999);
    answer.write('three');
    expect(String((await next).value)).toBe('three');
    const silence = expect(chunks.next()).rejects.toThrow('no answer in time');
    await vi.advanceTimersByTimeAsync(1000);
    await silence;
  });

  it('closes the connection of an answer that is not read to its end', async () => {
    const { answer, chunks } = answering('one', 'two');
    await chunks.next();
    await chunks.return(undefined);
    expect(answer.destroyed).toBe(true);
  });
});
