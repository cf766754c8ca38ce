import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AlertRule, alertRules } from '../../knative/generator/alerts.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import type { Program } from '../host/program.ts';
import { type Prometheus, repeatUntil, startPrometheus } from '../host/prometheus.ts';
import { skipWithout } from '../host/skip-without.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { type Fault, type FaultProxy, postTo, startProxy } from './proxy.ts';
import { pingHeaders } from './report-crds.ts';
import { writerRules } from './rules.ts';

/** How much each alert's windows are shortened for the test: windows of hours or days more than the others. */
const scales: Readonly<Record<string, number>> = {
  ZenWatcherPassOverdue: 1 / 720,
  ZenWatcherGCErrors: 1 / 720,
};

async function scaledRules(): Promise<AlertRule[]> {
  const definitions = await loadFunctions();
  return alertRules(definitions, { scale: 1 / 60 }).map((rule, index) => {
    const scale = scales[rule.alert];
    return (scale === undefined ? undefined : alertRules(definitions, { scale })[index]) ?? rule;
  });
}

const observations = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';
const filters = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters';
const filterCrd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/observationfilters.zen.kube-zen.io';

/** Rules without a verb, so that the API server itself refuses the call. */
const withoutVerb = (verb: string) =>
  writerRules.map((rule) => ({ ...rule, verbs: rule.verbs.filter((one) => one !== verb) }));

