import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { limitPipelining } from '../../shared/edge/pipelining.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers when told to, and a connection to it. */
async function start(onRequest?: (response: ServerResponse) => void) {
  const waiting: ServerResponse[] = [];
  const listener: RequestListener = (_request, response) => {
    waiting.push(response);
    onRequest?.(response);
  };
  const server = createServer(limitPipelining(listener));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const socket = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk)).on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  closing.push(() => {
    socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  return {
    waiting,
    closed,
    send: (count: number) => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count)),
    answers: () => Buffer.concat(received).toString().split('HTTP/1.1 200').length - 1,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

describe('limitPipelining', () => {
  it('answers some that are sent at once, and as many again', async () => {
    const { waiting, send, answers, turn } = await start();
    for (const round of [1, 2, 3]) {
      send(100);
      while (waiting.length < 100) await turn();
      for (const response of waiting.splice(0)) response.end('x');
      while (answers() < 100 * round) await turn();
    }
    expect(answers()).toBe(300);
  });

  it('closes the connection of whoever sends many at once', async () => {
    const { waiting, closed, send } = await start();
    send(1000);
    await closed;
    expect(waiting).toHaveLength(100);
  });

  it('takes nothing more of a connection that is closed, though it came in the same piece', async () => {
    const { waiting, closed, send } = await start((response) => response.socket?.destroy());
    send(3);
    await closed;
    expect(waiting).toHaveLength(1);
  });

  it('counts what is still unanswered', async () => {
    const { waiting, closed, send, turn } = await start();
    send(100);
    while (waiting.length < 100) await turn();
    send(1);
    await closed;
    expect(waiting).toHaveLength(100);
  });
});
