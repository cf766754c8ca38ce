import type { IncomingMessage } from 'node:http';
import { maskText } from '../finding/mask-secrets.ts';
import { oneLine } from '../finding/one-line.ts';
import { retry } from '../function/backoff.ts';
import { Refusal } from '../function/refusal.ts';
import { createHttpClient, type HttpClient } from '../transport/http-client.ts';
import { bytesOf, chunksOf, isProtobuf, parseBody, valuesOf } from './answer-body.ts';
import { deniedBy, isFinal, statusMessage, statusOf } from './api-status.ts';
import type { Credentials } from './credentials.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Percent-encoded where needed. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** The deadline of the work that this call is part of. */
  readonly signal: AbortSignal;
  /** Called before each retry, with the reason: without a deadline, nothing else would tell that there is no answer. */
  readonly onRetry?: ((reason: string) => void) | undefined;
}

/** An answer that is the API server's last word: 401, 429 or 5xx only if admission has denied the request. */
export interface ApiResponse {
  readonly status: number;
  /** Parsed JSON, or the bytes of protobuf; `undefined` if the answer had no body. */
  readonly body: unknown;
  /** The length of the body. */
  readonly bytes: number;
}

/** A success whose body is read as it arrives, or the whole of any other answer. */
export interface OpenResponse extends ApiResponse {
  /**
   * The body of a success in protobuf. Throws an Error if the connection breaks before its end, or is silent for as long
   * as one attempt may take.
   */
  readonly chunks?: AsyncIterable<Buffer>;
}

export interface ApiClient {
  /** Retries what a retry may mend until the deadline; throws a Refusal 503 when it has passed. */
  request(request: ApiRequest): Promise<ApiResponse>;
  /** The same until the head of the answer has arrived, which may take so many milliseconds, if they are given. */
  open(request: ApiRequest, headMilliseconds?: number): Promise<OpenResponse>;
  /**
   * One attempt at an answer that comes bit by bit (a watch): its JSON values line by line until the server ends it, or
   * the ApiResponse if its status is not 200. Throws an Error if the connection can't be made, breaks, or is still open
   * after so many milliseconds.
   */
  stream(request: ApiRequest, milliseconds: number): Promise<ApiResponse | AsyncIterable<unknown>>;
  close(): void;
}

export interface ApiClientOptions {
  readonly credentials: Credentials;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Milliseconds for one attempt, from the first byte sent to the last one received. */
  readonly attemptMilliseconds: number;
  /** Called with the API server's time, in milliseconds since 1970, whenever an answer says another one. */
  readonly onTime?: (time: number) => void;
  /**
   * How many streams there may be, where there may be many: each has a connection to itself for as long as it lasts, and
   * without connections of their own they would leave none for requests.
   */
  readonly streams?: number;
}

const maxConnections = 32;
const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 5000;

/** There is no last word yet; as a Refusal, since it is the answer when the deadline passes meanwhile. */
class Unanswered extends Refusal {
  readonly pauseMilliseconds: number;

  constructor(message: string, pauseMilliseconds: number, cause?: unknown) {
    super(503, message, { cause, retryAfter: 2 });
    this.pauseMilliseconds = pauseMilliseconds;
  }
}

/** In an operator's words. Node's own text may hold anything, its code may not. */
function reasonOf({ message, cause }: Unanswered): string {
  if (typeof cause === 'string') return `${message}: ${cause}`;
  if (!(cause instanceof Error)) return message;
  return `${message}: ${'code' in cause ? cause.code : cause.message}`;
}

/** Where requests go, and as whom. */
interface Server {
  readonly http: HttpClient;
  readonly credentials: Credentials;
  /** What the paths are relative to. */
  readonly root: string;
  /** Takes note of the header Date. */
  readonly noteDate: (date: string | undefined) => void;
}

/** Reads each second's Date once. */
function createDateReader(onTime: ApiClientOptions['onTime']): Server['noteDate'] {
  let last: string | undefined;
  return (date) => {
    if (date === undefined || date === last) return;
    last = date;
    const time = Date.parse(date);
    if (!Number.isNaN(time)) onTime?.(time);
  };
}

