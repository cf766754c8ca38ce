import * as z from 'zod';
import { Refusal } from '../function/refusal.ts';
import type { Discovery, ObjectRef } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';

/** How long to wait for an aggregated API server: one that is down can't say what it serves. */
const kindsMilliseconds = 5000;

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#unaggregated-discovery */
const groupsSchema = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      versions: z.array(z.object({ version: z.string() })),
      preferredVersion: z.object({ version: z.string() }).optional(),
    }),
  ),
});

const resourcesSchema = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) });

/** What Knative asks for before it makes an ApiServerSource's adapter. */
const watchVerbs = ['get', 'list', 'watch'];

/** https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/ */
function reviewOf({ namespace, name }: Pick<ObjectRef, 'namespace' | 'name'>, resourceAttributes: object): object {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return {
    ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' },
    spec: { user: `system:serviceaccount:${namespace}:${name}`, groups, resourceAttributes },
  };
}

/** The groups and kinds that an API server says it serves. */
export function createDiscovery(client: ApiClient): Discovery {
  return {
    async groups(signal) {
      const response = await client.request({ method: 'GET', path: '/apis', signal });
      if (response.status !== 200) throw setUpFault('discovering API groups', response);
      const { groups } = groupsSchema.parse(response.body);
      return new Map([
        ['', ['v1']],
        ...groups.map(({ name, versions }): [string, string[]] => [name, versions.map(({ version }) => version)]),
      ]);
    },

    async kinds(group, version, signal) {
      const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
      const soon = AbortSignal.any([signal, AbortSignal.timeout(kindsMilliseconds)]);
      try {
        const response = await client.request({ method: 'GET', path, signal: soon });
        const parsed = resourcesSchema.safeParse(response.body);
        if (response.status !== 200 || !parsed.success) return undefined;
        return parsed.data.resources
          .filter(({ name }) => !name.includes('/'))
          .map(({ name, kind, namespaced }) => ({ kind, plural: name, namespaced }));
      } catch (error) {
        if (error instanceof Refusal && !signal.aborted) return undefined;
        throw error;
      }
    },

    async mayWatch(account, { group, plural: resource }, signal) {
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
      for (const verb of watchVerbs) {
        const body = reviewOf(account, { group, resource, verb });
        const response = await client.request({ method: 'POST', path, body, signal });
        const parsed = reviewSchema.safeParse(response.body);
        if (response.status !== 201 || !parsed.success)
          throw setUpFault("asking what a source's account may read", response);
        if (!parsed.data.status.allowed) return false;
      }
      return true;
    },
  };
}
