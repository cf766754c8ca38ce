import { announcementPrefix, changeOfType } from '../api/announcement.ts';
import { group } from '../api/group.ts';
import { historyAnnotation, labels, toldAnnotation } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { readObservation } from '../api/read-observation.ts';
import { isSameTold, parseTold, type Told, toldOf } from '../api/told.ts';
import { oneLine } from '../finding/one-line.ts';
import { isBelow, parseSeverity, type Severity, severities } from '../finding/severity.ts';
import { type CloudEvent, isPing } from '../function/cloud-event.ts';
import type { Answer, Context } from '../function/context.ts';
import {
  type Change,
  defaultFloor,
  type Permission,
  type SinkDefinition,
  type SinkFunction,
  type SinkMessage,
  type SinkOptions,
} from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import { settingNames } from '../function/settings.ts';
import type { StoredObservation } from '../function/stores.ts';
import { severitiesIn } from './history.ts';

type AnySink = SinkDefinition<unknown>;

/** How often one is sent again because it has changed meanwhile. */
const maxRounds = 10;

/** How many are sent together. */
const perRequest = 200;

const maxWords = 512;

const reads: Permission = { group, resources: ['observations'], verbs: ['get', 'list'] };

/**
 * Makes a sink into a function: it is told by the Broker, and answers 2xx only after the other side did, so that the Broker
 * tries again. Off unless somebody asks for it.
 */
export function defineSink<Settings>(sink: SinkDefinition<Settings>): SinkFunction {
  // The host gives a function only what its own schemas have parsed, so it is safe to forget their types here.
  const definition = sink as unknown as AnySink;
  const { refresh } = definition;
  return {
    kind: 'sink',
    name: sink.name,
    isOptional: true,
    ...(refresh && { seesOthers: true }),
    triggers: ({ ANNOUNCE_INTERVAL_MINUTES: minutes }) => [
      { type: 'BrokerPrefix', prefix: announcementPrefix },
      ...(refresh ? [{ type: 'PingSource', minutes } as const] : []),
    ],
    settings: definition.settings,
    permissions: refresh ? [reads] : [],
    async handle(event, context) {
      if (isPing(event)) return refreshOnce(definition, context);
      const told = announced(event);
      if (refresh) return follow(definition, told, context);
      await tell(definition, definition.request(told.observation, told.change, optionsOf(context)), context);
    },
    sink: definition,
  };
}

interface Announced {
  readonly observation: Observation;
  readonly change: Change;
}

/** Reads an announcement. Throws a Refusal 422. */
function announced({ id, type, time, data }: CloudEvent): Announced {
  const kind = changeOfType(type);
  if (kind === undefined) throw new Refusal(422, 'no such change', { path: 'type' });
  try {
    const observation = readObservation(data);
    const change = { kind, id, time, formerSeverities: formerSeverities(observation), isGone: false };
    return { observation, change };
  } catch (cause) {
    throw new Refusal(422, 'the data is no Observation', { path: 'data', cause });
  }
}

/** The severities, other than the present one, that something was told with or has had. */
function formerSeverities({ metadata: { annotations }, spec }: Observation): Severity[] {
  const told = parseTold(annotations[toldAnnotation]);
  const words = [...(told ? [told.severity] : []), ...severitiesIn(annotations[historyAnnotation])];
  const former = new Set(words.map(parseSeverity));
  return severities.filter((severity) => former.has(severity) && severity !== spec.severity);
}

function optionsOf({ settings, clock, functions }: Context): SinkOptions<unknown> {
  const floors = new Map(functions.map(({ name, announcedFrom }) => [name, announcedFrom]));
  const others = settings.ANNOUNCE_MIN_SEVERITY ?? defaultFloor;
  return { settings, now: clock.now(), floorOf: (source) => floors.get(source) ?? others };
}

/**
 * Tells what is true now, and looks again afterwards: announcements come in any order, and two may be handled at once. So
 * the last that is told has been seen last.
 */
async function follow(sink: AnySink, { observation, change }: Announced, context: Context): Promise<void> {
  const { namespace, name } = observation.metadata;
  let current = await context.store.findWhole(namespace, name, context.event.signal);
  const former = new Set(change.formerSeverities);
  for (let round = 0; round < maxRounds; round += 1) {
    const shown = current?.observation ?? observation;
    for (const severity of formerSeverities(shown)) former.add(severity);
    former.add(observation.spec.severity);
    former.delete(shown.spec.severity);
    const now = { ...change, formerSeverities: [...former], isGone: current === undefined };
    await tell(sink, sink.request(shown, now, optionsOf(context)), context);
    former.add(shown.spec.severity);
    const after = await context.store.findWhole(namespace, name, context.event.signal);
    if (isSame(current, after)) return;
    current = after;
  }
  throw new Refusal(503, 'an Observation keeps changing');
}

function isSame(a: StoredObservation | undefined, b: StoredObservation | undefined): boolean {
  const told = ({ labels, createdAt }: StoredObservation): Told => toldOf(labels, createdAt);
  return a && b ? a.ref.uid === b.ref.uid && isSameTold(told(a), told(b)) : a === b;
}

