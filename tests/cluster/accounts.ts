import { type Manifest, manifestsOf, sharedManifests } from '../../knative/generator/manifests.ts';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { applyManifest } from '../knative/apply.ts';
import type { Cluster } from './cluster.ts';

const isKnatives = ({ apiVersion }: Manifest): boolean => apiVersion.includes('knative.dev');

/**
 * Applies what all functions share, and for each of those that are named its account with its generated role. Resolves to
 * their tokens.
 */
export async function installAccounts(
  cluster: Cluster,
  functions: readonly FunctionDefinition[],
  names: readonly string[],
): Promise<Map<string, string>> {
  for (const one of sharedManifests(functions)) if (!isKnatives(one)) await applyManifest(cluster, one);
  const tokens = new Map<string, string>();
  for (const name of names) {
    const own = functions.filter((one) => one.name === name).flatMap((one) => manifestsOf(one));
    for (const one of own) if (!isKnatives(one)) await applyManifest(cluster, one);
    const path = `/api/v1/namespaces/zen-system/serviceaccounts/${name}/token`;
    const { body } = await cluster.request('POST', path, { spec: { expirationSeconds: 7200 } });
    tokens.set(name, body.status.token);
  }
  return tokens;
}
