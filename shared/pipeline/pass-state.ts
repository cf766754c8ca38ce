import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { labels, sharedSlot } from '../api/labels.ts';
import { contentHash } from '../finding/canonical-json.ts';
import { objectMetadata } from '../finding/object-schema.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { Refusal } from '../function/refusal.ts';
import type { KubernetesObject, Stored, StoredRef } from '../function/stores.ts';
import type { HeldFinding, NamedFinding } from './derive.ts';
import { limitSlot } from './limit-reached.ts';
import type { Report } from './report.ts';
import { createUnseen, type Unseen, type UnseenKind } from './unseen.ts';
import type { SlotOutcome } from './write-slot.ts';

/** A finding that version 0.1.0 has left, under a name of its own. */
export interface OldFinding {
  readonly ref: StoredRef;
  /** What version 0.1.0 took it to be about. */
  readonly subject: string;
}

/** What a pass has found so far, and what is left to be written when it has seen everything. */
export interface Pass<Data, Settings> {
  readonly source: SourceDefinition<Data, Settings>;
  readonly context: Context<Settings>;
  readonly kinds: readonly KindSelector[];
  /**
   * What the system namespace has, by slot and name: findings without a namespace, and those that their own could not
   * take.
   */
  readonly inSystem: ReadonlyMap<string, ReadonlyMap<string, Stored>>;
  /** Whether it has been told that findings of this source are kept out. */
  readonly toldKeptOut: boolean;
  /** Findings that several slots report, as stored, by name. */
  readonly sharedStored: Map<string, Stored>;
  /** Names of findings that are stored in another namespace than that of their reports. */
  readonly elsewhere: Set<string>;
  /** Stored findings that no report has had so far. */
  readonly unreported: StoredSet;
  /** Notes why a filter or the source has left out what a slot reports. */
  noteLeftOut(label: string, name: string, reason: string): void;
  /** Why a stored finding of a slot, or one of several, has been left out, if it has. */
  leftOutFor(stored: Stored): string | undefined;
  /** Which slots report a finding that is shared, by its name and their labels. */
  readonly sharedBy: ReadonlyMap<string, ReadonlyMap<string, NamedFinding>>;
  noteShared(label: string, named: NamedFinding): void;
  /** Which reports each slot had, to be compared at the end; `undefined` if they are gone. */
  readonly fingerprints: Map<string, string | undefined>;
  /** Whether anything was written from what was listed. */
  hasWritten: boolean;
  /** Slots whose reports changed while they were read. */
  readonly incomplete: Set<string>;
  /** Slots that had to be derived again. */
  readonly changed: Set<string>;
  /** Kinds that could not be listed: nothing that they report is over. */
  readonly unseen: Unseen;
  /** Slots with a report that can't be read: nothing of theirs is over. */
  readonly held: ReadonlySet<string>;
  noteHeld(label: string, reports: readonly Report[]): void;
  /** Notes what reports in a namespace have, but a filter that can't be read keeps from being judged. */
  noteUnjudged(held: Iterable<HeldFinding>, namespace: string): void;
  /** Keeps what version 0.1.0 says of what this report is about, since the pass has no successors of that. */
  keepOld(report: KubernetesObject): void;
  isKeptOld(finding: OldFinding): boolean;
  noteOutcome(outcome: SlotOutcome): void;
  /** What the system namespace, or a filter in it, has refused: the pass fails at its end. */
  readonly refusals: Refusal[];
  /** Names of findings that can't be changed in their own namespace, so that the system namespace has them as well. */
  readonly displaced: Set<string>;
  /** Notes what the system namespace has of a finding that its own has, too, whichever slot it is of. */
  noteCopyOf(stored: Stored): void;
  /** Findings of the system namespace that are in their own by now. */
  readonly copies: Stored[];
  readonly old: OldFinding[];
  /** As stored; without its digest if facts of it are gone, so that they are written again. */
  asStored(stored: Stored): Stored;
}

/** Observations by namespace and name. There are many, so that no key is made of the two. */
export interface StoredSet {
  add(stored: Stored): void;
  delete(namespace: string, name: string): void;
  all(): readonly Stored[];
}

function createStoredSet(): StoredSet {
  const byNamespace = new Map<string, Map<string, Stored>>();
  return {
    add(stored) {
      const { namespace, name } = stored.ref;
      const here = byNamespace.get(namespace);
      if (here) here.set(name, stored);
      else byNamespace.set(namespace, new Map([[name, stored]]));
    },
    delete: (namespace, name) => void byNamespace.get(namespace)?.delete(name),
    all: () => [...byNamespace.values()].flatMap((here) => [...here.values()]),
  };
}

/** What leaves out the digest of a finding that lacks facts: it tells what the finding said once. */
function createAsStored(stripped: readonly Stored[]): (stored: Stored) => Stored {
  const uids = new Set(stripped.map(({ ref }) => ref.uid));
  return (stored) => {
    if (!uids.has(stored.ref.uid)) return stored;
    const { [labels.digest]: _digest, ...kept } = stored.labels;
    return { ...stored, labels: kept };
  };
}

