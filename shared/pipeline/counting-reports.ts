import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import type { ResourceRef } from '../finding/finding.ts';
import { objectMetadata } from '../finding/object-schema.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import { createdAt, type Report } from './report.ts';
import { keyOf } from './slot.ts';

const replicaSets: KindSelector = {
  group: 'apps',
  versions: ['v1'],
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
};

const scale = z.object({ spec: z.object({ replicas: z.number().default(1) }) });

function replicaSetOf<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { object: { apiVersion, kind, metadata } }: Report,
): ResourceRef | undefined {
  const { group } = groupVersionOf(apiVersion);
  const about = source.slotOf?.({ group, kind }, objectMetadata.parse(metadata))?.about;
  return about?.kind === replicaSets.kind ? about : undefined;
}

/** Whether a ReplicaSet has Pods, or is to have some; `undefined` if that can't be found out. */
async function isRunning({ name, namespace }: ResourceRef, context: Context): Promise<boolean | undefined> {
  if (name === undefined) return undefined;
  try {
    const ref = { apiVersion: 'apps/v1', kind: replicaSets.kind, namespace, name };
    const object = await context.cluster.objects.get(replicaSets, ref, context.event.signal);
    if (object === undefined) return false;
    return (scale.safeParse(object).data?.spec.replicas ?? 1) > 0;
  } catch {
    // Without the right to ask, or while the API server is away, reports of ReplicaSets are told apart by age.
    return undefined;
  }
}

/** Everything that reports say, each thing once. */
function sayingsOf(reports: readonly Report[]): ReadonlySet<string> {
  return new Set(
    reports.flatMap((report) => [
      ...report.findings.map(({ name, digest }) => `${name} ${digest}`),
      ...[...report.leftOut(), ...report.accepted].map(([name, reason]) => `${name} ${reason}`),
    ]),
  );
}

function namesOf(reports: readonly Report[]): ReadonlySet<string> {
  return new Set(
    reports.flatMap(({ findings, leftOut, accepted }) => [
      ...findings.map(({ name }) => name),
      ...leftOut().keys(),
      ...accepted.keys(),
    ]),
  );
}

/** Whether it depends on the reports of ReplicaSets what all say together, or which of several says it last. */
function makeDifference(ofReplicaSets: readonly Report[], others: readonly Report[]): boolean {
  const all = [...ofReplicaSets, ...others];
  const sayings = sayingsOf(all);
  if (sayings.size > namesOf(all).size) return true;
  const alone = others.length > 0 ? [others] : ofReplicaSets.map((report) => [report]);
  return alone.some((reports) => sayingsOf(reports).size < sayings.size);
}

function newestOf(reports: readonly Report[]): readonly Report[] {
  const [newest] = reports.toSorted(
    (a, b) => createdAt(b.object) - createdAt(a.object) || (keyOf(a.object) < keyOf(b.object) ? -1 : 1),
  );
  return newest ? [newest] : [];
}

/**
 * The reports of a slot that count. A rollout leaves old ReplicaSets behind: once one is scaled to 0, its report doesn't
 * count while another one does. That is asked only if it makes a difference.
 */
export async function countingReports<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  reports: readonly Report[],
  context: Context<Settings>,
): Promise<readonly Report[]> {
  if (reports.length === 1) return reports;
  const ofReplicaSets = reports.filter((report) => replicaSetOf(source, report) !== undefined);
  if (ofReplicaSets.length === 0) return reports;
  const others = reports.filter((report) => !ofReplicaSets.includes(report));
  if (!makeDifference(ofReplicaSets, others)) return reports;
  const running: Report[] = [];
  let isKnown = true;
  await forEachConcurrently(ofReplicaSets, callsInFlight, async (report) => {
    const about = replicaSetOf(source, report);
    const answer = about && (await isRunning(about, context));
    if (answer === undefined) isKnown = false;
    else if (answer) running.push(report);
  });
  if (!isKnown) return [...others, ...newestOf(ofReplicaSets)];
  const counting = [...others, ...running];
  return counting.length > 0 ? counting : newestOf(ofReplicaSets);
}
