import { type CloudEvent, isMalformed, isPing, isReference } from '../function/cloud-event.ts';
import { Refusal, type RefusalStatus } from '../function/refusal.ts';
import type { Dispatcher, Hosted } from '../host/dispatch.ts';
import { functionUrl } from '../host/peers.ts';
import { comesFromBroker, takesDeadLetters, wants } from '../host/routes.ts';

/** Knative's default delivery: https://knative.dev/docs/eventing/event-delivery/ */
const retries = 10;
const backoffMilliseconds = 200;

/** What a Broker delivers again; all other refusals go to the dead-letter sink at once. */
const retried: ReadonlySet<RefusalStatus> = new Set([404, 429, 503]);

/** The Broker's part in local mode: routes by the functions' own triggers, retries, dead-letters; all in the process. */
export interface LocalBroker {
  /** Resolves when every subscriber has the event, or the dead-letter function has. Throws a Refusal 503 if neither. */
  publish(event: CloudEvent, signal: AbortSignal): Promise<void>;
  /**
   * Gives an event that came over HTTP to each function that wants it, once; throws the first Refusal. What a Broker
   * would dead-letter is dead-lettered. Resolves to how many functions wanted it.
   */
  route(event: CloudEvent, signal: AbortSignal): Promise<number>;
  /** Delivers with retries to one function, as a source does that has no dead-letter sink. */
  send(hosted: Hosted, event: CloudEvent, signal: AbortSignal): Promise<void>;
  /** The status that the function at an address answers. */
  deliver(url: string, event: CloudEvent, signal: AbortSignal): Promise<number>;
}

export interface LocalBrokerOptions {
  readonly functions: readonly Hosted[];
  readonly dispatcher: Dispatcher;
  readonly systemNamespace: string;
  readonly now: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export function createLocalBroker(options: LocalBrokerOptions): LocalBroker {
  const { functions, dispatcher, systemNamespace, now, sleep } = options;
  const urlOf = ({ definition }: Hosted): string => functionUrl(definition.name, systemNamespace);

  function refusalOf(error: unknown): Refusal {
    return error instanceof Refusal ? error : new Refusal(503, 'an unexpected fault', { cause: error });
  }

  async function send(hosted: Hosted, event: CloudEvent, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await dispatcher.handle(hosted, event, signal);
      } catch (error) {
        if (!retried.has(refusalOf(error).status) || attempt >= retries || signal.aborted) throw error;
      }
      await sleep(backoffMilliseconds * 2 ** attempt, signal);
    }
  }

  async function refusalFrom(hosted: Hosted, event: CloudEvent, signal: AbortSignal): Promise<Refusal | undefined> {
    try {
      await dispatcher.handle(hosted, event, signal);
      return undefined;
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** Throws the event's fault where nobody but a Broker could take it; a ping's data is nobody's concern. */
  function recipients(event: CloudEvent): Hosted[] {
    if (event.fault && isReference(event)) throw event.fault;
    const wanting = functions.filter(({ definition }) => wants(definition, event) && isNamed(definition.name, event));
    if (event.fault && wanting.length === 0 && isMalformed(event)) throw event.fault;
    return wanting;
  }

  async function deadLetter(hosted: Hosted, event: CloudEvent, refusal: Refusal, signal: AbortSignal): Promise<void> {
    const sinks = functions.filter(({ definition }) => takesDeadLetters(definition));
    if (sinks.length === 0) throw refusal;
    const extensions = {
      ...event.extensions,
      knativeerrordest: urlOf(hosted),
      knativeerrorcode: String(refusal.status),
      knativearrivaltime: event.extensions.knativearrivaltime ?? new Date(now()).toISOString(),
    };
    for (const sink of sinks) await send(sink, { ...event, extensions }, signal);
  }

  async function publishTo(hosted: Hosted, event: CloudEvent, signal: AbortSignal): Promise<void> {
    try {
      await send(hosted, event, signal);
    } catch (error) {
      // Whoever published gives up: it has not been acknowledged, so it is the sender's to send again.
      if (signal.aborted) throw new Refusal(503, 'the event was not delivered in time', { cause: error });
      await deadLetter(hosted, event, refusalOf(error), signal);
    }
  }

  return {
    send,

    async publish(event, signal) {
      const subscribers = functions.filter(({ definition }) => wants(definition, event));
      await Promise.all(subscribers.map((hosted) => publishTo(hosted, event, signal)));
    },

    async route(event, signal) {
      const wanting = recipients(event);
      const refusals: Refusal[] = [];
      for (const hosted of wanting) {
        const refusal = await refusalFrom(hosted, event, signal);
        if (!refusal) continue;
        refusals.push(refusal);
        if (comesFromBroker(event) && !retried.has(refusal.status)) await deadLetter(hosted, event, refusal, signal);
      }
      if (refusals[0]) throw refusals[0];
      return wanting.length;
    },

    async deliver(url, event, signal) {
      const target = functions.find((hosted) => url === urlOf(hosted) || url.startsWith(`${urlOf(hosted)}/`));
      if (!target) return 404;
      return (await refusalFrom(target, event, signal))?.status ?? 204;
    },
  };
}

/** A PingSource is named for the function that it wakes; in a cluster its sink says so, here its name does. */
function isNamed(name: string, event: CloudEvent): boolean {
  return !isPing(event) || event.source.endsWith(`/pingsources/${name}`);
}
