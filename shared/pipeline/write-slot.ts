import { due, labels, outboxLabel, sharedSlot } from '../api/labels.ts';
import { operationsCategory } from '../api/observation.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { ObservationPatch, Stored } from '../function/stores.ts';
import { bothChanges, changeWhenJudged } from './acceptance.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import {
  type Change,
  changeWhenAccepted,
  changeWhenReported,
  changeWhenUnreported,
  lifecycleOptions,
  withOutbox,
} from './lifecycle.ts';
import { unreadableFinding } from './operations.ts';
import { type Report, reportedByOf, resourceRefOf } from './report.ts';
import {
  concernsOne,
  controllerOf,
  type InvalidFinding,
  shape,
  systemNamespaceFault,
  type Unwritten,
  unlessRefused,
  type Writer,
  writeFindings,
} from './write.ts';

/** How often a write is tried again because somebody else has written the same Observation in between. */
const maxAttempts = 10;

/** What a slot's reports say, and what is stored of it. */
export interface SlotContents {
  readonly source: string;
  /** The value of the label `report`. */
  readonly label: string;
  /** What bears the slot's label, or is shared, by name. */
  readonly stored: ReadonlyMap<string, Stored>;
  /** By name. */
  readonly wanted: ReadonlyMap<string, NamedFinding>;
  /** What the tool itself has accepted, and what it calls the exceptions, by name. */
  readonly accepted: ReadonlyMap<string, string>;
  /** What is reported, but can't be judged, by name: it stays as it is. */
  readonly held: ReadonlyMap<string, unknown>;
  /** Whether a report can't be read, or has a row that can't: what is open stays open then, and says what it said. */
  readonly isHeld: boolean;
  /** For each wanted finding that the store refuses as invalid: the report that has it. */
  readonly reportOf: (name: string) => Report | undefined;
  /** Whether something is stored under a name that is not in `stored`: of another slot. */
  readonly isTaken?: (name: string) => boolean;
}

export interface SlotOutcome {
  /** Whether anything was written, as far as that was possible. */
  readonly hasWritten: boolean;
  /** What is reported, by name, and that reports can't be read whose findings the store refuses as invalid. */
  readonly wanted: ReadonlyMap<string, NamedFinding>;
  /** What no report has. */
  readonly unreported: readonly Stored[];
  /** The names of what can't be changed where it is, so that the system namespace has it as well. */
  readonly displaced: ReadonlySet<string>;
  readonly unwritten: Unwritten;
}

/** What is said of a finding, and who says it. */
interface Said {
  readonly named: NamedFinding;
  readonly writer: WriteOptions['writer'];
}

type Spec = ReturnType<typeof shape>['spec'];

function factsOf(
  { severity, summary, resource, remediation, references, details, rule }: Spec,
  isResourceKnown: boolean,
) {
  return {
    ...{ severity, summary, details, rule },
    // A look-up that failed must not replace a controller that is known.
    ...(resource !== undefined && isResourceKnown && { resource }),
    ...(remediation !== undefined && { remediation }),
    ...(references !== undefined && { references }),
  };
}

/** A change with what exceptions say of the facts that it writes. */
function judged(
  stored: Stored,
  change: Change,
  { spec, isResourceKnown }: { readonly spec: Spec; readonly isResourceKnown: boolean },
  { namespace }: NamedFinding,
  context: Context,
): Change {
  if (spec.category === operationsCategory) return change;
  // Without its resource that can't be told. What is worse by now isn't accepted on the word of before, though.
  if (!isResourceKnown && stored.labels[labels.severity] === spec.severity) return change;
  const accepting = context.exceptions({ spec, namespace, hasState: true }, context.clock.earliest());
  const isSame = accepting?.acceptance.exception === stored.acceptance?.exception;
  const sure = isResourceKnown || isSame ? accepting : undefined;
  return bothChanges(stored, change, (after) => changeWhenJudged(after, sure, lifecycleOptions(context)));
}

