import * as z from 'zod';
import { oneLine } from '../shared/finding/one-line.ts';
import { timeOf } from '../shared/finding/values.ts';
import type { CloudEvent } from '../shared/function/cloud-event.ts';
import type { Context, FunctionInfo } from '../shared/function/context.ts';
import { defineDeadLetterSink, observationWrites } from '../shared/function/definitions.ts';
import { recordOperations } from '../shared/pipeline/operations.ts';

/** Half of what a function may take for an event, so that the other half is left to record it. */
const deliveryMilliseconds = 30_000;

/**
 * Takes events that the Broker could not deliver (https://knative.dev/docs/eventing/event-delivery/). Sends an event
 * once more if the fault was temporary. Any other event, and one that fails again, is recorded as an Observation
 * without its payload.
 */
export default defineDeadLetterSink({
  name: 'deadletter',
  settings: z.object({}),
  permissions: [observationWrites],
  seesOthers: true,
  callsFunctions: true,
  async handle(event, context) {
    const owner = context.functions.find((candidate) => hasAddress(event.extensions.knativeerrordest, candidate));
    const source = owner?.name ?? 'other';
    const { tally, signal } = context.event;
    if (owner && owner.name !== 'deadletter' && isTemporary(event.extensions.knativeerrorcode)) {
      const status = await context.broker.sendTo(owner.url, withoutErrors(event), signal, deliveryMilliseconds);
      if (status >= 200 && status < 300) return tally.deadLetter(source, 'redelivered');
    }
    await record(event, context);
    tally.deadLetter(source, 'recorded');
  },
});

/** Whether an error code is 429, 5xx, or missing because there was no response: then the event was not at fault. */
function isTemporary(code: string | undefined): boolean {
  return code === undefined || code === '' || code === '429' || /^5\d\d$/.test(code);
}

/** Whether a function has this address. Events are sent to our own functions only, since anyone can post one here. */
function hasAddress(destination: string | undefined, { url }: FunctionInfo): boolean {
  return URL.parse(String(destination))?.origin === new URL(url).origin;
}

/** The event as it was before the Broker added its error attributes. */
function withoutErrors(event: CloudEvent): CloudEvent {
  const extensions = Object.entries(event.extensions).filter(([name]) => !name.startsWith('knativeerror'));
  return { ...event, extensions: Object.fromEntries(extensions) };
}

const maxReason = 512;

/** What our own functions answer when they refuse an event. */
const ownAnswer = z.object({ error: z.string(), path: z.string().optional(), words: z.string().optional() });

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The receiver's words, or the Broker's where there was no answer; `undefined` if it gave none. */
function reasonOf({ extensions: { knativeerrordata: encoded = '' } }: CloudEvent): string | undefined {
  const text = Buffer.from(encoded, 'base64').toString();
  const { data } = ownAnswer.safeParse(parsed(text));
  const words = data ? [data.error, data.path, data.words].filter((part) => part !== undefined).join(': ') : text;
  return oneLine(words, maxReason) || undefined;
}

/** What our functions answer when they refuse an event, and what Knative says in their place. */
const knownCodes = new Set(['400', '404', '413', '415', '422', '429', '500', '502', '503', '504']);

const hour = 3_600_000;

/** The hour at which an event arrived, unless that is not of the last day, as whoever sends it may say. */
function hourOf(arrived: string, { earliest, latest }: Context['clock']): string {
  const time = Date.parse(arrived);
  return time > earliest() - 24 * hour && time < latest() + 24 * hour
    ? new Date(time).toISOString().slice(0, 13)
    : 'other';
}

/**
 * What tells dead letters apart. Anyone can post one, so all that is not ours is one thing: for each function and hour
 * there are at most as many as there are codes, times its own event types, times its own paths.
 */
function identityOf(event: CloudEvent, arrived: string, { functions, clock }: Context): Record<string, string> {
  const { knativeerrordest: destination, knativeerrorcode: code = '' } = event.extensions;
  const hour = hourOf(arrived, clock);
  const owner = functions.find((candidate) => hasAddress(destination, candidate));
  if (!owner) return { destination: 'other', hour };
  const { name, webhooks } = owner;
  const sent = webhooks.find(({ eventType }) => eventType === event.type);
  const posted = webhooks.find(({ path }) => event.source === path || isBelow(event.source, path));
  return {
    destination: name,
    errorCode: code === '' || knownCodes.has(code) ? code : 'other',
    ceType: sent?.eventType ?? 'other',
    ceSource: posted?.path ?? 'other',
    hour,
  };
}

function isBelow(source: string, path: string): boolean {
  return path.endsWith('/*') && source.startsWith(path.slice(0, -1));
}

function record(event: CloudEvent, context: Context): Promise<void> {
  const { knativeerrordest: destination, knativeerrorcode: code, knativearrivaltime } = event.extensions;
  const arrived = timeOf(knativearrivaltime, event.time);
  const described = { destination, errorCode: code, ceType: event.type, ceSource: event.source };
  const reason = reasonOf(event);
  const why = [code, reason].filter((part) => part !== undefined && part !== '').join(' ');
  return recordOperations(
    'deadletter',
    {
      eventType: 'undeliverable-event',
      summary: `an event of type ${event.type} could not be delivered to ${destination ?? 'its destination'}${why && `: ${why}`}`,
      identity: identityOf(event, arrived, context),
      details: { ...described, message: 'an event could not be delivered', ceId: event.id, reason },
      detectedAt: arrived,
    },
    context,
  );
}
