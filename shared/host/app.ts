import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type Express, type Request, type Response } from 'express';
import type { BodyReader } from '../edge/body.ts';
import { decodeRequest } from '../edge/cloud-event-http.ts';
import { discard } from '../edge/free.ts';
import type { RequestHead } from '../edge/request-head.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { RawRequest } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import { deliverBatch } from './batch.ts';
import { type Answer, answerRefusal, type Door, type DoorOptions, serveDoor } from './door.ts';
import { addViewRoutes, addViewWrites, type ViewRoutesOptions } from './view-routes.ts';

/** What answers requests, apart from the listening. */
export interface AppOptions extends DoorOptions {
  readonly now: () => number;
  /** Why this process should get no events now; `undefined` when it is ready. */
  notReady(): string | undefined;
  /** Throws a Refusal unless everything derived from the event is stored. */
  deliver(event: CloudEvent): Promise<void>;
  /** Whether there is a door for events; a gateway handles none. */
  readonly takesEvents: boolean;
  /** Who may post events, where not everybody may. Throws a Refusal 401, 403 or 429. */
  checkEvents?: (head: RequestHead) => void;
  /** The doors for raw HTTP. */
  readonly webhookPaths: ReadonlySet<string>;
  /** Makes the reader of a door. */
  createBodies(endpoint: string): BodyReader;
  /** Who may use them. Throws a Refusal 401, 403 or 429. */
  checkAccess(head: RequestHead, endpoint: string): void;
  receive(request: RawRequest): Promise<void>;
  /** Local mode only: throws a Refusal 403 before anything else is done with a request. */
  checkOrigin?(request: IncomingMessage): void;
  /** The page, and the answers to `GET /observations` and what is below it. */
  readonly view?: ViewRoutesOptions;
}

const eventPath = '/';

/** The door for CloudEvents, one or a batch of them. */
function eventDoor({ deliver, now, createBodies, checkEvents }: AppOptions): Door<IncomingMessage> {
  return {
    endpoint: eventPath,
    bodies: createBodies(eventPath),
    ...(checkEvents && { check: (head) => checkEvents(head) }),
    async work({ headers }, body) {
      const decoded = decodeRequest({ headers, body: body.take() }, new Date(now()).toISOString());
      if ('length' in decoded) await deliverBatch(decoded, deliver);
      else await deliver(decoded);
      return undefined;
    },
  };
}

/** The door for the raw HTTP of one tool. */
function webhookDoor(endpoint: string, { checkAccess, receive, metrics, createBodies }: AppOptions): Door<Request> {
  return {
    endpoint,
    bodies: createBodies(endpoint),
    check: (head) => checkAccess(head, endpoint),
    async work({ path }, { take }, trace) {
      let answer: Answer | undefined;
      const answerWith = (json: Answer): void => {
        answer = json;
      };
      await receive({ path, endpoint, takeBody: take, answerWith, traceparent: trace().traceparent });
      return answer;
    },
    countRefused: () => metrics.countDropped(endpoint, 1),
  };
}

/** Express' spelling of a path such as `/ingest/*`. */
function routeOf(path: string): string {
  return path.replace(/\*$/, '*rest');
}

/** The pages that tell about the process. Returns their paths. */
function addPages(app: Express, { isStopping, notReady, metrics, view }: AppOptions): string[] {
  if (view) addViewWrites(app, view);
  app.use((request, _response, next) => {
    discard(request);
    next();
  });
  app.get('/health', (_request, response) => {
    response.type('text/plain').send('ok\n');
  });
  app.get('/ready', (_request, response) => {
    const reason = isStopping() ? 'shutting down' : notReady();
    response
      .status(reason === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${reason ?? 'ready'}\n`);
  });
  app.get('/metrics', async (request, response) => {
    const { contentType, text } = await metrics.render(request.get('accept') ?? '');
    response.set('Content-Type', contentType).send(text);
  });
  return ['/health', '/ready', '/metrics', ...(view ? addViewRoutes(app, view) : [])];
}

/** The answers to requests that no page and no door takes. */
function addFaults(app: Express, paths: readonly string[]): void {
  app.all([...paths], (_request, response) => answerRefusal(response, new Refusal(405, 'the method is not allowed')));
  app.use((_request, response) => answerRefusal(response, new Refusal(404, 'no such path')));
  app.use((error: unknown, _request: Request, response: Response, _next: unknown) => {
    // Express throws Errors with a status: for a path that can't be decoded, for example.
    const isClientFault = error instanceof Error && 'status' in error && error.status === 400;
    const refusal = isClientFault ? Refusal.from(error, 400, 'a bad request') : Refusal.from(error);
    answerRefusal(response, refusal);
  });
}

/** Answers what comes from elsewhere than it may. One warning tells who wonders; a page can ask as often as it likes. */
function createOriginGuard({ checkOrigin, log }: AppOptions) {
  let hasWarned = false;
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    try {
      checkOrigin?.(request);
      return true;
    } catch (error) {
      const refusal = Refusal.from(error);
      if (!hasWarned) log.warn({ operation: 'origin', status: refusal.status }, refusal.message);
      hasWarned = true;
      answerRefusal(response, refusal);
      return false;
    }
  };
}

export function createApp(options: AppOptions): RequestListener {
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing');
  const isFromHere = createOriginGuard(options);
  const events = options.takesEvents ? eventDoor(options) : undefined;
  if (events) app.post(eventPath, (request, response) => serveDoor(options, events, request, response));
  const webhooks = [...options.webhookPaths].map((path) => {
    const webhook = webhookDoor(path, options);
    const route = routeOf(path);
    app.post(route, (request, response) => serveDoor(options, webhook, request, response));
    return route;
  });
  const pages = addPages(app, options);
  addFaults(app, [...new Set([...(events ? [eventPath] : []), ...pages, ...webhooks])]);
  return (request, response) => {
    if (!isFromHere(request, response)) return;
    // Nearly all requests are events, and finding their route costs as much as reading one.
    if (events && request.method === 'POST' && request.url === eventPath) {
      void serveDoor(options, events, request, response);
    } else app(request, response);
  };
}
