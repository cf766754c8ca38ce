import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import webhook from '../../functions/webhook.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal, type RefusalStatus } from '../../shared/function/refusal.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { checkSettings, type Host, startHost } from '../../shared/host/host.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { openConnection } from './connection.ts';

const hosts: Host[] = [];

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
});

/** Does what an event asks for, until `signal` aborts. */
type Work = (event: CloudEvent, signal: AbortSignal) => Promise<void>;

/** A host whose events, and what its webhooks publish, go to `work`. */
async function start(work: Work, drainMilliseconds = 10_000): Promise<Host> {
  const log = createLog('FATAL', 'test', { write: () => undefined });
  const metrics = createMetrics();
  const { context } = createTestContext(webhook, {
    context: { functions: [functionInfoOf(falco, {}, [])], publish: work },
  });
  const host = await startHost({
    functions: [
      { definition: webhook, triggers: [], context, hint: () => undefined },
      { definition: falco, triggers: [], context, hint: () => undefined },
    ],
    dispatcher: createDispatcher(log, metrics),
    settings: checkSettings([webhook], {}),
    log,
    metrics,
    hostname: '127.0.0.1',
    port: 0,
    clock: { now: Date.now, elapsed: Date.now },
    route: work,
    notReady: () => undefined,
    finish: async () => undefined,
    drainMilliseconds,
  });
  hosts.push(host);
  return host;
}

const event = (id: string) => ({ specversion: '1.0', id, source: '/tests', type: 'x.y' });

const eventDoor = {
  path: '/',
  type: 'application/cloudevents+json',
  body: JSON.stringify(event('1')),
};
const webhookDoor = {
  path: '/falco/webhook',
  type: 'application/json',
  body: '{"rule":"r","priority":"Error"}',
};

type Door = typeof eventDoor;

const doors: [string, Door][] = [
  ['an event', eventDoor],
  ['a raw alert', webhookDoor],
];

function post({ url }: Host, { path, type, body }: Door): Promise<Response> {
  return fetch(url + path, { method: 'POST', headers: { 'content-type': type }, body });
}

describe('a batch', () => {
  const statuses = new Map<string, RefusalStatus>([
    ['bad', 400],
    ['too large', 413],
    ['unreadable', 422],
    ['later', 503],
  ]);

  it.each([
    [['good', 'unreadable', 'later'], 2],
    [['later', 'unreadable', 'good'], 0],
    [['bad', 'later', 'too large'], 1],
  ])('of %j is to be sent again, since one of them is, and all of them are tried', async (ids, index) => {
    const tried: string[] = [];
    const host = await start(async ({ id }) => {
      tried.push(id);
      const status = statuses.get(id);
      if (status !== undefined) throw new Refusal(status, id);
    });
    const type = 'application/cloudevents-batch+json';
    const response = await post(host, { path: '/', type, body: JSON.stringify(ids.map(event)) });
    expect([response.status, response.headers.has('retry-after')]).toEqual([503, true]);
    expect(await response.json()).toMatchObject({ error: 'later', path: `[${index}]` });
    expect(tried.sort()).toEqual([...ids].sort());
  });
});

describe('a host that is told to stop', () => {
  /** Work that has begun, and goes on until it is let go or given up. */
  function held() {
    const begun = Promise.withResolvers<void>();
    const letGo = Promise.withResolvers<void>();
    const work: Work = async (_event, signal) => {
      begun.resolve();
      const givenUp = once(signal, 'abort').then(() => {
        throw new Refusal(503, 'given up');
      });
      await Promise.race([letGo.promise, givenUp]);
    };
    return { work, begun: begun.promise, letGo: letGo.resolve };
  }

  it.each(doors)('finishes %s that is in flight', async (_case, door) => {
    const { work, begun, letGo } = held();
    const host = await start(work);
    const answer = post(host, door);
    await begun;
    const stopped = host.stop();
    letGo();
    expect((await answer).status).toBe(204);
    await stopped;
  });

  it.each(doors)('gives up %s when the time for draining is over, and answers 503', async (_case, door) => {
    const { work, begun } = held();
    const host = await start(work, 10);
    const answer = post(host, door);
    await begun;
    await host.stop();
    expect((await answer).status).toBe(503);
  });

  it.each<[string, string, string]>([
    ...doors.map(([name, { path, type, body }]): [string, string, string] => [
      name,
      `POST ${path}`,
      `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ]),
    ['the question whether it is ready', 'GET /ready', '\r\n'],
  ])('answers 503 to %s that comes too late, and does nothing', async (_case, request, rest) => {
    const done: string[] = [];
    const host = await start(async ({ id }) => void done.push(id));
    const { socket, closed } = await openConnection(host.url);
    // The answer to the first says that the beginning of the second has come, so that the connection is not idle.
    socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n\r\n${request} HTTP/1.1\r\nHost: x\r\n`);
    await once(socket, 'data');
    const stopped = host.stop();
    socket.write(rest);
    const statuses = (await closed).match(/(?<=HTTP\/1\.1 )\d{3}/g);
    expect(statuses).toEqual(['200', '503']);
    expect(done).toEqual([]);
    await stopped;
  });
});
