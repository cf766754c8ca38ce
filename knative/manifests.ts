import type { FunctionDefinition, Permission } from '../shared/function/function-definition.ts';
import { parseSettings } from '../shared/function/settings.ts';
import type {
  ApiServerSourceTrigger,
  BrokerTrigger,
  PingSourceTrigger,
  Resource,
} from '../shared/function/triggers.ts';
import { labels } from '../shared/observation/labels.ts';
import { scaling } from './scaling.ts';

/** A Kubernetes object that is to be applied. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

export const systemNamespace = 'zen-system';
export const brokerName = 'zen-watcher';
const image = 'zen-watcher';
const rbac = 'rbac.authorization.k8s.io';
const observations = { apiGroups: ['zen.kube-zen.io'], resources: ['observations'] };
const observationRule = { apiGroups: ['zen.kube-zen.io'], apiVersions: ['v1'], resources: ['observations'] };

/** `<source>-<32 hex digits>`, as observationName makes them. */
const ownNames = '^[a-z0-9-]+-[0-9a-f]{32}$';
const ownLabels = { 'app.kubernetes.io/part-of': 'zen-watcher' };

function metadataOf(name: string, namespace: string | undefined = systemNamespace) {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    labels: { ...ownLabels, 'app.kubernetes.io/name': name },
  };
}

function resourcesOf({ triggers }: FunctionDefinition): Resource[] {
  return triggers
    .filter((trigger): trigger is ApiServerSourceTrigger => trigger.type === 'ApiServerSource')
    .flatMap(({ resources }) => resources);
}

/** What a function's own code asks of the API server about Observations. */
function observationVerbs(definition: FunctionDefinition): string[] {
  // A function that only the clock wakes says itself what it may do; one that events wake writes what they say.
  if (!definition.triggers.some(({ type }) => type === 'ApiServerSource' || type === 'Broker')) return [];
  // get: a namespace over its quota answers the same whether the name is there or not.
  // record: what the admission policy asks of whoever writes in our name.
  const writes = ['create', 'get', 'record'];
  return resourcesOf(definition).length > 0 ? [...writes, 'list', 'patch'] : writes;
}

function ruleOf({ group, resources, verbs }: Permission): Rule {
  return { apiGroups: [group], resources, verbs };
}

/** Reads of a state source: one object for an event, all of them for a pass. */
function readRules(resources: readonly Resource[], verbs: readonly string[]): Rule[] {
  const byGroup = Map.groupBy(resources, ({ group }) => group);
  return [...byGroup].map(([group, kinds]) => ({
    apiGroups: [group],
    resources: [...new Set(kinds.map(({ plural }) => plural))].sort(),
    verbs,
  }));
}

/** The namespace that a kind's setting names by default; a function then may read there and nowhere else. */
function namespaceOf(definition: FunctionDefinition, { namespaceSetting }: Resource): string | undefined {
  if (namespaceSetting === undefined) return undefined;
  const settings: Readonly<Record<string, unknown>> = Object.assign({}, parseSettings({}, definition.settings, []));
  const namespace = settings[namespaceSetting];
  return typeof namespace === 'string' ? namespace : undefined;
}

function bound(account: string, name: string, rules: readonly Rule[], namespace: string | undefined): Manifest[] {
  if (rules.length === 0) return [];
  const kind = namespace === undefined ? 'ClusterRole' : 'Role';
  const metadata = metadataOf(namespace === undefined ? `zen-watcher-${name}` : name, namespace);
  const scoped = namespace === undefined ? { name: metadata.name, labels: metadata.labels } : metadata;
  return [
    { apiVersion: `${rbac}/v1`, kind, metadata: scoped, rules },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: `${kind}Binding`, metadata: scoped },
      roleRef: { apiGroup: rbac, kind, name: scoped.name },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace: systemNamespace }],
    },
  ];
}

