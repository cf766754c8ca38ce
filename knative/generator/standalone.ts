import { dirname } from 'node:path';
import { type FunctionDefinition, triggersOf } from '../../shared/function/definitions.ts';
import {
  accountOf,
  bound,
  commonSettings,
  foreignNamespaces,
  functionResources,
  image,
  type Manifest,
  mappedKindsRole,
  metadataOf,
  namespaceManifest,
  type Reach,
  type Rule,
  restricted,
  rulesWithoutKnative,
  sharedManifests,
  sinkSecret,
  systemNamespace,
} from './manifests.ts';
import { securePort, sinkPolicies, standalonePolicies } from './network-policies.ts';

/**
 * For clusters without Knative: one Deployment that hosts every function, with the rights of all of them. Knative's form has a
 * ServiceAccount and a Role for each function; here one process has them all.
 */
const standaloneName = 'zen-watcher';
export const standaloneAccount = accountOf(standaloneName);

export const tokenFile = '/etc/zen-watcher/webhook/token';
const port = commonSettings.PORT;

/** Where the user puts the token, before anything starts. */
export const tokenSecret = 'zen-watcher-webhook';

/** Where the user, or cert-manager, puts a certificate; https is served from when it is there. */
const certificateSecret = 'zen-watcher-tls';
export const certificateFiles = {
  TLS_CERT_FILE: '/etc/zen-watcher/tls/tls.crt',
  TLS_KEY_FILE: '/etc/zen-watcher/tls/tls.key',
};

/**
 * Measured: CAPACITY.md, "Without Knative". It asks for more than it takes while it reads 4,500 large reports. The limit leaves
 * room for two such passes, and a quarter of it for what senders post meanwhile.
 */
export const standaloneResources = {
  requests: { cpu: '100m', memory: '192Mi' },
  limits: { cpu: '1000m', memory: '512Mi' },
};

/** Everything but the page, which asks the API server as who looks. */
export function hostedIn(definitions: readonly FunctionDefinition[]): FunctionDefinition[] {
  return definitions.filter(({ kind }) => kind !== 'page');
}

/** Two, since Falco sends nothing twice, and a node may go at any time. */
export const standaloneReplicas = 2;

/** Until no Service sends it anything new; then what is in flight has its time, and what is left to be written. */
const preStopSeconds = 5;
const graceSeconds = 55;

/** Nothing is lost of a page that is broken off: it asks again. */
const pageGraceSeconds = 20;

/** The same rights once, by what they are for. */
export function united(rules: readonly Rule[]): Rule[] {
  const verbs = new Map<string, { readonly about: Omit<Rule, 'verbs'>; readonly verbs: Set<string> }>();
  for (const { apiGroups, resources, resourceNames, verbs: given } of rules) {
    for (const apiGroup of apiGroups) {
      for (const resource of resources) {
        const names = resourceNames && { resourceNames };
        const about = { apiGroups: [apiGroup], resources: [resource], ...names };
        const known = verbs.get(JSON.stringify(about)) ?? { about, verbs: new Set() };
        for (const verb of given) known.verbs.add(verb);
        verbs.set(JSON.stringify(about), known);
      }
    }
  }
  const rights = [...verbs.values()].map((one) => ({ ...one.about, verbs: [...one.verbs].sort() }));
  const byRights = Map.groupBy(rights, (one) => JSON.stringify([one.apiGroups, one.resourceNames, one.verbs]));
  return [...byRights.values()].flatMap((same): Rule[] => {
    const [first] = same;
    return first ? [{ ...first, resources: same.flatMap((one) => one.resources).sort() }] : [];
  });
}

/** The rights of all these functions, in the places where they need them. */
export function standaloneRoles(definitions: readonly FunctionDefinition[], reach: Reach = 'cluster'): Manifest[] {
  const all = hostedIn(definitions).flatMap((definition) => [...rulesWithoutKnative(definition, reach)]);
  const byPlace = Map.groupBy(all, ([namespace]) => namespace);
  return [...byPlace].flatMap(([namespace, places]) => {
    const rules = united(places.flatMap(([, some]) => some));
    return bound(standaloneAccount, 'standalone', rules, namespace);
  });
}

/** What is mounted: beside what it serves with, the Secret of each sink. */
function mounts(definitions: readonly FunctionDefinition[]) {
  const sinks = definitions.map(sinkSecret);
  return {
    volumeMounts: [
      { name: 'token', mountPath: dirname(tokenFile), readOnly: true },
      { name: 'certificate', mountPath: dirname(certificateFiles.TLS_CERT_FILE), readOnly: true },
      ...sinks.flatMap((one) => one.volumeMounts),
    ],
    volumes: [
      { name: 'token', secret: { secretName: tokenSecret } },
      { name: 'certificate', secret: { secretName: certificateSecret, optional: true } },
      ...sinks.flatMap((one) => one.volumes),
    ],
  };
}