describe.skipIf(skipWithoutCluster() || skipWithout('prometheus', 'the alerts are'))(
  'the alerts on a real Prometheus',
  { timeout: 180_000 },
  () => {
    let cluster: Cluster;
    let proxy: FaultProxy;
    let prometheus: Prometheus;
    let falco: Program;
    let gc: Program;
    let fault: Fault | undefined;
    let count = 0;
    const rows: string[] = [];

    beforeAll(async () => {
      cluster = await startCluster();
      await applyCrds(cluster);
      for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
      const { folder } = await cluster.serviceAccount('functions', writerRules);
      proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => fault });
      const environment = { LOG_LEVEL: 'ERROR', MAX_OBSERVATIONS: '50' };
      const start = (name: string) => startReadyFunction(name, { server: proxy.server, folder, environment });
      [falco, gc] = await Promise.all([start('falco'), start('gc')]);
      const jobs = { falco: new URL(falco.url).host, gc: new URL(gc.url).host };
      prometheus = await startPrometheus(jobs, await scaledRules());
    }, 900_000);

    afterAll(async () => {
      console.log(`| alert | fires after | stops after |\n|---|---|---|\n${rows.join('\n')}`);
      await Promise.all([falco.stop(), gc.stop(), prometheus.stop()]);
      await proxy.stop();
      await cluster.stop();
    });

    const send = (rule: string): Promise<number> =>
      postTo(
        falco.url,
        eventHeaders('falco.rule.output.v1'),
        JSON.stringify({ rule, priority: 'Error', output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' } }),
      );
    const sendNew = (): Promise<number> => {
      count += 1;
      return send(`alert ${count}`);
    };
    const collect = (): Promise<number> => postTo(gc.url, pingHeaders, '');
    const nothing = async (): Promise<void> => undefined;
    const allow = async (rules: readonly unknown[]): Promise<void> => {
      const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles/zen-system-functions';
      const { status } = await cluster.request(
        'PATCH',
        path,
        { rules },
        { contentType: 'application/merge-patch+json' },
      );
      expect(status).toBe(200);
    };

    /** The alert fires while `fault` is repeated, not before, and stops while `mended` is repeated. */
    async function expectAlert(
      alert: string,
      during: { readonly fault: () => Promise<unknown>; readonly mended: () => Promise<unknown> },
      labels = '',
    ): Promise<void> {
      const fires = () => prometheus.fires(alert, labels);
      expect(await fires()).toBe(false);
      const started = performance.now();
      await repeatUntil(`${alert} fires`, 15, during.fault, fires);
      const fired = performance.now();
      await repeatUntil(`${alert} stops`, 15, during.mended, async () => !(await fires()));
      const shown = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
      rows.push(`| ${alert} | ${shown(started, fired)} | ${shown(fired, performance.now())} |`);
    }

    it('the right to create is taken away', async () => {
      expect(await sendNew()).toBe(204);
      await allow(withoutVerb('create'));
      // A changed role takes a moment to act.
      await repeatUntil('the right is gone', 5, nothing, async () => (await sendNew()) !== 204);
      const mended = async (): Promise<void> => allow(writerRules);
      await expectAlert('ZenWatcherCreateErrors', { fault: sendNew, mended });
    });

    it('the right to delete is taken away when something is due', async () => {
      const due = {
        ...{ apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation' },
        metadata: { name: 'due', labels: { 'zen.kube-zen.io/source': 'test' } },
        spec: {
          ...{ source: 'test', category: 'security', severity: 'LOW', eventType: 'test' },
          ...{ detectedAt: '2020-01-01T00:00:00Z', ttlSecondsAfterCreation: 1 },
        },
      };
      expect((await cluster.request('POST', observations, due)).body).toMatchObject({ kind: 'Observation' });
      await allow(withoutVerb('delete'));
      await repeatUntil('the collection fails', 5, nothing, async () => (await collect()) === 503);
      await expectAlert('ZenWatcherGCErrors', { fault: collect, mended: () => allow(writerRules).then(collect) });
      expect((await cluster.request('GET', `${observations}/due`)).status).toBe(404);
    });

    it('the API server cannot be reached', async () => {
      let isClosed = false;
      const close = async (): Promise<void> => {
        if (!isClosed) await proxy.close();
        isClosed = true;
      };
      const open = async (): Promise<void> => {
        if (isClosed) await proxy.open();
        isClosed = false;
      };
      await expectAlert('ZenWatcherInformerNotSynced', { fault: close, mended: open });
    });

    it('a sender sends everything three times', async () => {
      const thrice = async (): Promise<void> => {
        await sendNew();
        for (let copy = 0; copy < 2; copy += 1) await send(`alert ${count}`);
      };
      await expectAlert('ZenWatcherDuplicates', { fault: thrice, mended: sendNew });
    });

    it('a source falls silent', async () => {
      const lease = '/apis/coordination.k8s.io/v1/namespaces/zen-system/leases/zen-watcher-falco';
      const options = { contentType: 'application/merge-patch+json' };
      const heardAt = async (renewTime: string): Promise<void> => {
        const { status } = await cluster.request('PATCH', lease, { spec: { renewTime } }, options);
        expect(status).toBe(200);
        await collect();
      };
      expect(await sendNew()).toBe(204);
      await repeatUntil(
        'falco is heard of',
        5,
        nothing,
        async () => (await cluster.request('GET', lease)).status === 200,
      );
      const [longAgo, soon] = ['2020-01-01T00:00:00.000000Z', '2099-01-01T00:00:00.000000Z'];
      await expectAlert('ZenWatcherSourceSilent', { fault: () => heardAt(longAgo), mended: () => heardAt(soon) });
    });

    it('gc is no longer woken by its schedule', async () => {
      await repeatUntil('passes are seen', 15, collect, async () => {
        return !(await prometheus.fires('ZenWatcherPassOverdue', 'source="gc"'));
      });
      await expectAlert('ZenWatcherPassOverdue', { fault: nothing, mended: collect }, 'source="gc"');
    });

    it('there are more Observations than MAX_OBSERVATIONS', async () => {
      const list = async (): Promise<number> => (await cluster.request('GET', observations)).body.items.length;
      await cluster.request('DELETE', observations);
      expect(await list()).toBe(0);
      expect(await collect()).toBe(204);
      await repeatUntil(
        'gc counts none',
        5,
        nothing,
        async () => !(await prometheus.fires('ZenWatcherObservationsLimit')),
      );
      for (let index = 0; index < 60; index += 1) expect(await sendNew()).toBe(204);
      // A flood of events: as many come as gc deletes.
      const fault = async (): Promise<void> => {
        await Promise.all(Array.from({ length: 10 }, sendNew));
        await collect();
      };
      const mended = async (): Promise<void> => {
        await cluster.request('DELETE', observations);
        await collect();
      };
      await expectAlert('ZenWatcherObservationsLimit', { fault, mended });
    });

    it('a filter has a field from a later version', async () => {
      const path = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/excludeImages';
      const patch = [{ op: 'add', path, value: { type: 'string' } }];
      const options = { contentType: 'application/json-patch+json' };
      expect((await cluster.request('PATCH', filterCrd, patch, options)).status).toBe(200);
      const filter = {
        ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata: { name: 'later' } },
        spec: { targetSource: 'falco', excludeImages: 'nginx' },
      };
      // The new schema takes a moment to act; until then the field is refused.
      await repeatUntil('the filter is there', 5, nothing, async () => {
        const { status } = await cluster.request('POST', `${filters}?fieldValidation=Strict`, filter);
        return status === 201;
      });
      const mended = async (): Promise<void> => {
        await cluster.request('DELETE', `${filters}/later`);
        await sendNew();
      };
      await expectAlert('ZenWatcherFiltersUnreadable', { fault: sendNew, mended });
      expect(await sendNew()).toBe(204);
    });
  },
);
