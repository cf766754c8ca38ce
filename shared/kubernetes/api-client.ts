import { isIP, connect as tcpConnect } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import * as z from 'zod';
import { Refusal } from '../function/refusal.ts';
import type { Head } from './answer-reader.ts';
import { type Cancel, type Connections, createConnections, type Exchange } from './connections.ts';
import type { Credentials } from './credentials.ts';
import { isProtobuf } from './metadata-list.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Percent-encoded where that is needed. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** The deadline of whatever this call is for. */
  readonly signal: AbortSignal;
}

/** An answer that is the API server's last word: never 401, 429 or 5xx. */
export interface ApiResponse {
  readonly status: number;
  /** Parsed JSON, or the bytes of protobuf; `undefined` where the answer had none. */
  readonly body: unknown;
  /** How long the body was. */
  readonly bytes: number;
}

export interface ApiClient {
  /** Retries what a retry may mend until the deadline; throws a Refusal 503 when it has passed. */
  request(request: ApiRequest): Promise<ApiResponse>;
  /**
   * One attempt at an answer without an end (a watch): its JSON values line by line until the server ends it, or the
   * ApiResponse where it is another than 200. Throws an Error where the connection can't be made, or breaks.
   */
  stream(request: ApiRequest): Promise<ApiResponse | AsyncIterable<unknown>>;
  close(): void;
}

export interface ApiClientOptions {
  readonly credentials: Credentials;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Milliseconds for one attempt, from the first byte sent to the last one received. */
  readonly attemptMilliseconds: number;
}

/** The API server's answer to a fault: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
export const statusSchema = z.object({
  kind: z.literal('Status'),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({
      kind: z.string().optional(),
      causes: z.array(z.object({ reason: z.string().optional() })).optional(),
    })
    .optional(),
  metadata: z.object({ continue: z.string().optional() }).optional(),
});

export type Status = z.infer<typeof statusSchema>;

export function statusOf(body: unknown): Status | undefined {
  return statusSchema.safeParse(body).data;
}

/** A set-up fault: no retry of ours mends it, somebody must, and then the sender's next try succeeds. */
export function setUpFault(what: string, { status, body }: Pick<ApiResponse, 'status' | 'body'>): Refusal {
  const reason = statusOf(body)?.reason ?? String(status);
  const hint = status === 404 ? 'is not served: is its CRD installed?' : `was refused (${reason}): check the Role`;
  return new Refusal(503, `${what} ${hint}`, { retryAfter: 5 });
}

const mostConnections = 32;
const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 5000;

type Tls = Awaited<ReturnType<Credentials['tls']>>;

