import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { type Program, until } from '../host/program.ts';
import { installAccounts } from './accounts.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { newCrd, useCrd } from './crd-in-use.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { type ObservationWatch, type WatchedObservation, watchObservations } from './observation-watch.ts';
import { postTo } from './proxy.ts';
import { pingHeaders, referenceTo, reportCrds } from './report-crds.ts';
import { alert, auditEvent, keyOf, type SensorEvent, type ToolReport, toolReports } from './upgrade-world.ts';
import { oldCrd, oldObservation, oldPass, oldWrite } from './version-0.1.0.ts';

const prefix = 'zen.kube-zen.io';
const stateSources = ['trivy', 'kyverno', 'checkov'];
const eventSources = ['falco', 'audit'];
const reports = toolReports();
const events = Array.from({ length: 100 }, (_, index) => [alert(40_000 + index), auditEvent(50_000 + index)]).flat();
const functions = await loadFunctions();

let cluster: Cluster;
let watch: ObservationWatch;
let tokens: ReadonlyMap<string, string>;

/** What must have an open Observation at every moment. */
const expected = new Set<string>();
/** What had none at some moment. */
const gaps = new Set<string>();

const openByKey = new Map<string, Set<string>>();

function isOpen({ metadata }: WatchedObservation): boolean {
  return (metadata.labels[`${prefix}/state`] ?? 'open') === 'open';
}

function note(changed: WatchedObservation, stored: ReadonlyMap<string, WatchedObservation>): void {
  const key = keyOf(JSON.stringify(changed.spec));
  if (key === undefined) return;
  const open = openByKey.get(key) ?? new Set<string>();
  openByKey.set(key, open);
  const current = stored.get(changed.metadata.uid);
  if (current && isOpen(current)) open.add(changed.metadata.uid);
  else open.delete(changed.metadata.uid);
  if (open.size === 0 && expected.has(key)) gaps.add(key);
}

function expectFrom(keys: Iterable<string | undefined>): void {
  for (const key of keys) if (key !== undefined) expected.add(key);
}

function tokenOf(name: string): string {
  return tokens.get(name) ?? '';
}

function writerOf(name: string) {
  return { cluster, token: tokenOf(name) };
}

function oldFindings(source: string) {
  return reports.filter((report) => report.source === source).flatMap(({ old }) => old);
}

function isOld({ metadata: { labels } }: WatchedObservation): boolean {
  return labels[`${prefix}/subject`] !== undefined;
}

/** The first few. */
function namesOf(all: readonly WatchedObservation[]): string[] {
  return all.slice(0, 5).map(({ metadata }) => metadata.name);
}

function hasState({ metadata: { labels } }: WatchedObservation): boolean {
  return labels[`${prefix}/state`] !== undefined;
}

async function stored(): Promise<WatchedObservation[]> {
  await watch.caughtUp();
  return [...watch.stored.values()];
}

async function put(report: ToolReport, object: object): Promise<void> {
  const path = `${report.path}/${report.object.metadata.name}`;
  const answer = await cluster.request('PATCH', `${path}?fieldManager=tool&force=true`, JSON.stringify(object), {
    contentType: 'application/apply-patch+yaml',
  });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
}

async function withFunctions(names: readonly string[], work: (programs: Map<string, Program>) => Promise<void>) {
  const programs = new Map<string, Program>();
  for (const name of names) {
    const folder = cluster.mount(name, tokenOf(name));
    programs.set(name, await startReadyFunction(name, { server: cluster.server, folder }));
  }
  try {
    await work(programs);
  } finally {
    await Promise.all([...programs.values()].map((program) => program.stop()));
  }
}

async function pass(source: string, programs: ReadonlyMap<string, Program>): Promise<void> {
  const response = await fetch(programs.get(source)?.url ?? '', { method: 'POST', headers: pingHeaders });
  expect(response.status, await response.text()).toBe(204);
}

/** Sends events about reports, as an ApiServerSource does. */
async function sendReferences(programs: ReadonlyMap<string, Program>): Promise<void> {
  await forEachConcurrently(reports, 4, async ({ source, object }) => {
    const { headers, body } = referenceTo(object);
    // What can't be read is answered 422.
    expect([204, 422]).toContain(await postTo(programs.get(source)?.url ?? '', headers, body));
  });
}

async function send(sent: readonly SensorEvent[], programs: ReadonlyMap<string, Program>): Promise<void> {
  await forEachConcurrently(sent, 4, async ({ source, type, data }) => {
    const answer = await postTo(programs.get(source)?.url ?? '', eventHeaders(type), JSON.stringify(data));
    expect(answer).toBe(204);
    expected.add(keyOf(JSON.stringify(data)) ?? '');
  });
}

async function deletedBy({ url }: Program): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const lines = metrics.matchAll(/^zen_watcher_observations_deleted_total\{source="\w+",reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason = '', count]) => [reason, Number(count)]));
}

