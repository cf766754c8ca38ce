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

/** What a Broker delivers again; all other refusals go to the dead-letter sink at once. */
const retried: ReadonlySet<RefusalStatus> = new Set([404, 429, 503]);

/** The Broker's part in local mode: routes by the functions' own triggers, retries, dead-letters; all in the process. */
export interface LocalBroker extends Broker {
  /**
   * Gives an event that came over HTTP to each function that wants it, once; throws the first Refusal. What a Broker
   * would dead-letter is dead-lettered. Resolves to how many functions wanted it.
   */
  route(event: CloudEvent, signal: AbortSignal): Promise<number>;
  /** Delivers with retries to one function, as a source does that has no dead-letter sink. */
  send(handler: BoundHandler, event: CloudEvent, signal: AbortSignal): Promise<void>;
}

export interface LocalBrokerOptions {
  readonly functions: readonly BoundHandler[];
  readonly dispatcher: Dispatcher;
  readonly systemNamespace: string;
  readonly clock: Clock;
}

export function createLocalBroker(options: LocalBrokerOptions): LocalBroker {
  const { functions, dispatcher, systemNamespace, clock } = options;
  const urlOf = ({ definition }: BoundHandler): string => functionUrl(definition.name, systemNamespace);

  function send(handler: BoundHandler, event: CloudEvent, signal: AbortSignal): Promise<void> {
    return retry(() => dispatcher.handle(handler, event, signal), {
      first: backoffMilliseconds,
      longest: Number.POSITIVE_INFINITY,
      attempts: retries + 1,
      isRetried: (error) => retried.has(Refusal.from(error).status),
      sleep: clock.sleep,
      signal,
    });
  }

  async function refusalFrom(
    handler: BoundHandler,
    event: CloudEvent,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    try {
      await dispatcher.handle(handler, event, signal);
      return undefined;
    } catch (error) {
      return Refusal.from(error);
    }
  }

  /** Throws the event's fault where nobody but a Broker could take it; a ping's data is nobody's concern. */
  function recipients(event: CloudEvent): BoundHandler[] {
    if (event.fault && isReference(event)) throw event.fault;
    const wanting = functions.filter((handler) => wants(handler, event) && isNamed(handler.definition.name, event));
    if (event.fault && wanting.length === 0 && isMalformed(event)) throw event.fault;
    return wanting;
  }

  async function deadLetter(
    handler: BoundHandler,
    event: CloudEvent,
    refusal: Refusal,
    signal: AbortSignal,
  ): Promise<void> {
    const sinks = functions.filter(({ definition }) => definition.kind === 'dead-letter-sink');
    if (sinks.length === 0) throw refusal;
    const extensions = {
      ...event.extensions,
      knativeerrordest: urlOf(handler),
      knativeerrorcode: String(refusal.status),
      knativearrivaltime: event.extensions.knativearrivaltime ?? new Date(clock.now()).toISOString(),
    };
    for (const sink of sinks) await send(sink, { ...event, extensions }, signal);
  }

  async function publishTo(handler: BoundHandler, event: CloudEvent, signal: AbortSignal): Promise<void> {
    try {
      await send(handler, event, signal);
    } catch (error) {
      // Whoever published gives up: it has not been acknowledged, so it is the sender's to send again.
      if (signal.aborted) throw new Refusal(503, 'the event was not delivered in time', { cause: error });
      await deadLetter(handler, event, Refusal.from(error), signal);
    }
  }

  return {
    send,
    isRouted: () => true,

    async publish(event, signal) {
      const subscribers = functions.filter((handler) => wants(handler, event));
      await Promise.all(subscribers.map((handler) => publishTo(handler, event, signal)));
    },

    async route(event, signal) {
      const wanting = recipients(event);
      const refusals: Refusal[] = [];
      for (const handler of wanting) {
        const refusal = await refusalFrom(handler, event, signal);
        if (!refusal) continue;
        refusals.push(refusal);
        if (comesFromBroker(event) && !retried.has(refusal.status)) await deadLetter(handler, event, refusal, signal);
      }
      if (refusals[0]) throw refusals[0];
      return wanting.length;
    },

    async sendTo(url, event, signal) {
      const target = functions.find((handler) => url === urlOf(handler) || url.startsWith(`${urlOf(handler)}/`));
      if (!target) return 404;
      return (await refusalFrom(target, event, signal))?.status ?? 204;
    },
  };
}

/** A PingSource is named for the function that it wakes; in a cluster its sink says so, here its name does. */
function isNamed(name: string, event: CloudEvent): boolean {
  return !isPing(event) || event.source.endsWith(`/pingsources/${name}`);
}
