import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import type { KubernetesObject, Objects, OwnerReference, Owners } from '../../shared/function/stores.ts';

export interface ObjectsUnderTest {
  readonly objects: Objects;
  readonly owners: Owners;
  close(): Promise<void>;
}

export const filters: KindSelector = {
  group: 'zen.kube-zen.io',
  versions: ['v1alpha1'],
  kind: 'ObservationFilter',
  plural: 'observationfilters',
  namespaced: true,
};

export const replicaSets: KindSelector = {
  group: 'apps',
  versions: ['v1'],
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
};

const signal = AbortSignal.timeout(600_000);

function aFilter(name: string, minSeverity: string, namespace = 'shop') {
  return {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'ObservationFilter',
    metadata: { name, namespace, labels: { mine: 'yes' } },
    spec: { targetSource: 'falco', minSeverity },
  };
}

/** A ReplicaSet with these owners, which need not exist. */
function aReplicaSet(name: string, owners: readonly OwnerReference[], namespace = 'shop') {
  const ownerReferences = owners.map((owner, index) => ({
    ...owner,
    uid: `00000000-0000-0000-0000-00000000000${index}`,
  }));
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: 'example' }] } };
  return {
    ...{ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name, namespace, ownerReferences } },
    spec: { replicas: 0, selector: { matchLabels: { app: name } }, template },
  };
}

/** What every implementation of Objects and Owners must do. The namespaces `shop` and `shopping` must exist. */
export function objectsContract(name: string, open: () => Promise<ObjectsUnderTest>): void {
  describe(`objects contract: ${name}`, () => {
    let under: ObjectsUnderTest;

    beforeAll(async () => {
      under = await open();
    });

    afterAll(() => under.close());

    const get = (of: string, namespace = 'shop'): Promise<KubernetesObject | undefined> =>
      under.objects.get(filters, { ...aFilter(of, 'HIGH'), name: of, namespace }, signal);
    const namesIn = async (namespace?: string): Promise<string[]> =>
      (await Array.fromAsync(under.objects.list(filters, namespace, signal))).map(({ metadata }) => metadata.name);

    it('returns what was applied, and changes it when it is applied again', async () => {
      expect(await get('applied')).toBeUndefined();
      await under.objects.apply(filters, aFilter('applied', 'HIGH'), signal);
      expect(await get('applied')).toMatchObject({
        metadata: { labels: { mine: 'yes' } },
        spec: { minSeverity: 'HIGH' },
      });
      await under.objects.apply(filters, aFilter('applied', 'LOW'), signal);
      expect(await get('applied')).toMatchObject({ spec: { minSeverity: 'LOW' } });
      expect(await namesIn('shop')).toContain('applied');
    });

    it('lists one namespace, or all of them in order', async () => {
      await under.objects.apply(filters, aFilter('there', 'HIGH', 'shopping'), signal);
      await under.objects.apply(filters, aFilter('here', 'HIGH', 'shop'), signal);
      expect(await namesIn('shopping')).toEqual(['there']);
      expect((await namesIn()).filter((one) => one.endsWith('here'))).toEqual(['here', 'there']);
    });

    it('deletes an object, and does not mind if it is gone', async () => {
      await under.objects.apply(filters, aFilter('to-delete', 'HIGH'), signal);
      const toDelete = await get('to-delete');
      if (!toDelete) throw new Error('it was not applied');
      await under.objects.delete(filters, toDelete, signal);
      expect(await get('to-delete')).toBeUndefined();
      await under.objects.delete(filters, toDelete, signal);
    });

    it('sets a status, and does not mind if the object is gone', async () => {
      await under.objects.apply(filters, aFilter('judged', 'HIGH'), signal);
      const condition = {
        type: 'Accepted',
        status: 'True',
        reason: 'Valid',
        lastTransitionTime: '2026-03-01T10:00:00Z',
      };
      await under.objects.setStatus(filters, aFilter('judged', 'HIGH'), { conditions: [condition] }, signal);
      await under.objects.setStatus(filters, aFilter('never-there', 'HIGH'), { conditions: [condition] }, signal);
      expect(await get('judged')).toMatchObject({ status: { conditions: [{ type: 'Accepted' }] } });
      expect(await get('never-there')).toBeUndefined();
    });

    it('tells which owner is the controller, that there is none, or that there is no such object', async () => {
      const tool = { apiVersion: 'example.com/v1', kind: 'Tool', name: 'tool' };
      const rollout = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', name: 'web', controller: true };
      await under.objects.apply(replicaSets, aReplicaSet('owned', [tool, rollout]), signal);
      await under.objects.apply(
        replicaSets,
        aReplicaSet('merely-owned', [tool, { ...rollout, controller: false }]),
        signal,
      );
      await under.objects.apply(replicaSets, aReplicaSet('of-nobody', []), signal);
      const controllerOf = (of: string, namespace = 'shop') =>
        under.owners.controllerOf(replicaSets, namespace, of, signal);
      expect(await controllerOf('owned')).toMatchObject({ controller: rollout });
      expect(await controllerOf('merely-owned')).toEqual({ controller: undefined });
      expect(await controllerOf('of-nobody')).toEqual({ controller: undefined });
      expect(await controllerOf('never-there')).toBeUndefined();
      expect(await controllerOf('owned', 'shopping')).toBeUndefined();
    });
  });
}
