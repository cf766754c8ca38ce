import { createInFlight } from '../edge/in-flight.ts';
import { retry } from '../function/backoff.ts';
import { type CloudEvent, isMalformed, isPing, isReference } from '../function/cloud-event.ts';
import type { Broker, Clock } from '../function/context.ts';
import { Refusal, type RefusalStatus } from '../function/refusal.ts';
import type { BoundHandler } from '../host/context.ts';
import type { Dispatcher } from '../host/dispatch.ts';
import { comesFromBroker, wants } from '../host/event-routing.ts';
import { functionUrl } from '../host/function-info.ts';

/** Knative's default delivery: https://knative.dev/docs/eventing/event-delivery/ */
const retries = 10;
const backoffMilliseconds = 200;

/** How many events a function handles at a time; the others wait, and with them their senders, whose number is bounded. */
const deliveriesInFlight = 50;

/** The statuses after which a Broker delivers again; with any other, the event goes to the dead-letter sink at once. */
const retried: ReadonlySet<RefusalStatus> = new Set([404, 429, 503]);

/** Stands in for the Broker: routes by the functions' own triggers, retries and dead-letters, in process. */
export interface ProcessBroker extends Broker {
  /**
   * Gives an event that came over HTTP to each function that wants it, once, and dead-letters it where a Broker would.
   * Throws the first Refusal. Resolves to the number of functions that wanted it.
   */
  route(event: CloudEvent, signal: AbortSignal): Promise<number>;
  /** Delivers with retries to one function, like a source without a dead-letter sink. */
  send(handler: BoundHandler, event: CloudEvent, signal: AbortSignal): Promise<void>;
}

export interface ProcessBrokerOptions {
  readonly functions: readonly BoundHandler[];
  readonly dispatcher: Dispatcher;
  readonly systemNamespace: string;
  readonly clock: Clock;
}

/** An event on its way to one function. */
interface Delivery {
  readonly handler: BoundHandler;
  readonly event: CloudEvent;
  readonly signal: AbortSignal;
}

/** What the parts of a Broker share. */
interface Shared extends ProcessBrokerOptions {
  readonly acquire: ReturnType<typeof createInFlight>;
}

export function createProcessBroker(given: ProcessBrokerOptions): ProcessBroker {
  const options: Shared = { ...given, acquire: createInFlight() };
  const { functions } = options;
  return {
    isRouted: () => true,
    isHere: true,

    send: (handler, event, signal) => send(options, { handler, event, signal }),

    async publish(event, signal) {
      const subscribers = functions.filter((handler) => wants(handler, event));
      await Promise.all(subscribers.map((handler) => publishTo(options, { handler, event, signal })));
    },

    async route(event, signal) {
      const recipients = recipientsOf(event, functions);
      const refusals: Refusal[] = [];
      for (const handler of recipients) {
        const delivery = { handler, event, signal };
        const refusal = await attempt(options, delivery);
        if (!refusal) continue;
        refusals.push(refusal);
        if (comesFromBroker(event) && !retried.has(refusal.status)) await deadLetter(options, delivery, refusal);
      }
      if (refusals[0]) throw refusals[0];
      return recipients.length;
    },

    async sendTo(url, event, signal, limit) {
      const handler = functions.find((one) => {
        const own = urlOf(one, options);
        return url === own || url.startsWith(`${own}/`);
      });
      if (!handler) return 404;
      const deadline = options.clock.deadline(limit, signal);
      const refusal = await attempt(options, { handler, event, signal: deadline.signal });
      deadline.clear();
      return refusal?.status ?? 204;
    },
  };
}

function urlOf({ definition }: BoundHandler, { systemNamespace }: ProcessBrokerOptions): string {
  return functionUrl(definition.name, systemNamespace);
}

/** Throws the event's fault if only a Broker could have taken the event. A ping's data doesn't matter to anyone. */
function recipientsOf(event: CloudEvent, functions: readonly BoundHandler[]): BoundHandler[] {
  if (event.fault && isReference(event)) throw event.fault;
  const recipients = functions.filter((handler) => wants(handler, event) && isFor(handler.definition.name, event));
  if (event.fault && recipients.length === 0 && isMalformed(event)) throw event.fault;
  return recipients;
}

/** Whether a ping is for that function: a PingSource is named after it. (In a cluster, the PingSource's sink decides.) */
function isFor(name: string, event: CloudEvent): boolean {
  return !isPing(event) || event.source.endsWith(`/pingsources/${name}`);
}

/** Delivers once, in its turn. Throws a Refusal. */
async function handle({ dispatcher, acquire }: Shared, { handler, event, signal }: Delivery): Promise<void> {
  const release = await acquire(handler.definition.name, deliveriesInFlight, signal);
  if (!release) throw new Refusal(503, 'the function had too much to do');
  try {
    await dispatcher.handle(handler, event, signal);
  } finally {
    release();
  }
}

/** Delivers once. Resolves to the refusal, if there was one. */
async function attempt(options: Shared, delivery: Delivery): Promise<Refusal | undefined> {
  try {
    await handle(options, delivery);
    return undefined;
  } catch (error) {
    return Refusal.from(error);
  }
}

/** Delivers with retries; throws what the last attempt threw. */
function send(options: Shared, delivery: Delivery): Promise<void> {
  const { clock } = options;
  const { signal } = delivery;
  return retry(() => handle(options, delivery), {
    first: backoffMilliseconds,
    longest: Number.POSITIVE_INFINITY,
    attempts: retries + 1,
    isRetried: (error) => retried.has(Refusal.from(error).status),
    sleep: clock.sleep,
    signal,
  });
}

/** Delivers with retries, then dead-letters. */
async function publishTo(options: Shared, delivery: Delivery): Promise<void> {
  try {
    await send(options, delivery);
  } catch (error) {
    // The publisher gave up. The event has not been acknowledged, so the sender will send it again.
    if (delivery.signal.aborted) throw new Refusal(503, 'the event was not delivered in time', { cause: error });
    await deadLetter(options, delivery, Refusal.from(error));
  }
}

/**
 * Sends a refused event to the dead-letter sinks, with the extensions that a Broker adds. Throws the refusal if there is
 * no sink.
 */
async function deadLetter(options: Shared, { handler, event, signal }: Delivery, refusal: Refusal): Promise<void> {
  const { functions, clock } = options;
  const sinks = functions.filter(({ definition }) => definition.kind === 'dead-letter-sink');
  if (sinks.length === 0) throw refusal;
  const extensions = {
    ...event.extensions,
    knativeerrordest: urlOf(handler, options),
    knativeerrorcode: String(refusal.status),
    knativeerrordata: Buffer.from(
      JSON.stringify({ error: refusal.message, path: refusal.path, words: refusal.words }),
    ).toString('base64'),
    knativearrivaltime: event.extensions.knativearrivaltime ?? new Date(clock.now()).toISOString(),
  };
  for (const sink of sinks) await send(options, { handler: sink, event: { ...event, extensions }, signal });
}
