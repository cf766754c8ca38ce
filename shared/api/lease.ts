import * as z from 'zod';
import { group } from './group.ts';
import type { KindSelector } from './kind-selector.ts';

const ownLabels = { 'app.kubernetes.io/part-of': 'zen-watcher', [`${group}/sign-of-life`]: 'true' };

/** Of each source one says when it was last heard of: https://kubernetes.io/docs/concepts/architecture/leases/ */
export const leases: KindSelector = {
  group: 'coordination.k8s.io',
  versions: ['v1'],
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
  labels: ownLabels,
};

const apiVersion = 'coordination.k8s.io/v1';

/** The Lease of a source. */
export function leaseRef(namespace: string, source: string) {
  return { apiVersion, kind: leases.kind, namespace, name: `zen-watcher-${source}` };
}

/** When a source was last heard of, and for how long it may be silent. */
export interface SignOfLife {
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly minutes: number;
}

export function leaseOf(namespace: string, { source, at, minutes }: SignOfLife) {
  const { kind, name } = leaseRef(namespace, source);
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, labels: ownLabels },
    spec: {
      holderIdentity: source,
      leaseDurationSeconds: minutes * 60,
      // With six digits, or the API server can't read it.
      renewTime: new Date(at).toISOString().replace('Z', '000Z'),
    },
  };
}

const leaseSchema = z.object({
  spec: z.object({
    holderIdentity: z.string(),
    leaseDurationSeconds: z.number(),
    renewTime: z.string().transform(Date.parse).refine(Number.isFinite),
  }),
});

/** What a Lease says; `undefined` if it is none of ours. */
export function signIn(object: unknown): SignOfLife | undefined {
  const { data } = leaseSchema.safeParse(object);
  if (!data) return undefined;
  const { holderIdentity: source, renewTime: at, leaseDurationSeconds } = data.spec;
  return { source, at, minutes: leaseDurationSeconds / 60 };
}
