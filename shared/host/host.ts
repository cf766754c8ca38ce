import * as z from 'zod';
import { createAccess } from '../edge/access.ts';
import { type BodyLimits, createBodyReader } from '../edge/body.ts';
import { createBudget } from '../edge/budget.ts';
import { createInflate } from '../edge/inflate.ts';
import { isJsonList } from '../edge/json-list.ts';
import { type CloudEvent, isPing } from '../function/cloud-event.ts';
import type { Clock } from '../function/context.ts';
import type { FunctionDefinition, GatewayDefinition } from '../function/definitions.ts';
import { type CommonSettings, type Environment, parseSettings, SettingsError } from '../function/settings.ts';
import type { TokenPlaces, WebhookTrigger } from '../function/triggers.ts';
import { type AppOptions, createApp } from './app.ts';
import { type BoundFunction, isHandler } from './context.ts';
import { countingOf } from './counting.ts';
import type { Dispatcher } from './dispatch.ts';
import { type SecureOptions, type Served, serve } from './listen.ts';
import type { Log } from './log.ts';
import { memoryLimit } from './memory.ts';
import type { Metrics } from './metrics.ts';
import { unreadableFilters } from './unreadable-filters.ts';

/**
 * How long a function may take for one event. A completeness pass or gc may take as long as Knative lets a request run.
 */
const eventMilliseconds = 60_000;
const pingMilliseconds = 590_000;

/** Unless it is given longer, a process must be gone ten seconds after it was told to stop. */
const longestDrainMilliseconds = 9000;

/** What may be left to do after the longest drain takes no longer. */
const afterDrainMilliseconds = 500;

/** How long the end may wait for what no event waits for. */
const finishMilliseconds = 3000;

export interface HostOptions {
  readonly functions: readonly BoundFunction[];
  readonly dispatcher: Dispatcher;
  readonly settings: CommonSettings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly hostname: string | undefined;
  readonly port: number;
  readonly clock: Pick<Clock, 'now' | 'elapsed'>;
  /** Hands an event to the functions that it is for. Throws a Refusal. */
  route(event: CloudEvent, signal: AbortSignal): Promise<void>;
  notReady(): string | undefined;
  /** What is left to do when the last event has been handled. */
  finish(signal: AbortSignal): Promise<void>;
  readonly checkOrigin?: NonNullable<AppOptions['checkOrigin']>;
  readonly view?: NonNullable<AppOptions['view']>;
  /** How long requests in flight may still take once the process is told to stop. */
  readonly drainMilliseconds?: number;
  /** Whether who posts events must sign in as who posts to webhooks does. */
  readonly guardsEvents?: boolean;
  /** Whether it is served over TLS, too. */
  readonly secure?: SecureOptions | undefined;
}

export interface Host extends Served {
  /** Aborts at the event's deadline, or when the process ends. */
  deadlineFor(event: CloudEvent): AbortSignal;
}

/**
 * Deadlines to the second: events of the same second share a signal, since making one costs as much as reading an
 * event.
 */
function createDeadline(milliseconds: number, end: AbortSignal): () => AbortSignal {
  let second = -1;
  let signal = end;
  return () => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      second = now;
      signal = AbortSignal.any([end, AbortSignal.timeout(milliseconds)]);
    }
    return signal;
  };
}

/** How the bodies at a door are parsed. */
function parsingAt(
  webhook: Pick<WebhookTrigger, 'list' | 'takesLists'> | undefined,
): NonNullable<BodyLimits['parsing']> {
  if (webhook?.list !== undefined) return () => 'reduced';
  return (body) => (webhook?.takesLists && isJsonList(body) ? 'elements' : 'whole');
}

/** Makes the readers of the doors. Together they may take a quarter of the memory, and one an eighth. */
function bodiesOf(
  { MAX_REQUEST_BYTES: maxBytes }: CommonSettings,
  webhooks: readonly WebhookTrigger[],
  takesEvents: boolean,
): AppOptions['createBodies'] {
  const inflate = createInflate();
  const parsed = createBudget(memoryLimit() / 16);
  const doors = Math.max(2, webhooks.length + (takesEvents ? 1 : 0));
  return (endpoint) =>
    createBodyReader({
      maxBytes,
      maxBytesInFlight: memoryLimit() / 4 / doors,
      inflate,
      parsed,
      parsing: parsingAt(webhooks.find(({ path }) => path === endpoint)),
    });
}

