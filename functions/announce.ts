import * as z from 'zod';
import { dueEventType } from '../shared/api/announcement.ts';
import { group } from '../shared/api/group.ts';
import { ownBroker } from '../shared/api/knative-kinds.ts';
import { due, labels, outboxLabel } from '../shared/api/labels.ts';
import { formatTold, isSameTold, parseTold, type Told, toldOf } from '../shared/api/told.ts';
import { isBelow, parseSeverity } from '../shared/finding/severity.ts';
import { type CloudEvent, isPing } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { defaultFloor, defineTask, leaseWrites } from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import type { Stored, StoredObservation, StoredRef } from '../shared/function/stores.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { unlessRefused } from '../shared/pipeline/write.ts';
import { compileExpression, type Expression } from '../shared/rules/expression.ts';
import { hasBegun, noteBeginning } from './announce/beginning.ts';
import { announcementOf } from './announce/event.ts';
import { createPace } from './announce/pace.ts';
import { createPublisher } from './announce/publisher.ts';
import { sampleOf } from './announce/sample.ts';

const settingsSchema = z.object({
  ANNOUNCE_EXISTING: z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .transform((word) => word === 'true')
    .default(false),
  ANNOUNCE_EXPRESSION: z
    .string()
    .transform((text, context): Expression => {
      const compiled = compileExpression(text);
      if (typeof compiled === 'function') return compiled;
      context.addIssue(compiled.refusal);
      return z.NEVER;
    })
    .optional(),
});

type Settings = z.infer<typeof settingsSchema>;

/**
 * How many announcements are on their way at a time. There are few, unless a Broker waits for a subscriber that doesn't answer:
 * then the more, the sooner the others are told. As many connections to one address are there.
 */
const inFlight = 64;

/** The fewest milliseconds between two of them: a storm takes longer then, and nothing of it is lost. */
const pauseMilliseconds = 20;

/** How many are chosen at a time of those that are due. */
const batchSize = 10_000;

/** How long one run may take, in milliseconds, so that it ends by itself: what is left is the next one's. */
const hintedMilliseconds = 20_000;
const passMilliseconds = 500_000;

/** How often one is told again because it has changed while it was told. */
const maxRounds = 10;

/**
 * Tells others what has changed. The outbox is a label, `due`, that was written with the change itself: what bears it is
 * published to the Broker, and then loses it, unless it has changed again meanwhile. So the latest state of each
 * Observation is told at least once, and nothing that a process knows matters. Hints make it soon, the pass makes it sure.
 */
export default defineTask<Settings>({
  name: 'announce',
  triggers: ({ ANNOUNCE_INTERVAL_MINUTES: minutes }) => [
    { type: 'Broker', eventType: dueEventType },
    { type: 'PingSource', minutes },
  ],
  settings: settingsSchema,
  permissions: [{ group, resources: ['observations'], verbs: ['get', 'list', 'patch', 'record'] }, leaseWrites],
  watches: (settings) => ownBroker(settings),
  seesOthers: true,
  announces: true,
  runsAlone: true,
  isOptional: true,
  async handle(event, context) {
    const isPass = isPing(event);
    const isDone = await context.coalesce(isPass ? 0 : 1000, async () => {
      if (isPass) await begin(context);
      await announceAll(isPass, context);
      return true;
    });
    if (!isDone) context.event.tally.skipped('coalesced');
  },
});

/** Says once what becomes of the findings that were there before, and marks them if they are to be told. */
async function begin(context: Context<Settings>): Promise<void> {
  const { settings, store, event } = context;
  if (await hasBegun(settings.ANNOUNCE_EXISTING, context)) return;
  const count = await store.count(settings.WATCH_NAMESPACE, event.signal);
  if (settings.ANNOUNCE_EXISTING) await markExisting(context);
  else if (count > 0) {
    event.tally.warning(
      `of the ${count} Observations that were there before, nothing is announced until it changes: ANNOUNCE_EXISTING=true announces what is open of them`,
    );
  }
  await noteBeginning(settings.ANNOUNCE_EXISTING, context);
}

/** Marks what is open and was never told. */
async function markExisting(context: Context<Settings>): Promise<void> {
  const { settings, store, functions, event } = context;
  const floors = new Map(functions.map(({ name, announcedFrom }) => [name, announcedFrom]));
  const others = settings.ANNOUNCE_MIN_SEVERITY ?? defaultFloor;
  const all = store.names({ namespace: settings.WATCH_NAMESPACE }, event.signal);
  await forEachConcurrently(all, callsInFlight, async (stored) => {
    const { labels: found, told, ref } = stored;
    if (told !== undefined || found[outboxLabel] === due || (found[labels.state] ?? 'open') !== 'open') return;
    const floor = floors.get(found[labels.source] ?? '') ?? others;
    if (isBelow(parseSeverity(found[labels.severity]), floor)) return;
    await unlessRefused(ref.namespace, context, () =>
      // What has changed meanwhile has been marked by who changed it.
      store.patch(stored, { labels: { [outboxLabel]: due } }, event.signal),
    );
  });
}

