import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { temporaryFolder } from '../host/program.ts';

const root = join(import.meta.dirname, '..', '..', 'knative');

/** What an overlay of these components alone applies. */
function build(components: readonly string[], more: object = {}, base: readonly string[] = []): Manifest[] {
  const folder = join(temporaryFolder(), 'overlay');
  mkdirSync(folder);
  const paths = components.map((name) => relative(folder, join(root, 'components', name)));
  const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' };
  writeFileSync(
    join(folder, 'kustomization.yaml'),
    JSON.stringify({
      ...kind,
      resources: base.map((name) => relative(folder, join(root, name))),
      components: paths,
      ...more,
    }),
  );
  return parseAllDocuments(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })).map((one) =>
    one.toJS(),
  );
}

const serviceSpec = z.object({
  template: z.object({
    spec: z.object({
      containers: z.array(
        z.object({
          env: z.array(z.object({ name: z.string(), value: z.string() })),
          volumeMounts: z.array(z.object({ name: z.string() })).default([]),
        }),
      ),
    }),
  }),
});

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

describe.skipIf(!hasKubectl())('what tells others', () => {
  const containerOf = ({ spec }: Manifest) =>
    serviceSpec.parse(spec).template.spec.containers[0] ?? { env: [], volumeMounts: [] };
  const servicesIn = (manifests: readonly Manifest[]) =>
    manifests.filter(({ kind, apiVersion }) => kind === 'Service' && apiVersion.startsWith('serving.'));
  const announces = ({ env }: ReturnType<typeof containerOf>): boolean =>
    env.some(({ name, value }) => name === 'ANNOUNCE' && value === 'true');

  it('is not there unless it is asked for', () => {
    const services = servicesIn(build([], {}, ['base']));
    expect(services.map(({ metadata: { name } }) => name)).not.toContain('announce');
    expect(services.filter((one) => announces(containerOf(one)))).toEqual([]);
  });

  it('has every function mark that writes, and no other, and lets it tell the Broker', () => {
    const manifests = build(['checkov', 'alertmanager', 'announce'], {}, ['base']);
    const marking = servicesIn(manifests).filter((one) => announces(containerOf(one)));
    const names = marking.map(({ metadata: { name } }) => name).sort();
    expect(names).toEqual([
      'audit',
      'checkov',
      'deadletter',
      'exceptions',
      'falco',
      'filters',
      'gc',
      'ingest',
      'kyverno',
      'trivy',
    ]);
    for (const one of marking) {
      expect(
        containerOf(one).volumeMounts.map(({ name }) => name),
        one.metadata.name,
      ).toEqual(['broker-token']);
    }
    const binding = manifests.find(
      ({ kind, metadata }) => kind === 'RoleBinding' && metadata.name === 'zen-watcher-hints',
    );
    expect(JSON.stringify(binding?.subjects)).toContain('"name":"checkov"');
    const trigger = manifests.find(({ kind, metadata }) => kind === 'Trigger' && metadata.name === 'alertmanager');
    expect(trigger?.spec).toMatchObject({ filters: [{ prefix: { type: 'io.kube-zen.observation.' } }] });
  });

  it('is there for a tenant without any right in the cluster', () => {
    const manifests = build(
      ['alertmanager-namespaced', 'falcosidekick-namespaced', 'sender-namespaced', 'announce-namespaced'],
      {},
      ['namespaced'],
    );
    expect(manifests.filter(({ kind }) => kind.startsWith('Cluster'))).toEqual([]);
    const names = servicesIn(manifests).map(({ metadata: { name } }) => name);
    expect(names).toEqual(expect.arrayContaining(['alertmanager', 'announce', 'falcosidekick', 'sender']));
  });
});
