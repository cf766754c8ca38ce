import { stringify } from 'yaml';
import * as z from 'zod';
import { type FunctionDefinition, marksNews } from '../../shared/function/definitions.ts';
import { announcerIn, announcing, hintToken, writersManifests } from './announcing.ts';
import { isOn, keep, merged, note, onKnative, own, tenant, triggerTypes } from './chart-conditions.ts';
import { createTemplates, type Part, type Templates, templateText } from './chart-template.ts';
import { commonSettings, type Manifest, manifestsOf, type Reach, systemNamespace } from './manifests.ts';
import { postsToBroker, sinkPolicies } from './network-policies.ts';

const { BROKER_NAME: broker } = commonSettings;
const prefix = 'autoscaling.knative.dev';

/** Senders wait for their answer, so they are those that `replicas` keeps up. */
const awaited = new Set(['webhook', 'falco', 'audit']);

const words = z.record(z.string(), z.string());
const items = z.array(z.looseObject({}));
const serviceShape = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string(), annotations: words, labels: words }),
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ annotations: words, labels: words }),
      spec: z.looseObject({
        containers: z.tuple([
          z.looseObject({
            env: z.array(z.looseObject({ name: z.string(), value: z.string() })),
            volumeMounts: items.optional(),
          }),
        ]),
        volumes: items.optional(),
      }),
    }),
  }),
});
type Service = z.infer<typeof serviceShape>;

/** A Knative Service among the manifests, which is what a function runs as. */
function isService(manifest: Manifest): boolean {
  return manifest.kind === 'Service' && manifest.apiVersion.startsWith('serving.knative.dev/');
}

function serviceIn(manifests: readonly Manifest[]): Service {
  return serviceShape.parse(manifests.find(isService));
}

/** The environment of a function as it is generated, before what values add to it. */
function environmentTemplate(
  definition: FunctionDefinition,
  service: Service,
  all: readonly FunctionDefinition[],
): string {
  const { name } = definition;
  const [container] = service.spec.template.spec.containers;
  const lines = container.env.flatMap((variable) => {
    if (variable.name === 'SYSTEM_NAMESPACE')
      return ['- { name: SYSTEM_NAMESPACE, value: {{ include "zen-watcher.namespace" . }} }', ...watchNamespace];
    if (variable.name === 'WEBHOOK_TRUSTED_PROXIES') return trustedProxies(variable.value);
    return [`- ${stringify(variable, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`];
  });
  const keepsEvents = triggerTypes(definition).includes('Broker') || ('collects' in definition && definition.collects);
  return [
    `{{- define "zen-watcher.env.${name}" }}`,
    ...lines,
    ...(keepsEvents ? eventNamespace : []),
    ...(marksNews(definition) ? writerEnvironment(all) : []),
    ...(postsToBroker(definition) || definition === announcerIn(all) ? brokerEnvironment : []),
    ...(definition.kind === 'gateway' ? gatewayEnvironment : []),
    '{{- end }}\n',
  ].join('\n');
}

const watchNamespace = [
  `{{- if ${tenant} }}`,
  '- { name: WATCH_NAMESPACE, value: {{ include "zen-watcher.namespace" . }} }',
  '{{- end }}',
];
const trustedProxies = (loopback: string): string[] => [
  `- { name: WEBHOOK_TRUSTED_PROXIES, value: {{ prepend .Values.webhook.trustedProxies "${loopback}" | join "," | quote }} }`,
];
const eventNamespace = [
  '{{- if eq .Values.eventNamespace "system" }}',
  '- { name: EVENT_NAMESPACE, value: system }',
  '{{- end }}',
];
const brokerEnvironment = [
  '{{- if .Values.broker.class }}',
  '- { name: BROKER_NAME, value: {{ include "zen-watcher.broker" . }} }',
  '{{- end }}',
];
/** Where others are told, whoever writes says so to the Broker. */
const writerEnvironment = (all: readonly FunctionDefinition[]): string[] => [
  `{{- if ${isOn(announcerIn(all).name)} }}`,
  `- ${stringify(announcing, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`,
  ...brokerEnvironment,
  '{{- end }}',
];
const gatewayEnvironment = [
  '{{- with .Values.webhook.tokenSecret }}',
  '- { name: WEBHOOK_AUTH_TOKEN_FILE, value: /etc/zen-watcher/token }',
  '{{- end }}',
  '{{- with .Values.webhook.allowedIPs }}',
  '- { name: WEBHOOK_ALLOWED_IPS, value: {{ join "," . | quote }} }',
  '{{- end }}',
  '{{- with .Values.webhook.rateLimit }}',
  '- { name: WEBHOOK_RATE_LIMIT, value: {{ int . | quote }} }',
  '{{- end }}',
];
/** The members of a container, and of a Pod, that mount files. */
interface Mounts {
  readonly ofContainer: object;
  readonly ofPod: object;
}

