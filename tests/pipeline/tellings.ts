import * as z from 'zod';
import { isOpen } from '../../shared/api/announcement.ts';
import { labels, outboxLabel, toldAnnotation } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { formatTold, isSameTold, type Told, toldOf } from '../../shared/api/told.ts';
import { isBelow, parseSeverity, type Severity } from '../../shared/finding/severity.ts';
import type { Store, Stored } from '../../shared/function/stores.ts';
import {
  type Change,
  changeWhenAccepted,
  changeWhenReported,
  changeWhenUnreported,
  isAnnounced,
  type LifecycleOptions,
  withOutbox,
} from '../../shared/pipeline/lifecycle.ts';
import type { createRandom } from '../host/random.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

/** From which severity on the changes are told. */
const floor: Severity = 'MEDIUM';

/** Where the findings are that change. */
export const namespaces = Array.from({ length: 7 }, (_, index) => `ns${index}`);

const findings = 300;
const ttl = 7 * 86_400;
const signal = new AbortController().signal;
const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'] as const;

type Random = ReturnType<typeof createRandom>;

/** A new finding, as a source stores it. */
export function createdBy(index: number, severity: Severity, now: number) {
  const finding = { ...aFinding(`r${index}`, namespaces[index % namespaces.length] ?? ''), severity };
  const object = anObservationOf(finding, { source: 'kyverno', now, ttl });
  const isDue = isAnnounced(severity, floor);
  const found = { ...object.metadata.labels, ...(isDue && { [outboxLabel]: 'due' }) };
  return { ...object, metadata: { ...object.metadata, labels: found } };
}

/** What happens next to a finding that is there. */
function decided(stored: Stored, random: Random, options: LifecycleOptions): Change | undefined {
  const deed = random.pick(['reported', 'unreported', 'filtered', 'severity', 'accepted']);
  const severity = deed === 'severity' ? random.pick(severities) : parseSeverity(stored.labels[labels.severity]);
  const digest = deed === 'severity' ? `d-${severity}` : (stored.labels[labels.digest] ?? '');
  if (deed === 'accepted') return changeWhenAccepted(stored, 'shop/x', options);
  if (deed === 'unreported') return changeWhenUnreported(stored, undefined, options);
  if (deed === 'filtered') return changeWhenUnreported(stored, 'filtered', options);
  return changeWhenReported(stored, { digest, severity, isAuthority: true }, options);
}

export interface ChangeOptions {
  readonly store: Store;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Whether findings are deleted, too, of which nothing is told. */
  readonly deletes: boolean;
}

/** Writes a change of some finding as a source does. Resolves to whether it is one of state, acceptance or severity. */
export async function changeOne(random: Random, { store, now, deletes }: ChangeOptions): Promise<boolean> {
  const object = createdBy(random.below(findings), random.pick(severities), now);
  const { namespace, name } = object.metadata;
  const stored = await store.find(namespace, name, signal);
  if (!stored) return (await store.create(object, signal)) === 'created';
  if (deletes && random.below(20) === 0) return store.delete(stored.ref, signal);
  // Heartbeats move the version, and change nothing that is told.
  if (random.below(5) === 0) {
    const repeats = { count: 1, lastObservedTime: new Date(now).toISOString(), seen: [] };
    await store.addSeries(stored.ref, repeats, signal);
    return false;
  }
  const settings = { OBSERVATION_TTL_SECONDS: ttl, RESYNC_INTERVAL_MINUTES: 60 };
  const change = decided(stored, random, { now, dueAt: now, settings });
  if (!change) return false;
  const marked = withOutbox(change, stored, floor);
  const severity = marked.labels[labels.severity];
  const facts = severity && { facts: { severity: parseSeverity(severity), details: {} } };
  const isDone = await store.patch(stored, { ...marked, ...facts }, signal);
  return isDone && labels.since in marked.labels;
}

/** Everything that is stored, whole. */
export async function allOf(store: Store): Promise<Observation[]> {
  const all: Observation[] = [];
  for (const { ref } of await Array.fromAsync(store.names({}, signal))) {
    const whole = await store.findWhole(ref.namespace, ref.name, signal);
    if (whole) all.push(whole.observation);
  }
  return all;
}

/** As the alerts of Alertmanager are told apart: by our mark and the severity. */
export function alertKeyOf({ metadata, spec }: Observation): string {
  return `${metadata.namespace}/${metadata.name} ${spec.severity.toLowerCase()}`;
}

/** What is open at or above the floor, and not accepted. */
export function openOf(all: readonly Observation[], now: number): string[] {
  const open = all.filter((one) => isOpen(one, now) && !isBelow(one.spec.severity, floor));
  return open.map(alertKeyOf).sort();
}

function toldIn({ metadata }: Observation): Told {
  return toldOf(metadata.labels, Date.parse(metadata.creationTimestamp ?? ''));
}

const recordsSchema = z.array(
  z.object({ id: z.string(), observation: z.custom<Observation>((value) => typeof value === 'object') }),
);

/** A receiver of `sender` that drops the ids that it has seen. */
export function createReceiver() {
  const byId = new Map<string, Told>();
  const idOfChange = new Map<string, string>();
  /** Ids that two changes have, and what they told. */
  const ambiguous: { readonly id: string; readonly first: Told; readonly second: Told }[] = [];
  /** Changes that two ids tell. */
  const twice: string[] = [];
  let received = 0;
  return {
    byId,
    ambiguous,
    twice,
    received: () => received,

    take(body: string): void {
      for (const { id, observation } of recordsSchema.parse(JSON.parse(body))) {
        received += 1;
        const told = toldIn(observation);
        const known = byId.get(id);
        if (known && !isSameTold(known, told)) ambiguous.push({ id, first: known, second: told });
        if (known) continue;
        byId.set(id, told);
        const { namespace, name } = observation.metadata;
        const change = `${namespace}/${name} ${formatTold(told)}`;
        if (idOfChange.has(change)) twice.push(change);
        idOfChange.set(change, id);
      }
    },

    /** Those whose latest state it was not told, although it was to be. */
    untold(all: readonly Observation[]): string[] {
      const isUntold = (one: Observation): boolean => {
        const { namespace, name, annotations } = one.metadata;
        const told = toldIn(one);
        const known = byId.get(`${namespace}/${name}/${told.since}`);
        const isOwed = annotations[toldAnnotation] !== undefined || !isBelow(one.spec.severity, floor);
        return isOwed && !(known && isSameTold(known, told));
      };
      return all.filter(isUntold).map(alertKeyOf);
    },
  };
}
