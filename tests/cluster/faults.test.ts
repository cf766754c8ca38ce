import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import kyverno from '../../functions/kyverno.ts';
import { freePort } from '../bench/measure.ts';
import type { Program } from '../host/program.ts';
import { createRandom } from '../host/random.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { expectedOf } from './expected-names.ts';
import { startFunction } from './functions.ts';
import { type FaultProxy, faults, postTo, startProxy } from './proxy.ts';
import { applyTriggers, pingHeaders, policyReport, referenceTo, reportCrds } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { sendAsApiServer, sendAsApiServerSource, sendAsFalco, startBroker } from './senders.ts';

/** FAULT_SEEDS=<count> runs more of them; SEED=<number> FAULT_SEEDS=1 repeats one. */
const count = Number(process.env.FAULT_SEEDS ?? 20);
const firstSeed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const seeds = Array.from({ length: count }, (_, index) => ({
  seed: firstSeed + index,
  killsCluster: index % 10 === 9,
}));

const namespaces = ['shop', 'payments', 'kube-system-like'] as const;
const downSeconds = 20;

/** How long the faults last. Then everything they delayed is delivered. */
const stormSeconds = 10;

let cluster: Cluster;
let folder: string;
const table: string[] = [];

async function existing(): Promise<string[]> {
  const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/observations');
  const items: { metadata: { namespace: string; name: string } }[] = body.items;
  return items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

function alertsOf(seed: number, { below, shuffle }: ReturnType<typeof createRandom>): string[] {
  const alerts = Array.from({ length: 100 }, (_, index) =>
    JSON.stringify({
      ...{ rule: `fault ${seed} ${index}`, priority: 'Error', time: '2026-03-01T10:00:00Z' },
      output_fields: { 'k8s.ns.name': namespaces[below(3)], 'k8s.pod.name': `p${below(9)}` },
    }),
  );
  return shuffle([...alerts, ...alerts.slice(0, 20)]);
}

function auditBatchesOf(seed: number, { below }: ReturnType<typeof createRandom>): unknown[][] {
  return Array.from({ length: 8 }, (_, batch) =>
    Array.from({ length: 25 }, (_item, index) => ({
      ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', stage: 'ResponseComplete', verb: 'delete' },
      ...{ auditID: `${seed}-${batch}-${index}`, user: { username: 'eve' }, responseStatus: { code: 200 } },
      ...{ requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z', stageTimestamp: '2026-03-01T10:00:00.000002Z' },
      objectRef: {
        resource: 'roles',
        apiGroup: 'rbac.authorization.k8s.io',
        namespace: namespaces[below(3)],
        name: `s${index}`,
        apiVersion: 'v1',
      },
    })),
  );
}

/** Reports are created and changed while references to them are sent. Only the last state counts. */
async function sendReports(seed: number, url: string, { below }: ReturnType<typeof createRandom>) {
  const final = [];
  let dropped = 0;
  for (let index = 0; index < 30; index += 1) {
    const namespace = namespaces[below(3)] ?? 'shop';
    const name = `r${seed}-${index}`;
    const path = `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`;
    let report = policyReport(name, namespace, ['a', 'b']);
    await persistently('POST', path, report);
    if (!(await sendAsApiServerSource(url, referenceTo(report)))) dropped += 1;
    if (index % 3 === 0) {
      report = policyReport(name, namespace, ['a', 'b', 'c']);
      await persistently('PATCH', `${path}/${name}`, { results: report.results });
      if (!(await sendAsApiServerSource(url, referenceTo(report)))) dropped += 1;
    }
    final.push(report);
  }
  return { final, dropped };
}

/** Tries until the API server is back, as a tool that writes reports does. */
async function persistently(method: string, path: string, body: unknown): Promise<void> {
  for (;;) {
    const options = method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {};
    const answer = await cluster.request(method, path, body, options).catch(() => undefined);
    if (answer && (answer.status < 300 || answer.status === 409)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface Killable {
  readonly name: string;
  readonly port: number;
  program: Program;
}

describe.skipIf(skipWithoutCluster())('faults between senders, functions and a real API server', () => {
  beforeAll(async () => {
    cluster = await startCluster({ durable: true });
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', ...namespaces]) await cluster.namespace(name);
    await applyTriggers(cluster, [falco, audit]);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
  }, 900_000);

  afterAll(async () => {
    console.log(
      `| seed | faults injected | kills | cluster killed | dropped by ApiServerSource | expected | lost | wrong |\n|---|---|---|---|---|---|---|---|\n${table.join('\n')}`,
    );
    await cluster.stop();
  });

  it.each(seeds)(
    'lose nothing and double nothing with seed $seed',
    { timeout: 300_000 },
    async ({ seed, killsCluster }) => {
      const random = createRandom(seed);
      let isDown = killsCluster;
      let isSent = false;
      let isCalm = false;
      let stormEnds = Number.POSITIVE_INFINITY;
      const isStormy = (): boolean => !isSent && (isDown || performance.now() < stormEnds);
      const likelihood = 0.1 + random.random() * 0.25;
      const fault = () => (isStormy() && random.random() < likelihood ? random.pick(faults) : undefined);
      const proxy: FaultProxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault });
      const before = new Set(await existing());

      const start = (name: string, port: number, environment = {}): Promise<Program> =>
        startFunction(name, {
          server: proxy.server,
          folder,
          environment: { PORT: String(port), API_TIMEOUT_SECONDS: '1', LOG_LEVEL: 'ERROR', ...environment },
        });
      const killables: Killable[] = await Promise.all(
        ['falco', 'audit', 'kyverno', 'deadletter'].map(async (name) => {
          const port = await freePort();
          return { name, port, program: await start(name, port) };
        }),
      );
      const urlOf = (name: string): string => killables.find((one) => one.name === name)?.program.url ?? '';
      const subscribers = new Map([
        ['falco.rule.output.v1', urlOf('falco')],
        ['io.kube-zen.audit.v1', urlOf('audit')],
      ]);
      const broker = await startBroker({ subscribers, deadLetterSink: urlOf('deadletter'), isCalm: () => isCalm });
      const webhook = await startFunction('webhook', {
        server: proxy.server,
        folder,
        environment: { K_SINK: broker.url, LOG_LEVEL: 'ERROR' },
      });

      let kills = 0;
      /** Replaces the token, as the kubelet does. The API server no longer accepts the old one. */
      async function rotateToken(): Promise<void> {
        const path = '/api/v1/namespaces/zen-system/serviceaccounts/functions/token';
        const answer = await cluster
          .request('POST', path, { spec: { expirationSeconds: 3600 + random.below(3600) } })
          .catch(() => undefined);
        if (answer?.status !== 201) return;
        const file = join(folder, 'token');
        const old = readFileSync(file, 'utf8');
        writeFileSync(`${file}.new`, answer.body.status.token);
        renameSync(`${file}.new`, file);
        proxy.revoke(old);
      }
      async function misfortunes(): Promise<void> {
        while (isStormy()) {
          await new Promise((resolve) => setTimeout(resolve, 200 + random.below(800)));
          const chance = random.random();
          if (chance < 0.15) await rotateToken();
          else if (chance < 0.4) {
            await proxy.close();
            await new Promise((resolve) => setTimeout(resolve, random.below(1500)));
            await proxy.open();
          } else {
            const victim = killables[random.below(3)];
            if (!victim || !isStormy()) continue;
            await victim.program.kill();
            kills += 1;
            victim.program = await start(victim.name, victim.port);
          }
        }
      }
      async function outage(): Promise<void> {
        if (!killsCluster) return;
        await new Promise((resolve) => setTimeout(resolve, 300 + random.below(1000)));
        await cluster.kill();
        await new Promise((resolve) => setTimeout(resolve, downSeconds * 1000));
        await cluster.restart();
        isDown = false;
      }

      const alerts = alertsOf(seed, random);
      const batches = auditBatchesOf(seed, random);
      stormEnds = performance.now() + stormSeconds * 1000;
      const storm = misfortunes().then(() => {
        isCalm = true;
      });
      const [, lostBatches, reports] = await Promise.all([
        sendAsFalco(webhook.url, alerts),
        sendAsApiServer(webhook.url, batches),
        sendReports(seed, urlOf('kyverno'), random),
        outage(),
      ]);
      isSent = true;
      await storm;
      expect(lostBatches).toBe(0);
      expect(await postTo(urlOf('kyverno'), pingHeaders, '')).toBe(204);

      const expected = new Set([
        ...alerts.flatMap((alert) => expectedOf(falco, JSON.parse(alert))),
        ...batches.flat().flatMap((event) => expectedOf(audit, event)),
        ...reports.final.flatMap((report) => expectedOf(kyverno, report)),
      ]);
      const after = (await existing()).filter((one) => !before.has(one));
      const lost = [...expected].filter((one) => !after.includes(one));
      const wrong = after.filter((one) => !expected.has(one));
      const injected = [...proxy.injected.values()].reduce((sum, one) => sum + one, 0);
      table.push(
        `| ${seed} | ${injected} | ${kills} | ${killsCluster ? 'yes' : 'no'} | ${reports.dropped} | ${expected.size} | ${lost.length} | ${wrong.length} |`,
      );
      await Promise.all([webhook.stop(), ...killables.map(({ program }) => program.stop())]);
      broker.stop();
      await proxy.stop();
      expect(lost).toEqual([]);
      expect(wrong).toEqual([]);
      expect(after).toHaveLength(expected.size);
      expect(injected).toBeGreaterThan(10);
    },
  );
});
