import * as z from 'zod';
import { isAddressOrCidr, linesOf } from '../shared/function/access-options.ts';
import { type CloudEvent, parseJson } from '../shared/function/cloud-event.ts';
import type { Context, PeerWebhook } from '../shared/function/context.ts';
import { defineFunction, type RawRequest } from '../shared/function/function-definition.ts';
import { type JsonList, readJsonList } from '../shared/function/json-list.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { knativeTriggers } from '../shared/function/resource.ts';
import { commaList, integer } from '../shared/function/settings.ts';
import { type Summary, summaryOf } from '../shared/function/summary.ts';
import { mappingKinds } from '../shared/mapping/mapped-sources.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';

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
export default defineFunction<z.infer<typeof settings>>({
  name: 'webhook',
  triggers: [],
  settings,
  permissions: [],
  watches: [knativeTriggers, ...mappingKinds],
  seesOthers: true,
  access: (set) => ({
    tokens: set.WEBHOOK_AUTH_TOKEN,
    tokenFile: set.WEBHOOK_AUTH_TOKEN_FILE,
    allowedAddresses: set.WEBHOOK_ALLOWED_IPS,
    trustedProxies: set.WEBHOOK_TRUSTED_PROXIES,
    requestsPerMinute: set.WEBHOOK_RATE_LIMIT,
  }),
  handle: async () => summaryOf({ skipped: { not_wanted: 1 } }),
  receive,
});

async function receive(request: RawRequest, context: Context): Promise<Summary> {
  const isAsked = ({ path }: PeerWebhook): boolean =>
    path.endsWith('/*') ? request.path.startsWith(path.slice(0, -1)) : path === request.path;
  const [asked] = context.functions.flatMap(({ name: to, webhooks }) =>
    webhooks.filter(isAsked).map((webhook) => ({ to, webhook })),
  );
  if (!asked || asked.webhook.isServed?.(request.path, context) === false) throw new Refusal(404, 'no such path');
  const { to, webhook } = asked;
  const leave = context.admit(webhook.path, webhook.inFlight);
  if (!leave) throw new Refusal(503, 'too many requests are in flight');
  try {
    return await forward(webhook, to, request, context);
  } finally {
    leave();
  }
}

async function forward(
  webhook: PeerWebhook,
  to: string,
  { path: source, takeBody, traceparent }: RawRequest,
  context: Context,
): Promise<Summary> {
  const { wanted, refused, unwanted } = split(webhook, takeBody());
  const time = new Date(context.now()).toISOString();
  const limit = webhook.answer === 'hold' ? holdMilliseconds : deadlineMilliseconds;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(limit)]);
  if (wanted.length > 0) await untilRouted(to, webhook, context, signal);
  await forEachConcurrently(wanted, callsInFlight, ({ id, data }) => {
    const type = webhook.eventType;
    const event: CloudEvent = {
      id,
      source,
      type,
      time,
      datacontenttype: 'application/json',
      extensions: { traceparent },
      data,
    };
    return publish(event, webhook, context, signal);
  });
  return summaryOf({
    observed: wanted.length,
    skipped: unwanted > 0 ? { unwanted } : {},
    dropped: refused.length,
    warnings: refused.slice(0, 3).map(({ path, message }) => `an item was refused: ${path}: ${message}`),
  });
}

/**
 * Waits for a Trigger that gives these events to their function: a Broker without one says 202 and drops them. That may
 * be a moment of an upgrade, or stay so until somebody mends it, so no request is held for it longer than the deadline;
 * while it is not known, in an outage of the API server, as long as for the Broker.
 */
async function untilRouted(
  to: string,
  { eventType }: PeerWebhook,
  context: Context,
  signal: AbortSignal,
): Promise<void> {
  let until = Number.POSITIVE_INFINITY;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    const isRouted = context.isRouted(to, eventType);
    if (isRouted) return;
    until = isRouted === undefined ? until : Math.min(until, context.now() + deadlineMilliseconds);
    if (signal.aborted || context.now() >= until) {
      throw new Refusal(503, 'no Trigger is ready for it');
    }
    await context.sleep(pause, signal);
  }
}

interface Split {
  readonly wanted: ReturnType<PeerWebhook['split']>['items'];
  readonly refused: ReturnType<PeerWebhook['split']>['refused'];
  readonly unwanted: number;
}

/** A body that can't be read at all is the sender's fault: no sender sends it better. */
function split(webhook: PeerWebhook, body: Uint8Array): Split {
  try {
    return splitAll(webhook, body);
  } catch (error) {
    throw error instanceof Refusal
      ? error
      : new Refusal(422, 'the body could not be read', { path: 'body', cause: error });
  }
}

/** Keeps what is wanted, reduced to what may travel, and of all else the number. */
function splitAll(webhook: PeerWebhook, bytes: Uint8Array): Split {
  const wanted: Split['wanted'][number][] = [];
  const refused: Split['refused'][number][] = [];
  let unwanted = 0;
  /** Says how many items there were in it, good or bad. */
  const take = (body: unknown, placed: (path: string) => string): number => {
    const parts = webhook.split(body);
    refused.push(...parts.refused.map(({ path, message }) => ({ path: placed(path), message })));
    unwanted += parts.unwanted ?? 0;
    for (const item of parts.items) {
      if (webhook.wanted(item.data)) wanted.push(item);
      else unwanted += 1;
    }
    return parts.items.length + parts.refused.length;
  };
  const asItIs = (path: string): string => path;
  const long = longListIn(bytes, webhook.list);
  if (!long) take(parseJson(bytes, 'body'), asItIs);
  else {
    const { list, rest, elements } = long;
    // One item may have a member of that name, too: it is one all the same.
    const isItem = take(rest, asItIs) > 0;
    let index = 0;
    for (const element of isItem ? [] : elements) {
      const at = `${list}[${index}]`;
      take({ ...rest, [list]: [element] }, (path) => path.replace(`${list}[0]`, at));
      index += 1;
    }
  }
  return { wanted, refused, unwanted };
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

async function publish(
  event: CloudEvent,
  { answer }: PeerWebhook,
  context: Context,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = 100; ; pause = Math.min(pause * 2, longestPauseMilliseconds)) {
    try {
      return await context.publish(event, signal);
    } catch (error) {
      if (signal.aborted) throw new Refusal(503, 'the Broker did not take the event in time', { cause: error });
      if (answer === 'deadline' && !(error instanceof Refusal && error.status === 503)) throw error;
    }
    await context.sleep(pause, signal);
  }
}
