import * as z from 'zod';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { isOn, merged, own, plainTemplate, standalone, tenant, triggerTypes } from './chart-conditions.ts';
import { toolNamespace } from './chart-functions.ts';
import { createTemplates, type Part, type Templates } from './chart-template.ts';
import {
  bound,
  foreignNamespaces,
  type Manifest,
  type Reach,
  rulesWithoutKnative,
  systemNamespace,
} from './manifests.ts';
import {
  certificateFiles,
  hostedIn,
  ownManifests,
  standaloneAccount,
  standalonePage,
  standaloneSinkPolicies,
  tokenFile,
  tokenSecret,
  united,
} from './standalone.ts';

const deploymentShape = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.looseObject({}) }),
      spec: z.looseObject({
        containers: z.tuple([z.looseObject({ env: z.array(z.looseObject({ name: z.string() })) })]),
        volumes: z.array(z.looseObject({})).optional(),
      }),
    }),
  }),
});

const isRole = ({ kind, metadata }: Manifest): boolean =>
  /^(Cluster)?Role(Binding)?$/.test(kind) && /standalone$/.test(metadata.name);

/** The roles, each rule only where its function is on. */
function roleParts(templates: Templates, all: readonly FunctionDefinition[], reach: Reach): Manifest[] {
  const holders = new Map(all.flatMap((one) => foreignNamespaces(one).map((namespace) => [namespace, one.name])));
  const byPlace = Map.groupBy(
    hostedIn(all).flatMap((one) =>
      [...rulesWithoutKnative(one, reach)].map(([place, rules]) => ({ place, rules, name: one.name })),
    ),
    ({ place }) => place,
  );
  return [...byPlace].flatMap(([place, some]) => {
    // In a tool's namespace there is one function, and the whole role depends on it.
    const isWhole = place !== undefined && holders.has(place);
    const rules = some.flatMap(({ rules, name }) =>
      united(rules).map((rule) => (isWhole ? rule : templates.itemWhen(isOn(name), rule))),
    );
    return bound(standaloneAccount, 'standalone', rules, place);
  });
}

/** The same volume, from the Secret that the values name if it is the token's. */
function withTokenSecret(volume: object, secretName: string): object {
  return JSON.parse(JSON.stringify(volume), (key, member) =>
    key === 'secretName' && member === tokenSecret ? secretName : member,
  );
}

/** What differs between the Deployments, as expressions. */
interface FromValues {
  readonly spec: object;
  readonly container: object;
}

function ofStandalone({ value, included }: Templates): FromValues {
  return {
    spec: { replicas: value('int .Values.standalone.replicas') },
    container: {
      args: included('include "zen-watcher.standaloneArgs" .'),
      env: included('include "zen-watcher.standaloneEnv" .'),
      resources: included('.Values.standalone.resources | toYaml'),
    },
  };
}

function ofPage({ included }: Templates, name: string): FromValues {
  return {
    spec: {},
    container: {
      args: [name],
      env: included(`include "zen-watcher.env" (list . "${name}")`),
      resources: included(`${own(name)}.resources | default .Values.resources | toYaml`),
    },
  };
}

/** The Pod, with what comes from the values. */
function deployment(templates: Templates, manifest: Manifest, fromValues: FromValues): Manifest {
  const { spec, ...rest } = deploymentShape.parse(manifest);
  const { value, literally } = templates;
  const { metadata, spec: pod } = spec.template;
  const [{ image: _image, args: _args, env: _env, resources: _resources, ...container }] = pod.containers;
  const { containers: _containers, volumes, ...restOfPod } = pod;
  return {
    ...manifest,
    ...rest,
    spec: {
      ...spec,
      ...fromValues.spec,
      template: {
        metadata: {
          labels: {
            ...metadata.labels,
            ...literally('{{- with .Values.podLabels }}', '{{- toYaml . | nindent 8 }}', '{{- end }}'),
          },
          ...literally('{{- with .Values.podAnnotations }}', 'annotations: {{- toYaml . | nindent 8 }}', '{{- end }}'),
        },
        spec: {
          ...restOfPod,
          ...literally(
            ...['{{- with .Values.image.pullSecrets }}', 'imagePullSecrets: {{- toYaml . | nindent 8 }}', '{{- end }}'],
            ...['{{- with .Values.priorityClassName }}', 'priorityClassName: {{ . }}', '{{- end }}'],
          ),
          containers: [
            {
              ...container,
              image: value('include "zen-watcher.image" .'),
              ...literally(...['{{- with .Values.image.pullPolicy }}', 'imagePullPolicy: {{ . }}', '{{- end }}']),
              ...fromValues.container,
            },
          ],
          ...(volumes && {
            volumes: volumes.map((volume) => withTokenSecret(volume, value('.Values.webhook.tokenSecret'))),
          }),
        },
      },
    },
  };
}

