import type { KindSelector } from '../api/kind-selector.ts';
import { labels, sharedSlot } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject, Stored } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import { countingReports } from './counting-reports.ts';
import { type Report, readReport } from './report.ts';
import { fingerprintOf, isRelevant, listReports, type ReportSlot, slotLabelOf, versionOf, versionsOf } from './slot.ts';
import { type Union, unionOf } from './union.ts';
import { createUnseen, type Unseen } from './unseen.ts';
import { faultOf } from './write.ts';
import { changeUnreported, differs, type SlotContents, writeSlot } from './write-slot.ts';

/** Reports that change all the time are left to the event about the last change, or to the pass. */
const maxRounds = 10;

/** A slot with more reports is the pass's; an event only creates what is not stored. */
const maxReports = 20;

export interface SlotOptions<Data, Settings> {
  readonly source: SourceDefinition<Data, Settings>;
  readonly slot: ReportSlot;
  readonly context: Context<Settings>;
}

/**
 * Lists what is stored of a slot, and what slots share, by name. What the system namespace has as well is taken from its
 * own namespace.
 */
export async function listStored<Data, Settings>(
  { source, slot, context }: { readonly slot: Pick<ReportSlot, 'label'> } & Omit<SlotOptions<Data, Settings>, 'slot'>,
  namespace: string | undefined,
): Promise<Map<string, Stored>> {
  const query = { source: source.name, slots: [slot.label, sharedSlot], namespace };
  const stored = new Map<string, Stored>();
  for await (const one of context.store.names(query, context.event.signal)) {
    const isCopy = one.ref.namespace === context.settings.SYSTEM_NAMESPACE && stored.has(one.ref.name);
    if (!isCopy) stored.set(one.ref.name, one);
  }
  return stored;
}

/** Where the Observations of a slot are, unless their namespace couldn't take them; `undefined` is anywhere. */
function homeOf<Data, Settings>({ slot, context: { settings } }: SlotOptions<Data, Settings>): string | undefined {
  return slot.isNarrow ? (slot.namespace ?? settings.SYSTEM_NAMESPACE) : settings.WATCH_NAMESPACE;
}

/** A report, as it is listed. */
interface ListedReport {
  readonly kind: KindSelector;
  readonly metadata: KubernetesObject;
}

/** The reports of a slot. Throws a Refusal 503 if they can't be listed; of a kind that is not served there are none. */
async function reportsOf<Data, Settings>({ source, slot, context }: SlotOptions<Data, Settings>, unseen: Unseen) {
  const reports: ListedReport[] = [];
  for (const kind of slot.kinds) {
    for await (const metadata of listReports([kind], slot.namespace, unseen, context)) {
      if (slotLabelOf(source, metadata) === slot.label) reports.push({ kind, metadata });
    }
  }
  const fault = unseen.fault();
  if (fault) throw fault;
  return reports;
}

/** Reads the reports, except the one that has been read already. One that is gone by now is left out. */
async function readAll<Data, Settings>(
  reports: readonly ListedReport[],
  given: Report | undefined,
  { source, context }: SlotOptions<Data, Settings>,
): Promise<Report[]> {
  const read: Report[] = [];
  await forEachConcurrently(reports, callsInFlight, async ({ kind, metadata }) => {
    // No two objects have the same version.
    if (given && versionOf(given.object) === versionOf(metadata)) return void read.push(given);
    const {
      apiVersion,
      metadata: { name, namespace },
    } = metadata;
    const ref = { apiVersion, kind: metadata.kind, name, namespace };
    const object = await context.cluster.objects.get(kind, ref, context.event.signal);
    if (!object || !isRelevant(kind, object)) return;
    read.push(readReport(source, object, new Date(context.clock.now()).toISOString(), context));
  });
  return read;
}

function contentsOf<Data, Settings>(
  { wanted, accepted, held, isHeld, reportOf }: Union,
  stored: ReadonlyMap<string, Stored>,
  { source, slot }: SlotOptions<Data, Settings>,
): SlotContents {
  return { source: source.name, label: slot.label, stored, wanted, accepted, held, isHeld, reportOf };
}

/** Adds what the system namespace has, since the finding's own could not take it. */
async function withSystemNamespace<Data, Settings>(
  stored: ReadonlyMap<string, Stored>,
  options: SlotOptions<Data, Settings>,
): Promise<ReadonlyMap<string, Stored>> {
  const { SYSTEM_NAMESPACE: systemNamespace } = options.context.settings;
  const home = homeOf(options);
  if (home === undefined || home === systemNamespace) return stored;
  return new Map([...(await listStored(options, systemNamespace)), ...stored]);
}

