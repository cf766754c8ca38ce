import * as z from 'zod';
import type { CloudEvent } from '../shared/function/cloud-event.ts';
import type { Context, Peer } from '../shared/function/context.ts';
import { defineFunction, observationWrites } from '../shared/function/function-definition.ts';
import { addSummaries, type Summary, summaryOf } from '../shared/function/summary.ts';
import { timeOf } from '../shared/observation/values.ts';
import { recordOperations } from '../shared/pipeline/operations.ts';

/**
 * Takes what a Broker could not deliver (https://knative.dev/docs/eventing/event-delivery/). What failed for a passing
 * reason is delivered once more; everything else becomes an Observation without payload, so that it is not silence.
 */
export default defineFunction({
  name: 'deadletter',
  triggers: [{ type: 'Broker', deadLetters: true }],
  settings: z.object({}),
  permissions: [observationWrites],
  seesOthers: true,
  async handle(event, context) {
    const peer = context.functions.find((candidate) => isAt(event.extensions.knativeerrordest, candidate));
    const source = peer?.name ?? 'other';
    if (peer && peer.name !== 'deadletter' && mayPass(event.extensions.knativeerrorcode)) {
      const status = await context.deliver(peer.url, asItWas(event), context.signal);
      if (status >= 200 && status < 300) return counted(source, 'redelivered');
    }
    return addSummaries(counted(source, 'recorded'), await record(event, context));
  },
});

function counted(source: string, reason: string): Summary {
  return summaryOf({ deadLetters: [{ source, reason, count: 1 }] });
}

/** 429, any 5xx, or no answer at all: it was not the event's fault. */
function mayPass(code: string | undefined): boolean {
  return code === undefined || code === '' || code === '429' || /^5\d\d$/.test(code);
}

/** Only our own functions are delivered to: anyone who can post here could else make us call any address. */
function isAt(destination: string | undefined, { url }: Peer): boolean {
  return URL.parse(String(destination))?.origin === new URL(url).origin;
}

function asItWas(event: CloudEvent): CloudEvent {
  const extensions = Object.entries(event.extensions).filter(([name]) => !name.startsWith('knativeerror'));
  return { ...event, extensions: Object.fromEntries(extensions) };
}

function record(event: CloudEvent, context: Context): Promise<Summary> {
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
