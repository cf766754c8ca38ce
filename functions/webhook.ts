import * as z from 'zod';
import { selectIn } from '../shared/api/kind-selector.ts';
import { knativeTriggers } from '../shared/api/knative-kinds.ts';
import { type JsonList, readJsonList } from '../shared/edge/json-list.ts';
import { isAddressOrCidr, linesOf } from '../shared/function/access-options.ts';
import { retry } from '../shared/function/backoff.ts';
import type { CloudEvent } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { defineGateway, type RawRequest } from '../shared/function/definitions.ts';
import { parseJson } from '../shared/function/json.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { commaList, integer } from '../shared/function/settings.ts';
import type { RefusedItem, SplitBody, WebhookTrigger } from '../shared/function/triggers.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { mappingKinds } from '../shared/rules/accepted-mappings.ts';

/** A sender that tries again is answered before it gives up by itself (kube-apiserver: 30 s). */
const deadlineMilliseconds = 25_000;

/** One that does not is held as long as Knative lets a request be (600 s), less the time to answer. */
const holdMilliseconds = 590_000;

const longestPauseMilliseconds = 5000;

/** Of a body that holds a list: a longer one is read item by item, since parsed it is several times as large. */
const wholeBytes = 1_048_576;

const addresses = commaList
  .refine((list) => list.every(isAddressOrCidr), { error: 'must be IP addresses and CIDRs, with commas between them' })
  .default([]);

const settings = z.object({
  WEBHOOK_AUTH_TOKEN: z.string().transform(linesOf).default([]),
  WEBHOOK_AUTH_TOKEN_FILE: z.string().optional(),
  WEBHOOK_ALLOWED_IPS: addresses,
  WEBHOOK_TRUSTED_PROXIES: addresses,
  WEBHOOK_RATE_LIMIT: integer(1, 10_000_000).optional(),
});

/**
 * Turns the raw HTTP of tools that speak no CloudEvents into events for the Broker. It knows no tool: which paths there
 * are, how a body is split and what of it is wanted, the other functions' Webhook triggers say.
 */
export default defineGateway<z.infer<typeof settings>>({
  name: 'webhook',
  settings,
  permissions: [],
  watches: (set) => [
    selectIn(knativeTriggers, set, set.SYSTEM_NAMESPACE),
    ...mappingKinds.map((kind) => selectIn(kind, set)),
  ],
  seesOthers: true,
  access: (set) => ({
    tokens: set.WEBHOOK_AUTH_TOKEN,
    tokenFile: set.WEBHOOK_AUTH_TOKEN_FILE,
    allowedAddresses: set.WEBHOOK_ALLOWED_IPS,
    trustedProxies: set.WEBHOOK_TRUSTED_PROXIES,
    requestsPerMinute: set.WEBHOOK_RATE_LIMIT,
  }),
  receive,
});

async function receive(request: RawRequest, context: Context): Promise<void> {
  const isAsked = ({ path }: WebhookTrigger): boolean =>
    path.endsWith('/*') ? request.path.startsWith(path.slice(0, -1)) : path === request.path;
  const [asked] = context.functions.flatMap(({ name: to, webhooks }) =>
    webhooks.filter(isAsked).map((webhook) => ({ to, webhook })),
  );
  if (!asked || asked.webhook.isServed?.(request.path, context) === false) throw new Refusal(404, 'no such path');
  const { to, webhook } = asked;
  const release = context.acquire(webhook.path, webhook.inFlight);
  if (!release) throw new Refusal(503, 'too many requests are in flight');
  try {
    await forward(webhook, to, request, context);
  } finally {
    release();
  }
}