/** The fewest rules that let a function do what it declares; in its own namespace where a kind is looked for in one. */
export function rolesOf(definition: FunctionDefinition): Manifest[] {
  const { name, permissions } = definition;
  const verbs = observationVerbs(definition);
  const resources = resourcesOf(definition);
  const everywhere = resources.filter((resource) => namespaceOf(definition, resource) === undefined);
  const clusterRules = [
    ...(verbs.length > 0 ? [{ ...observations, verbs }] : []),
    ...permissions.map(ruleOf),
    ...readRules(everywhere, ['get', 'list']),
  ];
  const byNamespace = Map.groupBy(
    resources.filter((resource) => !everywhere.includes(resource)),
    (resource) => namespaceOf(definition, resource) ?? systemNamespace,
  );
  return [
    ...bound(name, name, clusterRules, undefined),
    ...[...byNamespace].flatMap(([namespace, kinds]) =>
      bound(name, name, readRules(kinds, ['get', 'list']), namespace),
    ),
  ];
}

function service(definition: FunctionDefinition): Manifest {
  const { name } = definition;
  const { annotations, containerConcurrency, timeoutSeconds } = scaling(definition);
  const container = {
    image,
    args: [name],
    env: [{ name: 'SYSTEM_NAMESPACE', value: systemNamespace }],
    readinessProbe: { httpGet: { path: '/ready' } },
    livenessProbe: { httpGet: { path: '/health' } },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
    securityContext: {
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: 1001 },
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  const metadata = metadataOf(name);
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { ...metadata, labels: { ...metadata.labels, 'networking.knative.dev/visibility': 'cluster-local' } },
    spec: {
      template: {
        metadata: { annotations, labels: metadata.labels },
        spec: {
          serviceAccountName: name,
          ...(containerConcurrency !== undefined && { containerConcurrency }),
          ...{ timeoutSeconds, responseStartTimeoutSeconds: timeoutSeconds },
          containers: [container],
        },
      },
    },
  };
}

function sinkOf(name: string) {
  return { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name } };
}

function triggerOf(name: string, { filter }: Extract<BrokerTrigger, { filter: unknown }>): Manifest {
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: metadataOf(name),
    spec: { broker: brokerName, filter: { attributes: filter }, subscriber: sinkOf(name) },
  };
}

/** Not all at the same minute: it is drawn from the name. */
function minuteOf(name: string): number {
  return [...name].reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 60, 7);
}

function pingSource(definition: FunctionDefinition, { schedule }: PingSourceTrigger): Manifest {
  const { name, settings } = definition;
  const minutes = parseSettings({}, settings, [])[schedule];
  const minute = minuteOf(name);
  const cron =
    minutes >= 60 ? `${minute} */${Math.round(minutes / 60)} * * *` : `${minute % minutes}-59/${minutes} * * * *`;
  return {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'PingSource',
    metadata: metadataOf(name),
    spec: { schedule: cron.replace('*/1 ', '* '), sink: sinkOf(name) },
  };
}

/** Only kinds of the core group: an API group that a cluster does not serve would crash the source's adapter. */
function apiServerSource(definition: FunctionDefinition): Manifest[] {
  const resources = resourcesOf(definition).filter(({ group }) => group === '');
  return [...Map.groupBy(resources, (resource) => namespaceOf(definition, resource))].flatMap(([namespace, kinds]) => {
    if (namespace === undefined) return [];
    const account = `${definition.name}-source`;
    return [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadataOf(account, namespace) },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'Role',
        metadata: metadataOf(account, namespace),
        rules: readRules(kinds, ['get', 'list', 'watch']),
      },
      {
        ...{ apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata: metadataOf(account, namespace) },
        roleRef: { apiGroup: rbac, kind: 'Role', name: account },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
      },
      {
        apiVersion: 'sources.knative.dev/v1',
        kind: 'ApiServerSource',
        metadata: metadataOf(definition.name, namespace),
        spec: {
          mode: 'Reference',
          serviceAccountName: account,
          resources: kinds.map(({ versions, kind, labels }) => ({
            apiVersion: versions[0],
            kind,
            ...(labels && { selector: { matchLabels: labels } }),
          })),
          sink: { ref: { ...sinkOf(definition.name).ref, namespace: systemNamespace } },
        },
      },
    ];
  });
}

