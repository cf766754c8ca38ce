import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { foreignNamespaces, type Manifest, metadataOf, ownLabels, type Reach, systemNamespace } from './manifests.ts';

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: string[];
  }[];
}

/** Pods that may connect, or be connected to. Without a namespaceSelector they are in the policy's own namespace. */
interface Peer {
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
}

interface Port {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

const serving = 'knative-serving';
const eventing = 'knative-eventing';

/**
 * Where the gateways of Knative's ingresses are: Kourier (and OpenShift Serverless' own), Istio, Contour. A cluster has one
 * of them, and a namespace that doesn't exist allows nothing.
 */
const gateways = ['kourier-system', 'knative-serving-ingress', 'istio-system', 'contour-internal', 'contour-external'];

/** Where Prometheus usually is. */
const monitoring = ['monitoring', 'openshift-user-workload-monitoring'];

/** Queue-proxy's ports for events, without and with TLS. Each pod also has 8022, with which it is ended: nobody needs that. */
const queueProxy = [8012, 8112];
const scalingMetrics = 9090;
/** The function's own port, since a scrape through queue-proxy would count as a request; and queue-proxy's own metrics. */
const metrics = [8080, 9091];

/** Of the one Deployment without Knative, for https. */
export const securePort = 8443;

const brokerPorts = [8080, 8443];
/** What the Service `kubernetes` has, and what kubeadm, k3s, RKE2, Talos, kind and OpenShift have behind it. */
const apiServerPorts = [443, 6443];

function tcp(...ports: readonly number[]): Port[] {
  return ports.map((port) => ({ protocol: 'TCP', port }));
}

function namespaces(values: readonly string[], podSelector?: Selector): Peer {
  const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [...values] }];
  return { namespaceSelector: { matchExpressions }, ...(podSelector && { podSelector }) };
}

const ours: Selector = { matchLabels: ownLabels };

/** The pods of certain functions. */
export function named(definitions: readonly Pick<FunctionDefinition, 'name'>[]): Selector {
  const values = definitions.map(({ name }) => name);
  // In a tenant's namespace, other pods may have such a name.
  return { ...ours, matchExpressions: [{ key: 'app.kubernetes.io/name', operator: 'In', values }] };
}

function policy(name: string, spec: object): Manifest {
  const metadata = metadataOf(`zen-watcher-${name}`);
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
}

/** The pods of ApiServerSources, which Knative labels so. */
const adapters: Selector = { matchExpressions: [{ key: 'eventing.knative.dev/source', operator: 'Exists' }] };

/**
 * What may reach the functions' pods. Nearly everything comes through the gateway, or through the activator while a
 * function starts or has too much to do. The senders themselves come only where a service mesh routes their requests.
 */
function toFunctions(definitions: readonly FunctionDefinition[], reach: Reach): Manifest[] {
  const callers = definitions.filter(({ callsFunctions }) => callsFunctions);
  const places = [systemNamespace, ...new Set(definitions.flatMap(foreignNamespaces))];
  const senders = [
    namespaces(gateways),
    namespaces([serving], { matchLabels: { app: 'activator' } }),
    namespaces([eventing]),
    reach === 'cluster' ? namespaces(places, adapters) : { podSelector: adapters },
    { podSelector: named(callers) },
  ];
  const autoscaler = namespaces([serving], { matchLabels: { app: 'autoscaler' } });
  return [
    policy('functions', {
      podSelector: ours,
      policyTypes: ['Ingress'],
      ingress: [
        { from: senders, ports: tcp(...queueProxy) },
        { from: [autoscaler], ports: tcp(scalingMetrics) },
      ],
    }),
    policy('metrics', {
      podSelector: ours,
      policyTypes: ['Ingress'],
      ingress: [{ from: [namespaces(monitoring)], ports: tcp(...metrics) }],
    }),
  ];
}

function egress(name: string, podSelector: Selector, rules: readonly object[]): Manifest {
  return policy(name, { podSelector, policyTypes: ['Egress'], egress: rules });
}

/** What every pod of ours needs. */
function toCluster(): Manifest[] {
  const dns: Port[] = [{ protocol: 'UDP', port: 53 }, ...tcp(53)];
  const openShiftDns: Port[] = [{ protocol: 'UDP', port: 5353 }, ...tcp(5353)];
  return [
    egress('api-server', ours, [{ ports: tcp(...apiServerPorts) }]),
    egress('dns', ours, [{ ports: dns }, { to: [namespaces(['openshift-dns'])], ports: openShiftDns }]),
  ];
}

export const brokerEgress = [{ to: [namespaces([eventing])], ports: tcp(...brokerPorts) }];

/** A sink may reach its receiver, wherever that is, at the ports where such receivers usually listen. */
export function sinkPolicies(
  definition: FunctionDefinition,
  pods: Pick<FunctionDefinition, 'name'> = definition,
): Manifest[] {
  if (definition.kind !== 'sink') return [];
  const rules = { policyTypes: ['Egress'], egress: [{ ports: tcp(...definition.sink.ports) }] };
  return [policy(definition.name, { podSelector: named([pods]), ...rules })];
}

/**
 * What the functions' pods may reach. The API server is allowed by port, because no selector can name its address; DNS too,
 * because a cache on the node has an address that none can name.
 */
function fromFunctions(definitions: readonly FunctionDefinition[]): Manifest[] {
  return [
    ...toCluster(),
    egress('to-broker', named(definitions.filter(postsToBroker)), brokerEgress),
    egress('to-functions', named(definitions.filter(({ callsFunctions }) => callsFunctions)), [
      // Each gateway has ports of its own choice.
      { to: [namespaces(gateways)] },
      // In a mesh, the sender's proxy connects to the activator or to the function itself.
      {
        to: [namespaces([serving], { matchLabels: { app: 'activator' } }), { podSelector: ours }],
        ports: tcp(...queueProxy),
      },
    ]),
  ];
}

/** Whether it posts to the Broker although nobody is told anything. Where others are, more do (`announcing.ts`). */
export function postsToBroker({ kind }: FunctionDefinition): boolean {
  return kind === 'gateway';
}

/**
 * Who may reach the functions, and whom they may reach: everything else is cut off by a network that enforces policies.
 * What a kubelet sends is exempt. Policies add up, so a cluster that is built differently gets another one beside these
 * (examples/network.yaml).
 */
export function networkPolicies(definitions: readonly FunctionDefinition[], reach: Reach = 'cluster'): Manifest[] {
  return [...toFunctions(definitions, reach), ...fromFunctions(definitions)];
}

/**
 * The same without Knative. No selector can name a kube-apiserver on the host's network, so whoever reaches the pods may try:
 * nobody gets in without a token.
 */
export function standalonePolicies(): Manifest[] {
  const ingress = [{ ports: tcp(8080, securePort) }];
  return [policy('standalone', { podSelector: ours, policyTypes: ['Ingress'], ingress }), ...toCluster()];
}
