import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { unreadableFilters } from '../../shared/host/unreadable-filters.ts';

const settings = { SYSTEM_NAMESPACE: 'zen-system' };

function filter(namespace: string, spec: object): KubernetesObject {
  return {
    ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
    metadata: { namespace, name: 'f' },
    ...{ spec },
  };
}

const good = { targetSource: 'trivy' };
const broken = { targetSource: 'trivy', expression: 'severity ==' };

describe('unreadableFilters', () => {
  it.each<[string, readonly KubernetesObject[], { readonly system: number; readonly tenant: number }]>([
    ['none', [], { system: 0, tenant: 0 }],
    ['good ones', [filter('zen-system', good), filter('shop', good)], { system: 0, tenant: 0 }],
    ['a broken one of the system', [filter('zen-system', broken), filter('shop', good)], { system: 1, tenant: 0 }],
    ['broken ones of tenants', [filter('shop', broken), filter('bank', broken)], { system: 0, tenant: 2 }],
  ])('counts %s', (_name, objects, counts) => {
    const { system, tenant } = unreadableFilters({ watched: () => objects }, settings);
    expect({ system: system(), tenant: tenant() }).toEqual(counts);
  });

  it('follows a filter that is repaired, without an event', () => {
    let objects = [filter('zen-system', broken)];
    const { system } = unreadableFilters({ watched: () => objects }, settings);
    expect(system()).toBe(1);
    objects = [filter('zen-system', good)];
    expect(system()).toBe(0);
  });

  it('knows none before they have been read', () => {
    const watched = (): never => {
      throw new Error('not ready');
    };
    expect(unreadableFilters({ watched }, settings).system()).toBe(0);
  });
});
