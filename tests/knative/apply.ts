import { expect } from 'vitest';
import type { Manifest } from '../../knative/generator/manifests.ts';
import type { Cluster } from '../cluster/cluster.ts';

const plurals: Readonly<Record<string, string>> = {
  EventPolicy: 'eventpolicies',
  Ingress: 'ingresses',
  NetworkPolicy: 'networkpolicies',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
};

export function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${root}${scope}/${plurals[kind] ?? `${kind.toLowerCase()}s`}/${metadata.name}`;
}

/** Applies a manifest as `kubectl apply --server-side` does, with strict validation. */
export async function applyManifest(cluster: Cluster, manifest: Manifest, isStrict = true): Promise<void> {
  const path = `${pathOf(manifest)}?fieldManager=tests&force=true${isStrict ? '&fieldValidation=Strict' : ''}`;
  const answer = await cluster.request('PATCH', path, JSON.stringify(manifest), {
    contentType: 'application/apply-patch+yaml',
  });
  expect(answer.status, `${pathOf(manifest)}: ${answer.body.message}`).toBeLessThan(300);
}
