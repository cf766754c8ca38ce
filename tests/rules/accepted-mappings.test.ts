import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { judgeMappings, mappingIndex } from '../../shared/rules/accepted-mappings.ts';

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

  it.each([
    ['its own', { expression: 'item.severity = "HIGH"' }, /^spec\.expression: at 1:\d+: /],
    ["its filters'", { filters: { expression: 'nmae == "x"' } }, /^spec\.filters\.expression: at 1:\d+: /],
  ])('refuses an Ingester with a wrong expression, %s, and says where it is', (_whose, fields, message) => {
    const wrong = anIngester('a');
    Object.assign(wrong, { spec: { ...Object.entries(wrong).find(([key]) => key === 'spec')?.[1], ...fields } });
    expect([...indexOf([wrong]).byPath.keys()]).toEqual([]);
    const options = { mappings: none, ingesters: [wrong], systemNamespace: 'zen-system', functionNames: [] };
    expect(judgeMappings(options).map(({ condition }) => condition)).toEqual([
      expect.objectContaining({ type: 'Accepted', status: 'False', message: expect.stringMatching(message) }),
    ]);
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