async function forward(
  webhook: WebhookTrigger,
  to: string,
  { path: source, takeBody, traceparent }: RawRequest,
  context: Context,
): Promise<void> {
  const { items, refused, unwanted } = split(webhook, takeBody());
  const time = new Date(context.clock.now()).toISOString();
  const limit = webhook.senderRetries ? deadlineMilliseconds : holdMilliseconds;
  const signal = AbortSignal.any([context.event.signal, AbortSignal.timeout(limit)]);
  if (items.length > 0) await untilRouted(to, webhook, context, signal);
  await forEachConcurrently(items, callsInFlight, ({ id, data }) => {
    const event: CloudEvent = {
      id,
      source,
      type: webhook.eventType,
      time,
      datacontenttype: 'application/json',
      extensions: { traceparent },
      data,
    };
    return publish(event, webhook, context, signal);
  });
  const { tally } = context.event;
  tally.observed(items.length);
  if (unwanted > 0) tally.skipped('unwanted', unwanted);
  tally.dropped(refused.length);
  for (const { path, message } of refused.slice(0, 3)) tally.warning(`an item was refused: ${path}: ${message}`);
}

/**
 * Waits for a Trigger that gives these events to their function: a Broker without one says 202 and drops them. That may
 * be a moment of an upgrade, or stay so until somebody mends it, so no request is held for it longer than the deadline;
 * while it is not known, in an outage of the API server, as long as for the Broker.
 */
async function untilRouted(
  to: string,
  { eventType }: WebhookTrigger,
  { broker, clock }: Context,
  signal: AbortSignal,
): Promise<void> {
  let until = Number.POSITIVE_INFINITY;
  const check = async (): Promise<void> => {
    const isRouted = broker.isRouted(to, eventType);
    if (isRouted) return;
    if (isRouted === false) until = Math.min(until, clock.now() + deadlineMilliseconds);
    throw new Refusal(503, 'no Trigger is ready for it');
  };
  await retry(check, {
    first: 50,
    longest: 1000,
    sleep: clock.sleep,
    signal,
    isRetried: () => clock.now() < until,
  });
}

/** A body that can't be read at all is the sender's fault: no sender sends it better. */
function split(webhook: WebhookTrigger, body: Uint8Array): SplitBody {
  try {
    return splitAll(webhook, body);
  } catch (error) {
    throw Refusal.from(error, 422, 'the body could not be read', 'body');
  }
}

/** Keeps what is wanted, reduced to what may travel, and of all else the number. */
function splitAll(webhook: WebhookTrigger, bytes: Uint8Array): SplitBody {
  const long = longListIn(bytes, webhook.list);
  if (!long) return webhook.split(parseJson(bytes, 'body'));
  const { list, rest, elements } = long;
  const whole = webhook.split(rest);
  // One item may have a member of that name, too: it is one all the same.
  if (whole.items.length + whole.refused.length > 0) return whole;
  const items: SplitBody['items'][number][] = [];
  const refused: RefusedItem[] = [];
  let unwanted = whole.unwanted;
  let index = 0;
  for (const element of elements) {
    const at = `${list}[${index}]`;
    const parts = webhook.split({ ...rest, [list]: [element] });
    items.push(...parts.items);
    refused.push(...parts.refused.map(({ path, message }) => ({ path: path.replace(`${list}[0]`, at), message })));
    unwanted += parts.unwanted;
    index += 1;
  }
  return { items, refused, unwanted };
}

function longListIn(bytes: Uint8Array, list: string | undefined): (JsonList & { readonly list: string }) | undefined {
  if (list === undefined || isSmall(bytes, list)) return undefined;
  const found = readJsonList(bytes, list);
  return found && { ...found, list };
}

/** What takes little memory once it is parsed as a whole, and holds no list twice, of which one would be lost. */
function isSmall(bytes: Uint8Array, list: string): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = `"${list}"`;
  return bytes.length <= wholeBytes && text.indexOf(key, text.indexOf(key) + 1) === -1;
}

/** Publishes until the Broker has it; a fault that no further attempt mends is the sender's, where that one retries. */
async function publish(
  event: CloudEvent,
  { senderRetries }: WebhookTrigger,
  { broker, clock }: Context,
  signal: AbortSignal,
): Promise<void> {
  const isPassing = (error: unknown): boolean => error instanceof Refusal && error.status === 503;
  try {
    await retry(() => broker.publish(event, signal), {
      first: 100,
      longest: longestPauseMilliseconds,
      sleep: clock.sleep,
      signal,
      isRetried: (error) => !senderRetries || isPassing(error),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Refusal(503, 'the Broker did not take the event in time', { cause: error });
  }
}