/** Announces what is due, and goes on until nothing is, time is up, or something goes wrong. */
async function announceAll(isPass: boolean, context: Context<Settings>): Promise<void> {
  const { clock, event } = context;
  const until = clock.elapsed() + (isPass ? passMilliseconds : hintedMilliseconds);
  const isLate = (): boolean => clock.elapsed() >= until;
  const pace = createPace(pauseMilliseconds, clock);
  const publish = createPublisher(context);
  let failed = 0;
  let left = 0;
  let isAll = false;
  while (!isAll && failed === 0 && !isLate()) {
    const owed = await sampleOf(dueIn(context), batchSize);
    isAll = owed.isAll;
    await forEachConcurrently(owed.sample, inFlight, async (ref) => {
      if (isLate()) left += 1;
      else {
        await pace(event.signal);
        if (!(await isAnnounced(ref, publish, context))) failed += 1;
      }
    });
  }
  // The hint that follows has the next run go on with what has not been tried.
  if (left > 0 || !isAll) event.tally.due();
  if (failed > 0) settle(failed, isPass, context);
}

/** What has failed is still due. A second delivery of a hint would be of no use: the pass tries it again. */
function settle(failed: number, isPass: boolean, { event }: Context<Settings>): void {
  if (isPass) throw new Refusal(503, 'the Broker did not take all announcements', { cause: `${failed} are left` });
  event.tally.warning('the Broker did not take all announcements: the next pass announces what is left');
}

async function* dueIn({ store, settings, event }: Context<Settings>): AsyncGenerator<StoredRef> {
  const owed = store.names({ isDue: true, namespace: settings.WATCH_NAMESPACE }, event.signal);
  for await (const { ref } of owed) yield ref;
}

/** Announces the present state of one, and again if it changes meanwhile. Resolves to `false` if the Broker doesn't take it. */
async function isAnnounced(
  { namespace, name }: StoredRef,
  publish: (announcement: CloudEvent) => Promise<boolean>,
  context: Context<Settings>,
): Promise<boolean> {
  const { store, event } = context;
  let toldNow: Told | undefined;
  for (let round = 0; round < maxRounds; round += 1) {
    const whole = await store.findWhole(namespace, name, event.signal);
    if (whole?.labels[outboxLabel] !== due) return true;
    const now = toldOf(whole.labels, whole.createdAt);
    const before = toldNow ?? parseTold(whole.told);
    // What was told once is told to its end.
    const isToTell = before !== undefined || isWanted(whole, context);
    if (!isToTell) event.tally.announced('unwanted');
    else if (!(await publish(announcementFor(whole, before, context)))) return false;
    if (await isSettled(whole, now, isToTell, context)) return true;
    toldNow = isToTell ? now : undefined;
  }
  return true;
}

/** Whether the user's expression wants it told. One that fails keeps nothing from being told. */
function isWanted({ observation: { spec } }: StoredObservation, { settings, event }: Context<Settings>): boolean {
  const { ANNOUNCE_EXPRESSION: expression } = settings;
  if (!expression) return true;
  const { rule = '', summary = '' } = spec;
  const answer = expression({ ...spec, rule, summary });
  if (typeof answer === 'boolean') return answer;
  event.tally.warning(`ANNOUNCE_EXPRESSION can't be answered, so it leaves nothing out: ${answer.failure}`);
  return true;
}

function announcementFor(
  { observation, ...stored }: StoredObservation,
  before: Told | undefined,
  { clock, settings }: Context<Settings>,
): CloudEvent {
  return announcementOf(observation, {
    before,
    now: toldOf(stored.labels, stored.createdAt),
    time: clock.earliest(),
    cluster: settings.CLUSTER_NAME,
  });
}

/**
 * Takes the mark off and keeps what was told, in one write; unless something else is to be told by now. Its version may
 * have moved for other reasons: what counts is what was told.
 */
async function isSettled(stored: Stored, told: Told, isTold: boolean, context: Context<Settings>): Promise<boolean> {
  const { store, event } = context;
  const patch = { labels: { [outboxLabel]: null }, ...(isTold && { told: formatTold(told) }) };
  let current: Stored | undefined = stored;
  let isDone = false;
  await unlessRefused(stored.ref.namespace, context, async () => {
    while (current && isSameTold(toldOf(current.labels, current.createdAt), told) && !isDone) {
      isDone = await store.patch(current, patch, event.signal);
      if (!isDone) current = await store.find(stored.ref.namespace, stored.ref.name, event.signal);
    }
  });
  return isDone || !current || isSameTold(toldOf(current.labels, current.createdAt), told);
}
