import * as z from 'zod';
import { type CloudEvent, isPing } from '../function/cloud-event.ts';
import type { FunctionDefinition } from '../function/function-definition.ts';
import { type CommonSettings, type Environment, parseSettings, SettingsError } from '../function/settings.ts';
import { createAccess } from './access.ts';
import { type AppOptions, createApp } from './app.ts';
import { createBodyReader } from './body.ts';
import type { Dispatcher, Hosted } from './dispatch.ts';
import type { Log } from './log.ts';
import { memoryLimit } from './memory.ts';
import type { Metrics } from './metrics.ts';
import { type Served, serve } from './serve.ts';

/** What a function may take for one event; a completeness pass and gc may take as long as Knative lets a request be. */
const eventMilliseconds = 60_000;
const pingMilliseconds = 590_000;

export interface HostOptions {
  readonly functions: readonly Hosted[];
  readonly dispatcher: Dispatcher;
  readonly settings: CommonSettings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly hostname: string | undefined;
  readonly port: number;
  readonly now: () => number;
  /** Gives an event to whom it is for. Throws a Refusal. */
  route(event: CloudEvent, signal: AbortSignal): Promise<void>;
  notReady(): string | undefined;
  readonly about?: string;
  readonly observations?: NonNullable<AppOptions['observations']>;
}

export interface Host extends Served {
  /** A signal for the handling of one event: its deadline, and the end of the process. */
  deadlineFor(event: CloudEvent): AbortSignal;
}

/** Deadlines, to the second: what begins within one shares its signal, since to make one costs as much as to read an event. */
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

/** Listens for the given functions. */
export async function startHost(options: HostOptions): Promise<Host> {
  const { functions, dispatcher, settings, log, metrics, now, notReady } = options;
  const abort = new AbortController();
  let stopping = false;
  const eventDeadline = createDeadline(eventMilliseconds, abort.signal);
  const pingDeadline = createDeadline(pingMilliseconds, abort.signal);
  const deadlineFor = (event: CloudEvent): AbortSignal => (isPing(event) ? pingDeadline() : eventDeadline());
  const receiver = functions.find(({ definition }) => definition.receive);
  const webhooks = receiver ? receiver.context.functions.flatMap((peer) => peer.webhooks) : [];
  const access = receiver?.definition.access?.(receiver.context.settings);
  const checked = access && createAccess(access, now);
  if (checked) metrics.showAccess(checked.isOpen);
  // Loopback is this machine's own.
  if (checked?.isOpen && options.hostname !== '127.0.0.1') {
    const advice = 'set WEBHOOK_AUTH_TOKEN_FILE or WEBHOOK_ALLOWED_IPS';
    log.warn({ operation: 'start' }, `whoever reaches the webhooks may post to them: ${advice}`);
  }
  const app = createApp({
    bodies: createBodyReader({ maxBytes: settings.MAX_REQUEST_BYTES, maxBytesInFlight: memoryLimit() / 4 }),
    metrics,
    log,
    now,
    notReady,
    isStopping: () => stopping,
    deliver: (event) => options.route(event, deadlineFor(event)),
    webhookPaths: new Set(webhooks.map(({ path }) => path)),
    checkAccess: (head) => checked?.check(head),
    async receive(request) {
      if (receiver) await dispatcher.receive(receiver, request, abort.signal);
    },
    ...(options.about !== undefined && { about: options.about }),
    ...(options.observations && { observations: options.observations }),
  });
  const served = await serve({ listener: app, port: options.port, hostname: options.hostname, log, abort });
  return {
    url: served.url,
    deadlineFor,
    async stop() {
      stopping = true;
      await served.stop();
      abort.abort();
    },
  };
}

/** One error for all bad settings of all functions that a process hosts. Throws a SettingsError. */
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
