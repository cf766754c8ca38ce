import * as z from 'zod';
import type { Manifest } from '../../knative/generator/manifests.ts';

const selectorSchema = z.strictObject({
  matchLabels: z.record(z.string(), z.string()).default({}),
  matchExpressions: z
    .array(
      z.strictObject({ key: z.string(), operator: z.enum(['In', 'Exists']), values: z.array(z.string()).default([]) }),
    )
    .default([]),
});

const peerSchema = z.strictObject({
  namespaceSelector: selectorSchema.optional(),
  podSelector: selectorSchema.optional(),
  ipBlock: z.strictObject({ cidr: z.string().endsWith('/32') }).optional(),
});

const portsSchema = z.array(z.strictObject({ protocol: z.enum(['TCP', 'UDP']).default('TCP'), port: z.number() }));

const policySchema = z.looseObject({
  kind: z.literal('NetworkPolicy'),
  metadata: z.looseObject({ namespace: z.string() }),
  spec: z.strictObject({
    podSelector: selectorSchema,
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    ingress: z
      .array(z.strictObject({ from: z.array(peerSchema).optional(), ports: portsSchema.optional() }))
      .default([]),
    egress: z.array(z.strictObject({ to: z.array(peerSchema).optional(), ports: portsSchema.optional() })).default([]),
  }),
});

type Selector = z.output<typeof selectorSchema>;
type Peer = z.output<typeof peerSchema>;
type Policy = z.output<typeof policySchema>;

export interface Pod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is no pod: a node, the API server, the rest of the world. */
export type Party = Pod | { readonly address: string };

function selects({ matchLabels, matchExpressions }: Selector, labels: Pod['labels']): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      const value = labels[key];
      return value !== undefined && (operator === 'Exists' || values.includes(value));
    })
  );
}

function includes(peer: Peer, place: string, party: Party): boolean {
  const { namespaceSelector, podSelector, ipBlock } = peer;
  if ('address' in party) return ipBlock?.cidr === `${party.address}/32`;
  if (ipBlock) return false;
  const inNamespace = namespaceSelector
    ? selects(namespaceSelector, { 'kubernetes.io/metadata.name': party.namespace })
    : party.namespace === place;
  return inNamespace && (!podSelector || selects(podSelector, party.labels));
}

interface Rule {
  readonly peers?: readonly Peer[] | undefined;
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[] | undefined;
}

/** One direction of a connection between a pod that policies may select, and another party. */
interface Connection {
  readonly pod: Pod;
  readonly other: Party;
  readonly port: number;
  readonly protocol: string;
}

function allowed(policies: readonly Policy[], direction: 'Ingress' | 'Egress', connection: Connection): boolean {
  const { pod, other, port, protocol } = connection;
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      spec.policyTypes.includes(direction) &&
      metadata.namespace === pod.namespace &&
      selects(spec.podSelector, pod.labels),
  );
  if (selecting.length === 0) return true;
  const rulesOf = ({ spec }: Policy): Rule[] =>
    direction === 'Ingress'
      ? spec.ingress.map(({ from, ports }) => ({ peers: from, ports }))
      : spec.egress.map(({ to, ports }) => ({ peers: to, ports }));
  return selecting.some((policy) =>
    rulesOf(policy).some(
      ({ peers, ports }) =>
        (peers?.some((peer) => includes(peer, policy.metadata.namespace, other)) ?? true) &&
        (ports?.some((one) => one.port === port && one.protocol === protocol) ?? true),
    ),
  );
}

/** A network that enforces policies as https://kubernetes.io/docs/concepts/services-networking/network-policies/ says. */
export function createNetwork(manifests: readonly Manifest[]) {
  const policies = manifests
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map((manifest) => policySchema.parse(manifest));
  return {
    admits: (pod: Pod, other: Party, port: number) =>
      allowed(policies, 'Ingress', { pod, other, port, protocol: 'TCP' }),
    letsOut: (pod: Pod, other: Party, port: number, protocol: 'TCP' | 'UDP' = 'TCP') =>
      allowed(policies, 'Egress', { pod, other, port, protocol }),
  };
}
