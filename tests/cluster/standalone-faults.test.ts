import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import kyverno from '../../functions/kyverno.ts';
import { freePort } from '../bench/measure.ts';
import { type Program, until } from '../host/program.ts';
import { createRandom } from '../host/random.ts';
import { type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { expectedOf } from './expected-names.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { policyReport, reportCrds } from './report-crds.ts';
import { installStandalone, namesIn, signedIn, startReadyStandalone, startStandalone } from './standalone.ts';

/** How long the storm lasts; the API server is away for half of it. The whole form is `SECONDS=60`. */
const seconds = Number(process.env.SECONDS ?? 16);

const namespaces = ['shop', 'pay', 'web'] as const;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The Pods of a Deployment, behind a Service that sends to those that are ready. */
function createService(start: (port: number) => Promise<Program>) {
  const pods: { readonly port: number; program: Program; isReady: boolean; onTheWay: number }[] = [];
  let turn = 0;
  return {
    pods,

    async add(): Promise<void> {
      const port = await freePort();
      pods.push({ port, program: await start(port), isReady: true, onTheWay: 0 });
    },

    /** Posts to a Pod; resolves to the status, or to 0 without an answer. */
    async post(path: string, body: string): Promise<number> {
      const ready = pods.filter(({ isReady }) => isReady);
      turn += 1;
      const pod = ready[turn % ready.length];
      if (!pod) {
        await pause(20);
        return 0;
      }
      pod.onTheWay += 1;
      const status = await postTo(`${pod.program.url}${path}`, signedIn, body);
      pod.onTheWay -= 1;
      return status;
    },

    /** Kills one as the kernel does when memory is short, and starts it again. */
    async kill(index: number): Promise<void> {
      const pod = pods[index % pods.length];
      if (!pod) return;
      pod.isReady = false;
      await pod.program.kill();
      pod.program = await start(pod.port);
      pod.isReady = true;
    },

    /**
     * Ends the oldest as a rolling update does: first no Service sends it anything new, what is on its way arrives during the
     * preStop, then it is told.
     */
    async replaceOldest(): Promise<number | null> {
      await this.add();
      const [oldest] = pods;
      if (!oldest) return null;
      oldest.isReady = false;
      pods.shift();
      await until('what is on its way has arrived', () => oldest.onTheWay === 0);
      return oldest.program.stop();
    },
  };
}

describe.skipIf(skipWithoutCluster())('faults of standalone mode on a real API server', { timeout: 600_000 }, () => {
  let cluster: Cluster;
  let folder: string;

  beforeAll(async () => {
    cluster = await startCluster();
    folder = await installStandalone(cluster);
    for (const name of namespaces) await cluster.namespace(name);
    await cluster.apply(reportCrds);
  }, 900_000);

  afterAll(() => cluster.stop());

  const alertOf = (index: number, namespace: string): string =>
    JSON.stringify({
      ...{ rule: `alert ${index}`, priority: 'Error', time: '2026-03-01T10:00:00Z' },
      output_fields: { 'k8s.ns.name': namespace, 'k8s.pod.name': `p${index % 9}` },
    });
  const auditOf = (index: number, namespace: string) => ({
    ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', stage: 'ResponseComplete', verb: 'delete' },
    ...{ auditID: `id-${index}`, user: { username: 'eve' }, responseStatus: { code: 200 } },
    ...{ requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z', stageTimestamp: '2026-03-01T10:00:00.000002Z' },
    objectRef: {
      ...{ resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', apiVersion: 'v1' },
      namespace,
      name: `r${index}`,
    },
  });

  /** Tries until the API server takes it, as a tool that writes reports does. */
  async function persistently(method: string, path: string, body: unknown): Promise<void> {
    const options = method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {};
    await until(`${method} ${path}`, async () => {
      const answer = await cluster.request(method, path, body, options).catch(() => undefined);
      return answer !== undefined && (answer.status < 300 || answer.status === 409);
    });
  }

  it('two replicas that are killed again and again, with the API server away, lose nothing and double nothing', async () => {
    const random = createRandom();
    const proxy: FaultProxy = await startProxy({
      target: cluster.server,
      certificates: cluster.certificates,
      fault: () => undefined,
    });
    const environment = { API_TIMEOUT_SECONDS: '2', LOG_LEVEL: 'ERROR' };
    const service = createService((port) =>
      startStandalone({ server: proxy.server, folder, environment: { ...environment, PORT: String(port) } }),
    );
    await service.add();
    await service.add();
    const ends = performance.now() + seconds * 1000;
    const isStormy = (): boolean => performance.now() < ends;
    const place = (): string => random.pick(namespaces);
    const sent = new Set<string>();
    const acknowledged = new Set<string>();
    const unanswered: string[] = [];
    let next = 0;

    /** Sends nothing twice, as Falco. */
    async function sendAlerts(): Promise<void> {
      while (isStormy()) {
        const alert = alertOf(next++, place());
        const names = expectedOf(falco, JSON.parse(alert));
        for (const name of names) sent.add(name);
        if ((await service.post('/falco/webhook', alert)) === 204) for (const name of names) acknowledged.add(name);
        else unanswered.push(alert);
      }
    }
    /** Sends each batch until it is taken, and some of them once more. */
    async function sendBatches(): Promise<void> {
      while (isStormy()) {
        const items = Array.from({ length: 10 }, () => auditOf(next++, place()));
        const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
        for (const name of items.flatMap((item) => expectedOf(audit, item))) sent.add(name);
        while ((await service.post('/audit/webhook', body)) !== 204) await pause(200);
        for (const name of items.flatMap((item) => expectedOf(audit, item))) acknowledged.add(name);
        if (random.below(3) === 0) await service.post('/audit/webhook', body);
      }
    }
    const final = new Map<string, ReturnType<typeof policyReport>>();
    /** Writes reports and changes them. Nobody tells the program but its watches. */
    async function writeReports(): Promise<void> {
      for (let index = 0; isStormy(); index += 1) {
        const namespace = place();
        const path = `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`;
        const name = `r${index}`;
        const report = policyReport(name, namespace, ['a', 'b', 'c']);
        await persistently('POST', path, policyReport(name, namespace, ['a', 'b']));
        await persistently('PATCH', `${path}/${name}`, { results: report.results });
        final.set(`${namespace}/${name}`, report);
        await pause(100);
      }
    }
    let kills = 0;
    async function killPods(): Promise<void> {
      while (isStormy()) {
        await pause(1500 + random.below(1500));
        await service.kill(kills);
        kills += 1;
      }
    }
    async function outage(): Promise<void> {
      await pause(seconds * 250);
      await proxy.close();
      await pause(seconds * 500);
      await proxy.open();
    }
    await Promise.all([
      ...Array.from({ length: 8 }, sendAlerts),
      ...Array.from({ length: 3 }, sendBatches),
      ...[writeReports(), killPods(), outage()],
    ]);
    const reported = [...final.values()].flatMap((report) => expectedOf(kyverno, report));
    for (const name of reported) {
      sent.add(name);
      acknowledged.add(name);
    }
    const existing = async (): Promise<string[]> => namesIn(cluster);
    const lostOf = (names: readonly string[]): string[] => [...acknowledged.difference(new Set(names))];
    await until('what reports say is stored', async () => lostOf(await existing()).length === 0);
    const names = await existing();
    const wrong = names.filter((name) => !sent.has(name));
    console.log(
      `${seconds} s: ${kills} kills, API server away ${seconds / 2} s; ${acknowledged.size} acknowledged, ` +
        `${unanswered.length} alerts without an answer, ${lostOf(names).length} lost, ${wrong.length} wrong or twice`,
    );
    expect(lostOf(names)).toEqual([]);
    expect(wrong).toEqual([]);
    expect(kills).toBeGreaterThan(2);
    for (const { program } of service.pods) expect(await program.stop()).toBe(0);
    await proxy.stop();
  });

  it('a rolling update answers everything that it was sent, once it is stored', async () => {
    const service = createService((port) =>
      startReadyStandalone({ server: cluster.server, folder, environment: { PORT: String(port), LOG_LEVEL: 'ERROR' } }),
    );
    await service.add();
    await service.add();
    const statuses: number[] = [];
    const expected = new Set<string>();
    let next = 1_000_000;
    let isOver = false;
    const send = async (): Promise<void> => {
      while (!isOver) {
        const alert = alertOf(next++, 'shop');
        for (const name of expectedOf(falco, JSON.parse(alert))) expected.add(name);
        statuses.push(await service.post('/falco/webhook', alert));
      }
    };
    const senders = Array.from({ length: 8 }, send);
    const codes = [await service.replaceOldest(), await service.replaceOldest()];
    isOver = true;
    await Promise.all(senders);
    const stored = new Set(await namesIn(cluster, 'zen.kube-zen.io/source=falco'));
    console.log(
      `a rolling update: ${statuses.length} alerts, ${statuses.filter((one) => one !== 204).length} not taken`,
    );
    expect(codes).toEqual([0, 0]);
    expect(new Set(statuses)).toEqual(new Set([204]));
    expect(expected.difference(stored)).toEqual(new Set());
    for (const { program } of service.pods) await program.stop();
  });

  it('told to end under load, it answers all that it has taken, and leaves nothing half done', async () => {
    const environment = { LOG_LEVEL: 'ERROR' };
    const program = await startReadyStandalone({ server: cluster.server, folder, environment });
    const acknowledged = new Set<string>();
    const namesBefore = new Set(await namesIn(cluster, 'zen.kube-zen.io/source=falco'));
    const statuses = new Map<number, number>();
    let next = 2_000_000;
    let isGone = false;
    const send = async (): Promise<void> => {
      while (!isGone) {
        const alert = alertOf(next++, 'shop');
        const status = await postTo(`${program.url}/falco/webhook`, signedIn, alert);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status !== 204) continue;
        for (const name of expectedOf(falco, JSON.parse(alert))) acknowledged.add(name);
      }
    };
    const senders = Array.from({ length: 16 }, send);
    await until('it is at work', () => acknowledged.size > 200);
    expect(await program.stop()).toBe(0);
    isGone = true;
    await Promise.all(senders);
    const stored = new Set(await namesIn(cluster, 'zen.kube-zen.io/source=falco')).difference(namesBefore);
    console.log(`an end under load: ${[...statuses].map(([status, count]) => `${count} times ${status}`).join(', ')}`);
    expect(acknowledged.difference(stored)).toEqual(new Set());
    expect(stored.difference(acknowledged)).toEqual(new Set());
    // Refused by the door that is closed, or answered that it is about to be.
    for (const status of statuses.keys()) expect([204, 503, 0]).toContain(status);
  });
});
