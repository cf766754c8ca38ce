import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { compileFilters } from '../../shared/rules/filter.ts';
import { createEffects } from '../../shared/view/effects.ts';
import { anObservation, type Changes } from './an-observation.ts';

function aFilter(spec: object, namespace = 'zen-system'): KubernetesObject {
  const object = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' };
  return {
    ...object,
    metadata: { name: 'f', namespace },
    spec: { targetSource: 'trivy', ...spec },
  } as KubernetesObject;
}

function effectsOf(filter: KubernetesObject, observations: readonly Changes[]) {
  const settings = { SYSTEM_NAMESPACE: 'zen-system', TENANTS_FILTER_EVENTS: false };
  const effects = createEffects({ filter: compileFilters([filter], settings) }, 0);
  for (const changes of observations) effects.add(anObservation(changes));
  const { items, ...sums } = effects.all();
  return { ...sums, items: items.map(({ example, ...item }) => ({ ...item, example: example.metadata.name })) };
}

const open = { 'zen.kube-zen.io/state': 'open' };
const resource = { kind: 'Deployment', namespace: 'shop', name: 'web' };
const named = (name: string, spec: NonNullable<Changes['spec']>): Changes => ({
  metadata: { name, labels: open },
  spec: { rule: 'r', resource, ...spec },
});

describe('createEffects', () => {
  it('counts what would be dropped by source, rule and reason, the most first, with the first of them', () => {
    const filter = aFilter({ minSeverity: 'HIGH', excludeKinds: ['Pod'] });
    const pod = { ...resource, kind: 'Pod' };
    const observations = [
      named('stays', { severity: 'HIGH' }),
      named('pod', { severity: 'HIGH', resource: pod }),
      named('a', { severity: 'LOW' }),
      named('b', { severity: 'MEDIUM' }),
      named('other-rule', { severity: 'LOW', rule: 'q' }),
      named('other-source', { severity: 'LOW', source: 'kyverno' }),
    ];
    expect(effectsOf(filter, observations)).toEqual({
      total: 6,
      dropped: 4,
      graded: 0,
      items: [
        { source: 'trivy', rule: 'r', effect: 'min_severity', count: 2, example: 'a' },
        { source: 'trivy', rule: 'q', effect: 'min_severity', count: 1, example: 'other-rule' },
        { source: 'trivy', rule: 'r', effect: 'exclude_kind', count: 1, example: 'pod' },
      ],
    });
  });

  it.each<[string, NonNullable<Changes['spec']>, object[]]>([
    ['another severity', { severity: 'HIGH' }, [{ effect: 'LOW' }]],
    ['the severity that it has', { severity: 'LOW' }, []],
    ['a severity that is set already', { severity: 'LOW', details: { reportedSeverity: 'HIGH' } }, []],
  ])('tells of %s', (_case, spec, items) => {
    const { graded, ...found } = effectsOf(aFilter({ setSeverity: [{ severity: 'LOW' }] }), [named('a', spec)]);
    expect([found.dropped, graded]).toEqual([0, items.length]);
    expect(found.items).toMatchObject(items);
  });

  it('begins with the severity that the tool gave, whatever another filter has made of it', () => {
    const observation = named('a', { severity: 'LOW', details: { reportedSeverity: 'HIGH' } });
    expect(effectsOf(aFilter({ minSeverity: 'HIGH' }), [observation]).items).toMatchObject([{ effect: 'HIGH' }]);
    expect(effectsOf(aFilter({ minSeverity: 'CRITICAL' }), [observation]).items).toMatchObject([
      { effect: 'min_severity' },
    ]);
  });

  it('leaves a tenant its own namespace, and no events', () => {
    const filter = aFilter({ enabled: false }, 'shop');
    const event = { metadata: { name: 'event' }, spec: { rule: 'r', resource } };
    const elsewhere = { metadata: { name: 'elsewhere', namespace: 'pay', labels: open }, spec: { rule: 'r' } };
    expect(effectsOf(filter, [event, elsewhere, named('a', {})]).items).toMatchObject([{ count: 1, example: 'a' }]);
  });

  it('leaves out what zen-watcher says of itself, which nothing filters', () => {
    const own = { metadata: { name: 'own' }, spec: { category: 'operations' } };
    expect(effectsOf(aFilter({ enabled: false }), [own])).toEqual({ total: 1, dropped: 0, graded: 0, items: [] });
  });

  it('counts what has no rule, too', () => {
    expect(effectsOf(aFilter({ enabled: false }), [{}]).items).toMatchObject([{ rule: '', effect: 'source_disabled' }]);
  });
});
