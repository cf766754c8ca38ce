import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/manifests.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { temporaryFolder } from '../host/program.ts';

const root = join(import.meta.dirname, '..', '..', 'knative');

/** What an overlay of these components alone applies. */
function build(components: readonly string[], more = {}): Manifest[] {
  const folder = join(temporaryFolder(), 'overlay');
  mkdirSync(folder);
  const paths = components.map((name) => relative(folder, join(root, 'components', name)));
  const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' };
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify({ ...kind, components: paths, ...more }));
  return parseAllDocuments(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })).map((one) =>
    one.toJS(),
  );
}

const labelsOf = ({ metadata: { labels } }: Manifest): unknown => labels;

describe.skipIf(!hasKubectl())('kube-prometheus-stack', () => {
  it('has what monitoring has, and the label of the Helm release on what the operator reads', () => {
    const plain = build(['monitoring']);
    const labelled = build(['kube-prometheus-stack']);
    expect(labelled.map(({ kind }) => kind).sort()).toEqual(plain.map(({ kind }) => kind).sort());
    for (const one of labelled) {
      const isRead = one.kind === 'PodMonitor' || one.kind === 'PrometheusRule';
      expect(labelsOf(one), one.kind).toEqual({
        'app.kubernetes.io/part-of': 'zen-watcher',
        ...(isRead ? { release: 'kube-prometheus-stack' } : { grafana_dashboard: '1' }),
      });
    }
  });

  it('takes the name of another release from a patch', () => {
    const patch = '- { op: add, path: /metadata/labels/release, value: monitoring }';
    const patches = [{ target: { group: 'monitoring.coreos.com' }, patch }];
    const manifests = build(['kube-prometheus-stack'], { patches }).filter(({ kind }) => kind !== 'ConfigMap');
    expect(manifests.map(labelsOf)).toEqual([
      expect.objectContaining({ release: 'monitoring' }),
      expect.objectContaining({ release: 'monitoring' }),
    ]);
  });
});
