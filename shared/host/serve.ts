import { createServer, type RequestListener } from 'node:http';
import type { Log } from './log.ts';

/**
 * The activator's connections are kept longer than its own 60 s between two requests, or it would run into a closed one.
 * Whoever sends too slowly is closed: headers have 10 s, a whole request 60 s. An idle connection takes some 20 KiB.
 */
const limits = {
  keepAliveTimeout: 75_000,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 2000,
};
const connections = 1000;

export interface Served {
  readonly url: string;
  /** Stops accepting, waits for what is in flight as long as draining may take; then `abort` ends the rest. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly listener: RequestListener;
  readonly port: number;
  /** Local mode is for this machine alone; in a container, without one, every address is listened on. */
  readonly hostname: string | undefined;
  readonly log: Log;
  /** Ends what the time for draining was too short for: those requests answer 503. */
  readonly abort: AbortController;
  readonly drainMilliseconds: number;
}

export async function serve(options: ServeOptions): Promise<Served> {
  const { listener, port, hostname, log, abort, drainMilliseconds } = options;
  const server = createServer(limits, listener);
  server.maxConnections = connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(hostname !== undefined && { host: hostname }) }, resolve);
  });
  const address = server.address();
  const actual = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${hostname ?? '127.0.0.1'}:${actual}`,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => {
        log.warn({ operation: 'stop' }, 'requests in flight are given up');
        abort.abort();
        setTimeout(() => server.closeAllConnections(), 500).unref();
      }, drainMilliseconds);
      server.closeIdleConnections();
      // A connection becomes idle when its last request has been answered; nothing says when, so look.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      await closed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
  };
}
