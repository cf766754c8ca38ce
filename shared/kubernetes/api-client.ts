import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import {
  createConfiguration,
  type HttpMethod,
  type RequestContext,
  ResponseContext,
  ServerConfiguration,
  wrapHttpLibrary,
} from '@kubernetes/client-node';
import * as z from 'zod';
import { Refusal } from '../function/refusal.ts';
import type { Credentials } from './credentials.ts';
import { isProtobuf } from './metadata-list.ts';

export interface ApiRequest {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** What makes a value of protobuf, where that is accepted; without it the answer's body is `undefined`. */
  readonly decode?: (bytes: Uint8Array) => unknown;
  /** The deadline of whatever this call is for. */
  readonly signal: AbortSignal;
}

/** An answer that is the API server's last word: never 401, 429 or 5xx. */
export interface ApiResponse {
  readonly status: number;
  /** Parsed JSON, or what `decode` made of protobuf; `undefined` where the answer had none. */
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

const connections = 32;
const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 5000;

type Tls = Awaited<ReturnType<Credentials['tls']>>;

function isSame(a: Tls, b: Tls): boolean {
  const keys = ['ca', 'cert', 'key', 'rejectUnauthorized', 'servername'] as const;
  return keys.every((key) => a[key] === b[key] || JSON.stringify(a[key]) === JSON.stringify(b[key]));
}

/** The response headers of Node as client-node has them. */
function plainHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) plain[name] = String(value);
  return plain;
}

/**
 * Calls the API server by client-node's request and response types, over one keep-alive agent of our own: client-node's
 * would open a connection for every call.
 */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { credentials, sleep, random, attemptMilliseconds } = options;
  const isTls = credentials.server.startsWith('https:');
  let agent: HttpAgent | HttpsAgent = new HttpAgent({ keepAlive: true, maxSockets: connections });
  let agentIsFor: Tls = {};
  /** Whether the last stream was answered 401, so that the next one reads the token anew. */
  let refused = false;

  /** A rotated CA needs new connections; the old ones end with what is in flight on them. */
  async function currentAgent(): Promise<HttpAgent | HttpsAgent> {
    if (!isTls) return agent;
    const tls = await credentials.tls();
    if (agent instanceof HttpsAgent && isSame(tls, agentIsFor)) return agent;
    agent = new HttpsAgent({ keepAlive: true, maxSockets: connections, ...tls });
    // All its connections are alike; Node would make a name of the whole CA for each call.
    agent.getName = () => 'api-server';
    agentIsFor = tls;
    return agent;
  }

  async function open(context: RequestContext, onAnswer: (response: IncomingMessage) => void): Promise<ClientRequest> {
    const body = context.getBody();
    const signal = context.getSignal();
    const settings = {
      agent: await currentAgent(),
      method: context.getHttpMethod(),
      headers: context.getHeaders(),
      ...(signal && { signal }),
    };
    const call = (isTls ? httpsRequest : httpRequest)(context.getUrl(), settings, onAnswer);
    return call.end(typeof body === 'string' ? body : undefined);
  }

  /** One call, to the last byte of its answer, in the time that an attempt has. */
  async function send(context: RequestContext): Promise<ResponseContext> {
    const { promise, resolve, reject } = Promise.withResolvers<ResponseContext>();
    const call = await open(context, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (!response.complete) return reject(new Error('the answer was cut off'));
        const bytes = Buffer.concat(chunks);
        const content = { binary: async () => bytes, text: async () => bytes.toString(), stream: () => null };
        resolve(new ResponseContext(response.statusCode ?? 0, plainHeaders(response.headers), content));
      });
    });
    call.on('error', reject);
    // One that is ended by itself: AbortSignal.timeout would keep each call's timer for the whole time.
    const timer = setTimeout(() => call.destroy(new Error('no answer in time')), attemptMilliseconds);
    return promise.finally(() => clearTimeout(timer));
  }

  const { baseServer, httpApi } = createConfiguration({
    baseServer: new ServerConfiguration(credentials.server, {}),
    httpApi: wrapHttpLibrary({ send }),
  });

  async function contextFor(request: ApiRequest, fresh: boolean): Promise<RequestContext> {
    const context = baseServer.makeRequestContext(request.path, request.method);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) context.setQueryParam(name, value);
    }
    context.setHeaderParam('Accept', request.accept ?? 'application/json');
    const authorization = await credentials.authorization(fresh);
    if (authorization !== undefined) context.setHeaderParam('Authorization', authorization);
    if (request.body !== undefined) {
      const text = JSON.stringify(request.body);
      context.setHeaderParam('Content-Type', request.contentType ?? 'application/json');
      context.setHeaderParam('Content-Length', String(Buffer.byteLength(text)));
      context.setBody(text);
    }
    return context;
  }

  async function attempt(request: ApiRequest, fresh: boolean): Promise<ResponseContext> {
    const context = await contextFor(request, fresh);
    context.setSignal(request.signal);
    return httpApi.send(context).toPromise();
  }

  /** The last word, or why there is none yet and how long the server wants to be left alone. */
  async function tryOnce(request: ApiRequest, fresh: boolean): Promise<ApiResponse | Pending> {
    try {
      const response = await attempt(request, fresh);
      const status = response.httpStatusCode;
      const bytes = await response.body.binary();
      const body = isProtobuf(response.headers['content-type'])
        ? request.decode?.(bytes)
        : parse(bytes.toString(), status);
      if (isFinal(status, body)) return { status, body, bytes: bytes.length };
      const seconds = Number(response.headers['retry-after']);
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
      const context = await contextFor(request, refused);
      context.setSignal(request.signal);
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      (await open(context, resolve)).on('error', reject);
      const response = await promise;
      const status = response.statusCode ?? 0;
      refused = status === 401;
      if (status === 200) return values(response);
      const text = (await response.toArray()).join('');
      return { status, body: parse(text, status), bytes: text.length };
    },

    close() {
      agent.destroy();
    },
  };
}

async function* values(response: IncomingMessage): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: response })) if (line !== '') yield JSON.parse(line);
  if (!response.complete) throw new Error('the answer was cut off');
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
