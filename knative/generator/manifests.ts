import { basename, dirname } from 'node:path';
import * as z from 'zod';
import { group } from '../../shared/api/group.ts';
import { ingesters } from '../../shared/api/ingester.ts';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { alwaysServed, knativeBrokers } from '../../shared/api/knative-kinds.ts';
import { exceptionSpec, observationExceptions } from '../../shared/api/observation-exception.ts';
import { observationFilters } from '../../shared/api/observation-filter.ts';
import { observationMappings } from '../../shared/api/observation-mapping.ts';
import {
  controllerReads,
  type FunctionDefinition,
  failureWrites,
  leaseWrites,
  observationWrites,
  type Permission,
  seriesWrites,
  stateWrites,
  triggersOf,
  watchesOf,
} from '../../shared/function/definitions.ts';
import { type CommonSettings, parseSettings } from '../../shared/function/settings.ts';
import {
  type BrokerPrefixTrigger,
  type BrokerTrigger,
  kindsIn,
  type PingSourceTrigger,
} from '../../shared/function/triggers.ts';
import { isSource } from '../../shared/host/function-list.ts';
import { scaling } from './scaling.ts';

/** A Kubernetes object to apply. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export const systemNamespace = 'zen-system';
export const commonSettings = parseSettings({}, z.object({}), []);
export const image = 'zen-watcher';
const rbac = 'rbac.authorization.k8s.io';
const ownKinds = [observationExceptions, observationFilters, observationMappings, ingesters];
const observationRule = { apiGroups: [group], apiVersions: ['v1'], resources: ['observations'] };

/** The names that observationName makes: `<source>-<32 hex digits>`. */
const ownNames = '^[a-z0-9-]+-[0-9a-f]{32}$';
export const ownLabels = { 'app.kubernetes.io/part-of': 'zen-watcher' };

export function metadataOf(name: string, namespace: string | undefined = systemNamespace) {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    labels: { ...ownLabels, 'app.kubernetes.io/name': name },
  };
}

/** Where zen-watcher looks: in the whole cluster, or, when it belongs to a tenant, in one namespace. */
export type Reach = 'cluster' | 'namespace';

/** The settings to generate manifests for: the defaults. */
function settingsOf(definition: FunctionDefinition, reach: Reach): CommonSettings {
  const environment = reach === 'namespace' ? { WATCH_NAMESPACE: systemNamespace } : {};
  return Object.assign({}, parseSettings(environment, definition.settings, []));
}

/** The kinds that wake a function. A tenant has no right to cluster-scoped ones. */
function kindsOf(definition: FunctionDefinition, reach: Reach): KindSelector[] {
  const triggers = triggersOf(definition, settingsOf(definition, reach));
  return kindsIn(triggers).filter(({ namespaced }) => namespaced || reach === 'cluster');
}

/**
 * What a source may do with Observations. One with state also lists, patches and deletes them, and asks who controls
 * what it found something in. One of events counts repeats, and may renew what goes on.
 */
function sourceRules(definition: FunctionDefinition): readonly Permission[] {
  if (!isSource(definition)) return [];
  const { looksIntoPods = true, hasOngoingFindings = false } = definition.source;
  if (kindsOf(definition, 'cluster').length > 0)
    return [stateWrites, ...(looksIntoPods ? controllerReads : []), failureWrites, leaseWrites];
  const renewal = hasOngoingFindings ? ['patch'] : [];
  return [
    { ...observationWrites, verbs: [...observationWrites.verbs, ...renewal] },
    seriesWrites,
    failureWrites,
    leaseWrites,
  ];
}

function ruleOf({ group, resources, verbs }: Permission): Rule {
  return { apiGroups: [group], resources, verbs };
}

/** Reading the objects of a source with state: one of them for an event, all of them for a pass. */
function readRules(resources: readonly KindSelector[], verbs: readonly string[]): Rule[] {
  const byGroupAndName = Map.groupBy(resources, ({ group, name = '' }) => `${group}/${name}`);
  return [...byGroupAndName.values()].map((kinds) => ({
    apiGroups: [...new Set(kinds.map(({ group }) => group))],
    resources: [...new Set(kinds.map(({ plural }) => plural))].sort(),
    ...(kinds[0]?.name !== undefined && { resourceNames: [kinds[0].name] }),
    verbs,
  }));
}