/** A change, and the facts that are written with it. */
interface Prepared extends Pick<ObservationPatch, 'facts' | 'reportedBy'> {
  readonly wanted: Change;
}

async function prepare(stored: Stored, change: Change, said: Said | undefined, context: Context): Promise<Prepared> {
  if (!(change.withFacts && said)) return { wanted: change };
  const { named, writer } = said;
  const controller = await controllerOf(named, context);
  const { spec } = shape(named, stored.ref.namespace, { ...writer, controller }, context);
  // What is about nothing has no controller either.
  const isResourceKnown = controller !== undefined || named.finding.resource === undefined;
  return {
    wanted: judged(stored, change, { spec, isResourceKnown }, named, context),
    facts: factsOf(spec, isResourceKnown),
    reportedBy: writer.reportedBy?.(named.name),
  };
}

/**
 * Changes a stored Observation as `decide` says, and asks it again whenever somebody else was quicker. Resolves to
 * whether there still is such an Observation.
 */
async function change(
  stored: Stored,
  decide: (stored: Stored) => Change | undefined,
  context: Context,
  said?: Said,
): Promise<boolean> {
  const { store, event, announcedFrom } = context;
  let current = stored;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const decided = decide(current);
    if (decided === undefined) return true;
    const { wanted: judgedChange, ...rest } = await prepare(current, decided, said, context);
    const wanted = withOutbox(judgedChange, current, announcedFrom);
    const { labels: changed, history, acceptance } = wanted;
    if (await store.patch(current, { labels: changed, history, acceptance, ...rest }, event.signal)) {
      event.tally.relabelled(wanted.kind);
      if (wanted.labels[outboxLabel] === due) event.tally.due();
      return true;
    }
    const found = await store.find(current.ref.namespace, current.ref.name, event.signal);
    if (found === undefined) return false;
    current = found;
  }
  throw new Refusal(503, 'an Observation keeps changing');
}

/** What a slot writes with. */
interface WriteOptions {
  readonly writer: Pick<Writer, 'source' | 'reportedBy' | 'isTaken' | 'onKeptOut'> & { readonly slot: string };
  readonly isHeld: boolean;
  readonly context: Context;
}

/** How to change what is stored of a finding that is reported. */
function neededChange(
  stored: Stored,
  named: NamedFinding,
  { writer, isHeld, context }: WriteOptions,
): Change | undefined {
  const report = stored.labels[labels.report];
  // Not ours: events have no state, and neither has what a person wrote under this name.
  if (report === undefined) return undefined;
  const isOwn = report === writer.slot;
  const { digest, finding } = named;
  const isAuthority = isOwn && isAuthorityOn(named, isHeld);
  const slot = isOwn ? writer.slot : sharedSlot;
  return changeWhenReported(
    stored,
    { digest, severity: finding.severity, slot, isAuthority },
    lifecycleOptions(context),
  );
}

/**
 * Makes a finding that no report has missing or, if it has been for long enough or is left out for a reason, resolved.
 */
export async function changeUnreported(
  stored: Stored,
  leftOutFor: string | undefined,
  context: Context,
): Promise<void> {
  const decide = (current: Stored): Change | undefined => {
    // Since it was listed, another slot may have reported it.
    if (current.labels[labels.report] !== stored.labels[labels.report]) return undefined;
    return changeWhenUnreported(current, leftOutFor, lifecycleOptions(context));
  };
  await unlessRefused(stored.ref.namespace, context, () => change(stored, decide, context));
}

/**
 * Opens, renews and mends a finding that several slots report, or gives it to the one that is left. Of one that is held,
 * what is open keeps its facts.
 */
export async function changeShared(
  stored: Stored,
  named: NamedFinding,
  { writer, isHeld, context }: WriteOptions,
): Promise<void> {
  const { digest, finding } = named;
  const reported = { digest, severity: finding.severity, slot: writer.slot, isAuthority: !isHeld };
  const decide = (current: Stored): Change | undefined =>
    changeWhenReported(current, reported, lifecycleOptions(context));
  await unlessRefused(stored.ref.namespace, context, () => change(stored, decide, context, { named, writer }));
}