/** One at a time: whoever asks meanwhile shares the next one. */
async function refreshOnce(sink: AnySink, context: Context): Promise<void> {
  const isDone = await context.coalesce(0, async () => {
    await refreshAll(sink, context);
    return true;
  });
  if (!isDone) context.event.tally.skipped('coalesced');
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/** Sends again what is open, before the other side takes it for over. */
async function refreshAll(sink: AnySink, context: Context): Promise<void> {
  const { store, event } = context;
  /** Since when what was sent is as it was sent. */
  const sent = new Map<string, string | undefined>();
  const options = optionsOf(context);
  const lowest = lowestFloor(context, options);
  const wanted = severities.filter((severity) => !isBelow(severity, lowest));
  let batch: Observation[] = [];
  const flush = async (): Promise<void> => {
    const message = sink.refresh?.(batch, optionsOf(context));
    batch = [];
    if (message) await send(sink, message, context);
  };
  for await (const { observation } of store.observations({ severities: wanted, isOpen: true }, event.signal)) {
    if (isBelow(observation.spec.severity, options.floorOf(observation.spec.source))) continue;
    batch.push(observation);
    sent.set(keyOf(observation.metadata), observation.metadata.labels[labels.since]);
    if (batch.length >= perRequest) await flush();
  }
  if (batch.length > 0) await flush();
  if (sent.size > 0) await lookAgain(sink, sent, context);
}

/** What has changed while it was sent may have been closed by its announcement before it was sent as open: it is told anew. */
async function lookAgain(
  sink: AnySink,
  sent: ReadonlyMap<string, string | undefined>,
  context: Context,
): Promise<void> {
  const { store, settings, clock, event } = context;
  for await (const { ref, labels: found } of store.names({ namespace: settings.WATCH_NAMESPACE }, event.signal)) {
    const key = keyOf(ref);
    if (!sent.has(key) || sent.get(key) === found[labels.since]) continue;
    const whole = await store.findWhole(ref.namespace, ref.name, event.signal);
    if (!whole) continue;
    const { observation } = whole;
    const time = new Date(clock.now()).toISOString();
    const change = {
      kind: 'changed',
      id: key,
      time,
      formerSeverities: formerSeverities(observation),
      isGone: false,
    } as const;
    await follow(sink, { observation, change }, context);
  }
}

/** The lowest severity that is told of any source. */
function lowestFloor({ functions }: Context, { floorOf }: SinkOptions<unknown>): Severity {
  const floors = [...functions.map(({ name }) => floorOf(name)), floorOf('')];
  return floors.reduce((a, b) => (isBelow(a, b) ? a : b));
}

/** Sends what a sink makes of an announcement, if it makes anything of it. */
async function tell(sink: AnySink, message: SinkMessage | undefined, context: Context): Promise<void> {
  const { tally } = context.event;
  if (!message) return tally.announced('unwanted');
  try {
    await send(sink, message, context);
  } catch (error) {
    tally.announced(error instanceof Refusal && error.status === 422 ? 'refused' : 'failed');
    throw error;
  }
  tally.announced('told');
}

/** What came of a post to one of a receiver's addresses; `undefined` if there was no answer. */
type Outcome = Answer | undefined;

/** The settings that say where the receiver is. */
function addressSettings({ settings }: AnySink): string[] {
  return settingNames(settings).filter((name) => /_URL(?:_FILE)?$/.test(name));
}

/** Resolves once one of the receiver's addresses has taken it. Throws a Refusal. */
async function send(sink: AnySink, message: SinkMessage, context: Context): Promise<void> {
  const { settings, outside, event } = context;
  const receiver = sink.receiver(settings);
  if (!receiver) {
    const variables = addressSettings(sink).join(' or ');
    throw new Refusal(503, `nobody has said where the receiver is: set ${variables}`, { retryAfter: 30 });
  }
  const { tokenFile, caFile } = receiver;
  const { contentType, body, path = '' } = message;
  const outcomes = await Promise.all(
    receiver.urls.map(async (base): Promise<Outcome> => {
      const url = typeof base === 'string' && path !== '' ? `${base.replace(/\/$/, '')}${path}` : base;
      return outside.post({ url, contentType, body, tokenFile, caFile }, event.signal).catch(() => undefined);
    }),
  );
  const failed = outcomes.filter((outcome) => !isTaken(outcome));
  if (failed.length === outcomes.length) throw refusalOf(failed);
  if (failed.some((outcome) => !outcome?.isAtRest)) {
    event.tally.warning(`${failed.length} of ${outcomes.length} receivers did not take what the others took`);
  }
}

function isTaken(outcome: Outcome): boolean {
  return outcome !== undefined && outcome.status >= 200 && outcome.status < 300;
}

/** Whether the same would be answered the same. */
function isFinal({ status }: Answer): boolean {
  return status < 500 && status !== 408 && status !== 425 && status !== 429;
}

/** Why nobody took it. What may be taken later is tried again. */
function refusalOf(outcomes: readonly Outcome[]): Refusal {
  const answers = outcomes.filter((outcome) => outcome !== undefined);
  const [answer] = answers;
  if (answer && answers.length === outcomes.length && answers.every(isFinal)) {
    const words = oneLine(`${answer.status} ${answer.words}`, maxWords);
    return new Refusal(422, 'the receiver refuses it', { cause: `status ${answer.status}`, words });
  }
  const isRepeated = answer !== undefined && outcomes.every((outcome) => outcome?.isAtRest);
  const waits = answers.map(({ retryAfter }) => retryAfter ?? 0);
  const retryAfter = Math.max(1, ...waits);
  const status = answer ? `status ${answer.status}` : 'no answer';
  return new Refusal(503, 'the receiver did not take it', { cause: status, retryAfter, isRepeated });
}
