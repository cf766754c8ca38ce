import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standaloneResources } from '../../knative/generator/standalone.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { createControlGroup } from '../host/container.ts';
import { memoryOf, type Program } from '../host/program.ts';
import { type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { reportCrds, vulnerabilityReport } from './report-crds.ts';
import { installStandalone, passesOf, signedIn, startReadyStandalone } from './standalone.ts';

/** The whole form is `REPORTS=4500 MINUTES=4`: with eleven findings each, 49,500 Observations. */
const reports = Number(process.env.REPORTS ?? 60);
const minutes = Number(process.env.MINUTES ?? 0.25);

const namespaces = Array.from({ length: 50 }, (_, index) => `team-${index}`);
const openFindings = 10;

/** The Deployment's. */
const limitMiB = Number.parseInt(standaloneResources.limits.memory, 10);

/** A report of 60 to 150 KB: ten findings of its own, and what is LOW, which is counted in one. */
function largeReport(index: number) {
  const namespace = namespaces[index % namespaces.length] ?? '';
  const count = 260 + ((index * 37) % 360);
  const report = vulnerabilityReport(`web-${index}-app`, namespace, count);
  const vulnerabilities = report.report.vulnerabilities.map((one, row) => ({
    ...one,
    severity: row < openFindings ? 'HIGH' : 'LOW',
    primaryLink: `https://avd.example.com/nvd/${one.vulnerabilityID.toLowerCase()}`,
    publishedDate: '2026-01-01T00:00:00Z',
    ...{ lastModifiedDate: '2026-01-02T00:00:00Z', links: [], target: '', class: 'os-pkgs', score: 5.5 },
  }));
  return { ...report, report: { ...report.report, vulnerabilities } };
}

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe.skipIf(skipWithoutCluster())(
  'what standalone mode takes, on a real API server',
  { timeout: 3_600_000 },
  () => {
    let cluster: Cluster;
    let folder: string;
    let proxy: FaultProxy;

    beforeAll(async () => {
      cluster = await startCluster();
      folder = await installStandalone(cluster);
      await cluster.apply(reportCrds);
      for (const name of namespaces) await cluster.namespace(name);
      proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => undefined });
    }, 900_000);

    afterAll(async () => {
      await proxy.stop();
      await cluster.stop();
    });

    const stored = async (): Promise<number> => {
      const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/observations?limit=1');
      return body.items.length + (body.metadata.remainingItemCount ?? 0);
    };

    it('stays within the limit of the Deployment while it reads large reports, and stores an alert meanwhile', async () => {
      let bytes = 0;
      const filling = performance.now();
      const indexes = Array.from({ length: reports }, (_, index) => index);
      await forEachConcurrently(indexes, 8, async (index) => {
        const report = largeReport(index);
        const text = JSON.stringify(report);
        bytes += text.length;
        const path = `/apis/${report.apiVersion}/namespaces/${report.metadata.namespace}/vulnerabilityreports`;
        const { status } = await cluster.request('POST', path, text);
        expect(status).toBe(201);
      });
      console.log(`${reports} reports made: ${secondsSince(filling)} s, ${(bytes / 1e6).toFixed(0)} MB`);
      const contained = createControlGroup('standalone', { memoryMiB: limitMiB });
      const at = { server: proxy.server, folder, contained, environment: { LOG_LEVEL: 'WARN' } };
      const started = performance.now();
      const program = await startReadyStandalone(at);
      const expected = reports * (openFindings + 1);
      const show = (what: string): void => console.log(`${what}: ${secondsSince(started)} s, ${shownMemory(program)}`);
      for (let round = 1, there = 0; there < expected; round += 1) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        there = await stored();
        // A run of half an hour that is broken off has said something.
        if (round % 30 === 0) show(`${there} stored`);
      }
      show('first pass');
      const alert = JSON.stringify({
        rule: 'meanwhile',
        priority: 'Error',
        output_fields: { 'k8s.ns.name': 'team-1' },
      });
      expect(await postTo(`${program.url}/falco/webhook`, signedIn, alert)).toBe(204);
      expect(memoryOf(program.pid).peak).toBeLessThan(limitMiB);
      const callsOfFirst = proxy.calls.length;
      expect(await program.stop()).toBe(0);
      console.log(`${await stored()} Observations, after ${callsOfFirst} calls`);

      const callsBefore = proxy.calls.length;
      const startedAgain = performance.now();
      const again = await startReadyStandalone(at);
      // It takes minutes, which `until` would not wait.
      while (!(await passesOf(again)).has('trivy')) await new Promise((resolve) => setTimeout(resolve, 1000));
      await quiet();
      console.log(
        `started again, after its passes: ${secondsSince(startedAgain)} s, ${shownMemory(again)}, ${proxy.calls.length - callsBefore} calls for both`,
      );
      const calls = proxy.calls.length;
      const cpu = cpuSecondsOf(again.pid);
      const begun = performance.now();
      await new Promise((resolve) => setTimeout(resolve, minutes * 60_000));
      const hours = (performance.now() - begun) / 3_600_000;
      const some = proxy.calls.slice(calls);
      const perHour = (count: number): number => Math.round(count / hours);
      const byKind = Map.groupBy(some, (call) => (call.includes('watch=true') ? 'watches' : call.replace(/\?.*/, '')));
      console.log(
        `idle for ${minutes} minutes: ${perHour(some.length)} calls an hour, ${(((cpuSecondsOf(again.pid) - cpu) / (hours * 3600)) * 1000).toFixed(1)} millicores, ${shownMemory(again)}\n` +
          [...byKind].map(([kind, all]) => `  ${perHour(all.length)} ${kind}`).join('\n'),
      );
      expect(memoryOf(again.pid).peak).toBeLessThan(limitMiB);
      expect(await again.stop()).toBe(0);
      console.log(`${contained?.peak().toFixed(0) ?? '?'} MiB at most for either, the page cache included`);
      contained?.remove();
    });

    /** Until nothing has been asked for three seconds. */
    async function quiet(): Promise<void> {
      for (let before = -1; before !== proxy.calls.length; ) {
        before = proxy.calls.length;
        await new Promise((resolve) => setTimeout(resolve, 3000));
      }
    }
  },
);

function secondsSince(begun: number): number {
  return Math.round((performance.now() - begun) / 1000);
}

function shownMemory({ pid }: Program): string {
  const { now, peak, anonymous } = memoryOf(pid);
  return `${now.toFixed(0)} MiB now (${anonymous.toFixed(0)} of its own), ${peak.toFixed(0)} at its peak`;
}
