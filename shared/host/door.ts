import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Body, BodyReader } from '../edge/body.ts';
import { discard } from '../edge/free.ts';
import type { RequestHead } from '../edge/request-head.ts';
import { printableJson } from '../finding/printable.ts';
import { Refusal } from '../function/refusal.ts';
import { continueTrace } from '../function/trace-context.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

type Trace = ReturnType<typeof continueTrace>;

/** What a sender reads, as JSON. */
export type Answer = Readonly<Record<string, unknown>>;

/** A way in for events. */
export interface Door<Message extends IncomingMessage> {
  /** What its requests are counted under. */
  readonly endpoint: string;
  /** Its own: an open door can't use up what a guarded one may take. */
  readonly bodies: BodyReader;
  /** Throws a Refusal before any of the body is read. */
  readonly check?: (head: RequestHead) => void;
  /** Resolves when the event is dealt with, to what the sender wants to read, if anything; throws a Refusal. */
  readonly work: (request: Message, body: Body, trace: () => Trace) => Promise<Answer | undefined>;
  /** Called for each request that was refused, at whatever stage. */
  readonly countRefused?: () => void;
}

export interface DoorOptions {
  readonly metrics: Metrics;
  readonly log: Log;
  isStopping(): boolean;
}

function traceparentOf({ headers }: IncomingMessage): string | undefined {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? traceparent : undefined;
}

function answerJson(response: ServerResponse, status: number, json: Answer, headers: OutgoingHttpHeaders = {}): void {
  const text = printableJson(JSON.stringify(json));
  response
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      ...headers,
    })
    .end(text);
}

export function answerRefusal(response: ServerResponse, refusal: Refusal, correlationId?: string): void {
  const { status, message, path, retryAfter, words } = refusal;
  // A connection that is broken off carries no answer.
  discard(response.req);
  if (response.headersSent) return;
  answerJson(
    response,
    status,
    { error: message, path, words, correlationId },
    {
      ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    },
  );
}

/**
 * Reads the body, does the work, and answers 204 or what the Refusal says: the one place where faults become answers.
 */
export async function serveDoor<Message extends IncomingMessage>(
  { metrics, log, isStopping }: DoorOptions,
  { endpoint, bodies, check, work, countRefused }: Door<Message>,
  request: Message,
  response: ServerResponse,
): Promise<void> {
  let body: Body | undefined;
  let continued: Trace | undefined;
  // The same trace for everything that is said about a request, and none made if nothing is.
  const trace = (): Trace => {
    continued ??= continueTrace(traceparentOf(request));
    return continued;
  };
  try {
    if (isStopping()) throw new Refusal(503, 'shutting down');
    check?.({ headers: request.headers, remoteAddress: request.socket.remoteAddress });
    body = await bodies.read(request);
    const answer = await work(request, body, trace);
    // With a charset, Firehose would take it for a failure.
    if (answer) answerJson(response, 200, answer, { 'Content-Type': 'application/json' });
    else response.writeHead(204).end();
  } catch (error) {
    const refusal = Refusal.from(error);
    const { traceId: correlationId } = trace();
    log.debug({ correlation_id: correlationId, operation: endpoint, status: refusal.status }, refusal.message);
    answerRefusal(response, refusal, correlationId);
    countRefused?.();
  } finally {
    body?.release();
    metrics.countRequest(endpoint, response.statusCode);
  }
}
