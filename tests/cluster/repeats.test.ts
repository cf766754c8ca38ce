import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expiresLabel, labels } from '../../shared/api/labels.ts';
import { createRepeats } from '../../shared/pipeline/repeats.ts';
import { until } from '../host/program.ts';
import { createPassingTime, day, start } from '../pipeline/passing-time.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';
import { aFinding, events, found } from '../pipeline/test-sources.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { writerRules } from './rules.ts';

interface Shown {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly status?: { readonly series?: { readonly count: number; readonly seen?: readonly string[] } };
}

describe.skipIf(skipWithoutCluster())('repeats on a real API server', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let proxy: FaultProxy;
  let folder: string;

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
    proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => undefined });
  }, 900_000);

  afterAll(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  const falco = () =>
    startReadyFunction('falco', { server: proxy.server, folder, environment: { LOG_LEVEL: 'ERROR' } });

  const path = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';

  async function shown(rule: string): Promise<Shown[]> {
    const { body } = await cluster.request('GET', `${path}?fieldSelector=${encodeURIComponent(`spec.rule=${rule}`)}`);
    return body.items;
  }

  const counts = async (rule: string) => (await shown(rule)).map(({ status }) => status?.series?.count);

  /** Sends alerts that differ in their event and their Pod alone. */
  async function send(url: string, rule: string, ids: readonly string[], priority = 'Error'): Promise<void> {
    for (const id of ids) {
      const headers = { ...eventHeaders('falco.rule.output.v1'), 'ce-id': id };
      const output = { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web-5d9c7b6f84-x2x9z', 'proc.name': 'sh' };
      const pod = priority === 'Error' ? {} : { 'k8s.pod.name': `web-5d9c7b6f84-x2x9${'bcdf'[Number(id) % 4]}` };
      const alert = { rule, priority, time: '2026-03-01T10:00:00Z', output_fields: { ...output, ...pod } };
      expect(await postTo(url, headers, JSON.stringify(alert))).toBe(204);
    }
  }

  const numbers = (count: number, prefix = ''): string[] => Array.from({ length: count }, (_, id) => `${prefix}${id}`);

  it('are one create and two calls, however many, and are written when the process is told to stop', async () => {
    const program = await falco();
    await send(program.url, 'many', numbers(200));
    await send(program.url, 'many', numbers(200));
    expect(await counts('many')).toEqual([undefined]);
    const [observation] = await shown('many');
    expect(await program.stop()).toBe(0);
    expect(await counts('many')).toEqual([200]);
    const about = proxy.calls.filter((call) => call.includes(path)).map((call) => call.replace(path, ''));
    const name = observation?.metadata.name;
    expect(about).toEqual(['POST ', `GET /${name}`, `PATCH /${name}/status`]);
  });

  it('of two processes that stop at the same time add up', async () => {
    const programs = [await falco(), await falco()];
    await Promise.all(programs.map(({ url }, index) => send(url, 'two', numbers(100, `${index} `))));
    expect(await Promise.all(programs.map((program) => program.stop()))).toEqual([0, 0]);
    expect(await counts('two')).toEqual([200]);
  });

  it('are lost with a process that is killed, and the next one counts on', async () => {
    const killed = await falco();
    await send(killed.url, 'killed', numbers(10));
    await killed.kill();
    expect(await counts('killed')).toEqual([undefined]);
    const next = await falco();
    await send(next.url, 'killed', numbers(10, 'next '));
    await next.stop();
    expect(await counts('killed')).toEqual([11]);
  });

  it('name the Pods, of what is one finding for a workload and a day', async () => {
    const program = await falco();
    await send(program.url, 'daily', numbers(40), 'Notice');
    await program.stop();
    const [daily, ...others] = await shown('daily');
    expect(others).toEqual([]);
    expect(daily?.status?.series?.count).toBe(40);
    const pods = ['b', 'c', 'd', 'f'].map((letter) => `shop/web-5d9c7b6f84-x2x9${letter}`);
    expect([...(daily?.status?.series?.seen ?? [])].sort()).toEqual(pods);
  });

  it('end with the process, even if the API server is gone', async () => {
    const program = await falco();
    await send(program.url, 'away', numbers(3));
    await proxy.close();
    expect(await program.stop()).toBe(0);
    await proxy.open();
    expect(await counts('away')).toEqual([undefined]);
  });

  it('renew a finding without a time in its identity for as long as it goes on', async () => {
    const { store, close } = connectAs(cluster.server, folder);
    const { time, ...clock } = createPassingTime();
    const { context } = createTestContext(events, { context: { store, now: clock.now } });
    let heartbeats = 0;
    const counting: typeof store = {
      ...store,
      async addSeries(...given) {
        const outcome = await store.addSeries(...given);
        heartbeats += 1;
        return outcome;
      },
    };
    const repeats = createRepeats({
      store: counting,
      onThere: context.known.add,
      onGone: context.known.delete,
      ...clock,
    });
    const finding = aFinding('on', { repeat: { isOngoing: true, about: 'shop/p' } });
    const outcomes: unknown[] = [];
    const expiries: unknown[] = [];
    for (let days = 0; days < 20; days += 1) {
      time.now = start + days * day;
      const { created } = await handled(events, { ...found([finding]), id: `on ${days}` }, { ...context, repeats });
      outcomes.push(created.length);
      await clock.minute();
      await until('the heartbeat is written', () => heartbeats === days);
      expiries.push((await shown('on'))[0]?.metadata.labels[labels.expires]);
    }
    expect(outcomes).toEqual([1, ...Array(19).fill(0)]);
    expect(expiries).toEqual(Array.from({ length: 20 }, (_, days) => expiresLabel(start + (days + 7) * day)));
    expect(await counts('on')).toEqual([20]);
    close();
  });
});
