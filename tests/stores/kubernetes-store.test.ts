import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observationOf } from '../../shared/api/observation.ts';
import { NamespaceRefusal, NotServed } from '../../shared/function/stores.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { startProxy } from '../cluster/proxy.ts';
import { writerRules } from '../cluster/rules.ts';
import { until } from '../host/program.ts';
import { readerContract } from './reader-contract.ts';
import { aFinding, anObservationOf, storeContract } from './store-contract.ts';

let cluster: Cluster;
let folder: string;
const signal = AbortSignal.timeout(600_000);
const mergePatch = { contentType: 'application/merge-patch+json' };

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
    return { store, reader: store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => close() };
  });

  readerContract('Kubernetes', async () => {
    const { store, close } = connect();
    return { store, namespaces: ['shop', 'shopping'], close: async () => close() };
  });

  describe('Kubernetes store', () => {
    it('leaves the API server little to keep of who wrote what', async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('managed', 'shop'));
      await store.create(object, signal);
      const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${object.metadata.name}`;
      const { body } = await cluster.request('GET', path);
      expect(body.metadata.managedFields).toEqual([expect.objectContaining({ manager: 'zen-watcher' })]);
      expect(body.metadata.managedFields[0].fieldsV1['f:spec']).toEqual({});
    });

    it('keeps the largest Observation below 8 KiB, with whatever the API server adds, and all of it', async () => {
      const { store } = connect();
      const long = '\u20ac"'.repeat(5000);
      const about = { apiVersion: long, kind: long, name: long, namespace: long };
      const actor = { username: long, groups: Array(9).fill(long), sourceIP: long, userAgent: long, via: long };
      const references = Array.from({ length: 99 }, (_, index) => `https://example.com/${index}`);
      const details = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`member ${index}`, long]));
      const finding = {
        ...{ category: 'c'.repeat(63), severity: 'CRITICAL' as const, eventType: 'e'.repeat(63), identity: {} },
        ...{ rule: long, summary: long, resource: about, actor, remediation: long, references, details },
        detectedAt: '2026-03-01T10:00:00.123456789+02:00',
      };
      const object = observationOf(finding, {
        ...{ name: `${'s'.repeat(63)}-${'0'.repeat(32)}`, namespace: 'shop', source: 's'.repeat(63), now: Date.now() },
        ...{ state: { slot: '0'.repeat(32), digest: '0'.repeat(32) }, correlationId: long, ttl: 604_800, expiresAt: 0 },
      });
      expect(await store.create(object, signal)).toBe('created');
      const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${object.metadata.name}`;
      const { body } = await cluster.request('GET', path);
      expect(body.spec).toEqual(object.spec);
      expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(8192);
    });

    it('leaves alone what others keep in the status, and takes two calls for repeats, three with a renewal', async () => {
      const { certificates, server } = cluster;
      const proxy = await startProxy({ target: server, certificates, fault: () => undefined });
      const { store, close } = connectAs(proxy.server, folder);
      const object = anObservationOf(aFinding('repeats', 'shop'), { hasState: false });
      const { name } = object.metadata;
      await store.create(object, signal);
      const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${name}`;
      const others = { processed: true, lastProcessedAt: '2026-03-01T10:00:00Z' };
      await cluster.request('PATCH', `${path}/status`, { status: others }, mergePatch);
      const callsFor = async (expires?: string): Promise<string[]> => {
        proxy.calls.length = 0;
        const addition = { count: 2, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: ['shop/a'], expires };
        expect(await store.addSeries({ namespace: 'shop', name }, addition, signal)).toBe('added');
        return proxy.calls.map((call) => call.replace(path, '...'));
      };
      expect(await callsFor()).toEqual(['GET ...', 'PATCH .../status']);
      expect(await callsFor('999999')).toEqual(['GET ...', 'PATCH ...', 'PATCH .../status']);
      expect(await callsFor('999999')).toEqual(['GET ...', 'PATCH .../status']);
      const { body } = await cluster.request('GET', path);
      const series = { count: 7, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: ['shop/a'] };
      expect(body.status).toEqual({ ...others, series });
      expect(body.metadata.labels['zen.kube-zen.io/expires']).toBe('999999');
      close();
      await proxy.stop();
    });

    it('shows a count in the wide columns of kubectl', async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('column', 'shop'), { hasState: false });
      await store.create(object, signal);
      const { name } = object.metadata;
      const addition = { count: 6, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [] };
      await store.addSeries({ namespace: 'shop', name }, addition, signal);
      const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${name}`;
      const { body } = await cluster.request('GET', path, undefined, {
        accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
      });
      const column = body.columnDefinitions.findIndex((one: { name: string }) => one.name === 'Count');
      expect([body.columnDefinitions[column].priority, body.rows[0].cells[column]]).toEqual([1, 7]);
    });

    it('says that a namespace is missing', async () => {
      const { store } = connect();
      const created = store.create(anObservationOf(aFinding('x', 'nowhere')), signal);
      await expect(created).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'missing' });
    });

    it('makes one call for what is new, and few that are refused where name after name is taken', async () => {
      const { certificates, server } = cluster;
      const proxy = await startProxy({ target: server, certificates, fault: () => undefined });
      const { store, close } = connectAs(proxy.server, folder);
      const objects = Array.from({ length: 22 }, (_, index) => anObservationOf(aFinding(`again ${index}`, 'shop')));
      const [news, later] = [objects.slice(0, 20), objects.slice(20)];
      const callsFor = async (some: typeof objects, result: string): Promise<string[]> => {
        proxy.calls.length = 0;
        for (const object of some) expect(await store.create(object, signal)).toBe(result);
        return proxy.calls.map((call) => call.slice(0, call.indexOf(' ')));
      };
      const posts = (methods: readonly string[]): number => methods.filter((method) => method === 'POST').length;
      expect(await callsFor(news, 'created')).toHaveLength(news.length);
      // A create that is refused costs the API server twice as much as a GET.
      const redelivered = await callsFor(news, 'exists');
      expect(redelivered).toHaveLength(news.length);
      expect(posts(redelivered)).toBeLessThanOrEqual(news.length / 2);
      // One that is new may still be asked for first; after it nothing is.
      await callsFor(later.slice(0, 1), 'created');
      expect(await callsFor(later.slice(1), 'created')).toEqual(['POST']);
      close();
      await proxy.stop();
    });

    it('says that a namespace is closing', async () => {
      const { store } = connect();
      await cluster.request('DELETE', '/api/v1/namespaces/closing');
      const created = store.create(anObservationOf(aFinding('x', 'closing')), signal);
      await expect(created).rejects.toMatchObject({ name: 'NamespaceRefusal', reason: 'closing' });
    });

    it('says that a namespace is full, but knows what is in it', async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('before', 'full'));
      await store.create(object, signal);
      const hard = { 'count/observations.zen.kube-zen.io': '0' };
      const quotas = '/api/v1/namespaces/full/resourcequotas';
      await cluster.request('POST', quotas, { metadata: { name: 'none' }, spec: { hard } });
      // Without a controller manager nobody computes the status that admission reads.
      const status = {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'none' },
        status: { hard, used: { ...hard } },
      };
      await cluster.request('PATCH', `${quotas}/none/status`, status, { contentType: 'application/merge-patch+json' });
      let probes = 0;
      await until('the quota acts', async () => {
        probes += 1;
        const probe = anObservationOf(aFinding(`probe ${probes}`, 'full'));
        const result = await store.create(probe, signal).catch((error: unknown) => error);
        return result instanceof NamespaceRefusal;
      });
      await expect(store.create(anObservationOf(aFinding('after', 'full')), signal)).rejects.toMatchObject({
        reason: 'full',
      });
      expect(await store.create(object, signal)).toBe('exists');
    });

    it("gives the server's reason for what it calls invalid", async () => {
      const { store } = connect();
      const object = anObservationOf(aFinding('x', 'shop'));
      const bad = { ...object, spec: { ...object.spec, eventType: 'Not Hyphenated' } };
      const error = await store.create(bad, signal).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ status: 422 });
      expect(String((error as Error).cause)).toContain('spec.eventType');
    });

    it('says which permission is missing, and what is not served', async () => {
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

    it('takes a kind that is not served for no empty list, and gives the best version of one that is', async () => {
      const { objects } = connect();
      const base = { kind: 'Thing', plural: 'things', namespaced: true };
      const unserved = { ...base, group: 'example.com', versions: ['v1'] };
      for (const list of [objects.list, objects.listMetadata]) {
        await expect(Array.fromAsync(list(unserved, undefined, signal))).rejects.toThrow(NotServed);
      }
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
