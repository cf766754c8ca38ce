import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { defineDeadLetterSink, defineTask, triggersOf } from '../../shared/function/definitions.ts';
import { Refusal, type RefusalStatus } from '../../shared/function/refusal.ts';
import { createClock } from '../../shared/host/clock.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createProcessBroker } from '../../shared/standalone/broker.ts';
import { createTestContext, eventOf } from '../pipeline/test-context.ts';

/** A broker with one subscriber, which answers with these statuses in turn, and a dead-letter sink that does so too. */
function create(answers: readonly (RefusalStatus | 204)[], sinkAnswers: readonly (RefusalStatus | 204)[] = []) {
  const letters: CloudEvent[] = [];
  const pauses: number[] = [];
  let tries = 0;
  let sinkTries = 0;
  const answer = (status: RefusalStatus | 204 = 204) => {
    if (status !== 204) throw new Refusal(status, 'refused');
  };
  const subscriber = defineTask({
    name: 'subscriber',
    settings: z.object({}),
    permissions: [],
    triggers: () => [{ type: 'Broker', eventType: 'wanted' }],
    handle: async () => answer(answers[tries++]),
  });
  const sink = defineDeadLetterSink({
    name: 'sink',
    settings: z.object({}),
    permissions: [],
    handle: async (event) => {
      letters.push(event);
      return answer(sinkAnswers[sinkTries++]);
    },
  });
  const log = createLog('FATAL', 'test');
  const broker = createProcessBroker({
    functions: [subscriber, sink].map((definition) => {
      const { context } = createTestContext(definition);
      return { definition, triggers: triggersOf(definition, context.settings), context, hint: () => undefined };
    }),
    dispatcher: createDispatcher(log, createMetrics()),
    systemNamespace: 'zen-system',
    clock: createClock({
      now: () => Date.parse('2026-03-01T12:00:00Z'),
      elapsed: () => 0,
      sleep: async (milliseconds) => void pauses.push(milliseconds),
      onOffset: () => undefined,
    }),
  });
  return { broker, letters, pauses, tries: () => tries };
}

const { signal } = new AbortController();
const wanted = eventOf('wanted', { secret: 1 });

describe('the Broker in process', () => {
  it('delivers to who has asked for the type, and to nobody else', async () => {
    const { broker, tries, letters } = create([204]);
    await broker.publish(wanted, signal);
    await broker.publish(eventOf('unwanted', {}), signal);
    expect(tries()).toBe(1);
    expect(letters).toEqual([]);
  });

  it('tries again with growing pauses what may pass', async () => {
    const { broker, pauses, letters, tries } = create([503, 429, 503, 204]);
    await broker.publish(wanted, signal);
    expect([tries(), letters]).toEqual([4, []]);
    const [first = 0, second = 0, third = 0] = pauses;
    expect([first > 0, second > first, third > second]).toEqual([true, true, true]);
  });

  it.each([400, 413, 415, 422] as const)('dead-letters %i at once, with the reason', async (status) => {
    const { broker, pauses, letters } = create([status]);
    await broker.publish(wanted, signal);
    expect(pauses).toEqual([]);
    expect(letters.map(({ extensions }) => extensions)).toEqual([
      {
        knativeerrorcode: String(status),
        knativeerrordata: Buffer.from('{"error":"refused"}').toString('base64'),
        knativeerrordest: 'http://subscriber.zen-system.svc.cluster.local',
        knativearrivaltime: '2026-03-01T12:00:00.000Z',
      },
    ]);
  });

  it('dead-letters after 10 retries', async () => {
    const { broker, letters, tries } = create(Array.from({ length: 11 }, () => 503 as const));
    await broker.publish(wanted, signal);
    expect(tries()).toBe(11);
    expect(letters).toHaveLength(1);
  });

  it('does not take an event that nobody could store', async () => {
    const never = Array.from({ length: 30 }, () => 503 as const);
    const { broker } = create(never, never);
    await expect(broker.publish(wanted, signal)).rejects.toMatchObject({ status: 503 });
  });

  it('stops when who published gives up, without a dead letter', async () => {
    const stopping = new AbortController();
    const { broker, letters } = create([503]);
    stopping.abort();
    await expect(broker.publish(wanted, stopping.signal)).rejects.toMatchObject({ status: 503 });
    expect(letters).toEqual([]);
  });

  it('answers an event over HTTP as the function does, and dead-letters it too', async () => {
    const refused = create([422]);
    await expect(refused.broker.route(wanted, signal)).rejects.toMatchObject({ status: 422 });
    expect(refused.letters).toHaveLength(1);
    const busy = create([503]);
    await expect(busy.broker.route(wanted, signal)).rejects.toMatchObject({ status: 503 });
    expect(busy.letters).toEqual([]);
    expect(await create([]).broker.route(eventOf('unwanted', {}), signal)).toBe(0);
  });
});
