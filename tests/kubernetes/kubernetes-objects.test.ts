import { describe, expect, it } from 'vitest';
import { configMaps } from '../../shared/api/kind-selector.ts';
import type { ApiClient } from '../../shared/kubernetes/api-client.ts';
import { createKubernetesObjects } from '../../shared/kubernetes/kubernetes-objects.ts';

const signal = AbortSignal.timeout(60_000);

describe('an object that an event names', () => {
  it.each([
    ['..', 'shop'],
    ['.', 'shop'],
    ['a/../b', 'shop'],
    ['a%2fb', 'shop'],
    ['a', '..'],
    ['a', 'shop/secrets'],
  ])('is not asked for where its name would lead elsewhere: %s in %s', async (name, namespace) => {
    const asked: string[] = [];
    const client: ApiClient = {
      async request({ path }) {
        asked.push(path);
        return { status: 404, body: undefined, bytes: 0 };
      },
      stream: () => Promise.reject(new Error('no stream')),
      open: () => Promise.reject(new Error('no stream')),
      close: () => undefined,
    };
    const { get } = createKubernetesObjects(client);
    expect(await get(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', namespace, name }, signal)).toBeUndefined();
    expect(asked).toEqual([]);
    await get(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a:b?c' }, signal);
    expect(asked).toEqual(['/api/v1/namespaces/shop/configmaps/a%3Ab%3Fc']);
  });
});