/** A Role if there is a namespace, otherwise a ClusterRole, and its binding to a ServiceAccount. */
export function bound(
  account: Manifest,
  name: string,
  rules: readonly object[],
  namespace: string | undefined,
): Manifest[] {
  if (rules.length === 0) return [];
  const kind = namespace === undefined ? 'ClusterRole' : 'Role';
  const metadata = metadataOf(namespace === undefined ? `zen-watcher-${name}` : name, namespace);
  const scoped = namespace === undefined ? { name: metadata.name, labels: metadata.labels } : metadata;
  const subject = { kind: 'ServiceAccount', name: account.metadata.name, namespace: account.metadata.namespace };
  return [
    { apiVersion: `${rbac}/v1`, kind, metadata: scoped, rules },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: `${kind}Binding`, metadata: scoped },
      roleRef: { apiGroup: rbac, kind, name: scoped.name },
      subjects: [subject],
    },
  ];
}

export function accountOf(name: string, namespace = systemNamespace): Manifest {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadataOf(name, namespace) };
}

/** By namespace, those of a ClusterRole by `undefined`. */
type Rules = ReadonlyMap<string | undefined, readonly Rule[]>;

/** The fewest rules that let a function do what it declares, limited to one namespace where that is enough. */
function rulesOf(definition: FunctionDefinition, reach: Reach, without: 'nothing' | 'Knative'): Rules {
  const { permissions } = definition;
  const settings = settingsOf(definition, reach);
  const everywhere = settings.WATCH_NAMESPACE;
  const byNamespace = new Map<string | undefined, Rule[]>();
  const add = (namespace: string | undefined, rules: readonly Rule[]): void =>
    void byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), ...rules]);
  const isLeftOut = (isForKnative: boolean): boolean => isForKnative && without === 'Knative';
  const kinds = watchesOf(definition, settings).filter(({ group }) => !isLeftOut(group === knativeBrokers.group));
  const watched = Map.groupBy(kinds, (kind) => kind.namespace);
  for (const [namespace, kinds] of watched) {
    add(namespace, readRules(kinds, ['list', 'watch']));
  }
  for (const permission of [...sourceRules(definition), ...permissions]) {
    if (permission.scope === 'cluster' && reach === 'namespace') continue;
    if (isLeftOut(permission.isForKnative ?? false)) continue;
    add(permission.scope === 'system' ? systemNamespace : everywhere, [ruleOf(permission)]);
  }
  if (isSource(definition)) {
    const byPlace = Map.groupBy(kindsOf(definition, reach), (kind) => kind.namespace);
    for (const [namespace, resources] of byPlace) add(namespace, readRules(resources, ['get', 'list']));
  }
  return byNamespace;
}

export function rolesOf(definition: FunctionDefinition, reach: Reach = 'cluster'): Manifest[] {
  const { name } = definition;
  return [...rulesOf(definition, reach, 'nothing')].flatMap(([namespace, rules]) =>
    bound(accountOf(name), name, rules, namespace),
  );
}

/** What a function may do where it sees changes by itself, because there is no Knative to tell of them. */
export function rulesWithoutKnative(definition: FunctionDefinition, reach: Reach): Rules {
  const rules = new Map(rulesOf(definition, reach, 'Knative'));
  const byNamespace = Map.groupBy(kindsOf(definition, reach), (kind) => kind.namespace);
  for (const [namespace, kinds] of byNamespace) {
    rules.set(namespace, [...(rules.get(namespace) ?? []), ...readRules(kinds, ['get', 'list', 'watch'])]);
  }
  return rules;
}

/** Where the Secret of a sink is mounted: at the same place whether it runs by itself or beside others. */
const secretsFolder = '/etc/zen-watcher/secret';

interface Mounted {
  readonly volumeMounts: readonly object[];
  readonly volumes: readonly object[];
}

/**
 * For a sink, the Secret with its name: what its receiver asks for, and nothing else of it, is in files. Without a Secret
 * there are none.
 */
export function sinkSecret({ kind, name }: FunctionDefinition): Mounted {
  if (kind !== 'sink') return { volumeMounts: [], volumes: [] };
  const secret = { secretName: `zen-watcher-${name}`, optional: true };
  return {
    volumeMounts: [{ name, mountPath: `${secretsFolder}/${name}`, readOnly: true }],
    volumes: [{ name, secret }],
  };
}