function isSame(a: Tls, b: Tls): boolean {
  const keys = ['ca', 'cert', 'key', 'rejectUnauthorized', 'servername'] as const;
  return keys.every((key) => a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

/** A header or a path that would end its line makes another request of what follows. */
function checked(text: string): string {
  if (/[^\t\x20-\x7e]/.test(text)) throw new Error('a request with characters that no header may hold');
  return text;
}

function queryOf(query: ApiRequest['query']): string {
  const given = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** The bytes of a request, as text. */
function textOf(request: ApiRequest, { host, pathname }: URL, authorization: string | undefined): string {
  const { method, path, query, accept = 'application/json', body, contentType = 'application/json' } = request;
  const text = body === undefined ? '' : JSON.stringify(body);
  const head = [
    `${method} ${pathname.replace(/\/$/, '')}${path}${queryOf(query)} HTTP/1.1`,
    `Host: ${host}`,
    // Audit logs and managedFields name whoever writes by it.
    'User-Agent: zen-watcher',
    `Accept: ${accept}`,
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
    ...(body === undefined ? [] : [`Content-Type: ${contentType}`, `Content-Length: ${Buffer.byteLength(text)}`]),
  ];
  return `${head.map(checked).join('\r\n')}\r\n\r\n${text}`;
}

/** What has arrived of an answer. */
interface Arrived {
  readonly head: Head;
  readonly bytes: Buffer;
}

/** Calls the API server over connections of our own. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { credentials, sleep, random, attemptMilliseconds } = options;
  const server = new URL(credentials.server);
  const isTls = server.protocol === 'https:';
  const target = { host: server.hostname.replace(/^\[|\]$/g, ''), noDelay: true, keepAlive: true };
  let connections: Connections | undefined;
  let connectionsAreFor: Tls = {};
  /** Whether the last stream was answered 401, so that the next one reads the token anew. */
  let refused = false;

  function connectionsWith(tls: Tls): Connections {
    let session: Buffer | undefined;
    const open = () => {
      const servername = isIP(target.host) ? {} : { servername: target.host };
      const resumed = session && { session };
      const secure = { ...servername, ALPNProtocols: ['http/1.1'], ...tls, ...resumed };
      return tlsConnect({ ...target, port: Number(server.port || 443), ...secure }).on('session', (next) => {
        session = next;
      });
    };
    const openPlain = () => tcpConnect({ ...target, port: Number(server.port || 80) });
    return createConnections({ open: isTls ? open : openPlain, limit: mostConnections });
  }

  /** A rotated CA needs new connections; the old ones end with what is in flight on them. */
  async function current(): Promise<Connections> {
    const tls = isTls ? await credentials.tls() : {};
    if (connections && isSame(tls, connectionsAreFor)) return connections;
    connections?.retire();
    connections = connectionsWith(tls);
    connectionsAreFor = tls;
    return connections;
  }

  /** Resolves when it is sent; what becomes of it, the exchange is told. The request's signal ends it, too. */
  async function begin(request: ApiRequest, fresh: boolean, exchange: Exchange): Promise<Cancel> {
    const { signal } = request;
    const text = textOf(request, server, await credentials.authorization(fresh));
    const to = await current();
    const cancel = to.send(text, {
      onHead: (head) => exchange.onHead(head),
      onData: (chunk) => exchange.onData(chunk),
      onEnd() {
        signal.removeEventListener('abort', onAbort);
        exchange.onEnd();
      },
      onError(error) {
        signal.removeEventListener('abort', onAbort);
        exchange.onError(error);
      },
    });
    const onAbort = (): void => cancel(new Error('the time for it is over'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
    return cancel;
  }

  /** One call, to the last byte of its answer, in the time that an attempt has. */
  async function attempt(request: ApiRequest, fresh: boolean): Promise<Arrived> {
    const { promise, resolve, reject } = Promise.withResolvers<Arrived>();
    const chunks: Buffer[] = [];
    let head: Head | undefined;
    const cancel = await begin(request, fresh, {
      onHead(arrived) {
        head = arrived;
      },
      onData: (chunk) => void chunks.push(chunk),
      onEnd: () => head && resolve({ head, bytes: Buffer.concat(chunks) }),
      onError: reject,
    });
    // One that is ended by itself: AbortSignal.timeout would keep each call's timer for the whole time.
    const timer = setTimeout(() => cancel(new Error('no answer in time')), attemptMilliseconds);
    return promise.finally(() => clearTimeout(timer));
  }

  /** The last word, or why there is none yet and how long the server wants to be left alone. */
  async function tryOnce(request: ApiRequest, fresh: boolean): Promise<ApiResponse | Pending> {
    try {
      const { head, bytes } = await attempt(request, fresh);
      const { status } = head;
      const body = isProtobuf(head.field('content-type')) ? bytes : parse(bytes.toString(), status);
      if (isFinal(status, body)) return { status, body, bytes: bytes.length };
      const seconds = Number(head.field('retry-after'));
      return {
        pending: `the API server answered ${status}`,
        status,
        pause: Number.isFinite(seconds) ? seconds * 1000 : 0,
      };
    } catch (cause) {
      return { pending: 'the API server can not be reached', pause: 0, cause };
    }
  }

  return {
    async request(request) {
      let fresh = false;
      for (let tries = 0; ; tries += 1) {
        const result = await tryOnce(request, fresh);
        if (!('pending' in result)) return result;
        // A token that was replaced is read anew, once; refused again, it is a fault that somebody must mend.
        if (result.status === 401 && fresh)
          throw new Refusal(503, 'the API server refuses our token', { retryAfter: 5 });
        fresh = result.status === 401;
        if (request.signal.aborted) throw new Refusal(503, result.pending, { cause: result.cause, retryAfter: 2 });
        if (fresh) continue;
        const limit = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** Math.min(tries, 10));
        await sleep(result.pause + random() * limit, request.signal);
        if (request.signal.aborted) throw new Refusal(503, result.pending, { cause: result.cause, retryAfter: 2 });
      }
    },

    async stream(request) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const body = new Readable({ read: () => undefined });
      const stream: Stream = { body, cancel: () => undefined };
      stream.cancel = await begin(request, refused, {
        onHead: ({ status }) => resolve(status),
        onData: (chunk) => void body.push(chunk),
        onEnd: () => void body.push(null),
        onError(error) {
          stream.fault = error;
          reject(error);
          body.push(null);
        },
      });
      const status = await promise;
      refused = status === 401;
      if (status === 200) return values(stream);
      const text = (await body.toArray()).join('');
      return { status, body: parse(text, status), bytes: text.length };
    },

    close() {
      connections?.close();
    },
  };
}

interface Stream {
  readonly body: Readable;
  /** What broke it: readline would hear nothing of an error of its input. */
  fault?: Error;
  cancel(reason: Error): void;
}

async function* values(stream: Stream): AsyncGenerator<unknown> {
  try {
    for await (const line of createInterface({ input: stream.body })) if (line !== '') yield JSON.parse(line);
    if (stream.fault) throw stream.fault;
  } finally {
    stream.cancel(new Error('nobody reads on'));
  }
}

interface Pending {
  readonly pending: string;
  readonly status?: number;
  /** Milliseconds. */
  readonly pause: number;
  readonly cause?: unknown;
}

/** Only a body that is whole counts: one that is cut short is no answer. Plain text comes with some faults. */
function parse(text: string, status: number): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (status < 400) throw cause;
    return undefined;
  }
}

/** A retry mends what is left out here. A quota that is counted twice at a time is a conflict, and passes too. */
function isFinal(status: number, body: unknown): boolean {
  if (status === 409) return statusOf(body)?.details?.kind !== 'resourcequotas';
  return status !== 401 && status !== 408 && status !== 429 && status < 500;
}
