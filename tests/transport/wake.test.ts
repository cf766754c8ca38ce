import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { startFunctionMode } from '../../shared/host/function-mode.ts';
import { createLog } from '../../shared/host/log.ts';
import { wake } from '../../shared/transport/wake.ts';

const { signal } = new AbortController();
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  ends.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

describe('wake', () => {
  it('sends one request to each, of which nothing is expected', async () => {
    const seen: string[] = [];
    const address = await serve(({ method, url }, response) => {
      seen.push(`${method} ${url}`);
      response.writeHead(503).end('not ready');
    });
    await wake([address, address], signal);
    expect(seen).toEqual(['GET /health', 'GET /health']);
  });

  it('goes without one that can not be reached', async () => {
    await expect(wake(['http://127.0.0.1:9', 'http://no-such-function.invalid'], signal)).resolves.toBeUndefined();
  });

  it('does not hold up the end of the process', async () => {
    const stopping = new AbortController();
    const address = await serve(() => stopping.abort());
    await expect(wake([address], stopping.signal)).resolves.toBeUndefined();
  });
});

describe('startFunctionMode', () => {
  it.each([
    ['webhook', ['http://falco.zen-system.svc.cluster.local']],
    ['falco', []],
  ])('of %s wakes at once what its senders, who send nothing again, would wait for', async (name, addresses) => {
    const woken: (readonly string[])[] = [];
    const environment = { PORT: '0', KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '9' };
    const log = createLog('FATAL', name, { write: () => undefined });
    const started = startFunctionMode({ name, environment, log, wake: async (all) => void woken.push(all) });
    const { stop } = await started;
    await stop();
    expect(woken).toEqual([addresses]);
  });
});
