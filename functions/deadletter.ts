import * as z from 'zod';
import { timeOf } from '../shared/finding/values.ts';
import type { CloudEvent } from '../shared/function/cloud-event.ts';
import type { Context, FunctionInfo } from '../shared/function/context.ts';
import { defineDeadLetterSink, observationWrites } from '../shared/function/definitions.ts';
import { recordOperations } from '../shared/pipeline/operations.ts';

/**
 * Takes what a Broker could not deliver (https://knative.dev/docs/eventing/event-delivery/). What failed for a passing
 * reason is delivered once more; everything else becomes an Observation without payload, so that it is not silence.
 */
export default defineDeadLetterSink({
  name: 'deadletter',
  settings: z.object({}),
  permissions: [observationWrites],
  seesOthers: true,
  async handle(event, context) {
    const owner = context.functions.find((candidate) => isAt(event.extensions.knativeerrordest, candidate));
    const source = owner?.name ?? 'other';
    const { tally, signal } = context.event;
    if (owner && owner.name !== 'deadletter' && mayPass(event.extensions.knativeerrorcode)) {
      const status = await context.broker.sendTo(owner.url, asItWas(event), signal);
      if (status >= 200 && status < 300) return tally.deadLetter(source, 'redelivered');
    }
    await record(event, context);
    tally.deadLetter(source, 'recorded');
  },
});

/** 429, any 5xx, or no answer at all: it was not the event's fault. */
function mayPass(code: string | undefined): boolean {
  return code === undefined || code === '' || code === '429' || /^5\d\d$/.test(code);
}

/** Only our own functions are delivered to: anyone who can post here could else make us call any address. */
function isAt(destination: string | undefined, { url }: FunctionInfo): boolean {
  return URL.parse(String(destination))?.origin === new URL(url).origin;
}

function asItWas(event: CloudEvent): CloudEvent {
  const extensions = Object.entries(event.extensions).filter(([name]) => !name.startsWith('knativeerror'));
  return { ...event, extensions: Object.fromEntries(extensions) };
}

function record(event: CloudEvent, context: Context): Promise<void> {
  const { knativeerrordest: destination, knativeerrorcode: code, knativearrivaltime } = event.extensions;
  const arrived = timeOf(knativearrivaltime, event.time);
  const described = { destination, errorCode: code, ceType: event.type, ceSource: event.source };
  return recordOperations(
    'deadletter',
    {
      eventType: 'undeliverable-event',
      identity: { ...described, hour: new Date(arrived).toISOString().slice(0, 13) },
      details: { ...described, message: 'an event could not be delivered', ceId: event.id },
      detectedAt: arrived,
    },
    context,
  );
}