/** What differs between the Deployments. */
interface Workload {
  readonly name: string;
  readonly replicas: number;
  readonly graceSeconds: number;
  readonly reach: Reach;
  /** Of the container, besides what all have. */
  readonly container: {
    readonly env: readonly object[];
    readonly ports: readonly object[];
    readonly [key: string]: unknown;
  };
  readonly pod: object;
}

function deployment({
  name,
  replicas,
  graceSeconds: terminationGracePeriodSeconds,
  reach,
  ...own
}: Workload): Manifest {
  const metadata = metadataOf(name);
  const probe = (path: string) => ({ httpGet: { path, port } });
  const { env, ports, ...more } = own.container;
  const container = {
    ...{ name, image },
    ...more,
    env: [
      { name: 'SYSTEM_NAMESPACE', value: systemNamespace },
      ...(reach === 'namespace' ? [{ name: 'WATCH_NAMESPACE', value: systemNamespace }] : []),
      ...env,
    ],
    // As Knative calls it, so that the same PodMonitor scrapes both.
    ports: [{ name: 'user-port', containerPort: port }, ...ports],
    readinessProbe: { ...probe('/ready'), periodSeconds: 2, timeoutSeconds: 2 },
    livenessProbe: { ...probe('/health'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    lifecycle: { preStop: { sleep: { seconds: preStopSeconds } } },
    securityContext: restricted,
  };
  return {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata },
    spec: {
      replicas,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: metadata.labels },
      template: {
        metadata: { labels: metadata.labels },
        spec: { serviceAccountName: name, terminationGracePeriodSeconds, containers: [container], ...own.pod },
      },
    },
  };
}

function ownDeployment(definitions: readonly FunctionDefinition[], reach: Reach): Manifest {
  const { labels: matchLabels } = metadataOf(standaloneName);
  const { volumeMounts, volumes } = mounts(definitions);
  const spread = {
    ...{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
    labelSelector: { matchLabels },
  };
  const files = { WEBHOOK_AUTH_TOKEN_FILE: tokenFile, ...certificateFiles };
  return deployment({
    ...{ name: standaloneName, replicas: standaloneReplicas, graceSeconds, reach },
    container: {
      args: ['standalone'],
      env: Object.entries(files).map(([name, value]) => ({ name, value })),
      ports: [{ name: 'https', containerPort: securePort }],
      resources: standaloneResources,
      volumeMounts,
    },
    pod: { topologySpreadConstraints: [spread], volumes },
  });
}

function service(name: string, ports: readonly object[]): Manifest {
  const metadata = metadataOf(name);
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: metadata.labels, ports } };
}

const http = { name: 'http', port: 80, targetPort: 'user-port' };
const https = { name: 'https', port: 443, targetPort: 'https' };

/**
 * The page: a Deployment of its own, since whoever finds a way through it must not find the rights of all functions, and
 * people who look at much must not take the memory of what takes posts. One Pod: what was read is kept in it. Knative makes a
 * Service with the name of the function, so this one has another, and both may be there while somebody moves.
 */
export function standalonePage({ kind, name: functionName }: FunctionDefinition, reach: Reach): Manifest[] {
  if (kind !== 'page') return [];
  const name = `${standaloneName}-${functionName}`;
  return [
    accountOf(name),
    service(name, [http]),
    deployment({
      ...{ name, replicas: 1, graceSeconds: pageGraceSeconds, reach },
      container: { args: [functionName], env: [], ports: [], resources: functionResources },
      pod: {},
    }),
  ];
}

function disruptionBudget(): Manifest {
  const metadata = metadataOf(standaloneName);
  const spec = { maxUnavailable: 1, selector: { matchLabels: metadata.labels } };
  return { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata, spec };
}

/** What there is of shared manifests without Knative. */
function withoutBroker(manifests: readonly Manifest[]): Manifest[] {
  return manifests.filter(({ kind }) => kind !== 'Broker');
}

/** Everything that is needed besides the CRDs, in the order to apply it. */
export function standaloneManifests(definitions: readonly FunctionDefinition[], reach: Reach = 'cluster'): Manifest[] {
  return [...withoutBroker(sharedManifests(definitions, reach)), ...ownManifests(definitions, reach)];
}

/** What nothing else has. */
export function ownManifests(definitions: readonly FunctionDefinition[], reach: Reach): Manifest[] {
  const mapped = definitions.filter((one) =>
    triggersOf(one, commonSettings).some(({ type }) => type === 'MappedKinds'),
  );
  const inCluster = reach === 'cluster';
  return [
    ...(inCluster ? definitions.flatMap(foreignNamespaces).map((namespace) => namespaceManifest(namespace)) : []),
    standaloneAccount,
    ...standaloneRoles(definitions, reach),
    ...(inCluster ? mapped.flatMap(({ name }) => mappedKindsRole(name, 'standalone', [standaloneName])) : []),
    ...standalonePolicies(),
    service(standaloneName, [http, https]),
    disruptionBudget(),
    ownDeployment(definitions, reach),
  ];
}

/** What a sink needs besides: its way out. */
export function standaloneSinkPolicies(definition: FunctionDefinition): Manifest[] {
  return sinkPolicies(definition, { name: standaloneName });
}
