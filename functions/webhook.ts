import * as z from 'zod';
import { selectIn } from '../shared/api/kind-selector.ts';
import { knativeTriggers, ownBroker } from '../shared/api/knative-kinds.ts';
import { isJsonList, type JsonList, readJsonElements, readJsonList } from '../shared/edge/json-list.ts';
import { isAddressOrCidr, linesOf } from '../shared/function/access-options.ts';
import { retry } from '../shared/function/backoff.ts';
import { type CloudEvent, signAttribute } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { defineGateway, type RawRequest } from '../shared/function/definitions.ts';
import { hasTooMany, maxValues, parseJson } from '../shared/function/json.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { commaList, integer } from '../shared/function/settings.ts';
import type { RefusedItem, SplitBody, WebhookTrigger } from '../shared/function/triggers.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { mappingKinds } from '../shared/rules/accepted-mappings.ts';

/** A sender that retries gets an answer before its own timeout (kube-apiserver's is 30 s). */
const deadlineMilliseconds = 25_000;

/** A sender that doesn't retry is held for as long as Knative allows (600 s), less the time to answer. */
const holdMilliseconds = 590_000;

const longestPauseMilliseconds = 5000;

/**
 * A longer body with a list is parsed item by item, since it would take several times its size when parsed as a whole.
 */
const maxWholeBytes = 1_048_576;

/** More would not fit into the largest body, if they were events; each costs time, and nobody else is served meanwhile. */
const maxItems = 25_000;

const addresses = commaList
  .refine((list) => list.every(isAddressOrCidr), { error: 'must be IP addresses and CIDRs, separated by commas' })
  .default([]);

const settingsSchema = z.object({
  WEBHOOK_AUTH_TOKEN: z.string().transform(linesOf).default([]),
  WEBHOOK_AUTH_TOKEN_FILE: z.string().optional(),
  WEBHOOK_ALLOWED_IPS: addresses,
  WEBHOOK_TRUSTED_PROXIES: addresses,
  WEBHOOK_RATE_LIMIT: integer(1, 10_000_000).optional(),
});

/**
 * Turns raw HTTP from tools that don't speak CloudEvents into events for the Broker. It knows no tool: the Webhook
 * triggers of the other functions define the paths, how to split a body, and which items are wanted.
 */
export default defineGateway<z.infer<typeof settingsSchema>>({
  name: 'webhook',
  settings: settingsSchema,
  permissions: [],
  watches: (settings) => [
    selectIn(knativeTriggers, settings, settings.SYSTEM_NAMESPACE),
    ...ownBroker(settings),
    ...mappingKinds.map((kind) => selectIn(kind, settings)),
  ],
  seesOthers: true,
  callsFunctions: true,
  access: (settings) => ({
    tokens: settings.WEBHOOK_AUTH_TOKEN,
    tokenFile: settings.WEBHOOK_AUTH_TOKEN_FILE,
    allowedAddresses: settings.WEBHOOK_ALLOWED_IPS,
    trustedProxies: settings.WEBHOOK_TRUSTED_PROXIES,
    requestsPerMinute: settings.WEBHOOK_RATE_LIMIT,
  }),
  receive,
});

async function receive(request: RawRequest, context: Context): Promise<void> {
  const isRequested = ({ path }: WebhookTrigger): boolean =>
    path.endsWith('/*') ? request.path.startsWith(path.slice(0, -1)) : path === request.path;
  const [requested] = context.functions.flatMap(({ name: functionName, webhooks }) =>
    webhooks.filter(isRequested).map((webhook) => ({ functionName, webhook })),
  );
  if (!requested || requested.webhook.isServed?.(request.path, context) === false)
    throw new Refusal(404, 'no such path');
  const { functionName, webhook } = requested;
  const limit = webhook.senderRetries ? deadlineMilliseconds : holdMilliseconds;
  const { signal, clear } = context.clock.deadline(limit, context.event.signal);
  // Who sends nothing again waits for its turn.
  const release = await context.acquire(webhook.path, webhook.inFlight, webhook.senderRetries ? undefined : signal);
  try {
    if (!release) throw new Refusal(503, 'too many requests are in flight');
    await forward(webhook, functionName, request, { ...context, event: { ...context.event, signal } });
  } finally {
    clear();
    release?.();
  }
}

