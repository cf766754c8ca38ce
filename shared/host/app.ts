import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type Request, type Response } from 'express';
import { type CloudEvent, type Decoded, decodeRequest } from '../function/cloud-event.ts';
import type { RawRequest } from '../function/function-definition.ts';
import { Refusal, type RefusalStatus } from '../function/refusal.ts';
import { continueTrace } from '../function/trace-context.ts';
import { callsInFlight, forEachConcurrently } from '../pipeline/concurrency.ts';
import type { RequestHead } from './access.ts';
import type { Body, BodyReader } from './body.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** What answers requests, apart from the listening. */
export interface AppOptions {
  readonly bodies: BodyReader;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly now: () => number;
  /** Why this process should get no events now; `undefined` when it is ready. */
  notReady(): string | undefined;
  isStopping(): boolean;
  /** Throws a Refusal unless everything derived from the event is stored. */
  deliver(event: CloudEvent): Promise<void>;
  /** The doors for raw HTTP. */
  readonly webhookPaths: ReadonlySet<string>;
  /** Who may use them. Throws a Refusal 401, 403 or 429. */
  checkAccess(head: RequestHead): void;
  receive(request: RawRequest): Promise<void>;
  /** Local mode only: the answer to `GET /`, for whoever points a browser here. */
  readonly about?: string;
  /** Local mode only: the answer to `GET /observations`. */
  readonly observations?: (query: Readonly<Record<string, unknown>>) => Promise<unknown>;
}

/** The worse of two refusals of a batch: what a sender must try again before what it must not. */
const severityOfStatus: readonly RefusalStatus[] = [400, 415, 413, 422, 404, 405, 401, 403, 429, 503];

function worst(refusals: readonly Refusal[]): Refusal | undefined {
  const rank = ({ status }: Refusal): number => severityOfStatus.indexOf(status);
  return refusals.reduce<Refusal | undefined>((a, b) => (a && rank(a) >= rank(b) ? a : b), undefined);
}

function atIndex(refusal: Refusal, index: number): Refusal {
  const { status, message, path, retryAfter, cause, summary } = refusal;
  const at = path === undefined ? `[${index}]` : path.startsWith('[') ? path : `[${index}].${path}`;
  return new Refusal(status, message, { path: at, retryAfter, cause, summary });
}

type Trace = ReturnType<typeof continueTrace>;

/** A way in for events. */
interface Door<Message extends IncomingMessage> {
  /** What it is counted under. */
  readonly endpoint: string;
  /** Throws a Refusal before anything of the body is read. */
  readonly check?: (head: RequestHead) => void;
  /** Resolves when the event is dealt with; throws a Refusal. */
  readonly work: (request: Message, body: Body, trace: () => Trace) => Promise<void>;
  /** Counts what was turned away, wherever on its way that was. */
  readonly countRefused?: () => void;
}

function traceparentOf({ headers }: IncomingMessage): string | undefined {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? traceparent : undefined;
}

/** `/ingest/*` as express writes it. */
function routeOf(path: string): string {
  return path.replace(/\*$/, '*rest');
}

function answerRefusal(response: ServerResponse, refusal: Refusal, correlationId?: string): void {
  const { status, message, path, retryAfter } = refusal;
  if (response.headersSent) return;
  const text = JSON.stringify({ error: message, path, correlationId });
  response
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    })
    .end(text);
}

