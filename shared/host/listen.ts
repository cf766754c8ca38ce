import { createServer, type RequestListener } from 'node:http';
import { createConnectionLimit } from '../edge/connections.ts';
import { limitPipelining } from '../edge/pipelining.ts';
import type { Log } from './log.ts';
import { memoryLimit } from './memory.ts';

/**
 * Knative's activator keeps idle connections for 60 s. They are kept longer here, or it would use one that was just
 * closed. Slow senders are cut off: after 10 s for the headers, 60 s for a whole request.
 */
const limits = {
  keepAliveTimeout: 75_000,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 2000,
};

/** How many connections may wait to be accepted: with Node's 511, a burst costs others seconds. */
const backlog = 4096;

export interface Served {
  /** With the address that it listens on: 0.0.0.0 stands for every address. */
  readonly url: string;
  /** Stops accepting connections and waits for requests in flight; after `drainMilliseconds`, `abort` ends the rest. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly listener: RequestListener;
  readonly port: number;
  /** Local mode listens on this machine's own address; a container, where it is undefined, on every address. */
  readonly hostname: string | undefined;
  readonly log: Log;
  /** Aborted when the drain time is over; the requests that are left then answer 503. */
  readonly abort: AbortController;
  readonly drainMilliseconds: number;
  /** Proxies through which others come: what one client may open is not for them. */
  readonly trustedProxies: readonly string[];
}

/** Listens, and resolves once it does. Throws an Error if it can't. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { listener, port, hostname, log, abort, drainMilliseconds, trustedProxies } = options;
  const server = createServer(limits, limitPipelining(listener));
  const admit = createConnectionLimit(trustedProxies, memoryLimit());
  server.on('connection', (socket) => {
    const close = admit(socket.remoteAddress);
    if (close) socket.once('close', close);
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, backlog, ...(hostname !== undefined && { host: hostname }) }, resolve);
  });
  const address = server.address();
  const actualPort = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${hostname ?? '0.0.0.0'}:${actualPort}`,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => {
        log.warn({ operation: 'stop' }, 'the requests still in flight are ended');
        abort.abort();
        setTimeout(() => server.closeAllConnections(), 500).unref();
      }, drainMilliseconds);
      server.closeIdleConnections();
      // A connection becomes idle when its last request has been answered. There is no event for that, so poll.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      await closed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}
