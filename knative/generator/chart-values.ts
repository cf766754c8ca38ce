import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { standaloneReplicas, standaloneResources } from './standalone.ts';

/** A JSON schema, as far as the chart uses it. */
export interface Schema {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly [keyword: string]: unknown;
}

const quantity = { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?(m|[kKMGT]i?)?$' };
const dnsName = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const emptyOr = (pattern: string): string => `^(${pattern})?$`;
const texts = (items: Schema): Schema => ({ type: 'array', items: { type: 'string', ...items } });

function object(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return { description, type: 'object', additionalProperties: false, properties };
}

/** Kubernetes' own shape, but with plain values and keys of Secrets and ConfigMaps alone. */
const environment: Schema = {
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$' },
      value: { type: 'string' },
      valueFrom: {
        type: 'object',
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 1,
        properties: { secretKeyRef: { type: 'object' }, configMapKeyRef: { type: 'object' } },
      },
    },
  },
};

const resources: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(
    ['requests', 'limits'].map((name) => [
      name,
      { type: 'object', additionalProperties: false, properties: { cpu: quantity, memory: quantity } },
    ]),
  ),
};

const replicas: Schema = { type: 'integer', minimum: 0, maximum: 100 };
const maxReplicas: Schema = { type: 'integer', minimum: 1, maximum: 100 };
const ttl: Schema = { type: 'string', pattern: emptyOr('[1-9][0-9]{0,8}[smhd]') };
const words: Schema = { type: 'object', additionalProperties: { type: 'string' } };

/** What each function may have of its own. Without it, what is said for all applies. */
const ofOne: Readonly<Record<string, Schema>> = {
  enabled: {
    description: 'Off is absent: its ServiceAccounts, roles, triggers and all else.',
    type: 'boolean',
    default: true,
  },
  replicas: { description: 'How many of its Pods stay up when nothing happens.', ...replicas },
  maxReplicas: { description: 'How many of its Pods there may be.', ...maxReplicas },
  window: {
    description: 'How long it must have had nothing to do before its Pods go.',
    ...{ type: 'string', pattern: '^[1-9][0-9]*[smh]$' },
  },
  resources: { description: 'In place of `resources`.', ...resources },
  ttl: { description: 'In place of `ttl`, so of one source.', ...ttl },
  env: { description: 'Further settings, which win over `env`.', ...environment },
};

/** What an ObservationFilter may say, but for the source, which is the key here. */
function filterSchema(): Schema {
  const file = join(import.meta.dirname, '..', '..', 'crds', 'observationfilters.yaml');
  const { spec } = parse(readFileSync(file, 'utf8'));
  const { targetSource: _source, ...properties } = spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
  const text = JSON.stringify(properties, (key, value) => (key.startsWith('x-kubernetes-') ? undefined : value));
  return { type: 'object', additionalProperties: false, properties: JSON.parse(text) };
}

