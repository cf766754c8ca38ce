import { describe, expect, it } from 'vitest';
import { createBoundedObjects, leftOutCondition } from '../../shared/function/bounded-objects.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';

function anObject(name: string, second: number, namespace = 'shop', spec: unknown = { targetSource: 'falco' }) {
  const creationTimestamp = `2026-03-01T10:00:${String(second).padStart(2, '0')}Z`;
  const metadata = { name, namespace, creationTimestamp, annotations: { note: 'x' }, labels: { a: 'b' } };
  return { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata, spec };
}

const numbered = (count: number): KubernetesObject[] =>
  Array.from({ length: count }, (_, index) => anObject(`o${index}`, index % 60));

/** The names of those that are left out, and why. */
const leftOutOf = (all: readonly KubernetesObject[]): string[] =>
  all.flatMap((one) => {
    const condition = leftOutCondition(one);
    return condition ? [`${one.metadata.name} ${condition.reason}`] : [];
  });

describe('createBoundedObjects', () => {
  it.each(['in order', 'the newest first'])('keeps the 50 oldest of a namespace, given %s', (order) => {
    const objects = createBoundedObjects('zen-system');
    const all = numbered(53);
    for (const one of order === 'in order' ? all : all.toReversed()) objects.set(one);
    expect(objects.all()).toHaveLength(53);
    expect(leftOutOf(objects.all()).sort()).toEqual(['o50 TooMany', 'o51 TooMany', 'o52 TooMany']);
    expect(JSON.stringify(objects.all().filter(({ metadata }) => metadata.name === 'o52'))).not.toContain('falco');
  });

  it('keeps any number of the system namespace, and as many of each other', () => {
    const objects = createBoundedObjects('zen-system');
    for (const one of numbered(50)) objects.set(one);
    for (let index = 0; index < 99; index += 1) objects.set(anObject(`s${index}`, 1, 'zen-system'));
    objects.set(anObject('large', 1, 'zen-system', { text: 'x'.repeat(200_000) }));
    objects.set(anObject('other', 1, 'pay'));
    expect(leftOutOf(objects.all())).toEqual([]);
    expect(objects.all()).toHaveLength(151);
  });

  it('leaves out what is too large, and takes it once it is not', () => {
    const objects = createBoundedObjects('zen-system');
    objects.set(anObject('o', 1, 'shop', { text: 'x'.repeat(131_072) }));
    expect(leftOutOf(objects.all())).toEqual(['o TooLarge']);
    objects.set(anObject('o', 1));
    expect(leftOutOf(objects.all())).toEqual([]);
    expect(objects.all()).toHaveLength(1);
  });

  it('takes what was left out when it changes and there is room by then', () => {
    const objects = createBoundedObjects('zen-system');
    const all = numbered(51);
    for (const one of all) objects.set(one);
    objects.delete(anObject('o3', 3));
    objects.set(anObject('o50', 50));
    expect(leftOutOf(objects.all())).toEqual([]);
    expect(objects.all()).toHaveLength(50);
    objects.delete(anObject('never seen', 1, 'pay'));
  });

  it('keeps nothing that nobody reads', () => {
    const objects = createBoundedObjects('zen-system');
    objects.set({ ...anObject('o', 1), ...{ status: { conditions: [] } } });
    const [one] = objects.all();
    expect(one).toMatchObject({ metadata: { name: 'o', namespace: 'shop' }, spec: { targetSource: 'falco' } });
    expect(Object.keys(one?.metadata ?? {})).not.toContain('annotations');
    expect(Object.keys(one ?? {})).toContain('status');
  });
});
