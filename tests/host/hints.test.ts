import { describe, expect, it } from 'vitest';
import { dueEventType } from '../../shared/api/announcement.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { createHints } from '../../shared/host/hints.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { aFinding, events, found } from '../pipeline/test-sources.ts';

/** Hints whose posts are answered one by one. */
function createWorld(isHere?: true) {
  const stop = new AbortController();
  const signals: AbortSignal[] = [];
  const posts: { readonly event: CloudEvent; readonly answer: (error?: Error) => void }[] = [];
  const limits: number[] = [];
  const publish = (event: CloudEvent): Promise<void> =>
    new Promise((resolve, reject) => {
      posts.push({ event, answer: (error) => (error ? reject(error) : resolve()) });
    });
  const deadline = (milliseconds: number, signal: AbortSignal) => {
    limits.push(milliseconds);
    signals.push(signal);
    return { signal, clear: () => undefined };
  };
  const hints = createHints({
    broker: { publish, ...(isHere && { isHere }) },
    clock: { now: () => 0, deadline },
    systemNamespace: 'zen-system',
    stopping: stop.signal,
  });
  return { ...hints, posts, limits, stop, signals };
}

describe('hints', () => {
  it('are posted one at a time, and once more for all that come meanwhile', async () => {
    const { hint, finish, posts, limits } = createWorld();
    hint();
    hint();
    hint();
    expect(posts.map(({ event }) => event.type)).toEqual([dueEventType]);
    posts[0]?.answer(new Refusal(503, 'the Broker is away'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(posts).toHaveLength(2);
    posts[1]?.answer();
    await finish();
    hint();
    expect(posts).toHaveLength(3);
    posts[2]?.answer();
    await finish();
    expect(limits).toEqual([2000, 2000, 2000]);
    expect(new Set(posts.map(({ event }) => event.id)).size).toBe(3);
  });

  it.each([
    ['are posted within two seconds to a Broker elsewhere, when the process ends, too', undefined, 2000, false],
    ['have a minute where they are handled in this process, and end with it', true, 60_000, true],
  ] as const)('%s', async (_what, isHere, limit, isStopped) => {
    const { hint, limits, stop, signals } = createWorld(isHere);
    hint();
    stop.abort();
    expect(limits).toEqual([limit]);
    expect(signals[0]?.aborted).toBe(isStopped);
  });
});

describe('a function that writes what is to be told', () => {
  async function hintsOf(environment: Record<string, string>, findings: ReturnType<typeof aFinding>[], fails = false) {
    let count = 0;
    const { context } = createTestContext(events, { environment });
    const definition = {
      ...events,
      async handle(...given: Parameters<typeof events.handle>) {
        await events.handle(...given);
        if (fails) throw new Refusal(503, 'later');
      },
    };
    const dispatcher = createDispatcher(createLog('FATAL', 'test', { write: () => undefined }), createMetrics());
    const hint = (): void => {
      count += 1;
    };
    const signal = new AbortController().signal;
    await dispatcher
      .handle({ definition, triggers: [], context, hint }, found(findings), signal)
      .catch((error) => expect(error).toBeInstanceOf(Refusal));
    return count;
  }

  it('says so once, whatever else becomes of the event', async () => {
    const several = ['a', 'b', 'c'].map((id) => aFinding(id));
    expect(await hintsOf({ ANNOUNCE: 'true' }, several)).toBe(1);
    expect(await hintsOf({ ANNOUNCE: 'true' }, several, true)).toBe(1);
  });

  it('says nothing where nothing is to be told', async () => {
    expect(await hintsOf({}, [aFinding('a')])).toBe(0);
    expect(await hintsOf({ ANNOUNCE: 'true' }, [aFinding('a', { severity: 'LOW' })])).toBe(0);
    expect(await hintsOf({ ANNOUNCE: 'true' }, [])).toBe(0);
  });
});