describe.skipIf(skipWithoutCluster())('coming from version 0.1.0', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    await cluster.namespace('zen-system');
    await cluster.namespace('shop');
    tokens = await installAccounts(cluster, functions, [...stateSources, ...eventSources]);
    const reads = [{ apiGroups: [prefix], resources: ['observations'], verbs: ['list', 'watch'] }];
    const { token } = await cluster.serviceAccount('watch', reads);
    await useCrd(cluster, oldCrd);
    watch = watchObservations(cluster, token, note);
    for (const report of reports) {
      await until('reports are served', async () => (await cluster.request('GET', report.path)).status === 200);
      await put(report, report.object);
    }
    for (const source of stateSources) await oldPass(source, oldFindings(source), writerOf(source));
    for (const source of eventSources) {
      const old = events.filter((event) => event.source === source).map((event) => event.old);
      await oldWrite(old, writerOf(source));
    }
    expectFrom((await stored()).map(({ spec }) => keyOf(JSON.stringify(spec))));
  }, 900_000);

  afterAll(async () => {
    watch?.stop();
    await cluster?.stop();
  });

  it('begins with 2,000 Observations', async () => {
    const all = await stored();
    console.log(`${all.length} Observations of version 0.1.0, about ${expected.size} things`);
    expect(all.length).toBeGreaterThanOrEqual(2000);
    expect(expected.size).toBe(2000);
  });

  const broken = ['trivy', 'kyverno', 'checkov'].flatMap(
    (source) => reports.find((report) => report.source === source) ?? [],
  );
  const heldNames = new Set(broken.flatMap(({ old }) => old.map((one) => oldObservation(one, 0).metadata.name)));

  it('keeps in the first passes what can not be read, and nothing else that had a state', async () => {
    await useCrd(cluster, newCrd);
    for (const report of broken) await put(report, report.unreadable);
    await withFunctions([...stateSources, ...eventSources], async (programs) => {
      const fresh = [alert(60_000), alert(60_001), auditEvent(60_002), auditEvent(60_003)];
      await Promise.all([
        ...stateSources.map((source) => pass(source, programs)),
        sendReferences(programs),
        send(fresh, programs),
      ]);
      for (const source of stateSources) await pass(source, programs);
      const left = (await stored()).filter(isOld).filter(hasState);
      expect(left.every(isOpen)).toBe(true);
      expect(new Set(left.map(({ metadata }) => metadata.name))).toEqual(heldNames);
      expect([...gaps]).toEqual([]);
    });
  });

  let upgraded: Map<string, WatchedObservation['spec']>;

  const openSpecs = (all: readonly WatchedObservation[]) =>
    new Map(all.filter(isOpen).map(({ metadata, spec }) => [metadata.name, spec]));

  function expectMigrated(all: readonly WatchedObservation[]): void {
    expect([...gaps]).toEqual([]);
    expect(namesOf(all.filter(isOld).filter(hasState))).toEqual([]);
    const open = [...openByKey].map(([key, of]) => `${key} ${of.size}`).filter((line) => !line.endsWith(' 1'));
    expect(open).toEqual([]);
    for (const { spec } of all.filter((one) => hasState(one) && isOpen(one))) {
      expect(spec).toMatchObject({ rule: expect.any(String), summary: expect.any(String), details: expect.anything() });
    }
    const oldEvents = new Set(events.map(({ old }) => oldObservation(old, 0).metadata.name));
    const kept = all.filter(({ metadata }) => oldEvents.has(metadata.name));
    expect(kept).toHaveLength(events.length);
  }

  it('has one open Observation of each thing after the next pass', async () => {
    for (const report of broken) await put(report, report.object);
    await withFunctions(stateSources, async (programs) => {
      for (const source of stateSources) await pass(source, programs);
      for (const source of stateSources) {
        const program = programs.get(source);
        if (program) console.log(source, await deletedBy(program));
      }
    });
    const all = await stored();
    expectMigrated(all);
    upgraded = openSpecs(all);
  });

  it('rolls back', async () => {
    await useCrd(cluster, oldCrd);
    for (const source of stateSources) await oldPass(source, oldFindings(source), writerOf(source));
    const all = await stored();
    expect([...gaps]).toEqual([]);
    const open = all.filter(hasState).filter(isOpen);
    expect(open.every(isOld)).toBe(true);
    expect(open).toHaveLength(stateSources.flatMap(oldFindings).length);
  });

  it('loses nothing when it is upgraded again', async () => {
    await useCrd(cluster, newCrd);
    await withFunctions(stateSources, async (programs) => {
      await Promise.all([...stateSources.map((source) => pass(source, programs)), sendReferences(programs)]);
      for (const source of stateSources) await pass(source, programs);
      for (const source of stateSources) {
        const program = programs.get(source);
        if (program) console.log(source, await deletedBy(program));
      }
    });
    const all = await stored();
    expectMigrated(all);
    expect(openSpecs(all)).toEqual(upgraded);
  });

  it('gives back what an older CRD has taken from findings that stayed open', async () => {
    for (const name of ['shop', 'zen-system', 'checkov']) {
      await cluster.request('DELETE', `/apis/${prefix}/v1/namespaces/${name}/observations`);
    }
    expected.clear();
    await useCrd(cluster, oldCrd);
    await withFunctions(stateSources, async (programs) => {
      for (const source of stateSources) await pass(source, programs);
      await useCrd(cluster, newCrd);
      for (const source of stateSources) await pass(source, programs);
    });
    const lacking = (await stored()).filter(({ spec }) => spec.rule === undefined || spec.summary === undefined);
    expect(namesOf(lacking)).toEqual([]);
  });
});