/** The environment as it is generated, and from the values that say the same of Knative's Services. */
const environment = `{{- define "zen-watcher.standaloneEnv.generated" }}
- { name: SYSTEM_NAMESPACE, value: {{ include "zen-watcher.namespace" . }} }
{{- if ${tenant} }}
- { name: WATCH_NAMESPACE, value: {{ include "zen-watcher.namespace" . }} }
{{- end }}
- { name: WEBHOOK_AUTH_TOKEN_FILE, value: ${tokenFile} }
- { name: TLS_CERT_FILE, value: ${certificateFiles.TLS_CERT_FILE} }
- { name: TLS_KEY_FILE, value: ${certificateFiles.TLS_KEY_FILE} }
{{- if eq .Values.eventNamespace "system" }}
- { name: EVENT_NAMESPACE, value: system }
{{- end }}
{{- with .Values.webhook.trustedProxies }}
- { name: WEBHOOK_TRUSTED_PROXIES, value: {{ join "," . | quote }} }
{{- end }}
{{- with .Values.webhook.allowedIPs }}
- { name: WEBHOOK_ALLOWED_IPS, value: {{ join "," . | quote }} }
{{- end }}
{{- with .Values.webhook.rateLimit }}
- { name: WEBHOOK_RATE_LIMIT, value: {{ int . | quote }} }
{{- end }}
{{- if .Values.functions.announce.enabled }}
- { name: ANNOUNCE, value: 'true' }
{{- end }}
{{- with .Values.ttl }}
- { name: OBSERVATION_TTL_SECONDS, value: {{ include "zen-watcher.seconds" . | quote }} }
{{- end }}
{{- end }}
`;

function conditionsOf(all: readonly FunctionDefinition[]): (manifest: Manifest) => string | undefined {
  const holders = new Map(all.flatMap((one) => foreignNamespaces(one).map((namespace) => [namespace, one.name])));
  const mapped = all.find((one) => triggerTypes(one).includes('MappedKinds'));
  return ({ kind, metadata: { name, namespace } }) => {
    if (kind === 'NetworkPolicy') {
      const sink = all.find((one) => standaloneSinkPolicies(one).some(({ metadata }) => metadata.name === name));
      return sink ? `and .Values.networkPolicy.enabled ${isOn(sink.name)}` : '.Values.networkPolicy.enabled';
    }
    const isMapped = name === 'zen-watcher-standalone-kinds';
    const holder = isMapped ? mapped?.name : holders.get(kind === 'Namespace' ? name : (namespace ?? ''));
    return holder === undefined ? undefined : isOn(holder);
  };
}

/** A condition that both must be true, as far as there are two. */
function bothOf(one: string | undefined, other: string | undefined): string | undefined {
  return one !== undefined && other !== undefined ? `(and (${one}) (${other}))` : (one ?? other);
}

function pageParts(templates: Templates, all: readonly FunctionDefinition[]): Part[] {
  return all
    .filter(({ kind }) => kind === 'page')
    .flatMap((page) => {
      const fromValues = ofPage(templates, page.name);
      const parts = merged(standalonePage(page, 'cluster'), standalonePage(page, 'namespace'));
      return parts.map(({ condition, manifest }) => ({
        condition: bothOf(condition, isOn(page.name)) ?? '',
        manifest: manifest.kind === 'Deployment' ? deployment(templates, manifest, fromValues) : manifest,
      }));
    });
}

/** Everything without Knative, but for what is shared with its form. */
export function standaloneTemplate(all: readonly FunctionDefinition[]): string {
  const templates = createTemplates(systemNamespace);
  const conditionOf = conditionsOf(all);
  const manifestsFor = (reach: Reach): Manifest[] => [
    ...ownManifests(all, reach).filter((manifest) => !isRole(manifest)),
    ...all.flatMap(standaloneSinkPolicies),
    ...roleParts(templates, all, reach),
  ];
  const fromValues = ofStandalone(templates);
  const parts = merged(manifestsFor('cluster'), manifestsFor('namespace')).map(({ condition, manifest }): Part => {
    const needed = bothOf(condition, conditionOf(manifest));
    const part = {
      ...(needed !== undefined && { condition: needed }),
      manifest: manifest.kind === 'Deployment' ? deployment(templates, manifest, fromValues) : manifest,
    };
    return manifest.kind === 'Namespace' ? toolNamespace(part) : part;
  });
  const text = plainTemplate(standalone, templates, [...parts, ...pageParts(templates, all)]);
  return text.replace('{{- if ', `${environment}{{- if `);
}