/**
 * For a function that posts to the Broker, a token that the Broker takes where Knative's authentication is on. The kubelet
 * renews it. https://knative.dev/docs/eventing/features/sender-identity/
 */
export function brokerToken(definition: FunctionDefinition, settings: CommonSettings): Mounted {
  const broker = watchesOf(definition, settings).find(({ plural }) => plural === knativeBrokers.plural);
  if (broker === undefined) return { volumeMounts: [], volumes: [] };
  const name = 'broker-token';
  const audience = `${broker.group}/broker/${systemNamespace}/${broker.name}`;
  const serviceAccountToken = { audience, expirationSeconds: 3600, path: basename(settings.BROKER_TOKEN_FILE) };
  return {
    volumeMounts: [{ name, mountPath: dirname(settings.BROKER_TOKEN_FILE), readOnly: true }],
    volumes: [{ name, projected: { sources: [{ serviceAccountToken }] } }],
  };
}

/** A label of the Services that mount such a token, by which overlays find them: one that tells nobody has none. */
export const postsLabel = { [`${group}/posts-to`]: 'broker' };

/** A label selector in one text, as kustomize has it. */
export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** Where the token says in such a Service which Broker it is for. */
export const brokerAudiencePath =
  'spec.template.spec.volumes.[name=broker-token].projected.sources.0.serviceAccountToken.audience';

/** What Pod Security `restricted` asks for, and nothing to write to. */
export const restricted = {
  ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: 1001 },
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** What each function asks for, and may use at most. */
export const functionResources = {
  requests: { cpu: '100m', memory: '128Mi' },
  limits: { cpu: '500m', memory: '512Mi' },
};

/** Requests come through queue-proxy, which is in the same pod, so the client address it reports can be trusted. */
const queueProxy = { name: 'WEBHOOK_TRUSTED_PROXIES', value: '127.0.0.1/32,::1/128' };

function service(definition: FunctionDefinition, reach: Reach): Manifest {
  const { name } = definition;
  const settings = settingsOf(definition, reach);
  const { annotations, containerConcurrency, timeoutSeconds } = scaling(definition, settings);
  const token = brokerToken(definition, settings);
  const mounted = [token, sinkSecret(definition)];
  const volumeMounts = mounted.flatMap((one) => one.volumeMounts);
  const volumes = mounted.flatMap((one) => one.volumes);
  const container = {
    image,
    args: [name],
    env: [
      { name: 'SYSTEM_NAMESPACE', value: systemNamespace },
      ...(reach === 'namespace' ? [{ name: 'WATCH_NAMESPACE', value: systemNamespace }] : []),
      // The rest has its default, so that an overlay can add what it sets: a JSON patch can't replace a variable by its name.
      ...(definition.kind === 'gateway' ? [queueProxy] : []),
    ],
    readinessProbe: { httpGet: { path: '/ready' } },
    livenessProbe: { httpGet: { path: '/health' } },
    resources: functionResources,
    securityContext: restricted,
    ...(volumeMounts.length > 0 && { volumeMounts }),
  };
  const metadata = metadataOf(name);
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      ...metadata,
      // Serving refuses to lose annotations of its own, and they go with the last one that an apply takes away.
      annotations: { [`${group}/function`]: name },
      labels: {
        ...metadata.labels,
        ...(token.volumes.length > 0 && postsLabel),
        'networking.knative.dev/visibility': 'cluster-local',
      },
    },
    spec: {
      template: {
        metadata: { annotations, labels: metadata.labels },
        spec: {
          serviceAccountName: name,
          ...(containerConcurrency !== undefined && { containerConcurrency }),
          ...{ timeoutSeconds, responseStartTimeoutSeconds: timeoutSeconds },
          containers: [container],
          ...(volumes.length > 0 && { volumes }),
        },
      },
    },
  };
}

function sinkOf(name: string) {
  return { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name } };
}

