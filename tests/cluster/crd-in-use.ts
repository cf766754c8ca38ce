import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../host/program.ts';
import type { Cluster } from './cluster.ts';
import { alert } from './upgrade-world.ts';
import { oldObservation } from './version-0.1.0.ts';

/** The CRD of Observations as it is now. */
export const newCrd = readFileSync(join(import.meta.dirname, '..', '..', 'crds', 'observations.yaml'), 'utf8');

/**
 * Applies a version of the CRD, and waits until what the API server stores in this namespace has `summary` or lacks it.
 */
export async function useCrd(cluster: Cluster, crd: string, namespace = 'shop'): Promise<void> {
  await cluster.apply(crd);
  const { metadata: _metadata, spec, ...typed } = oldObservation(alert(1).old, 0);
  const probe = { ...typed, metadata: { name: 'probe' }, spec: { ...spec, summary: 'x' } };
  const observations = '/apis/zen.kube-zen.io/v1/';
  const path = `${observations}namespaces/${namespace}/observations?dryRun=All`;
  await until('the CRD is in use', async () => {
    const { status, body } = await cluster.request('POST', path, probe);
    if (status !== 201 || (body.spec.summary === 'x') !== (crd === newCrd)) return false;
    // Lists are answered 429 until the API server has read everything again.
    return (await cluster.request('GET', `${observations}observations?labelSelector=probe`)).status === 200;
  });
}