/** Writes what the reports of a slot say, and makes missing what none of them does. Resolves to whether that was anything. */
async function writeUnion<Data, Settings>(
  union: Union,
  stored: ReadonlyMap<string, Stored>,
  unseen: Unseen,
  options: SlotOptions<Data, Settings>,
): Promise<{ readonly hasWritten: boolean; readonly refusal: Refusal | undefined }> {
  const { context } = options;
  const outcome = await writeSlot(contentsOf(union, stored, options), context);
  const leftOut = union.leftOut();
  // What is left out is the pass's, and so is what has been missing for long enough.
  const missing = outcome.unreported.filter(
    (one) => one.labels[labels.state] === 'open' && !leftOut.has(one.ref.name) && !unseen.mayReport(one),
  );
  await forEachConcurrently(missing, callsInFlight, (one) => changeUnreported(one, undefined, context));
  return { hasWritten: outcome.hasWritten || missing.length > 0, refusal: faultOf(outcome.unwritten) };
}

/** The names of what is not stored, and is kept out by the limit. */
async function namesKeptOut(
  { wanted }: Union,
  stored: ReadonlyMap<string, Stored>,
  { limit, event }: Context,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const { name, namespace, finding } of wanted.values()) {
    if (!stored.has(name) && (await limit.against(namespace, finding.severity, event.signal))) names.add(name);
  }
  return names;
}

/** Whether a report alone says nothing that is to be written. What is kept out is not, in each event anew. */
async function isWritten<Data, Settings>(
  given: Report,
  inHome: ReadonlyMap<string, Stored>,
  options: SlotOptions<Data, Settings>,
): Promise<boolean> {
  const { source, context } = options;
  const alone = unionOf([given], source.merge, context);
  const keptOut = await namesKeptOut(alone, inHome, context);
  const stored = keptOut.size > 0 ? await withSystemNamespace(inHome, options) : inHome;
  const wanted = new Map([...alone.wanted].filter(([name]) => stored.has(name) || !keptOut.has(name)));
  if (differs(contentsOf({ ...alone, wanted }, stored, options), alone.leftOut, context)) return false;
  const { tally } = context.event;
  tally.unchanged(wanted.size);
  if (wanted.size < alone.wanted.size) tally.filtered('limit', alone.wanted.size - wanted.size);
  return true;
}

/** A round of reconciling. Resolves to whether no report came, went or changed meanwhile. */
async function reconcileOnce<Data, Settings>(
  given: Report | undefined,
  options: SlotOptions<Data, Settings>,
): Promise<boolean | Refusal> {
  const { source, context } = options;
  const inHome = await listStored(options, homeOf(options));
  if (given && (await isWritten(given, inHome, options))) return true;
  const unseen = createUnseen(options.slot.kinds, context);
  const before = await reportsOf(options, unseen);
  // That all reports are gone changes nothing by itself: tools delete them and make them anew.
  if (before.length === 0) return true;
  const isTooMuch = given !== undefined && before.length > maxReports;
  const reports = isTooMuch ? [given] : await readAll(before, given, options);
  if (!isTooMuch && reports.length < before.length) return false;
  const union = unionOf(await countingReports(source, reports, context), source.merge, context);
  const stored = await withSystemNamespace(inHome, options);
  const said = isTooMuch ? { ...union, isHeld: true } : union;
  const { hasWritten, refusal } = await writeUnion(said, stored, unseen, options);
  if (refusal) return refusal;
  return !hasWritten || fingerprintOfAll(before) === fingerprintOfAll(await reportsOf(options, unseen));
}

function fingerprintOfAll(reports: readonly ListedReport[]): string {
  return fingerprintOf(versionsOf(reports.map(({ metadata }) => metadata)));
}

/**
 * Makes what is stored of a slot match what its reports say, however many processes do so at once: it looks again after
 * it has written, so that the last to write has seen the last report. `given` is a report that has just been read.
 * Resolves to why something could not be written, if anything could not. Throws a Refusal 503 if the reports keep changing.
 */
export async function reconcileSlot<Data, Settings>(
  given: Report | undefined,
  options: SlotOptions<Data, Settings>,
): Promise<Refusal | undefined> {
  let read = given;
  for (let round = 0; round < maxRounds; round += 1) {
    const result = await reconcileOnce(read, options);
    if (result instanceof Refusal) return result;
    if (result) return undefined;
    read = undefined;
  }
  throw new Refusal(503, 'the reports keep changing');
}
