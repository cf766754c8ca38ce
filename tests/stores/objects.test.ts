import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { createObjectFolder } from '../../shared/local/folders.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { reportCrds } from '../cluster/report-crds.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { filters, objectsContract, replicaSets } from './objects-contract.ts';

const signal = AbortSignal.timeout(600_000);

function openFolder(own: string, statuses: object[] = []) {
  const objects = createObjectFolder({
    ...{ folders: [own], own, defaultNamespace: 'zen-system', onChange: () => undefined },
    onFault: (file, reason) => {
      throw new Error(`${file}: ${reason}`);
    },
    check: () => undefined,
    onStatus: (_object, status) => statuses.push(status),
  });
  objects.start();
  return objects;
}

objectsContract('a folder', async () => {
  const objects = openFolder(temporaryFolder());
  return { objects, owners: objects, close: async () => objects.stop() };
});

describe('a folder of objects', () => {
  it('has what was applied after it is opened again', async () => {
    const own = temporaryFolder();
    const object: KubernetesObject = {
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
      metadata: { name: 'kept', namespace: 'shop' },
    };
    const before = openFolder(own);
    await before.apply(filters, object, signal);
    before.stop();
    const after = openFolder(own);
    expect(await Array.fromAsync(after.list(filters, 'shop', signal))).toEqual([object]);
    after.stop();
  });
});

describe.skipIf(skipWithoutCluster())('on a real API server', () => {
  let cluster: Cluster;
  let folder: string;

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop', 'shopping']) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('objects', [
      {
        apiGroups: ['zen.kube-zen.io'],
        resources: ['observationfilters', 'observationfilters/status'],
        verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
      },
      { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['get', 'create', 'patch'] },
    ]));
  }, 900_000);

  afterAll(() => cluster.stop());

  objectsContract('Kubernetes', async () => {
    const { objects, owners, close } = connectAs(cluster.server, folder);
    return { objects, owners, close: async () => close() };
  });

  it('knows no controller of what may not be read, or is not served', async () => {
    const { owners } = connectAs(cluster.server, folder);
    const ask = (kind: KindSelector) => owners.controllerOf(kind, 'shop', 'owned', signal);
    expect(await ask({ ...replicaSets, plural: 'daemonsets', kind: 'DaemonSet' })).toBeUndefined();
    expect(await ask({ ...replicaSets, group: 'nowhere.example.com' })).toBeUndefined();
  });

  it('says of a controller that there is no answer if there is none', async () => {
    const { owners } = connectAs('127.0.0.1:1', folder);
    const asked = owners.controllerOf(replicaSets, 'shop', 'owned', AbortSignal.timeout(100));
    await expect(asked).rejects.toMatchObject({ status: 503 });
  });

  it('says why what was applied is invalid', async () => {
    const { objects } = connectAs(cluster.server, folder);
    const bad = {
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
      ...{ metadata: { name: 'bad', namespace: 'shop' }, spec: { targetSource: 'falco', minSeverity: 'hgih' } },
    };
    await expect(objects.apply(filters, bad, signal)).rejects.toMatchObject({
      status: 422,
      cause: expect.stringContaining('spec.minSeverity'),
    });
  });

  it('has a status where one was set', async () => {
    const { objects } = connectAs(cluster.server, folder);
    const path = '/apis/zen.kube-zen.io/v1alpha1/namespaces/shop/observationfilters/judged';
    const judged = await objects.get(
      filters,
      { ...filters, apiVersion: 'x/v1alpha1', namespace: 'shop', name: 'judged' },
      signal,
    );
    expect(judged).toMatchObject({ status: { conditions: [{ type: 'Accepted' }] } });
    expect((await cluster.request('GET', path)).body.metadata.generation).toBe(1);
  });

  it('a watch sees what is there and what changes, and one whose connections were cut goes on', async () => {
    const { objects, watch, close } = connectAs(cluster.server, folder);
    const stop = new AbortController();
    const seen = watch(filters, 'shopping', { onFault: () => undefined }, stop.signal);
    const names = (): string[] => (seen.objects() ?? []).map(({ metadata }) => metadata.name);
    const aFilter = (name: string) => ({
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
      ...{ metadata: { name, namespace: 'shopping' }, spec: { targetSource: 'falco' } },
    });
    await until('it sees what is there', () => names().includes('there') && seen.isSynced());
    await objects.apply(filters, aFilter('later'), signal);
    await until('it sees what comes', () => names().includes('later'));
    await cluster.kill();
    await until('it knows that it sees nothing', () => !seen.isSynced());
    expect(names()).toContain('later');
    await cluster.restart();
    const again = connectAs(cluster.server, folder);
    await again.objects.apply(filters, aFilter('after'), signal);
    await until('it sees again', () => names().includes('after') && seen.isSynced());
    await again.objects.delete(filters, aFilter('after'), signal);
    await until('it sees what goes', () => !names().includes('after'));
    stop.abort();
    again.close();
    close();
  }, 300_000);

  it('discovery tells what is served, what is not, and what can not be told', async () => {
    const { discovery } = connectAs(cluster.server, folder);
    const apiService = (version: string, group: string, service?: object) => ({
      ...{ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: `${version}.${group}` } },
      spec: { group, version, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service },
    });
    const down = apiService('v1', 'down.example.com', { namespace: 'shop', name: 'nobody', port: 443 });
    await cluster.request('POST', '/apis/apiregistration.k8s.io/v1/apiservices', down);
    let groups = await discovery.groups(signal);
    await until('the group is known', async () => {
      groups = await discovery.groups(signal);
      return groups.has('down.example.com');
    });
    expect([...groups.keys()]).toEqual(expect.arrayContaining(['', 'apps', 'wgpolicyk8s.io', 'down.example.com']));
    expect(groups.get('wgpolicyk8s.io')).toEqual(['v1alpha2']);
    expect(await discovery.kinds('wgpolicyk8s.io', 'v1alpha2', signal)).toEqual([
      { kind: 'PolicyReport', plural: 'policyreports', namespaced: true },
    ]);
    expect(await discovery.kinds('', 'v1', signal)).toContainEqual({
      kind: 'Secret',
      plural: 'secrets',
      namespaced: true,
    });
    expect(await discovery.kinds('down.example.com', 'v1', signal)).toBeUndefined();
    expect(await discovery.kinds('nowhere.example.com', 'v1', signal)).toBeUndefined();
  }, 60_000);
});