function valuesOf(definitions: readonly FunctionDefinition[]): Readonly<Record<string, Schema>> {
  return {
    image: object('The image that all functions run.', {
      repository: {
        description: 'Where you have pushed it: there is no public one.',
        ...{ type: 'string', pattern: '^[a-z0-9][-a-z0-9._:/]*[a-z0-9]$', default: 'zen-watcher' },
      },
      tag: {
        description: "Without one, the chart's appVersion.",
        ...{ type: 'string', pattern: emptyOr('[A-Za-z0-9_][-A-Za-z0-9._]{0,127}'), default: '' },
      },
      digest: {
        description: 'Pins the image, whatever its tag is moved to.',
        ...{ type: 'string', pattern: emptyOr('sha256:[0-9a-f]{64}'), default: '' },
      },
      pullPolicy: {
        description: 'Without one, as Kubernetes does: `Always` for the tag `latest`, otherwise `IfNotPresent`.',
        ...{ type: 'string', enum: ['', 'Always', 'IfNotPresent', 'Never'], default: '' },
      },
      pullSecrets: {
        description: 'Secrets to pull it with, as `- name: NAME`.',
        ...{ type: 'array', default: [] },
        items: {
          ...{ type: 'object', additionalProperties: false, required: ['name'] },
          properties: { name: { type: 'string', pattern: `^${dnsName}$` } },
        },
      },
    }),
    replicas: {
      description:
        "How many Pods of the functions that senders wait for (webhook, falco, audit) stay up when nothing happens: Knative's min-scale. 0 lets them sleep, and the first event then waits about a second.",
      ...{ ...replicas, default: 0 },
    },
    maxReplicas: {
      description: 'How many Pods each function may have. 0 means: as many as is generated for it.',
      ...{ ...replicas, default: 0 },
    },
    resources: {
      ...{ description: 'What each Pod asks for, and may use at most.', ...resources },
      default: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
    },
    namespaceOverride: {
      description: "Where zen-watcher is, if not in the release's namespace. It must exist.",
      ...{ type: 'string', pattern: emptyOr(dnsName), maxLength: 63, default: '' },
    },
    createNamespace: {
      description:
        'Makes that namespace, with Pod Security `restricted`, for `helm template` and GitOps. With `helm install` use --create-namespace. It stays when the release goes.',
      ...{ type: 'boolean', default: false },
    },
    rbac: object('What zen-watcher may see.', {
      clusterRole: {
        description: 'The whole cluster. `false`: only its own namespace, with Roles alone and without CRDs.',
        ...{ type: 'boolean', default: true },
      },
    }),
    crd: object('The CustomResourceDefinitions.', {
      install: {
        description: 'Whether they are part of the release. They and all objects stay when it goes.',
        ...{ type: 'boolean', default: true },
      },
    }),
    env: { ...environment, description: 'Settings of all functions, as in a Pod.', default: [] },
    ttl: {
      ...ttl,
      description: 'How long Observations are kept, as in `7d` or `12h`. Without one, 7 days.',
      default: '',
    },
    eventNamespace: {
      description:
        "Where what events tell is kept: in the `affected` namespace, or in zen-watcher's own (`system`), where it outlives the namespace.",
      ...{ type: 'string', enum: ['affected', 'system'], default: 'affected' },
    },
    filters: {
      description:
        'Which findings pass, by source, as in an ObservationFilter without targetSource: the ConfigMap zen-watcher-filter.',
      ...{
        type: 'object',
        propertyNames: { pattern: `^${dnsName}$` },
        additionalProperties: filterSchema(),
        default: {},
      },
    },
    webhook: object('Who may post to the webhooks.', {
      external: {
        description: 'Makes them reachable from outside the cluster, over https only. Needs a token.',
        ...{ type: 'boolean', default: false },
      },
      tokenSecret: {
        description: 'The name of an existing Secret whose key `token` holds the tokens, one a line.',
        ...{ type: 'string', pattern: emptyOr(dnsName), default: '' },
      },
      allowedIPs: {
        description:
          'Addresses and CIDRs that may post. Without any, all. Needs the gateway and the activator in trustedProxies.',
        ...{ ...texts({ pattern: '^[0-9a-fA-F.:]+(/[0-9]{1,3})?$' }), default: [] },
      },
      trustedProxies: {
        description: 'CIDRs whose X-Forwarded-For is believed, besides that of queue-proxy in the same Pod.',
        ...{ ...texts({ pattern: '^[0-9a-fA-F.:]+/[0-9]{1,3}$' }), default: [] },
      },
      rateLimit: {
        description: 'How many requests a client may send in a minute. 0 means: any number.',
        ...{ type: 'integer', minimum: 0, default: 0 },
      },
    }),
    standalone: object(
      'One Deployment that hosts every function, for a cluster without Knative: no object of Knative is made then. Needs webhook.tokenSecret. What it lacks: ../STANDALONE.md.',
      {
        enabled: { description: 'Whether it is so.', ...{ type: 'boolean', default: false } },
        replicas: {
          description: 'How many of its Pods there are. Any number may run side by side.',
          ...{ type: 'integer', minimum: 1, maximum: 10, default: standaloneReplicas },
        },
        resources: {
          ...{ description: 'What each of its Pods asks for, and may use at most.', ...resources },
          default: standaloneResources,
        },
      },
    ),
    functions: object(
      'Each function: on or off, and what it has of its own. What can be set of each is in the last rows of the table in README.md.',
      Object.fromEntries(
        definitions.map(({ name, isOptional }) => [
          name,
          { $ref: '#/$defs/function', default: { enabled: !isOptional } },
        ]),
      ),
    ),
    broker: object("The Broker. Its class and config can't be changed, so another class is another Broker.", {
      class: {
        description:
          "Without one, the cluster's default, and the Broker is `zen-watcher`. With `Kafka` it is `zen-watcher-kafka`, and so on.",
        ...{ type: 'string', pattern: emptyOr('[A-Za-z][A-Za-z0-9]{0,40}'), default: '' },
      },
      config: object('The ConfigMap with the config of that class.', {
        name: {
          description: 'Without one, the default of that class.',
          ...{ type: 'string', pattern: emptyOr(dnsName), default: '' },
        },
        namespace: {
          description: 'Where it is.',
          ...{ type: 'string', pattern: emptyOr(dnsName), default: 'knative-eventing' },
        },
      }),
    }),
    clusterDomain: {
      description: 'The domain of the cluster. Functions find it by themselves; it is for the notes and `helm test`.',
      ...{ type: 'string', pattern: `^${dnsName}(\\.${dnsName})*$`, default: 'cluster.local' },
    },
    networkPolicy: object('What may reach the functions, and what they may reach.', {
      enabled: { description: 'Whether the chart makes NetworkPolicies.', ...{ type: 'boolean', default: true } },
    }),
    eventPolicy: object("Only functions may post to the Broker, where Knative's authentication (OIDC) is on.", {
      enabled: {
        description: 'Whether the chart makes an EventPolicy. Eventing refuses it while that is off.',
        ...{ type: 'boolean', default: false },
      },
    }),
    podDisruptionBudget: object('For the functions that senders wait for.', {
      minAvailable: {
        description:
          'How many Pods of each stay while nodes are drained. Must be less than their replicas. 0: no budget.',
        ...{ type: 'integer', minimum: 0, maximum: 99, default: 0 },
      },
    }),
    apiPriority: object('A share of the API server for the functions (a FlowSchema).', {
      enabled: { description: 'Whether the chart makes it.', ...{ type: 'boolean', default: false } },
    }),
    priorityClassName: {
      description:
        'Of all Pods. Knative Serving refuses it unless its feature `kubernetes.podspec-priorityclassname` is on.',
      ...{ type: 'string', pattern: emptyOr(dnsName), default: '' },
    },
    podLabels: { ...words, description: 'Further labels of all Pods.', default: {} },
    podAnnotations: {
      ...words,
      description: 'Further annotations of all Pods, as for a Prometheus without operator.',
      default: {},
    },
    monitoring: object('For the Prometheus operator: a PodMonitor, the alerts, and dashboards for Grafana.', {
      enabled: {
        description: 'Whether the chart makes them. Their kinds must be there.',
        ...{ type: 'boolean', default: false },
      },
      interval: {
        description: 'How often Pods are scraped.',
        ...{ type: 'string', pattern: '^[1-9][0-9]*[smh]$', default: '10s' },
      },
      labels: {
        ...words,
        description: 'Labels by which the operator selects, such as `release: kube-prometheus-stack`.',
        default: {},
      },
    }),
  };
}