/** Everything that one function needs in a cluster, in the order in which it is applied. */
export function manifestsOf(definition: FunctionDefinition): Manifest[] {
  const { name, triggers } = definition;
  const manifests: Manifest[] = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadataOf(name) },
    ...rolesOf(definition),
    service(definition),
  ];
  for (const trigger of triggers) {
    if (trigger.type === 'PingSource') manifests.push(pingSource(definition, trigger));
    if (trigger.type === 'Broker' && 'filter' in trigger) manifests.push(triggerOf(name, trigger));
  }
  if (definition.receive) manifests.push(sinkBinding(name));
  return [...manifests, ...apiServerSource(definition)];
}

/** Gives the Broker's address to the function that publishes to it. */
function sinkBinding(name: string): Manifest {
  return {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'SinkBinding',
    metadata: metadataOf(name),
    spec: {
      subject: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name },
      sink: { ref: { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', name: brokerName } },
    },
  };
}

/** What all functions share: their namespace, and the Broker with its dead-letter sink. */
export function sharedManifests(definitions: readonly FunctionDefinition[]): Manifest[] {
  const isSink = (definition: FunctionDefinition): boolean =>
    definition.triggers.some((trigger) => trigger.type === 'Broker' && 'deadLetters' in trigger);
  const [sink] = definitions.filter(isSink);
  if (!sink) throw new Error('no function takes dead letters');
  const policy = 'pod-security.kubernetes.io/enforce';
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: systemNamespace, labels: { ...ownLabels, [policy]: 'restricted' } },
    },
    {
      apiVersion: 'eventing.knative.dev/v1',
      kind: 'Broker',
      metadata: metadataOf(brokerName),
      spec: {
        delivery: {
          retry: 10,
          backoffPolicy: 'exponential',
          backoffDelay: 'PT0.2S',
          deadLetterSink: sinkOf(sink.name),
        },
      },
    },
    ...admissionPolicy(),
  ];
}

/**
 * A name of ours can be computed before the finding comes, and a label can hide one that is there: so only who may use
 * the verb `record` creates Observations in our name, or changes their labels and annotations. Status is left to RBAC.
 */
function admissionPolicy(): Manifest[] {
  const metadata = { name: 'zen-watcher-record', labels: ownLabels };
  const api = 'admissionregistration.k8s.io/v1';
  const mapOf = (object: string, field: string): string =>
    `(has(${object}.metadata.${field}) ? ${object}.metadata.${field} : {})`;
  const same = (field: string): string => `${mapOf('object', field)} == ${mapOf('oldObject', field)}`;
  return [
    {
      apiVersion: api,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [{ ...observationRule, operations: ['CREATE', 'UPDATE'] }],
        },
        variables: [
          {
            name: 'isOurs',
            expression: `[object, oldObject].exists(o, o != null && (o.metadata.name.matches('${ownNames}') || '${labels.source}' in (has(o.metadata.labels) ? o.metadata.labels : {})))`,
          },
          {
            name: 'isUnchanged',
            expression: `request.operation == 'UPDATE' && ${same('labels')} && ${same('annotations')}`,
          },
          {
            name: 'mayRecord',
            expression:
              "authorizer.group('zen.kube-zen.io').resource('observations').namespace(request.namespace).check('record').allowed()",
          },
        ],
        validations: [
          {
            expression: '!variables.isOurs || variables.isUnchanged || variables.mayRecord',
            message: 'only who may "record" observations writes them in the name of zen-watcher',
            reason: 'Forbidden',
          },
        ],
      },
    },
    {
      apiVersion: api,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: { policyName: metadata.name, validationActions: ['Deny'] },
    },
  ];
}
