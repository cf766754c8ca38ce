import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createOutside } from '../../shared/transport/outside.ts';
import { atEnd } from '../host/at-end.ts';

const ok = (response: ServerResponse): void => void response.writeHead(200).end('ok');
const cut = (response: ServerResponse): void => void response.destroy();

async function startServer(state: { answer: (response: ServerResponse) => void; received: number }): Promise<string> {
  const server = createServer((_request, response) => {
    state.received += 1;
    state.answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

/** A receiver that does with each request what is asked for by now, a living one, and a clock that somebody else moves. */
async function startWorld() {
  const state = { answer: ok, received: 0, now: 0 };
  const url = await startServer(state);
  const living = await startServer({ answer: ok, received: 0 });
  const { post } = createOutside(() => state.now);
  const to = (url: string, signal = new AbortController().signal) =>
    post({ url, contentType: 'application/json', body: '{}', tokenFile: undefined, caFile: undefined }, signal);
  return {
    state,
    send: (path = '/', signal?: AbortSignal) => to(url + path, signal),
    sendToLiving: () => to(living),
  };
}

describe('createOutside', () => {
  /** Somebody waits so long for an answer, in milliseconds, and then gives up. */
  async function waitInVain({ state, send }: Awaited<ReturnType<typeof startWorld>>, milliseconds: number) {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    state.answer = resolve;
    const giveUp = new AbortController();
    const sent = send('/', giveUp.signal);
    await promise;
    state.now += milliseconds;
    giveUp.abort();
    await expect(sent).rejects.toThrow();
    state.answer = ok;
  }

  it('leaves alone for five seconds what kept somebody waiting, and then tries it again', async () => {
    const world = await startWorld();
    const { state, send, sendToLiving } = world;
    await waitInVain(world, 1000);
    const { received } = state;
    state.now += 4999;
    await expect(send('/another')).resolves.toMatchObject({ status: 503, isAtRest: true });
    await expect(sendToLiving()).resolves.toMatchObject({ status: 200 });
    expect(state.received).toBe(received);
    state.now += 1;
    await expect(send()).resolves.toMatchObject({ status: 200 });
    await expect(send()).resolves.toMatchObject({ status: 200 });
    expect(state.received).toBe(received + 2);
  });

  it('has one alone try it again, until there is an answer', async () => {
    const world = await startWorld();
    const { state, send } = world;
    await waitInVain(world, 1000);
    state.now += 5000;
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    state.answer = resolve;
    const first = send();
    const response = await promise;
    state.now += 60_000;
    await expect(send()).resolves.toMatchObject({ status: 503, isAtRest: true });
    state.answer = ok;
    ok(response);
    await expect(first).resolves.toMatchObject({ status: 200 });
    await expect(send()).resolves.toMatchObject({ status: 200 });
  });

  it('lets the next one try it if the one that did has learnt nothing', async () => {
    const world = await startWorld();
    const { state, send } = world;
    await waitInVain(world, 1000);
    state.now += 5000;
    await waitInVain(world, 10);
    await expect(send()).resolves.toMatchObject({ status: 200 });
  });

  it('tries it again at once if whoever gave up did so within a second', async () => {
    const world = await startWorld();
    await waitInVain(world, 999);
    await expect(world.send()).resolves.toMatchObject({ status: 200 });
  });

  it('gives a pause to one that asks for it, and says for how much longer', async () => {
    const { state, send, sendToLiving } = await startWorld();
    state.answer = (response) => void response.writeHead(429, { 'retry-after': '30' }).end('slow down');
    await expect(send()).resolves.toMatchObject({ status: 429, retryAfter: 30 });
    state.answer = ok;
    state.now = 12_345;
    await expect(send('/another')).resolves.toEqual({
      status: 429,
      retryAfter: 18,
      words: 'slow down',
      isAtRest: true,
    });
    await expect(sendToLiving()).resolves.toMatchObject({ status: 200 });
    expect(state.received).toBe(1);
    state.now = 30_000;
    await expect(send()).resolves.toMatchObject({ status: 200 });
    await expect(send()).resolves.toMatchObject({ status: 200 });
  });

  it.each([
    [503, '3600', 60_000],
    [503, '2', 2000],
    [429, undefined, 0],
    [500, '30', 0],
    [404, '30', 0],
  ])('after %i with Retry-After %s pauses for %i ms', async (status, retryAfter, pause) => {
    const { state, send } = await startWorld();
    const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    state.answer = (response) => void response.writeHead(status, headers).end();
    await send();
    state.answer = ok;
    state.now = pause - 1;
    if (pause > 0) await expect(send()).resolves.toMatchObject({ status });
    state.now = pause;
    await expect(send()).resolves.toMatchObject({ status: 200 });
  });

  it.each([
    ['503', (response: ServerResponse) => void response.writeHead(503).end()],
    ['404', (response: ServerResponse) => void response.writeHead(404).end()],
    ['a reset', cut],
  ])('does not take %s for silence', async (_answer, answer) => {
    const { state, send } = await startWorld();
    state.answer = answer;
    await send().catch(() => undefined);
    state.answer = ok;
    await expect(send()).resolves.toMatchObject({ status: 200 });
  });
});
