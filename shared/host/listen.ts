import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type ListenOptions, type Server } from 'node:net';
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
const maxWaiting = 4096;

/**
 * A listening socket gives Node one connection a turn of its event loop, and a turn of a busy process takes long: with one, whoever
 * connects while others do so by the thousand would wait for seconds. Linux spreads connections over all that share a port.
 */
const listeningSockets = 32;

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

/** Resolves to the port, once it listens. Throws an Error if it can't. */
async function listenAt(server: Server, options: ListenOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Resolves to the port, and to all that listen there; what the others get is given to `server`. */
async function listen(server: Server, port: number, host: string | undefined) {
  if (host !== undefined || process.platform !== 'linux') {
    return { port: await listenAt(server, { port, host, backlog: maxWaiting }), servers: [server] };
  }
  const options = { backlog: maxWaiting / listeningSockets, reusePort: true };
  const actualPort = await listenAt(server, { ...options, port });
  const others = Array.from({ length: listeningSockets - 1 }, () =>
    createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket)),
  );
  await Promise.all(others.map((other) => listenAt(other, { ...options, port: actualPort })));
  return { port: actualPort, servers: [server, ...others] };
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
  const { port: actualPort, servers } = await listen(server, port, hostname);
  return {
    url: `http://${hostname ?? '0.0.0.0'}:${actualPort}`,
    async stop() {
      const allClosed = Promise.all(servers.map(closed));
      const timer = setTimeout(() => {
        log.warn({ operation: 'stop' }, 'the requests still in flight are ended');
        abort.abort();
        setTimeout(() => server.closeAllConnections(), 500).unref();
      }, drainMilliseconds);
      server.closeIdleConnections();
      // A connection becomes idle when its last request has been answered. There is no event for that, so poll.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      await allClosed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}
