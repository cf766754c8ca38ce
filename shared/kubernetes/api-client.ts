import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { Refusal } from '../function/refusal.ts';
import { createHttpClient } from '../transport/http-client.ts';
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

function queryOf(query: ApiRequest['query']): string {
  const given = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** Calls the API server over keep-alive connections. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { credentials, sleep, random, attemptMilliseconds } = options;
  const server = new URL(credentials.server);
  const root = server.pathname.replace(/\/$/, '');
  const http = createHttpClient({ server, tls: () => credentials.tls(), limit: mostConnections });
  /** Whether the last stream was answered 401, so that the next one reads the token anew. */
  let refused = false;

  /** Resolves when the head of the answer has arrived. */
  async function send(request: ApiRequest, fresh: boolean, timeout?: number): Promise<IncomingMessage> {
    const { method, path, query, body, signal } = request;
    const { accept = 'application/json', contentType = 'application/json' } = request;
    const authorization = await credentials.authorization(fresh);
    return http.send({
      method,
      path: root + path + queryOf(query),
      headers: {
        Accept: accept,
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(body !== undefined && { 'Content-Type': contentType }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(timeout !== undefined && { timeout }),
      signal,
    });
  }

  /** The last word, or why there is none yet and how long the server wants to be left alone. */
  async function tryOnce(request: ApiRequest, fresh: boolean): Promise<ApiResponse | Pending> {
    try {
      const answer = await send(request, fresh, attemptMilliseconds);
      const bytes = await bytesOf(answer);
      const { statusCode: status = 0, headers } = answer;
      const body = isProtobuf(headers['content-type']) ? bytes : parse(bytes.toString(), status);
      if (isFinal(status, body)) return { status, body, bytes: bytes.length };
      const seconds = Number(headers['retry-after']);
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
      const answer = await send(request, refused);
      const { statusCode: status = 0 } = answer;
      refused = status === 401;
      if (status === 200) return valuesOf(answer);
      const bytes = await bytesOf(answer);
      return { status, body: parse(bytes.toString(), status), bytes: bytes.length };
    },

    close() {
      http.close();
    },
  };
}

/** The whole body. Throws an Error where the connection breaks before its end. */
function bytesOf(answer: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  answer
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('end', () => resolve(Buffer.concat(chunks)))
    .on('error', reject);
  return promise;
}

async function* valuesOf(answer: IncomingMessage): AsyncGenerator<unknown> {
  // readline hears nothing of an error of its input.
  let fault: Error | undefined;
  answer.on('error', (error) => {
    fault = error;
  });
  try {
    for await (const line of createInterface({ input: answer })) if (line !== '') yield JSON.parse(line);
    if (fault) throw fault;
  } finally {
    answer.destroy();
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