function isGateway(bound: BoundFunction): bound is BoundFunction<GatewayDefinition> {
  return bound.definition.kind === 'gateway';
}

/** Shows what the functions will count. */
function beginCounting({ functions, settings, metrics }: HostOptions): void {
  const all = functions.map((bound) => ({ bound, counting: countingOf(bound) }));
  for (const { counting } of all) metrics.begin(counting);
  const filtering = all.find(({ counting }) => counting.usesFilters);
  if (filtering) metrics.watchUnreadableFilters(unreadableFilters(filtering.bound.context.cluster, settings));
}

/** Serves the given functions over HTTP. */
export async function startHost(options: HostOptions): Promise<Host> {
  const { functions, dispatcher, settings, log, metrics, clock, notReady } = options;
  const abort = new AbortController();
  let stopping = false;
  const eventDeadline = createDeadline(eventMilliseconds, abort.signal);
  const pingDeadline = createDeadline(pingMilliseconds, abort.signal);
  const deadlineFor = (event: CloudEvent): AbortSignal => (isPing(event) ? pingDeadline() : eventDeadline());
  const gateway = functions.find(isGateway);
  const webhooks = gateway ? gateway.context.functions.flatMap((info) => info.webhooks) : [];
  const takesEvents = functions.some(isHandler);
  beginCounting(options);
  const access = gateway?.definition.access(gateway.context.settings);
  const checked = access && createAccess(access, clock.elapsed);
  if (checked) metrics.showAccess(checked.isOpen);
  // Loopback is this machine's own.
  if (checked?.isOpen && options.hostname !== '127.0.0.1') {
    const advice = 'set WEBHOOK_AUTH_TOKEN_FILE or WEBHOOK_ALLOWED_IPS';
    log.warn({ operation: 'start' }, `the webhooks accept posts from anyone who can reach them: ${advice}`);
  }
  const places = new Map<string, TokenPlaces>(webhooks.map((webhook) => [webhook.path, webhook]));
  const app = createApp({
    takesEvents,
    createBodies: bodiesOf(settings, webhooks, takesEvents),
    metrics,
    log,
    now: clock.now,
    notReady,
    isStopping: () => stopping,
    deliver: (event) => options.route(event, deadlineFor(event)),
    webhookPaths: new Set(webhooks.map(({ path }) => path)),
    checkAccess: (head, endpoint) => checked?.check(head, places.get(endpoint)),
    async receive(request) {
      if (gateway) await dispatcher.receive(gateway, request, abort.signal);
    },
    ...(options.guardsEvents && checked && { checkEvents: checked.check }),
    ...(options.checkOrigin && { checkOrigin: options.checkOrigin }),
    ...(options.view && { view: options.view }),
  });
  const { drainMilliseconds = longestDrainMilliseconds } = options;
  const trustedProxies = access?.trustedProxies ?? [];
  const served = await serve({ ...options, listener: app, abort, drainMilliseconds, trustedProxies });
  return {
    ...served,
    deadlineFor,
    async stop() {
      stopping = true;
      const end = AbortSignal.timeout(drainMilliseconds + afterDrainMilliseconds);
      await served.stop();
      abort.abort();
      await options.finish(AbortSignal.any([end, AbortSignal.timeout(finishMilliseconds)]));
    },
  };
}

/** The settings that all functions share. Throws one SettingsError for all bad settings of all of these functions. */
export function checkSettings(definitions: readonly FunctionDefinition[], environment: Environment): CommonSettings {
  const faults = new Set<string>();
  for (const { settings } of definitions) {
    try {
      parseSettings(environment, settings, []);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      for (const fault of error.faults) faults.add(fault);
    }
  }
  if (faults.size > 0) throw new SettingsError([...faults]);
  return parseSettings(environment, z.object({}), []);
}
