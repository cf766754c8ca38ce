import { describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import {
  fingerprintOf,
  isRelevant,
  isWide,
  keyOf,
  listReports,
  versionOf,
  versionsOf,
} from '../../shared/pipeline/slot.ts';
import { createUnseen } from '../../shared/pipeline/unseen.ts';
import { createTestContext } from './test-context.ts';
import { anObject, box, boxes, crate, jar } from './test-sources.ts';

function inVersion(uid: string, resourceVersion: string | undefined, findings: unknown = []): KubernetesObject {
  return anObject('a', { findings, metadata: { uid, resourceVersion } });
}

describe('versionOf', () => {
  it.each<[string, KubernetesObject, KubernetesObject]>([
    ['is changed', inVersion('u', '1'), inVersion('u', '2')],
    ['is made anew, in the same version', inVersion('u', '1'), inVersion('v', '1')],
    ['is changed, in a folder', inVersion('u', undefined, []), inVersion('u', undefined, [7])],
    ['gets another label, in a folder', anObject('a'), anObject('a', { metadata: { labels: { app: 'tool' } } })],
  ])('differs if a report %s', (_case, one, other) => {
    expect(versionOf(one)).not.toBe(versionOf(other));
    expect(versionOf(one)).toBe(versionOf(structuredClone(one)));
  });

  it('is told by the metadata alone where the cluster counts versions', () => {
    expect(versionOf(inVersion('u', '1', []))).toBe(versionOf(inVersion('u', '1', [7])));
  });
});

describe('keyOf', () => {
  it('differs by group, kind, namespace and name, and not by version', () => {
    const objects = [
      anObject('a'),
      anObject('b'),
      anObject('a', { namespace: 'pay' }),
      anObject('a', { resource: { ...box, kind: 'Bag' } }),
      anObject('a', { resource: { ...box, group: 'example.org' } }),
      anObject('a', { resource: crate }),
      anObject('aa', { namespace: 'sho' }),
      anObject('a', { namespace: 'shopa' }),
      anObject('pa', { namespace: 'sho' }),
    ];
    expect(new Set(objects.map(keyOf)).size).toBe(objects.length);
    expect(keyOf({ ...anObject('a'), apiVersion: 'example.com/v2' })).toBe(keyOf(anObject('a')));
  });
});

describe('fingerprintOf', () => {
  const fingerprint = (...reports: readonly KubernetesObject[]) => fingerprintOf(versionsOf(reports));
  const a = inVersion('u', '1');
  const b = anObject('b', { metadata: { uid: 'b', resourceVersion: '1' } });
  const c = anObject('c', { metadata: { uid: 'c', resourceVersion: '1' } });

  it('is the same in whatever order the reports are listed', () => {
    expect(fingerprint(c, a, b)).toBe(fingerprint(a, b, c));
  });

  it.each<[string, readonly KubernetesObject[]]>([
    ['has changed', [inVersion('u', '2'), b]],
    ['has come', [a, b, c]],
    ['has gone', [a]],
    ['has another name', [a, { ...b, metadata: { ...b.metadata, name: 'c' } }]],
  ])('differs if a report %s', (_case, reports) => {
    expect(fingerprint(...reports)).not.toBe(fingerprint(a, b));
  });
});

describe('isWide', () => {
  it('is told by the source, from the kind of the report', () => {
    const source: typeof boxes.source = {
      ...boxes.source,
      slotOf: ({ group, kind }) =>
        group === 'example.com' && kind === 'Box' ? { about: { kind, name: 'a' } } : undefined,
    };
    const objects = [
      anObject('a'),
      anObject('a', { resource: crate }),
      anObject('a', { resource: { ...box, group: '' } }),
    ];
    expect(objects.map((object) => isWide(source, object))).toEqual([false, true, true]);
    expect(isWide(boxes.source, anObject('a'))).toBe(true);
  });
});

const tool = { labels: { app: 'tool', more: 'x' } };
const inJars: KindSelector = { ...jar, namespace: 'jars' };

describe('isRelevant', () => {
  it.each<[string, KindSelector, KubernetesObject, boolean]>([
    ['of any namespace', box, anObject('a'), true],
    ['that is being deleted', box, anObject('a', { metadata: { deletionTimestamp: '2026-03-01T11:00:00Z' } }), false],
    ['of its namespace', inJars, anObject('a', { namespace: 'jars', metadata: tool }), true],
    ['of another namespace', inJars, anObject('a', { metadata: tool }), false],
    ['without the label', inJars, anObject('a', { namespace: 'jars' }), false],
    ['with another label', jar, anObject('a', { metadata: { labels: { app: 'other' } } }), false],
    ['of a kind without namespaces', { ...crate, namespace: 'shop' }, anObject('a', { resource: crate }), true],
  ])('of an object %s is told as the cluster would', (_case, selector, object, expected) => {
    expect(isRelevant(selector, object)).toBe(expected);
  });
});

describe('listReports', () => {
  it('lists where its kind may be, or else where it is told to, and only what is relevant', async () => {
    const { context, objects } = createTestContext(boxes);
    const namespaces: (string | undefined)[] = [];
    const { listMetadata } = objects;
    objects.listMetadata = (kind, namespace, signal) => {
      namespaces.push(namespace);
      return listMetadata(kind, namespace, signal);
    };
    const dying = { deletionTimestamp: '2026-03-01T11:00:00Z' };
    objects.all.push(anObject('a'), anObject('dying', { metadata: dying }), anObject('b', { namespace: 'pay' }));
    objects.all.push(anObject('j', { resource: jar, namespace: 'jars', metadata: tool }));
    const namesOf = async (namespace: string | undefined): Promise<readonly string[]> => {
      const reports = await Array.fromAsync(listReports([box, inJars], namespace, createUnseen([], context), context));
      return reports.map(({ metadata: { name } }) => name);
    };
    expect(await namesOf('shop')).toEqual(['a', 'j']);
    expect((await namesOf(undefined)).toSorted()).toEqual(['a', 'b', 'j']);
    expect(namespaces).toEqual(['shop', 'jars', undefined, 'jars']);
  });
});