/**
 * values.schema.json: strict, so that a value with a typing error is named and not ignored. A value that has been released must stay in
 * it: `helm upgrade --reuse-values` brings all values of the release before, and would be refused.
 */
export function valuesSchema(definitions: readonly FunctionDefinition[]): Schema {
  const root = object('The values of the Helm chart zen-watcher.', {
    ...valuesOf(definitions),
    global: { description: "Helm's own, for charts that have this one as a dependency.", type: 'object' },
  });
  const $defs = { function: { type: 'object', additionalProperties: false, properties: ofOne } };
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', ...root, $defs };
}

function defaultOf({ default: value, properties }: Schema): unknown {
  if (value !== undefined || !properties) return value;
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, defaultOf(schema)]));
}

/** All defaults, as an object. */
export function defaultValues(definitions: readonly FunctionDefinition[]): unknown {
  return defaultOf({ properties: valuesOf(definitions) });
}

function valueLines(properties: Readonly<Record<string, Schema>>, indent: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const lines = schema.description?.match(/.{1,110}(?: |$)/g) ?? [];
    const shown = lines.map((line) => `${indent}# ${line.trimEnd()}`);
    const gap = indent === '' ? [''] : [];
    if (schema.default === undefined && schema.properties)
      return [...gap, ...shown, `${indent}${name}:`, ...valueLines(schema.properties, `${indent}  `)];
    const text = stringify({ [name]: schema.default }, { lineWidth: 120 }).trimEnd();
    return [...gap, ...shown, ...text.split('\n').map((line) => indent + line)];
  });
}

/** values.yaml */
export function valuesYaml(definitions: readonly FunctionDefinition[]): string {
  return `${valueLines(valuesOf(definitions), '').join('\n')}\n`;
}

/** Whether it is a group of values, rather than one. */
function isGroup({ default: value, properties }: Schema): boolean {
  return (
    value === undefined && Object.values(properties ?? {}).some((one) => one.default !== undefined || isGroup(one))
  );
}

function rowsOf(properties: Readonly<Record<string, Schema>>, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = `${prefix}${name}`;
    const { description = '', default: value } = schema;
    if (path === 'functions')
      return [`| \`functions\` | on, but for \`announce\`, the sinks and \`page\` | ${description} |`];
    if (isGroup(schema)) return [`| \`${path}\` | | ${description} |`, ...rowsOf(schema.properties ?? {}, `${path}.`)];
    return [`| \`${path}\` | ${value === undefined ? '' : `\`${JSON.stringify(value)}\``} | ${description} |`];
  });
}

/** The table of README.md: every value, its default, and what it is for. */
export function valuesTable(definitions: readonly FunctionDefinition[]): string {
  const rows = [...rowsOf(valuesOf(definitions), ''), ...rowsOf(ofOne, 'functions.NAME.')];
  return ['| value | default | |', '|---|---|---|', ...rows].join('\n');
}
