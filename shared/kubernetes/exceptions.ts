import * as z from 'zod';
import { group } from '../api/group.ts';
import { Refusal } from '../function/refusal.ts';
import type { ApiClient } from './api-client.ts';
import { statusMessage, statusOf } from './api-status.ts';
import { pathOf } from './resource-path.ts';

const exceptions = { group, plural: 'observationexceptions' };
const version = 'v1alpha1';

const milliseconds = 10_000;

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) });

/** ObservationExceptions as a person writes them. */
export interface Exceptions {
  /** Whether they may, by their own rights. */
  may(namespace: string): Promise<boolean>;
  /** Throws a Refusal 403 or 422 with what the API server says. */
  create(namespace: string, object: unknown): Promise<void>;
}

export function createExceptions(client: ApiClient): Exceptions {
  return {
    async may(namespace) {
      const attributes = { namespace, verb: 'create', group, resource: exceptions.plural };
      const response = await client.request({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: attributes },
        },
        signal: AbortSignal.timeout(milliseconds),
      });
      return response.status === 201 && reviewSchema.parse(response.body).status.allowed;
    },

    async create(namespace, object) {
      const response = await client.request({
        method: 'POST',
        path: pathOf(exceptions, version, namespace),
        body: object,
        signal: AbortSignal.timeout(milliseconds),
      });
      if (response.status === 201) return;
      const status = response.status === 403 ? 403 : 422;
      const message = statusMessage(statusOf(response.body)) ?? `the API server answered ${response.status}`;
      throw new Refusal(status, 'the exception was not applied', { path: message });
    },
  };
}