function mountsOf(
  templates: Templates,
  definition: FunctionDefinition,
  { spec }: Service,
  all: readonly FunctionDefinition[],
): Mounts {
  const { volumes = [], containers } = spec.template.spec;
  const [{ volumeMounts = [] }] = containers;
  if (definition.kind === 'gateway') {
    const token = { name: 'token', mountPath: '/etc/zen-watcher', readOnly: true };
    const secret = { secretName: templates.value('.Values.webhook.tokenSecret') };
    const withToken = (items: readonly object[], item: object): object[] => [
      ...items,
      templates.itemWhen('.Values.webhook.tokenSecret', item),
    ];
    return {
      ofContainer: { volumeMounts: withToken(volumeMounts, token) },
      ofPod: { volumes: withToken(volumes, { name: 'token', secret }) },
    };
  }
  if (volumes.length > 0) return { ofContainer: { volumeMounts }, ofPod: { volumes } };
  if (!marksNews(definition)) return { ofContainer: {}, ofPod: {} };
  const condition = isOn(announcerIn(all).name);
  const hint = hintToken(definition);
  return {
    ofContainer: templates.when(condition, { volumeMounts: hint.volumeMounts }),
    ofPod: templates.when(condition, withBrokerName(templates, { volumes: hint.volumes })),
  };
}

function podTemplate(
  templates: Templates,
  name: string,
  { spec }: Service,
  settersOfGateway: readonly FunctionDefinition[],
  mounts: Mounts,
): object {
  const { metadata, spec: pod } = spec.template;
  const { value, included } = templates;
  const [container] = pod.containers;
  const scaled = (key: string, more: string): string =>
    value(`include "zen-watcher.${key}" (list . "${name}"${more}) | quote`);
  const annotations = {
    ...metadata.annotations,
    [`${prefix}/min-scale`]: scaled('minScale', awaited.has(name) ? ' .Values.replicas' : ' 0'),
    [`${prefix}/max-scale`]: scaled(
      'maxScale',
      `${awaited.has(name) ? ' .Values.replicas' : ' 0'} ${metadata.annotations[`${prefix}/max-scale`]}`,
    ),
    [`${prefix}/window`]: value(`${own(name)}.window | default "${metadata.annotations[`${prefix}/window`]}"`),
    ...templates.literally('{{- with .Values.podAnnotations }}', '{{- toYaml . | nindent 8 }}', '{{- end }}'),
  };
  const others = settersOfGateway
    .map((other) => [other.name, ...Object.keys(Object.assign({}, other.settings.parse({})))])
    .map((names) => ` (list ${names.map((one) => `"${one}"`).join(' ')})`)
    .join('');
  const { containers: _containers, volumes: _volumes, ...restOfPod } = pod;
  const { image: _image, args, env: _env, resources: _resources, ...mounting } = container;
  const { volumeMounts: _volumeMounts, ...restOfContainer } = mounting;
  return {
    metadata: {
      annotations,
      labels: {
        ...metadata.labels,
        ...templates.literally('{{- with .Values.podLabels }}', '{{- toYaml . | nindent 8 }}', '{{- end }}'),
      },
    },
    spec: {
      ...restOfPod,
      ...templates.literally(
        ...['{{- with .Values.image.pullSecrets }}', 'imagePullSecrets: {{- toYaml . | nindent 8 }}', '{{- end }}'],
        ...['{{- with .Values.priorityClassName }}', 'priorityClassName: {{ . }}', '{{- end }}'],
      ),
      containers: [
        {
          image: value('include "zen-watcher.image" .'),
          ...templates.literally(...['{{- with .Values.image.pullPolicy }}', 'imagePullPolicy: {{ . }}', '{{- end }}']),
          args,
          env: included(`include "zen-watcher.env" (list . "${name}"${others})`),
          resources: included(`${own(name)}.resources | default .Values.resources | toYaml`),
          ...restOfContainer,
          ...mounts.ofContainer,
        },
      ],
      ...mounts.ofPod,
    },
  };
}

