import type { Owners } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { decodeMetadata, metadataOfOne } from './metadata-list.ts';
import { pathOf } from './resource-path.ts';

/** The owners of an API server's objects. */
export function createKubernetesOwners(client: ApiClient): Owners {
  return {
    async controllerOf(resource, namespace, name, signal) {
      const [version = 'v1'] = resource.versions;
      const path = pathOf(resource, version, namespace, name);
      const { status, body } = await client.request({ method: 'GET', path, accept: metadataOfOne, signal });
      if (status !== 200 || !Buffer.isBuffer(body)) return undefined;
      const { ownerReferences } = decodeMetadata(body, () => false);
      return { controller: ownerReferences.find(({ controller }) => controller) };
    },
  };
}