/** Files what the system namespace has. */
function fileSystem<Data, Settings>({ name }: SourceDefinition<Data, Settings>, all: readonly Stored[]) {
  const inSystem = new Map<string, Map<string, Stored>>();
  const inSystemByName = new Map<string, Stored>();
  const sharedStored = new Map<string, Stored>();
  const unreported = createStoredSet();
  let toldKeptOut = false;
  for (const stored of all) {
    const label = stored.labels[labels.report];
    if (label === undefined) continue;
    if (label === limitSlot(name)) {
      toldKeptOut ||= stored.labels[labels.state] !== 'resolved';
      continue;
    }
    unreported.add(stored);
    inSystemByName.set(stored.ref.name, stored);
    if (label === sharedSlot) sharedStored.set(stored.ref.name, stored);
    else inSystem.set(label, (inSystem.get(label) ?? new Map<string, Stored>()).set(stored.ref.name, stored));
  }
  return { inSystem, inSystemByName, sharedStored, unreported, toldKeptOut };
}

/** Lists what the system namespace has, and what lacks facts anywhere. */
async function listSystem<Data, Settings>(source: SourceDefinition<Data, Settings>, context: Context<Settings>) {
  const { store, event, settings } = context;
  const query = { source: source.name, namespace: settings.SYSTEM_NAMESPACE };
  const [stripped, inSystem] = await Promise.all([
    Array.fromAsync(store.stripped(source.name, settings.WATCH_NAMESPACE, event.signal)),
    Array.fromAsync(store.names(query, event.signal)),
  ]);
  const asStored = createAsStored(stripped);
  return { asStored, ...fileSystem(source, inSystem.map(asStored)) };
}

/** The value that version 0.1.0 gave the label `subject` of findings about what a report is about. */
function oldSubjectOf<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { apiVersion, kind, metadata }: KubernetesObject,
): string | undefined {
  const { group } = groupVersionOf(apiVersion);
  const about = source.slotOf?.({ group, kind }, objectMetadata.parse(metadata))?.about;
  if (about === undefined) return undefined;
  const resource = { kind: about.kind, namespace: about.namespace, name: about.name };
  return contentHash({ source: source.name, resource });
}

/** Why what slots report has been left out. */
function createLeftOut(): Pick<Pass<unknown, unknown>, 'noteLeftOut' | 'leftOutFor'> {
  const leftOut = new Map<string, Map<string, string>>();
  return {
    noteLeftOut(label, name, reason) {
      const by = leftOut.get(name) ?? new Map<string, string>();
      leftOut.set(name, by.set(label, reason));
    },
    leftOutFor({ ref, labels: found }) {
      const by = leftOut.get(ref.name);
      const label = found[labels.report] ?? '';
      return label === sharedSlot ? by?.values().next().value : by?.get(label);
    },
  };
}

/** What slots report together. */
function createShared(): Pick<Pass<unknown, unknown>, 'sharedBy' | 'noteShared'> {
  const sharedBy = new Map<string, Map<string, NamedFinding>>();
  return {
    sharedBy,
    noteShared(label, named) {
      const by = sharedBy.get(named.name) ?? new Map<string, NamedFinding>();
      sharedBy.set(named.name, by.set(label, named));
    },
  };
}

export async function createPass<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  kinds: readonly KindSelector[],
  unseenKinds: readonly UnseenKind[],
  context: Context<Settings>,
): Promise<Pass<Data, Settings>> {
  const held = new Set<string>();
  const { asStored, inSystemByName, ...system } = await listSystem(source, context);
  const keptSubjects = new Set<string | undefined>();
  const keepOld = (report: KubernetesObject): void => void keptSubjects.add(oldSubjectOf(source, report));
  const pass: Pass<Data, Settings> = {
    source,
    context,
    kinds,
    ...system,
    elsewhere: new Set(),
    ...createShared(),
    ...createLeftOut(),
    fingerprints: new Map(),
    hasWritten: false,
    incomplete: new Set(),
    changed: new Set(),
    unseen: createUnseen(kinds, context, unseenKinds),
    held,
    noteHeld(label, reports) {
      held.add(label);
      for (const { object, isPartial } of reports) if (isPartial) keepOld(object);
    },
    noteUnjudged(held, namespace) {
      for (const { named, refusal } of held) {
        pass.unreported.delete(named.namespace, named.name);
        pass.unreported.delete(context.settings.SYSTEM_NAMESPACE, named.name);
        if (named.namespace !== namespace) pass.elsewhere.add(named.name);
        if (refusal.isTenants) context.event.tally.warning(`${refusal.message}: ${refusal.cause}`);
        else pass.refusals.push(refusal);
      }
    },
    keepOld,
    // A report about many things may stand for anything.
    isKeptOld: ({ subject }) => keptSubjects.has(undefined) || keptSubjects.has(subject),
    noteOutcome({ hasWritten, displaced, unwritten }) {
      if (hasWritten) pass.hasWritten = true;
      for (const name of displaced) pass.displaced.add(name);
      pass.refusals.push(...unwritten.refusals);
    },
    refusals: [],
    displaced: new Set(),
    noteCopyOf({ ref: { name } }) {
      const copy = inSystemByName.get(name);
      if (!copy) return;
      pass.copies.push(copy);
      pass.unreported.delete(copy.ref.namespace, name);
    },
    copies: [],
    old: [],
    asStored,
  };
  return pass;
}