/** What could not be written as it should be, while the rest was. */
interface Shortfall {
  readonly invalid: InvalidFinding[];
  readonly refusals: Refusal[];
  /** What is stored, but can't be changed where it is. */
  readonly displaced: NamedFinding[];
}

/**
 * Opens, renews and mends what is stored of a finding that is reported. Resolves to whether it is still there. What can't
 * be changed where it is, the system namespace takes, unless that is where it is.
 */
async function changeReported(
  stored: Stored,
  named: NamedFinding,
  options: WriteOptions,
  { displaced, refusals }: Shortfall,
): Promise<boolean> {
  const { writer, context } = options;
  try {
    return await change(stored, (current) => neededChange(current, named, options), context, { named, writer });
  } catch (error) {
    if (!concernsOne(error)) throw error;
    if (stored.ref.namespace !== context.settings.SYSTEM_NAMESPACE) displaced.push(named);
    else refusals.push(error instanceof Refusal ? error : systemNamespaceFault(error));
    return true;
  }
}

/**
 * Writes findings that are not stored yet, where they belong or, if it is given, in `place`. One whose name is taken after
 * all is changed where it is.
 */
async function createAll(
  findings: readonly NamedFinding[],
  options: WriteOptions,
  shortfall: Shortfall,
  place?: string,
): Promise<void> {
  const { writer, context } = options;
  let missing: readonly NamedFinding[] = findings;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const gone: NamedFinding[] = [];
    const onExists = async (named: NamedFinding, namespace: string): Promise<void> => {
      const stored = await context.store.find(namespace, named.name, context.event.signal);
      const isThere = stored !== undefined && (await changeReported(stored, named, options, shortfall));
      if (!isThere) gone.push(named);
    };
    const { invalid, refusals } = await writeFindings(missing, { ...writer, place, onExists }, context);
    shortfall.refusals.push(...refusals);
    for (const one of invalid) {
      // That something can't be read has to be recorded, or it would only be in a log.
      if (one.finding.finding.category === operationsCategory) shortfall.refusals.push(one.refusal);
      else shortfall.invalid.push(one);
    }
    if (gone.length === 0) return;
    missing = gone;
  }
  throw new Refusal(503, 'an Observation keeps vanishing');
}

/** Says of the reports whose findings the store refuses as invalid that they can't be read. */
function refusedReports(
  invalid: readonly InvalidFinding[],
  { source, reportOf }: SlotContents,
  context: Context,
): NamedFinding[] {
  const byObject = new Map<string, NamedFinding>();
  for (const { finding, refusal } of invalid) {
    const report = reportOf(finding.name);
    if (report === undefined) continue;
    const reason = refusal.cause instanceof Error ? refusal.cause.message : refusal.message;
    const named = unreadableFinding(source, resourceRefOf(report.object), reason, refusal.path, context);
    byObject.set(named.name, named);
  }
  return [...byObject.values()];
}

/** Whether a slot may replace the facts of what bears its label; that a report can't be read is never held back. */
function isAuthorityOn({ finding }: NamedFinding, isHeld: boolean): boolean {
  return !isHeld || finding.category === operationsCategory;
}

/** Whether writing the slot would change anything. What is left out for a reason is the pass's. */
export function differs(contents: SlotContents, leftOut: () => ReadonlyMap<string, string>, context: Context): boolean {
  const { label, stored, wanted, isHeld } = contents;
  for (const [name, named] of wanted) {
    const found = stored.get(name);
    if (found === undefined) return true;
    const isOwn = found.labels[labels.report] === label;
    const { digest, finding } = named;
    const reported = { digest, severity: finding.severity, isAuthority: isOwn && isAuthorityOn(named, isHeld) };
    if (changeWhenReported(found, reported, lifecycleOptions(context))) return true;
  }
  const unreported = unreportedOf(contents).filter((found) => found.labels[labels.state] === 'open');
  return unreported.some(({ ref }) => !leftOut().has(ref.name)) || acceptedOf(contents, context).length > 0;
}