async function forward(
  webhook: WebhookTrigger,
  functionName: string,
  { path: source, takeBody, answerWith, traceparent }: RawRequest,
  context: Context,
): Promise<void> {
  const found = nothingFound();
  const time = new Date(context.clock.now()).toISOString();
  let routed: Promise<void> | undefined;
  await forEachConcurrently(itemsIn(webhook, takeBody(), found), callsInFlight, async ({ id, data }) => {
    routed ??= waitUntilRouted(functionName, webhook, context);
    await routed;
    const event: CloudEvent = {
      id,
      source,
      type: webhook.eventType,
      time,
      datacontenttype: 'application/json',
      extensions: { traceparent },
      data,
    };
    await publish(event, webhook, context);
  });
  if (found.items === 0 && Object.values(found.reasons).some((count) => count > 0))
    passSignOn(webhook, source, time, context);
  if (found.answer) answerWith(found.answer);
  const { tally } = context.event;
  tally.observed(found.items);
  for (const [reason, count] of Object.entries(found.reasons)) if (count > 0) tally.skipped(reason, count);
  tally.dropped(found.refused);
  for (const { path, message } of found.shown) tally.warning(`refused an item: ${path}: ${message}`);
}

/** What has been read of a body so far. */
interface Found {
  items: number;
  refused: number;
  /** Of those that were refused the first, for a warning: a body may have any number of them. */
  readonly shown: RefusedItem[];
  readonly reasons: Record<string, number>;
  answer: SplitBody['answer'];
}

function nothingFound(): Found {
  return { items: 0, refused: 0, shown: [], reasons: {}, answer: undefined };
}

const mostShown = 3;

/** Notes what is in a part of a body; `pathOf` says where in the body something is that is at a path in the part. */
function note(
  found: Found,
  { items, refused, unwanted, answer, reasons = { unwanted } }: SplitBody,
  pathOf: (path: string) => string = (path) => path,
): void {
  found.items += items.length;
  found.refused += refused.length;
  for (const { path, message } of refused.slice(0, mostShown - found.shown.length)) {
    found.shown.push({ path: pathOf(path), message });
  }
  for (const [reason, count] of Object.entries(reasons)) found.reasons[reason] = (found.reasons[reason] ?? 0) + count;
  found.answer ??= answer;
}

/** A Broker answers only when the function has the event, which may have to start for it. */
const signMilliseconds = 60_000;

/**
 * Tells the function now and then that its source is alive, though all that it says is unwanted. The request does not
 * wait for that.
 */
function passSignOn({ path, eventType }: WebhookTrigger, source: string, time: string, context: Context): void {
  if (!context.life.isDue(path)) return;
  const extensions = { [signAttribute]: 'true' };
  const event = { id: `${path} ${time}`, source, type: eventType, time, extensions, data: {} };
  context.broker.publish(event, AbortSignal.timeout(signMilliseconds)).catch(() => undefined);
}

/**
 * Waits for a Trigger that delivers these events to their function, since a Broker without one answers 202 and drops
 * them. A Trigger may be missing for a moment during an upgrade, or until somebody fixes it, so no request waits longer
 * than the deadline. While its state is unknown because the API server is down, requests wait as long as they do for
 * the Broker.
 */
async function waitUntilRouted(
  functionName: string,
  { eventType }: WebhookTrigger,
  { broker, clock, event: { signal } }: Context,
): Promise<void> {
  let deadline = Number.POSITIVE_INFINITY;
  const check = async (): Promise<void> => {
    const isRouted = broker.isRouted(functionName, eventType);
    if (isRouted) return;
    if (isRouted === undefined) throw new Refusal(503, 'the Triggers have not been read yet');
    deadline = Math.min(deadline, clock.elapsed() + deadlineMilliseconds);
    throw new Refusal(503, 'no Trigger is ready for it');
  };
  await retry(check, {
    first: 50,
    longest: 1000,
    sleep: clock.sleep,
    signal,
    isRetried: () => clock.elapsed() < deadline,
  });
}

/**
 * The items of a body, of whose lists only those are kept that are being published. Throws a Refusal 4xx if it can't be read,
 * since a retry would bring the same body.
 */
async function* itemsIn(webhook: WebhookTrigger, bytes: Uint8Array, found: Found): AsyncGenerator<Item> {
  try {
    const long = longListIn(bytes, webhook);
    if (long) yield* itemsInMember(webhook, long, found);
    else if (webhook.takesLists && isJsonList(bytes)) yield* itemsInList(webhook, bytes, found);
    else
      yield* itemsInPart(
        webhook,
        parseJson(bytes, 'body', webhook.takesLists ? maxElementValues() : maxValues()),
        found,
      );
  } catch (error) {
    throw Refusal.from(error, 422, 'the body could not be read', 'body');
  }
}

type Item = SplitBody['items'][number];