function triggerOf(name: string, trigger: BrokerTrigger | BrokerPrefixTrigger): Manifest {
  const selected =
    trigger.type === 'Broker'
      ? { filter: { attributes: { type: trigger.eventType } } }
      : { filters: [{ prefix: { type: trigger.prefix } }] };
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: metadataOf(name),
    spec: { broker: commonSettings.BROKER_NAME, ...selected, subscriber: sinkOf(name) },
  };
}

/** A minute of the hour for each name, so that not all functions run at once. */
function minuteOf(name: string): number {
  return [...name].reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 60, 7);
}

function pingSource(name: string, { minutes }: PingSourceTrigger): Manifest {
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

/**
 * For the kinds that every cluster serves, one ApiServerSource for all of them, because each source is a pod that stays
 * up. For kinds of other API groups only the ServiceAccount and its role: the function `sources` creates an
 * ApiServerSource once the cluster serves them.
 */
function apiServerSources(definition: FunctionDefinition, reach: Reach): Manifest[] {
  const byNamespace = Map.groupBy(kindsOf(definition, reach), (kind) => kind.namespace);
  const accounts = new Set<string>();
  return [...byNamespace].flatMap(([namespace, kinds]) => {
    // An ApiServerSource needs its ServiceAccount in its own namespace; two sources in one namespace share it.
    const account = accountOf(`${definition.name}-source`, namespace);
    const isNew = !accounts.has(namespace ?? systemNamespace);
    accounts.add(namespace ?? systemNamespace);
    const roles = bound(account, account.metadata.name, readRules(kinds, ['get', 'list', 'watch']), namespace);
    const always = kinds.filter(({ group }) => alwaysServed.has(group));
    return [
      ...(isNew ? [account] : []),
      ...roles,
      ...(always.length > 0 ? [apiServerSource(definition, always, namespace)] : []),
    ];
  });
}

function apiServerSource(
  { name }: FunctionDefinition,
  kinds: readonly KindSelector[],
  namespace: string | undefined,
): Manifest {
  const isAway = namespace !== undefined && namespace !== systemNamespace;
  return {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'ApiServerSource',
    metadata: metadataOf(namespace === undefined ? name : `${name}-${kinds[0]?.plural}`, namespace),
    spec: {
      mode: 'Reference',
      serviceAccountName: `${name}-source`,
      ...(namespace === undefined && { namespaceSelector: {} }),
      resources: kinds.map(({ group, versions: [version], kind, labels: selected }) => ({
        apiVersion: group === '' ? version : `${group}/${version}`,
        kind,
        ...(selected && { selector: { matchLabels: selected } }),
      })),
      sink: { ref: { ...sinkOf(name).ref, ...(isAway && { namespace: systemNamespace }) } },
    },
  };
}

/** The namespaces that a function reads besides the system namespace. They must exist before it can be applied. */
export function foreignNamespaces(definition: FunctionDefinition): string[] {
  const namespaces = kindsOf(definition, 'cluster').map(({ namespace }) => namespace);
  return [...new Set(namespaces)].filter((name): name is string => name !== undefined && name !== systemNamespace);
}

/** Everything that one function needs in a cluster, in the order to apply it. */
export function manifestsOf(definition: FunctionDefinition, reach: Reach = 'cluster'): Manifest[] {
  const { name } = definition;
  const triggers = triggersOf(definition, settingsOf(definition, reach));
  const manifests: Manifest[] = [
    ...(reach === 'cluster' ? foreignNamespaces(definition).map((namespace) => namespaceManifest(namespace)) : []),
    accountOf(name),
    ...rolesOf(definition, reach),
    service(definition, reach),
  ];
  if (triggers.some(({ type }) => type === 'MappedKinds') && reach === 'cluster')
    manifests.push(...mappedKindsRole(name));
  for (const trigger of triggers) {
    if (trigger.type === 'PingSource') manifests.push(pingSource(name, trigger));
    if (trigger.type === 'Broker' || trigger.type === 'BrokerPrefix') manifests.push(triggerOf(name, trigger));
  }
  return [...manifests, ...apiServerSources(definition, reach)];
}

/** Users decide which kinds mappings may read: this role collects the rules of all ClusterRoles with the label. */
export function mappedKindsRole(
  name: string,
  holder = name,
  accounts: readonly string[] = [name, `${name}-source`],
): Manifest[] {
  const metadata = { ...metadataOf(`zen-watcher-${holder}-kinds`, undefined) };
  const scoped = { name: metadata.name, labels: metadata.labels };
  return [
    {
      // The controller writes its rules. If they were named here, the next apply would take them away.
      ...{ apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: scoped },
      aggregationRule: {
        clusterRoleSelectors: [{ matchLabels: { [`zen.kube-zen.io/aggregate-to-${name}`]: 'true' } }],
      },
    },
    {
      ...{ apiVersion: `${rbac}/v1`, kind: 'ClusterRoleBinding', metadata: scoped },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: scoped.name },
      subjects: accounts.map((account) => ({
        ...{ kind: 'ServiceAccount', name: account, namespace: systemNamespace },
      })),
    },
  ];
}

