import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NamespaceRefusal } from '../../shared/function/stores.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { startProxy } from '../cluster/proxy.ts';
import { writerRules } from '../cluster/rules.ts';
import { aFinding, anObservationOf, storeContract } from './store-contract.ts';

let cluster: Cluster;
let folder: string;
const signal = AbortSignal.timeout(600_000);

function connect() {
  return connectAs(cluster.server, folder);
}

describe.skipIf(skipWithoutCluster())('on a real API server', () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop', 'shopping', 'full', 'closing']) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('contract', writerRules));
  }, 900_000);

  afterAll(() => cluster.stop());

  storeContract('Kubernetes', async () => {
    const { store, close } = connect();
    return { store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => close() };
  });

  describe('Kubernetes store', () => {
    it('keeps managedFields small', async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('managed', 'shop'));
      await store.create(object, signal);
      const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${object.metadata.name}`;
      const { body } = await cluster.request('GET', path);
      expect(body.metadata.managedFields).toEqual([expect.objectContaining({ manager: 'zen-watcher' })]);
      expect(body.metadata.managedFields[0].fieldsV1['f:spec']).toEqual({});
    });

    it('reports a missing namespace', async () => {
      const { store } = connect();
      const created = store.create(anObservationOf(aFinding('x', 'nowhere')), signal);
      await expect(created).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'missing' });
    });

    it('looks a name up before it creates it if many names in a row were taken, until one is not', async () => {
      const { certificates, server } = cluster;
      const proxy = await startProxy({ target: server, certificates, fault: () => undefined });
      const { store, close } = connectAs(proxy.server, folder);
      const objects = Array.from({ length: 22 }, (_, index) => anObservationOf(aFinding(`again ${index}`, 'shop')));
      const [news, later] = [objects.slice(0, 20), objects.slice(20)];
      const results: string[] = [];
      for (const object of [...news, ...news, ...later]) results.push(await store.create(object, signal));
      expect(results).toEqual([...Array(20).fill('created'), ...Array(20).fill('exists'), 'created', 'created']);
      const methods = proxy.calls.map((call) => call.slice(0, call.indexOf(' ')));
      expect(methods).toEqual([...Array(28).fill('POST'), ...Array(13).fill('GET'), 'POST', 'POST']);
      close();
      await proxy.stop();
    });

    it('reports a namespace that is closing', async () => {
      const { store } = connect();
      await cluster.request('DELETE', '/api/v1/namespaces/closing');
      const created = store.create(anObservationOf(aFinding('x', 'closing')), signal);
      await expect(created).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'closing' });
    });

    it('reports a full namespace, but recognizes what is already in it', async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('before', 'full'));
      await store.create(object, signal);
      const hard = { 'count/observations.zen.kube-zen.io': '0' };
      const quotas = '/api/v1/namespaces/full/resourcequotas';
      await cluster.request('POST', quotas, { metadata: { name: 'none' }, spec: { hard } });
      // There is no controller manager to compute the status that admission reads.
      const status = {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'none' },
        status: { hard, used: { ...hard } },
      };
      await cluster.request('PATCH', `${quotas}/none/status`, status, { contentType: 'application/merge-patch+json' });
      for (let tries = 0; tries < 200; tries += 1) {
        const probe = anObservationOf(aFinding(`probe ${tries}`, 'full'));
        const result = await store.create(probe, signal).catch((error: unknown) => error);
        if (result instanceof NamespaceRefusal) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await expect(store.create(anObservationOf(aFinding('after', 'full')), signal)).rejects.toMatchObject({
        reason: 'full',
      });
      expect(await store.create(object, signal)).toBe('exists');
    });

    it("gives the server's reason for refusing an invalid object", async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('x', 'shop'));
      const bad = { ...object, spec: { ...object.spec, eventType: 'Not Hyphenated' } };
      const error = await store.create(bad, signal).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ status: 422 });
      expect(String((error as Error).cause)).toContain('spec.eventType');
    });

    it('says which permission is missing', async () => {
      const { folder: powerless } = await cluster.serviceAccount('powerless', []);
      const { store, objects } = connectAs(cluster.server, powerless);
      await expect(store.create(anObservationOf(aFinding('x', 'shop')), signal)).rejects.toMatchObject({
        status: 503,
        message: 'creating Observations was refused (Forbidden): check the Role',
      });
      const resource = { group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
      await expect(Array.fromAsync(objects.list(resource, 'shop', signal))).rejects.toMatchObject({
        status: 503,
        message: 'listing configmaps was refused (Forbidden): check the Role',
      });
    });

    it('lists nothing of a kind that is not served, and the best version of one that is', async () => {
      const { objects } = connect();
      const base = { kind: 'Thing', plural: 'things', namespaced: true };
      const unserved = { ...base, group: 'example.com', versions: ['v1'] };
      expect(await Array.fromAsync(objects.list(unserved, undefined, signal))).toEqual([]);
      const observations = {
        kind: 'Observation',
        plural: 'observations',
        namespaced: true,
        group: 'zen.kube-zen.io',
        versions: ['v2', 'v1'],
      };
      const [first] = await Array.fromAsync(objects.list(observations, 'shop', signal));
      expect(first).toMatchObject({ apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation' });
      const name = first?.metadata.name ?? '';
      const ref = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name };
      expect((await objects.get(observations, ref, signal))?.metadata.name).toBe(name);
      expect(await objects.get(observations, { ...ref, name: 'gone' }, signal)).toBeUndefined();
    });

    it('reads pages with selectors', async () => {
      const { store } = connect();
      const all = await store.read({ limit: 10, source: 'relabel' });
      expect(all.items.map(({ spec }) => spec.source)).toEqual(['relabel']);
      const first = await store.read({ limit: 2, namespace: 'shop', severity: 'HIGH' });
      const second = await store.read({ limit: 2, namespace: 'shop', severity: 'HIGH', continue: first.continue });
      expect(new Set([...first.items, ...second.items].map(({ metadata }) => metadata.name)).size).toBe(4);
      await expect(store.read({ limit: 2, continue: 'nonsense' })).rejects.toMatchObject({ status: 400 });
    });
  });
});
