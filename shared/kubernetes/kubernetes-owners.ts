import { controllerIn } from '../finding/object-schema.ts';
import type { Owners } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { pathOf } from './resource-path.ts';

/** Of one object, JSON costs little, and ownerReferences need no decoder of their own. */
const metadataAlone = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/** The owners of an API server's objects. */
export function createKubernetesOwners(client: ApiClient): Owners {
  return {
    async controllerOf(resource, namespace, name, signal) {
      const [version = 'v1'] = resource.versions;
      const path = pathOf(resource, version, namespace, name);
      const response = await client.request({ method: 'GET', path, accept: metadataAlone, signal });
      return response.status === 200 ? { controller: controllerIn(response.body) } : undefined;
    },
  };
}
