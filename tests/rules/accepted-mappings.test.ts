import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { mappingIndex } from '../../shared/rules/accepted-mappings.ts';

function anIngester(name: string, namespace = 'zen-system'): KubernetesObject {
  const object = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester', metadata: { name, namespace } };
  const mappings = { severity: '.severity', category: 'operational', eventType: 'hook' };
  return Object.assign(object, { spec: { source: name, ingester: 'webhook', webhook: { path: name }, mappings } });
}

const none: readonly KubernetesObject[] = [];
const indexOf = (ingesters: readonly KubernetesObject[], mappings = none) =>
  mappingIndex({ mappings, ingesters, systemNamespace: 'zen-system', functionNames: ['trivy'] });

describe('mappingIndex', () => {
  it('is made once for the same objects, and anew when one of them changes', () => {
    const ingesters = [anIngester('a'), anIngester('b', 'shop'), anIngester('trivy')];
    const index = indexOf(ingesters);
    expect([...index.byPath.keys()]).toEqual(['a', 'b']);
    expect(indexOf(ingesters)).toBe(index);
    const changed = [...ingesters.slice(0, 2), anIngester('c')];
    expect([...indexOf(changed).byPath.keys()]).toEqual(['a', 'c', 'b']);
    expect([...indexOf(ingesters, []).byPath.keys()]).toEqual(['a', 'b']);
  });

  it('compiles no object again that has not changed', () => {
    const [a, b] = [anIngester('a'), anIngester('b')];
    const mapOf = (ingesters: readonly KubernetesObject[]) => indexOf(ingesters).byPath.get('a')?.map;
    const map = mapOf([a, b]);
    expect(map).toBeDefined();
    expect(mapOf([a])).toBe(map);
    expect(mapOf([anIngester('a'), b])).not.toBe(map);
  });
});
