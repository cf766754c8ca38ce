import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { deadline } from '../../shared/host/sleep.ts';

const minute = 60_000;

describe('a deadline', () => {
  it('aborts when its time has come', async () => {
    const { signal } = deadline(1, new AbortController().signal);
    const kept = setInterval(() => undefined, 1000);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    clearInterval(kept);
    expect(signal.aborted).toBe(true);
  });

  it('aborts with the signal that it was made from, also if that has aborted already', () => {
    const parent = new AbortController();
    const { signal } = deadline(minute, parent.signal);
    expect(signal.aborted).toBe(false);
    parent.abort();
    expect([signal.aborted, deadline(minute, parent.signal).signal.aborted]).toEqual([true, true]);
  });

  it('leaves nothing behind once it is cleared, however many there were', () => {
    const parent = new AbortController();
    const all = Array.from({ length: 1000 }, () => deadline(minute, parent.signal));
    for (const { clear } of all) clear();
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
    parent.abort();
    expect(all.every(({ signal }) => !signal.aborted)).toBe(true);
  });
});
