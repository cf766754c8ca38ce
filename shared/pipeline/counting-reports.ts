import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import type { ResourceRef } from '../finding/finding.ts';
import { objectMetadata } from '../finding/object-schema.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { Report } from './report.ts';

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

function namesAndDigests(reports: readonly Report[]): string {
  const all = reports.flatMap(({ findings }) => findings.map(({ name, digest }) => `${name} ${digest}`));
  return [...new Set(all)].sort().join('\n');
}

function createdAt({ object }: Report): number {
  return Date.parse(object.metadata.creationTimestamp ?? '') || 0;
}

function newestOf(reports: readonly Report[]): readonly Report[] {
  const [newest] = reports.toSorted(
    (a, b) => createdAt(b) - createdAt(a) || (a.object.metadata.name < b.object.metadata.name ? -1 : 1),
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
  const ofReplicaSets = reports.filter((report) => replicaSetOf(source, report) !== undefined);
  const others = reports.filter((report) => !ofReplicaSets.includes(report));
  const makesDifference =
    others.length > 0
      ? namesAndDigests(others) !== namesAndDigests(reports)
      : new Set(reports.map((report) => namesAndDigests([report]))).size > 1;
  if (ofReplicaSets.length === 0 || reports.length === 1 || !makesDifference) return reports;
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
