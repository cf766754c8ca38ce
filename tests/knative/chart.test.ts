import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/manifests.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { chart, helm, prepareHelm, rendered, skipWithoutHelm } from '../cluster/helm.ts';

const overlays = join(chart, '..', 'overlays');
const keep = 'helm.sh/resource-policy';

/** What overlays can be had by which values. */
const patterns: readonly (readonly [string, readonly string[]])[] = [
  ['default', ['--set', 'createNamespace=true']],
  ['constrained', ['--set', 'createNamespace=true', '-f', join(chart, 'values-constrained.yaml')]],
  ['kafka', ['--set', 'createNamespace=true', '-f', join(chart, 'values-kafka.yaml')]],
  ['namespaced', ['--set', 'namespaceOverride=tenant-a', '-f', join(chart, 'values-namespaced.yaml')]],
  [
    'production',
    [
      '--set',
      'createNamespace=true,webhook.tokenSecret=zen-watcher-webhook',
      '-f',
      join(chart, 'values-production.yaml'),
    ],
  ],
];

function idOf({ kind, metadata: { namespace = '', name } }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}

/** Without the order of what Kubernetes tells apart by name, and without the note to helm not to delete it. */
function comparable(manifest: Manifest): unknown {
  return JSON.parse(JSON.stringify(manifest), (key, value) => {
    if (['env', 'volumes', 'volumeMounts'].includes(key) && Array.isArray(value))
      return value.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (key !== 'annotations' || value[keep] === undefined) return value;
    const { [keep]: _kept, ...others } = value;
    return Object.keys(others).length > 0 ? others : undefined;
  });
}

function byId(manifests: readonly Manifest[]): ReadonlyMap<string, unknown> {
  expect(new Set(manifests.map(idOf)).size).toBe(manifests.length);
  return new Map(manifests.map((manifest) => [idOf(manifest), comparable(manifest)]));
}

function expectSame(actual: readonly Manifest[], expected: readonly Manifest[]): void {
  const ours = byId(actual);
  const theirs = byId(expected);
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  for (const [id, manifest] of theirs) expect(ours.get(id), id).toEqual(manifest);
}

const isSkipped = skipWithoutHelm() || !hasKubectl();

describe.skipIf(isSkipped)('the chart', () => {
  beforeAll(prepareHelm, 1_800_000);

  it.each(patterns)('makes the objects of the overlay %s', async (overlay, flags) => {
    const text = execFileSync('kubectl', ['kustomize', join(overlays, overlay)], { encoding: 'utf8' });
    expectSame(
      await rendered(...flags),
      parseAllDocuments(text).map((document) => document.toJS()),
    );
  });

  it.each(patterns)('passes helm lint as %s', async (_overlay, flags) => {
    expect(await helm('lint', '--strict', chart, ...flags)).toContain('1 chart(s) linted, 0 chart(s) failed');
  });
});
