import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { type AgentOptions, Agent as SecureAgent, request as secureRequest } from 'node:https';
import { createSecureContext } from 'node:tls';

export type Tls = Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>;

export interface HttpRequest {
  readonly method: string;
  /** With its query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Ends the request and its answer, whatever stage they are at. */
  readonly signal: AbortSignal;
  /** Milliseconds until the last byte of the answer. A connection may die without a word, and no signal tells that. */
  readonly timeout: number;
  /** Whether the time ends with the head of the answer: whoever reads its body sees to it that it goes on. */
  readonly isHeadOnly?: boolean | undefined;
}

export interface HttpClient {
  /**
   * Resolves to the answer when its head has arrived; the answer is the stream of its body. Throws an Error if the
   * connection can't be made or breaks, or the signal aborts.
   */
  send(request: HttpRequest): Promise<IncomingMessage>;
  close(): void;
}

export interface HttpClientOptions {
  /** Its scheme, host and port; the rest is ignored. */
  readonly server: URL;
  /** The current TLS options. When they change, new connections are made. */
  tls(): Tls | Promise<Tls>;
  /** The maximum number of connections. */
  readonly limit: number;
  /** How long a connection is kept that nobody uses, in milliseconds. */
  readonly idleMilliseconds?: number;
}

/** What lies between forgets connections that are silent for minutes, and tells neither side. */
const longestIdleMilliseconds = 30_000;

function isSame(a: Tls, b: Tls): boolean {
  const keys = ['ca', 'cert', 'key', 'rejectUnauthorized', 'servername'] as const;
  return keys.every((key) => a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

/** The certificates are read once, and not for each connection: that takes milliseconds, of which a start has few. */
function createSecureAgent({ ca, cert, key, ...others }: Tls, pooling: AgentOptions): SecureAgent {
  return new SecureAgent({ ...pooling, ...others, secureContext: createSecureContext({ ca, cert, key }) });
}

function closeIdle(agent: PlainAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

/** Closes idle connections at once, and the others when their requests are done. */
function retire(agent: PlainAgent): void {
  agent.maxFreeSockets = 0;
  closeIdle(agent);
}

/** Keep-alive connections to one server. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { server, tls, limit, idleMilliseconds = longestIdleMilliseconds } = options;
  const isTls = server.protocol === 'https:';
  // The connection that was used last is used next, so that connections that are not needed time out.
  const pooling = {
    keepAlive: true,
    maxSockets: limit,
    maxFreeSockets: limit,
    scheduling: 'lifo',
    timeout: idleMilliseconds,
  } as const;
  let agent: PlainAgent | undefined;
  let agentIsFor: Tls = {};

  /** The agent for the current TLS options: a rotated CA needs new connections. */
  async function currentAgent(): Promise<PlainAgent> {
    const options = isTls ? await tls() : {};
    if (agent && isSame(options, agentIsFor)) return agent;
    // A key that can't be read throws, and leaves what there was.
    const next = isTls ? createSecureAgent(options, pooling) : new PlainAgent(pooling);
    if (agent) retire(agent);
    agent = next;
    agentIsFor = options;
    return agent;
  }

  return {
    async send(request) {
      const to = await currentAgent();
      try {
        return await exchange(server, to, request);
      } catch (error) {
        // The server closed an idle connection just as it was used, and has read nothing of the request.
        if (!(error instanceof StaleConnection)) throw error;
        return await exchange(server, to, request);
      }
    },
    close() {
      agent?.destroy();
    },
  };
}

/** A connection turned out to be closed when it was used again. */
class StaleConnection extends Error {}

/**
 * Sends a request over one of the agent's connections. One that gives no answer in time may be dead, and then those
 * that lie idle probably are, too: none of them is used again.
 */
function exchange(server: URL, agent: PlainAgent, request: HttpRequest): Promise<IncomingMessage> {
  const { method, path, headers, body, signal, timeout, isHeadOnly = false } = request;
  const isTls = server.protocol === 'https:';
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  if (signal.aborted) throw new Error('deadline exceeded');
  const sent = (isTls ? secureRequest : plainRequest)({
    agent,
    method,
    path,
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port || (isTls ? 443 : 80),
    headers: {
      // The name that audit logs and managedFields show for the writer.
      'User-Agent': 'zen-watcher',
      ...headers,
      // Node omits it from a DELETE with a body, which the API server then misreads.
      ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
    },
  });
  // A request that is waiting for a connection emits nothing, not even this error, so the promise is rejected as well.
  const giveUp = (reason: string): void => {
    const error = new Error(reason);
    cleanUp();
    sent.destroy(error);
    reject(error);
  };
  const onAbort = (): void => giveUp('deadline exceeded');
  const timer = setTimeout(() => {
    closeIdle(agent);
    giveUp('no answer in time');
  }, timeout);
  const cleanUp = (): void => {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  };
  signal.addEventListener('abort', onAbort);
  sent
    .on('response', (answer) => {
      if (isHeadOnly) clearTimeout(timer);
      resolve(answer);
    })
    .on('error', (cause: NodeJS.ErrnoException) => {
      const isStale = sent.reusedSocket && cause.code === 'ECONNRESET' && !signal.aborted;
      reject(isStale ? new StaleConnection('a connection was closed while idle', { cause }) : cause);
    })
    .on('close', cleanUp)
    .end(body);
  return promise;
}