export function createApp(options: AppOptions): RequestListener {
  const { bodies, metrics, log, now } = options;
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing');

  async function handleBatch(members: readonly Decoded[]): Promise<void> {
    // By the members' indexes, whichever of them is through first.
    const refusals: Refusal[] = [];
    await forEachConcurrently(members.entries(), callsInFlight, async ([index, member]) => {
      try {
        if (member instanceof Refusal) throw member;
        await options.deliver(member);
      } catch (error) {
        refusals[index] = atIndex(error instanceof Refusal ? error : new Refusal(503, 'an unexpected fault'), index);
      }
    });
    const refusal = worst(Object.values(refusals));
    if (refusal) throw refusal;
  }

  async function handleEvents(request: IncomingMessage, body: Body): Promise<void> {
    const decoded = decodeRequest({ headers: request.headers, body: body.take() }, new Date(now()).toISOString());
    if ('length' in decoded) await handleBatch(decoded);
    else await options.deliver(decoded);
  }

  /** Reads the body, does the work, and answers 204 or what the Refusal says: the one place where faults become answers. */
  async function serve<Message extends IncomingMessage>(
    request: Message,
    response: ServerResponse,
    { endpoint, check, work, countRefused }: Door<Message>,
  ): Promise<void> {
    let body: Body | undefined;
    let continued: Trace | undefined;
    // One for all that is said of a request, and none where nothing is.
    const trace = (): Trace => {
      continued ??= continueTrace(traceparentOf(request));
      return continued;
    };
    try {
      if (options.isStopping()) throw new Refusal(503, 'shutting down');
      check?.({ headers: request.headers, remoteAddress: request.socket.remoteAddress });
      body = await bodies.read(request);
      await work(request, body, trace);
      response.writeHead(204).end();
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(503, 'an unexpected fault', { cause: error });
      const { traceId: correlationId } = trace();
      log.debug({ correlation_id: correlationId, operation: endpoint, status: refusal.status }, refusal.message);
      answerRefusal(response, refusal, correlationId);
      countRefused?.();
    } finally {
      body?.release();
      metrics.countRequest(endpoint, response.statusCode);
    }
  }

  app.get('/health', (_request, response) => {
    response.type('text/plain').send('ok\n');
  });
  app.get('/ready', (_request, response) => {
    const reason = options.isStopping() ? 'shutting down' : options.notReady();
    response
      .status(reason === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${reason ?? 'ready'}\n`);
  });
  app.get('/metrics', async (request, response) => {
    const { contentType, text } = await metrics.render(request.get('accept') ?? '');
    response.set('Content-Type', contentType).send(text);
  });
  const { about, observations } = options;
  if (about !== undefined) {
    app.get('/', (_request, response) => {
      response.type('text/plain').send(about);
    });
  }
  if (observations) {
    app.get('/observations', async (request, response) => {
      response.json(await observations(request.query));
    });
  }
  const events: Door<IncomingMessage> = { endpoint: '/', work: handleEvents };
  app.post('/', (request, response) => serve(request, response, events));
  for (const endpoint of options.webhookPaths) {
    const webhook: Door<Request> = {
      endpoint,
      check: options.checkAccess,
      work({ path }, { take }, trace) {
        return options.receive({ path, endpoint, takeBody: take, traceparent: trace().traceparent });
      },
      countRefused: () => metrics.countDropped(endpoint, 1),
    };
    app.post(routeOf(endpoint), (request, response) => serve(request, response, webhook));
  }
  const known = [
    '/',
    '/health',
    '/ready',
    '/metrics',
    ...(observations ? ['/observations'] : []),
    ...[...options.webhookPaths].map(routeOf),
  ];
  app.all(known, (_request, response) => answerRefusal(response, new Refusal(405, 'the method is not allowed')));
  app.use((_request, response) => answerRefusal(response, new Refusal(404, 'no such path')));
  app.use((error: unknown, _request: Request, response: Response, _next: unknown) => {
    const isClientFault = error instanceof Error && 'status' in error && error.status === 400;
    const fault = new Refusal(isClientFault ? 400 : 503, isClientFault ? 'a bad request' : 'an unexpected fault');
    answerRefusal(response, error instanceof Refusal ? error : fault);
  });
  return (request, response) => {
    // Nearly all that comes are events, and finding their route costs as much as reading one.
    if (request.method === 'POST' && request.url === '/') void serve(request, response, events);
    else app(request, response);
  };
}