/** A Service whose image, scaling, environment and resources come from the values. */
function serviceTemplate(
  templates: Templates,
  definition: FunctionDefinition,
  service: Service,
  all: readonly FunctionDefinition[],
): Manifest {
  const { metadata, spec } = service;
  const isGateway = definition.kind === 'gateway';
  const setters = isGateway ? all.filter((one) => triggerTypes(one).includes('Webhook')) : [];
  const mounts = mountsOf(templates, definition, service, all);
  const visibility = 'networking.knative.dev/visibility';
  const { [visibility]: local, ...labels } = metadata.labels;
  return {
    ...{ apiVersion: service.apiVersion, kind: service.kind },
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        ...(isGateway &&
          templates.when('.Values.webhook.external', { 'networking.knative.dev/http-protocol': 'redirected' })),
      },
      labels: isGateway
        ? { ...labels, ...templates.when('not .Values.webhook.external', { [visibility]: local }) }
        : metadata.labels,
    },
    spec: { ...spec, template: podTemplate(templates, metadata.name, service, setters, mounts) },
  };
}

/** Says the Broker's name by an expression in a text that is it, or ends with it. */
function brokerName(templates: Templates): (text: string) => string {
  const name = templates.value('include "zen-watcher.broker" .');
  return (text) => (text === broker ? name : text.replace(new RegExp(`(/broker/[^/]+/)${broker}$`), `$1${name}`));
}

function withBrokerName(templates: Templates, members: object): object {
  const replaced = brokerName(templates);
  return JSON.parse(JSON.stringify(members), (key, value) =>
    ['broker', 'audience'].includes(key) && typeof value === 'string' ? replaced(value) : value,
  );
}

/** The same wherever an object names the Broker. */
function withBroker(templates: Templates, manifest: Manifest): Manifest {
  const replaced = brokerName(templates);
  const isRole = manifest.kind === 'Role';
  const spec = withBrokerName(templates, Object.assign({}, manifest.spec));
  const rules = JSON.parse(JSON.stringify(manifest.rules ?? null), (_key, value) =>
    typeof value === 'string' ? replaced(value) : value,
  );
  return {
    ...manifest,
    ...(manifest.kind === 'Trigger' && {
      metadata: {
        ...manifest.metadata,
        name: `${manifest.metadata.name}${templates.value('include "zen-watcher.brokerSuffix" .')}`,
      },
    }),
    ...(manifest.spec !== undefined && { spec }),
    ...(isRole && { rules }),
  };
}

/** A namespace that holds a tool's results may be there already, and stays when the release goes. */
export function toolNamespace({ condition, manifest }: Part): Part {
  if (manifest.kind !== 'Namespace') return { ...(condition !== undefined && { condition }), manifest };
  const { metadata } = manifest;
  return {
    condition: `and ${condition} (include "zen-watcher.mayOwnNamespace" (list . "${metadata.name}"))`,
    manifest: { ...manifest, metadata: { ...metadata, annotations: keep } },
  };
}

/** What comes with a function that tells others, in either reach. */
function morePartsOf(definition: FunctionDefinition, all: readonly FunctionDefinition[]): Part[] {
  const more = definition === announcerIn(all) ? writersManifests(all) : sinkPolicies(definition);
  return more.map((manifest) =>
    manifest.kind === 'NetworkPolicy' ? { condition: '.Values.networkPolicy.enabled', manifest } : { manifest },
  );
}

/** All that one function needs. */
export function functionTemplate(definition: FunctionDefinition, all: readonly FunctionDefinition[]): string {
  const { name } = definition;
  const templates = createTemplates(systemNamespace);
  const of = (reach: Reach): Manifest[] => manifestsOf(definition, reach);
  const parts = [...merged(of('cluster'), of('namespace')), ...morePartsOf(definition, all)];
  const service = serviceIn(of('cluster'));
  const edited = parts.map(toolNamespace).map(({ manifest, ...part }) => ({
    ...part,
    manifest: withBroker(
      templates,
      isService(manifest) ? serviceTemplate(templates, definition, service, all) : manifest,
    ),
  }));
  return [
    `${note}{{- include "zen-watcher.defaults" . }}\n`,
    environmentTemplate(definition, service, all),
    `{{- if and (${onKnative}) ${isOn(name)} }}\n`,
    templateText(templates, edited),
    '{{- end }}\n',
  ].join('');
}
