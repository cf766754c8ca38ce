import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { serve } from '../../shared/host/listen.ts';
import { createLog } from '../../shared/host/log.ts';

const connections = 320;

describe.skipIf(process.platform !== 'linux')('serve', () => {
  it('accepts many connections in one turn of the event loop, so that nobody waits long behind a crowd', async () => {
    let turn = 0;
    const turnsOfRequests = new Set<number>();
    const log = createLog('FATAL', 'test', { write: () => undefined });
    const { url, stop } = await serve({
      listener(_request, response) {
        turnsOfRequests.add(turn);
        response.end();
      },
      ...{
        port: 0,
        hostname: undefined,
        trustedProxies: [],
        log,
        abort: new AbortController(),
        drainMilliseconds: 1000,
      },
    });
    const count = (): void => {
      turn += 1;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    const port = Number(new URL(url).port);
    await Promise.all(
      Array.from({ length: connections }, async () => {
        const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
        await once(socket, 'data');
        socket.destroy();
      }),
    );
    clearImmediate(counting);
    await stop();
    expect(turnsOfRequests.size).toBeLessThan(connections / 3);
  });
});