function queryOf(query: ApiRequest['query']): string {
  const given = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** How long an attempt may take, in milliseconds. */
interface AttemptTime {
  readonly timeout: number;
  /** If given, `timeout` is for the head of the answer, and this for what arrives next of its body. */
  readonly silence?: number;
}

/** Resolves when the head of the answer has arrived. `fresh` reads the token anew. */
async function send(
  { http, credentials, root, noteDate }: Server,
  request: ApiRequest,
  fresh: boolean,
  { timeout, silence }: AttemptTime,
): Promise<IncomingMessage> {
  const { method, path, query, body, signal } = request;
  const { accept = 'application/json', contentType = 'application/json' } = request;
  const authorization = await credentials.authorization(fresh);
  const answer = await http.send({
    method,
    path: root + path + queryOf(query),
    headers: {
      Accept: accept,
      ...(authorization !== undefined && { Authorization: authorization }),
      ...(body !== undefined && { 'Content-Type': contentType }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    timeout,
    isHeadOnly: silence !== undefined,
    signal,
  });
  noteDate(answer.headers.date);
  return answer;
}

/** The answer, whatever it is. Throws an Unanswered if there is none. */
async function exchange(
  server: Server,
  request: ApiRequest,
  fresh: boolean,
  time: AttemptTime,
): Promise<OpenResponse & { readonly retryAfter: string | undefined }> {
  try {
    const answer = await send(server, request, fresh, time);
    const { statusCode: status = 0, headers } = answer;
    if (time.silence !== undefined && status === 200 && isProtobuf(headers['content-type'])) {
      return { status, body: undefined, bytes: 0, chunks: chunksOf(answer, time.silence), retryAfter: undefined };
    }
    const bytes = await bytesOf(answer);
    const body = isProtobuf(headers['content-type']) ? bytes : parseBody(bytes.toString(), status);
    return { status, body, bytes: bytes.length, retryAfter: headers['retry-after'] };
  } catch (cause) {
    throw new Unanswered('the API server can not be reached', 0, cause);
  }
}

function isUnauthorized(answer: ApiResponse): boolean {
  return answer.status === 401 && deniedBy(answer) === undefined;
}

function unauthorized({ areCallers = false }: Credentials): Refusal {
  return areCallers
    ? new Refusal(401, 'the API server does not take this token')
    : new Refusal(503, 'the API server refuses our token', { retryAfter: 5 });
}

/** What the API server says, such as that etcd is full. */
const maxWords = 256;

/** The words of an answer, fit for a log. */
function wordsOf(body: unknown): string | undefined {
  const message = statusMessage(statusOf(body));
  return message === undefined ? undefined : oneLine(maskText(message), maxWords);
}

/** The last word. Throws an Unanswered if there is none yet, and a Refusal if no retry can help. */
async function attempt(server: Server, request: ApiRequest, time: AttemptTime): Promise<OpenResponse> {
  let answer = await exchange(server, request, false, time);
  if (isUnauthorized(answer) && !request.signal.aborted) {
    // The token may have been replaced. If the one read now is refused as well, somebody must mend it.
    answer = await exchange(server, request, true, time);
    if (isUnauthorized(answer)) throw unauthorized(server.credentials);
  }
  const { retryAfter, ...response } = answer;
  const { status, body } = response;
  if (isFinal(status, body)) return response;
  const seconds = Number(retryAfter);
  const pause = Number.isFinite(seconds) ? seconds * 1000 : 0;
  throw new Unanswered(`the API server answered ${status}`, pause, wordsOf(body));
}

/** Calls the API server over keep-alive connections. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { credentials, sleep, random, attemptMilliseconds, onTime, streams } = options;
  const url = new URL(credentials.server);
  const connect = (limit: number): HttpClient => createHttpClient({ server: url, tls: () => credentials.tls(), limit });
  const http = connect(maxConnections);
  const streaming = streams === undefined ? http : connect(streams);
  const root = url.pathname.replace(/\/$/, '');
  const server = { http, credentials, root, noteDate: createDateReader(onTime) };
  /** Whether the last stream was answered 401, so that the next one reads the token anew. */
  let refused = false;

  function pauseAfter(error: unknown, pause: number): number {
    const asked = error instanceof Unanswered ? error.pauseMilliseconds : 0;
    return asked + random() * pause;
  }

  function lastWord(request: ApiRequest, time: AttemptTime): Promise<OpenResponse> {
    return retry(() => attempt(server, request, time), {
      first: firstPauseMilliseconds,
      longest: longestPauseMilliseconds,
      sleep,
      signal: request.signal,
      isRetried(error) {
        if (!(error instanceof Unanswered)) return false;
        request.onRetry?.(reasonOf(error));
        return true;
      },
      pauseAfter,
    });
  }

  return {
    request: (request) => lastWord(request, { timeout: attemptMilliseconds }),

    open: (request, headMilliseconds = attemptMilliseconds) =>
      lastWord(request, { timeout: headMilliseconds, silence: attemptMilliseconds }),

    async stream(request, milliseconds) {
      const answer = await send({ ...server, http: streaming }, request, refused, { timeout: milliseconds });
      const { statusCode: status = 0 } = answer;
      refused = status === 401;
      if (status === 401 && credentials.areCallers) throw unauthorized(credentials);
      if (status === 200) return valuesOf(answer);
      const bytes = await bytesOf(answer);
      return { status, body: parseBody(bytes.toString(), status), bytes: bytes.length };
    },

    close() {
      http.close();
      streaming.close();
    },
  };
}
