import * as z from 'zod';
import type { Manifest } from '../../knative/generator/manifests.ts';

const serviceSchema = z.object({
  spec: z.object({
    template: z.looseObject({
      spec: z.looseObject({ containers: z.tuple([z.looseObject({})]) }),
    }),
  }),
});

/** What bound `webhook` to the Broker in version 0.1.0. */
const sinkBinding: Manifest = {
  apiVersion: 'sources.knative.dev/v1',
  kind: 'SinkBinding',
  metadata: { name: 'webhook', namespace: 'zen-system', labels: { 'app.kubernetes.io/part-of': 'zen-watcher' } },
  spec: {
    subject: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: 'webhook' },
    sink: { ref: { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', name: 'zen-watcher' } },
  },
};

/** A Service without what version 0.1.0 didn't have. */
function oldService(manifest: Manifest): Manifest {
  const { annotations: _ours, ...metadata } = manifest.metadata;
  const { spec } = serviceSchema.parse(manifest);
  const { volumes: _volumes, containers, ...template } = spec.template.spec;
  const { volumeMounts: _mounts, ...container } = containers[0];
  return {
    ...manifest,
    metadata,
    spec: {
      template: {
        ...spec.template,
        spec: { ...template, containers: [{ ...container, image: 'zen-watcher:old' }] },
      },
    },
  };
}

/** The overlay `default` as version 0.1.0 applied it, as far as Knative can tell the difference. */
export function oldManifests(manifests: readonly Manifest[]): Manifest[] {
  const isService = ({ apiVersion, kind }: Manifest): boolean => kind === 'Service' && apiVersion.includes('knative');
  return [...manifests.map((manifest) => (isService(manifest) ? oldService(manifest) : manifest)), sinkBinding];
}