export function namespaceManifest(name: string, more: Readonly<Record<string, string>> = {}): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ...ownLabels, ...more } } };
}

/** What all functions share: the namespace, the Broker with its dead-letter sink, and the admission policy. */
export function sharedManifests(definitions: readonly FunctionDefinition[], reach: Reach = 'cluster'): Manifest[] {
  const sink = definitions.find(({ kind }) => kind === 'dead-letter-sink');
  if (!sink) throw new Error('there is no function for dead letters');
  const enforced = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  return [
    ...(reach === 'cluster' ? [namespaceManifest(systemNamespace, enforced)] : []),
    {
      apiVersion: 'eventing.knative.dev/v1',
      kind: 'Broker',
      metadata: metadataOf(commonSettings.BROKER_NAME),
      spec: {
        delivery: {
          retry: 10,
          backoffPolicy: 'exponential',
          backoffDelay: 'PT0.2S',
          deadLetterSink: sinkOf(sink.name),
        },
      },
    },
    ...(reach === 'cluster' ? [...admissionPolicy(), ...exceptionPolicy(), viewRole(), ...exceptionRoles()] : []),
  ];
}

/** Lets whoever may look at a namespace (view, edit, admin) read our kinds there, too. */
function viewRole(): Manifest {
  const { name, labels } = metadataOf('zen-watcher-view', undefined);
  return {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name, labels: { ...labels, [`${rbac}/aggregate-to-view`]: 'true' } },
    rules: [
      {
        apiGroups: [group],
        resources: ['observations', ...ownKinds.map(({ plural }) => plural)].sort(),
        verbs: ['get', 'list', 'watch'],
      },
    ],
  };
}

/**
 * Lets whoever may edit a namespace accept findings in it, and whom an administrator chooses set or clear in any exception who has
 * approved it: a GitOps controller, which applies what others have approved.
 */
function exceptionRoles(): Manifest[] {
  const role = (name: string, more: Readonly<Record<string, string>>, verbs: readonly string[]): Manifest => {
    const { labels } = metadataOf(name, undefined);
    return {
      ...{ apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name, labels: { ...labels, ...more } } },
      rules: [{ apiGroups: [group], resources: [observationExceptions.plural], verbs }],
    };
  };
  const writes = ['create', 'update', 'patch', 'delete'];
  return [
    role('zen-watcher-edit', { [`${rbac}/aggregate-to-edit`]: 'true' }, writes),
    role('zen-watcher-approve', {}, ['approve']),
  ];
}

/** A policy that the API server applies to who writes objects of ours, and its binding. */
function policy(name: string, resourceRule: object, parts: object): Manifest[] {
  const api = 'admissionregistration.k8s.io/v1';
  const metadata = { name, labels: ownLabels };
  return [
    {
      ...{ apiVersion: api, kind: 'ValidatingAdmissionPolicy', metadata },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: { resourceRules: [{ ...resourceRule, operations: ['CREATE', 'UPDATE'] }] },
        ...parts,
      },
    },
    {
      ...{ apiVersion: api, kind: 'ValidatingAdmissionPolicyBinding', metadata },
      spec: { policyName: name, validationActions: ['Deny'] },
    },
  ];
}

/**
 * Who has approved an exception can be set only to oneself, and neither cleared nor taken over, but by who has the verb
 * `approve`. And the CRD keeps fields that it doesn't know, so that they can be refused here: to take one away, as is usual,
 * would widen what is accepted. (Where this policy is missing, such an exception accepts nothing, and its condition says so.)
 */