/** How many values an element of a list may have, and what could be one but stands alone. So many elements are there at a time. */
function maxElementValues(): number {
  return maxValues() / callsInFlight;
}

function itemsInPart({ list, split }: WebhookTrigger, body: unknown, found: Found): SplitBody['items'] {
  const items: unknown = typeof body === 'object' && body && list !== undefined ? Reflect.get(body, list) : undefined;
  if (Array.isArray(items)) checkLength(items.length, `body.${list}`);
  const parts = split(body);
  note(found, parts);
  return parts.items;
}

function checkLength(length: number, path: string): void {
  if (length > maxItems) throw new Refusal(413, 'the list is too long', { path });
}

/** After so many elements others have their turn. */
const elementsPerTurn = 100;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** What is in a list that a member of the body is. */
async function* itemsInMember(
  { split }: WebhookTrigger,
  { list, rest, elements }: JsonList & { readonly list: string },
  found: Found,
): AsyncGenerator<Item> {
  const whole = split(rest);
  note(found, whole);
  yield* whole.items;
  // The list may also be a field of a single item, which must not be split.
  if (whole.items.length + whole.refused.length > 0) return;
  let index = 0;
  // One body for all, since the rest of it may have any number of members.
  const body: Record<string, unknown> = { ...rest };
  for (const item of elements) {
    const itemPath = `${list}[${index}]`;
    index += 1;
    checkLength(index, `body.${list}`);
    if (index % elementsPerTurn === 0) await nextTurn();
    body[list] = [item];
    const parts = split(body);
    note(found, parts, (path) => path.replace(`${list}[0]`, itemPath));
    yield* parts.items;
  }
}

/** What is in a body that is a list itself. Throws the first refusal if no element could be read. */
async function* itemsInList(webhook: WebhookTrigger, bytes: Uint8Array, found: Found): AsyncGenerator<Item> {
  let index = 0;
  let first: Refusal | undefined;
  for (const item of readJsonElements(bytes, maxElementValues())) {
    const itemPath = `body[${index}]`;
    index += 1;
    checkLength(index, 'body');
    if (index % elementsPerTurn === 0) await nextTurn();
    const parts = splitOrRefuse(webhook, item, itemPath);
    if (parts instanceof Refusal) {
      first ??= parts;
      note(found, {
        items: [],
        refused: [{ path: parts.path ?? itemPath, message: String(parts.cause) }],
        unwanted: 0,
      });
    } else {
      note(found, parts);
      yield* parts.items;
    }
  }
  if (first && found.refused === index) throw first;
}

/** What is in an element of a list, or why it can't be read. */
function splitOrRefuse({ split }: WebhookTrigger, item: unknown, itemPath: string): SplitBody | Refusal {
  try {
    return split(item);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 422) throw error;
    const { status, message, path = 'body', cause } = error;
    return new Refusal(status, message, { path: path.replace(/^body/, itemPath), cause });
  }
}

/** Reads the list of a body that must not be parsed as a whole; `undefined` for any other body. */
function longListIn(
  bytes: Uint8Array,
  { list, shortens }: WebhookTrigger,
): (JsonList & { readonly list: string }) | undefined {
  if (list === undefined || isShort(bytes, list)) return undefined;
  const found = readJsonList(bytes, list, shortens);
  return found && { ...found, list };
}

/**
 * Whether a body may be parsed as a whole: it is short, holds few values, and has its list only once, as JSON.parse would drop
 * the first.
 */
function isShort(bytes: Uint8Array, list: string): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const key = `"${list}"`;
  const isOnce = text.indexOf(key, text.indexOf(key) + 1) === -1;
  return isOnce && bytes.length <= maxWholeBytes && !hasTooMany(bytes, maxValues());
}

/**
 * Publishes until the Broker has the event. For a sender that retries, gives up early if the fault is not temporary. When the
 * time is over, the last fault says more than that: whether there is a Broker at all.
 */
async function publish(
  event: CloudEvent,
  { senderRetries }: WebhookTrigger,
  { broker, clock, event: { signal } }: Context,
): Promise<void> {
  const isTemporary = (error: unknown): boolean => error instanceof Refusal && error.status === 503;
  try {
    await retry(() => broker.publish(event, signal), {
      first: 100,
      longest: longestPauseMilliseconds,
      sleep: clock.sleep,
      signal,
      isRetried: (error) => !senderRetries || isTemporary(error),
    });
  } catch (error) {
    if (!signal.aborted || isTemporary(error)) throw error;
    throw new Refusal(503, 'the Broker did not take the event in time', { cause: error });
  }
}
