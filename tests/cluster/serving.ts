import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Program } from '../host/program.ts';

export interface ServiceOptions {
  /** Starts the one Pod. Called at the first request. */
  readonly start: () => Promise<Pick<Program, 'url'>>;
  readonly containerConcurrency: number;
  /** Whether the activator is in front, as it is from zero, or requests come straight to queue-proxy. */
  readonly hasActivator: boolean;
}

/** https://github.com/knative/serving/blob/main/pkg/activator/net/throttler.go: breakerQueueDepth */
const activatorQueue = 10_000;

/** https://github.com/knative/serving/blob/main/cmd/queue: ten times the containerConcurrency. */
const proxyQueueFactor = 10;

export interface Service {
  readonly url: string;
  /** How many requests were refused for want of room, and how many waited at the most. */
  read(): { readonly refused: number; readonly mostWaiting: number };
  stop(): void;
}

/**
 * A stand-in for what Knative Serving has in front of a Pod: it starts the Pod at the first request, passes on
 * containerConcurrency at once, lets as many wait as Serving does, and answers the others 503.
 */
export async function startService({ start, containerConcurrency, hasActivator }: ServiceOptions): Promise<Service> {
  const agent = new Agent({ keepAlive: true, maxSockets: containerConcurrency });
  const room = hasActivator ? activatorQueue : proxyQueueFactor * containerConcurrency;
  const waiting: (() => void)[] = [];
  let running = 0;
  let refused = 0;
  let mostWaiting = 0;
  let pod: string | undefined;
  let isAsleep = true;

  function next(): void {
    while (pod !== undefined && running < containerConcurrency && waiting.length > 0) {
      running += 1;
      waiting.shift()?.();
    }
  }

  function pass(to: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, headers } = incoming;
    const call = request(to + incoming.url, { method, agent, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    call.on('error', () => outgoing.writeHead(502).end());
    outgoing.on('close', () => {
      running -= 1;
      next();
    });
    incoming.pipe(call);
  }

  async function wake(): Promise<void> {
    isAsleep = false;
    pod = (await start()).url;
    next();
  }

  const server = createServer((incoming, outgoing) => {
    if (isAsleep) void wake();
    if (waiting.length >= room) {
      refused += 1;
      incoming.resume();
      outgoing.writeHead(503).end('pending request queue full');
      return;
    }
    waiting.push(() => pass(pod ?? '', incoming, outgoing));
    mostWaiting = Math.max(mostWaiting, waiting.length);
    next();
  });
  // All of them may come in the same moment.
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    read: () => ({ refused, mostWaiting }),
    stop() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}
