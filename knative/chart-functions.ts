import { stringify } from 'yaml';
import * as z from 'zod';
import type { FunctionDefinition } from '../shared/function/definitions.ts';
import { isOn, keep, merged, note, onKnative, own, tenant, triggerTypes } from './chart-conditions.ts';
import { createTemplates, type Part, type Templates, templateText } from './chart-template.ts';
import { commonSettings, type Manifest, manifestsOf, type Reach, systemNamespace } from './manifests.ts';

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
function environmentTemplate(definition: FunctionDefinition, service: Service): string {
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
const gatewayEnvironment = [
  '{{- if .Values.broker.class }}',
  '- { name: BROKER_NAME, value: {{ include "zen-watcher.broker" . }} }',
  '{{- end }}',
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
function podTemplate(
  templates: Templates,
  name: string,
  { spec }: Service,
  settersOfGateway: readonly string[],
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
  const others = settersOfGateway.map((other) => ` "${other}"`).join('');
  const { containers: _containers, volumes, ...restOfPod } = pod;
  const { image: _image, args, env: _env, resources: _resources, volumeMounts, ...restOfContainer } = container;
  const token = { name: 'token', mountPath: '/etc/zen-watcher', readOnly: true };
  const secret = value('.Values.webhook.tokenSecret');
  const withToken = (items: readonly object[], item: object): object[] => [
    ...items,
    templates.itemWhen('.Values.webhook.tokenSecret', item),
  ];
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
          ...(volumeMounts && { volumeMounts: withToken(volumeMounts, token) }),
        },
      ],
      ...(volumes && { volumes: withToken(volumes, { name: 'token', secret: { secretName: secret } }) }),
    },
  };
}

/** A Service whose image, scaling, environment and resources come from the values. */
function serviceTemplate(
  templates: Templates,
  definition: FunctionDefinition,
  service: Service,
  setters: readonly string[],
): Manifest {
  const { metadata, spec } = service;
  const isGateway = definition.kind === 'gateway';
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
    spec: { ...spec, template: podTemplate(templates, metadata.name, service, setters) },
  };
}

/** Says the Broker's name by an expression, wherever an object names the Broker. */
function withBroker(templates: Templates, manifest: Manifest): Manifest {
  const name = templates.value('include "zen-watcher.broker" .');
  const replaced = (text: string): string =>
    text === broker ? name : text.replace(new RegExp(`(/broker/[^/]+/)${broker}$`), `$1${name}`);
  const isRole = manifest.kind === 'Role';
  const spec = JSON.parse(JSON.stringify(manifest.spec ?? null), (key, value) =>
    ['broker', 'audience'].includes(key) && typeof value === 'string' ? replaced(value) : value,
  );
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

/** All that one function needs. */
export function functionTemplate(definition: FunctionDefinition, all: readonly FunctionDefinition[]): string {
  const { name } = definition;
  const templates = createTemplates(systemNamespace);
  const of = (reach: Reach): Manifest[] => manifestsOf(definition, all, reach);
  const parts = merged(of('cluster'), of('namespace'));
  const service = serviceIn(of('cluster'));
  const setters =
    definition.kind === 'gateway'
      ? all.filter((one) => triggerTypes(one).includes('Webhook')).map((one) => one.name)
      : [];
  const edited = parts.map(toolNamespace).map(({ manifest, ...part }) => ({
    ...part,
    manifest: withBroker(
      templates,
      isService(manifest) ? serviceTemplate(templates, definition, service, setters) : manifest,
    ),
  }));
  return [
    `${note}{{- include "zen-watcher.defaults" . }}\n`,
    environmentTemplate(definition, service),
    `{{- if and (${onKnative}) ${isOn(name)} }}\n`,
    templateText(templates, edited),
    '{{- end }}\n',
  ].join('');
}