/** What is stored of findings that the tool itself has accepted, but not as it says. */
function acceptedOf({ stored, accepted }: SlotContents, context: Context) {
  return [...accepted].flatMap(([name, exception]) => {
    const found = stored.get(name);
    return found && changeWhenAccepted(found, exception, lifecycleOptions(context)) ? [{ found, exception }] : [];
  });
}

function unreportedOf({ label, stored, wanted, accepted, held, isHeld }: SlotContents): Stored[] {
  return [...stored.values()].filter(
    ({ ref, labels: found }) =>
      found[labels.report] === label &&
      !wanted.has(ref.name) &&
      !held.has(ref.name) &&
      !(accepted.has(ref.name) && found[labels.state] === 'open') &&
      (!isHeld || found[labels.category] === operationsCategory),
  );
}

/** What is stored, but not as it is reported: of most passes, next to nothing. */
function dueOf(
  stored: ReadonlyMap<string, Stored>,
  wanted: ReadonlyMap<string, NamedFinding>,
  options: WriteOptions,
): readonly { readonly found: Stored; readonly named: NamedFinding }[] {
  const due: { readonly found: Stored; readonly named: NamedFinding }[] = [];
  for (const named of wanted.values()) {
    const found = stored.get(named.name);
    if (found && neededChange(found, named, options)) due.push({ found, named });
  }
  return due;
}

/**
 * Makes what is stored of a slot match what its reports say: creates what is not stored, opens what is, and keeps its
 * facts as the reports say. What can't be changed where it is, the system namespace says as well. What no report has is
 * left to the caller.
 */
export async function writeSlot(contents: SlotContents, context: Context): Promise<SlotOutcome> {
  const { source, label, stored, isHeld, isTaken } = contents;
  const keptOut = new Set<string>();
  const onKeptOut = (name: string): void => void keptOut.add(name);
  const reportedBy = (name: string): string | undefined => {
    const report = contents.reportOf(name);
    return report && reportedByOf(report.object);
  };
  const options = { writer: { source, slot: label, reportedBy, isTaken, onKeptOut }, isHeld, context };
  const shortfall: Shortfall = { invalid: [], refusals: [], displaced: [] };
  const toCreate = [...contents.wanted.values()].filter(({ name }) => !stored.has(name));
  await createAll(toCreate, options, shortfall);
  const refused = refusedReports(shortfall.invalid, contents, context);
  const wanted = new Map([...contents.wanted, ...refused.map((named) => [named.name, named] as const)]);
  const toMake: NamedFinding[] = refused.filter(({ name }) => !stored.has(name));
  const due = dueOf(stored, wanted, options);
  const known = [...wanted.keys()].filter((name) => stored.has(name));
  context.event.tally.unchanged(known.length - due.length);
  await forEachConcurrently(due, callsInFlight, async ({ found, named }) => {
    if (!(await changeReported(found, named, options, shortfall))) toMake.push(named);
  });
  await createAll(toMake, options, shortfall);
  const accepted = acceptedOf(contents, context);
  await writeAccepted(accepted, context);
  const displaced = [...shortfall.displaced];
  await createAll(displaced, options, shortfall, context.settings.SYSTEM_NAMESPACE);
  return {
    hasWritten: due.length > 0 || accepted.length > 0 || toCreate.some(({ name }) => !keptOut.has(name)),
    wanted,
    unreported: unreportedOf({ ...contents, wanted }),
    displaced: new Set(displaced.map(({ name }) => name)),
    unwritten: shortfall,
  };
}

/** Marks what the tool itself has accepted. */
async function writeAccepted(accepted: ReturnType<typeof acceptedOf>, context: Context): Promise<void> {
  await forEachConcurrently(accepted, callsInFlight, async ({ found, exception }) => {
    const decide = (current: Stored): Change | undefined =>
      changeWhenAccepted(current, exception, lifecycleOptions(context));
    await unlessRefused(found.ref.namespace, context, () => change(found, decide, context));
  });
}
