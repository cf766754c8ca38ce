import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { createServer as createTcpServer, type ListenOptions, type Server } from 'node:net';
import { createConnectionLimit } from '../edge/connections.ts';
import { limitPipelining } from '../edge/pipelining.ts';
import { type CertificateFiles, useCertificate } from './certificate.ts';
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

/** Whoever doesn't finish a TLS handshake in this time is cut off, as with slow headers. */
const handshakeTimeout = limits.headersTimeout;

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
  /** The same over TLS, if that was asked for. */
  readonly secureUrl?: string;
  /** Stops accepting connections and waits for requests in flight; after `drainMilliseconds`, `abort` ends the rest. */
  stop(): Promise<void>;
}

/** A second door, over TLS. */
export interface SecureOptions extends CertificateFiles {
  readonly port: number;
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
  readonly secure?: SecureOptions | undefined;
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

interface Door {
  readonly port: number;
  readonly server: HttpServer | SecureServer;
  /** As Node's own servers of that sort have it: a client that gives a handshake up would otherwise never be let go. */
  readonly allowHalfOpen: boolean;
}

/** Resolves to the port, and to all that listen there; what the others get is given to `server`. */
async function listen({ server, port, allowHalfOpen }: Door, host: string | undefined) {
  if (host !== undefined || process.platform !== 'linux') {
    return { port: await listenAt(server, { port, host, backlog: maxWaiting }), servers: [server] };
  }
  const options = { backlog: maxWaiting / listeningSockets, reusePort: true };
  const actualPort = await listenAt(server, { ...options, port });
  const others = Array.from({ length: listeningSockets - 1 }, () =>
    createTcpServer({ allowHalfOpen, noDelay: true }, (socket) => server.emit('connection', socket)),
  );
  await Promise.all(others.map((other) => listenAt(other, { ...options, port: actualPort })));
  return { port: actualPort, servers: [server, ...others] };
}

/** A server of HTTP for each door: they share the listener, and what one client may open. */
function createDoors({ listener, port, log, trustedProxies, secure }: ServeOptions): Door[] {
  const handle = limitPipelining(listener);
  const admit = createConnectionLimit(trustedProxies, memoryLimit());
  const doors: Door[] = [{ port, server: createServer(limits, handle), allowHalfOpen: true }];
  if (secure) {
    const server = createSecureServer({ ...limits, handshakeTimeout }, handle);
    useCertificate(server, secure, log);
    doors.push({ port: secure.port, server, allowHalfOpen: false });
  }
  for (const { server } of doors) {
    server.on('connection', (socket) => {
      const close = admit(socket.remoteAddress);
      if (close) socket.once('close', close);
      else socket.destroy();
    });
  }
  return doors;
}

/** Listens, and resolves once it does. Throws an Error if it can't. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { hostname, log, abort, drainMilliseconds } = options;
  const doors = createDoors(options);
  const listening = await Promise.all(doors.map((door) => listen(door, hostname)));
  const [url = '', secureUrl] = listening.map(
    ({ port }, index) => `${index === 0 ? 'http' : 'https'}://${hostname ?? '0.0.0.0'}:${port}`,
  );
  const closeIdle = (): void => {
    for (const { server } of doors) server.closeIdleConnections();
  };
  const closeAll = (): void => {
    for (const { server } of doors) server.closeAllConnections();
  };
  return {
    url,
    ...(secureUrl !== undefined && { secureUrl }),
    async stop() {
      const allClosed = Promise.all(listening.flatMap(({ servers }) => servers.map(closed)));
      const timer = setTimeout(() => {
        log.warn({ operation: 'stop' }, 'the requests still in flight are ended');
        abort.abort();
        setTimeout(closeAll, 500).unref();
      }, drainMilliseconds);
      closeIdle();
      // A connection becomes idle when its last request has been answered. There is no event for that, so poll.
      const sweep = setInterval(closeIdle, 50);
      await allClosed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}