function exceptionPolicy(): Manifest[] {
  const approver = (object: string): string =>
    `${object} != null && has(${object}.spec.approvedBy) ? ${object}.spec.approvedBy : ''`;
  const { match } = exceptionSpec.shape;
  const resource = match.shape.resources.unwrap().element;
  const fieldsOf = (shape: object): string =>
    `[${Object.keys(shape)
      .map((field) => `'${field}'`)
      .join(', ')}]`;
  /** Names the fields of an object that are not known, wherever it is. `dyn`: what has a type in the CRD is no map to the type checker. */
  const onlyKnown = (path: string, shape: object) => ({
    expression: `dyn(object.${path}).all(key, key in ${fieldsOf(shape)})`,
    messageExpression: `'${path} has an unknown field: ' + dyn(object.${path}).filter(key, !(key in ${fieldsOf(shape)})).join(', ')`,
    reason: 'Invalid',
  });
  return policy(
    'zen-watcher-approvals',
    { apiGroups: [group], apiVersions: observationExceptions.versions, resources: [observationExceptions.plural] },
    {
      variables: [
        { name: 'approver', expression: approver('object') },
        { name: 'approverBefore', expression: approver('oldObject') },
        {
          name: 'mayApprove',
          expression: `authorizer.group('${group}').resource('${observationExceptions.plural}').namespace(request.namespace).check('approve').allowed()`,
        },
      ],
      validations: [
        {
          expression:
            "variables.approver == variables.approverBefore || (variables.approverBefore == '' && variables.approver == request.userInfo.username) || variables.mayApprove",
          message:
            'spec.approvedBy can be set to oneself only, and changed or cleared by those only who may "approve" observationexceptions',
          reason: 'Forbidden',
        },
        onlyKnown('spec', exceptionSpec.shape),
        onlyKnown('spec.match', match.shape),
        {
          expression: `!has(object.spec.match.resources) || object.spec.match.resources.all(one, dyn(one).all(key, key in ${fieldsOf(resource.shape)}))`,
          messageExpression: `'spec.match.resources has an unknown field: ' + object.spec.match.resources.map(one, dyn(one).filter(key, !(key in ${fieldsOf(resource.shape)})).join(', ')).join(' ')`,
          reason: 'Invalid',
        },
      ],
    },
  );
}

/**
 * Anyone can compute the name of a future finding, a label can hide one that exists, an owner that is deleted takes it away,
 * and a finalizer keeps one that is deleted from being written again. So only those who have the verb `record` may create
 * Observations in our name, change what they say, or add an owner or a finalizer. (Taking one off is the garbage
 * collector's: `kubectl delete --cascade=foreground` must not get stuck.) The status is left to RBAC.
 */
function admissionPolicy(): Manifest[] {
  const metadata = { name: 'zen-watcher-record', labels: ownLabels };
  const api = 'admissionregistration.k8s.io/v1';
  const mapOf = (object: string, field: string): string =>
    `(has(${object}.metadata.${field}) ? ${object}.metadata.${field} : {})`;
  const listOf = (object: string, field: string): string =>
    `(has(${object}.metadata.${field}) ? ${object}.metadata.${field} : [])`;
  /** Whether each item of a list was there before, compared by what is given of it. */
  const nothingAdded = (field: string, key: string): string =>
    `${listOf('object', field)}.all(new, ${listOf('oldObject', field)}.exists(old, old${key} == new${key}))`;
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
            expression: `[object, oldObject].exists(o, o != null && (o.metadata.name.matches('${ownNames}') || ${mapOf('o', 'labels')}.exists(key, key.startsWith('${group}/'))))`,
          },
          {
            name: 'isUnchanged',
            expression: [
              `request.operation == 'UPDATE' && object.spec == oldObject.spec`,
              ...['labels', 'annotations'].map(same),
              nothingAdded('ownerReferences', '.uid'),
              nothingAdded('finalizers', ''),
            ].join(' && '),
          },
          {
            name: 'mayRecord',
            expression: `authorizer.group('${group}').resource('observations').namespace(request.namespace).check('record').allowed()`,
          },
        ],
        validations: [
          {
            expression: '!variables.isOurs || variables.isUnchanged || variables.mayRecord',
            message: 'only those who may "record" observations can write them in the name of zen-watcher',
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
