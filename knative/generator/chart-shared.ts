import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { alertRules, monitoringManifests } from './alerts.ts';
import { cluster, isOn, isOneOn, keep, merged, onKnative, plainTemplate, triggerTypes } from './chart-conditions.ts';
import { createTemplates, type Part, type Templates } from './chart-template.ts';
import { dashboardsManifest } from './dashboards.ts';
import { eventPolicy } from './event-policy.ts';
import { foreignNamespaces, type Manifest, ownLabels, sharedManifests, systemNamespace } from './manifests.ts';
import { networkPolicies, postsToBroker } from './network-policies.ts';

const brokerShape = z.looseObject({
  spec: z.looseObject({ delivery: z.looseObject({ deadLetterSink: z.looseObject({}) }) }),
});

export function sharedTemplate(all: readonly FunctionDefinition[]): string {
  const templates = createTemplates(systemNamespace);
  const users = all.filter(
    (one) => one.kind === 'gateway' || triggerTypes(one).some((type) => type.startsWith('Broker')),
  );
  const sink = all.find(({ kind }) => kind === 'dead-letter-sink');
  const parts = merged(sharedManifests(all), sharedManifests(all, 'namespace')).map((part): Part => {
    const { manifest } = part;
    if (manifest.kind === 'Namespace') {
      const metadata = { ...manifest.metadata, annotations: keep };
      return { condition: `and ${cluster} .Values.createNamespace`, manifest: { ...manifest, metadata } };
    }
    if (manifest.kind !== 'Broker') return part;
    const { deadLetterSink, ...delivery } = brokerShape.parse(manifest).spec.delivery;
    const metadata = {
      ...manifest.metadata,
      name: templates.value('include "zen-watcher.broker" .'),
      ...templates.literally(
        ...[
          '{{- with .Values.broker.class }}',
          'annotations:',
          '  eventing.knative.dev/broker.class: {{ . }}',
          '{{- end }}',
        ],
      ),
    };
    const config = templates.literally(
      ...['{{- if .Values.broker.config.name }}', 'config:', '  apiVersion: v1', '  kind: ConfigMap'],
      ...[
        '  name: {{ .Values.broker.config.name }}',
        '  namespace: {{ .Values.broker.config.namespace }}',
        '{{- end }}',
      ],
    );
    const spec = {
      ...config,
      delivery: { ...delivery, ...templates.when(isOn(sink?.name ?? ''), { deadLetterSink }) },
    };
    return { condition: `and (${onKnative}) (${isOneOn(users)})`, manifest: { ...manifest, metadata, spec } };
  });
  return plainTemplate(undefined, templates, parts);
}

/** In the place of a list of functions' names, those that are on. */
function namesOn(templates: Templates, names: readonly string[]): object {
  return templates.included(`include "zen-watcher.namesOn" (list . ${names.map((name) => `"${name}"`).join(' ')})`);
}

export function networkTemplate(all: readonly FunctionDefinition[]): string {
  const templates = createTemplates(systemNamespace);
  const holders = new Map(all.flatMap((one) => foreignNamespaces(one).map((namespace) => [namespace, one.name])));
  const edit = (manifest: Manifest): Manifest =>
    JSON.parse(JSON.stringify(manifest), (_key, value) => {
      if (value?.operator !== 'In') return value;
      if (value.key === 'app.kubernetes.io/name') return { ...value, values: namesOn(templates, value.values) };
      const values = value.values.map((one: string) => {
        const holder = holders.get(one);
        return holder === undefined ? one : templates.itemWhen(isOn(holder), one);
      });
      return { ...value, values };
    });
  const conditions = new Map([
    ['zen-watcher-to-broker', isOneOn(all.filter(postsToBroker))],
    ['zen-watcher-to-functions', isOneOn(all.filter(({ callsFunctions }) => callsFunctions))],
  ]);
  const parts = merged(networkPolicies(all), networkPolicies(all, 'namespace')).map(({ condition, manifest }): Part => {
    const needed = condition ?? conditions.get(manifest.metadata.name);
    return { ...(needed !== undefined && { condition: needed }), manifest: edit(manifest) };
  });
  return plainTemplate(`and (${onKnative}) .Values.networkPolicy.enabled`, templates, parts);
}

export function monitoringTemplate(all: readonly FunctionDefinition[]): string {
  const templates = createTemplates(systemNamespace);
  const labels = templates.literally(
    '{{- with .Values.monitoring.labels }}',
    '{{- toYaml . | nindent 4 }}',
    '{{- end }}',
  );
  const interval = templates.value('.Values.monitoring.interval');
  const parts = monitoringManifests(alertRules(all), systemNamespace, ownLabels).map((manifest): Part => {
    const { metadata } = manifest;
    const labelled = {
      ...manifest,
      metadata: { ...metadata, labels: { ...Object.assign({}, metadata.labels), ...labels } },
    };
    const isMonitor = manifest.kind === 'PodMonitor';
    const edited = JSON.parse(JSON.stringify(labelled), (key, value) => {
      if (key === 'interval' && isMonitor) return interval;
      // What is off has no scheduled work to be late with.
      const { alert, labels: { source } = {} } = Object.assign({}, value);
      return alert !== undefined && source !== undefined ? templates.itemWhen(isOn(source), value) : value;
    });
    return { manifest: edited };
  });
  const dashboards = { manifest: dashboardsManifest(systemNamespace, ownLabels) };
  return plainTemplate('.Values.monitoring.enabled', templates, [...parts, dashboards]);
}

/** What the overlay `production` has besides, which is written by hand. */
export function production(file: string): Manifest[] {
  const path = join(import.meta.dirname, '..', 'overlays', 'production', file);
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS());
}

export function budgetsTemplate(): string {
  const templates = createTemplates(systemNamespace);
  const minAvailable = templates.value('int .Values.podDisruptionBudget.minAvailable');
  const parts = production('disruption-budgets.yaml').map((manifest) => ({
    condition: isOn(manifest.metadata.name),
    manifest: { ...manifest, spec: { ...Object.assign({}, manifest.spec), minAvailable } },
  }));
  return plainTemplate(`and (${onKnative}) .Values.podDisruptionBudget.minAvailable`, templates, parts);
}

export function priorityTemplate(): string {
  const parts = production('api-priority.yaml').map((manifest) => ({ manifest }));
  return plainTemplate('.Values.apiPriority.enabled', createTemplates(systemNamespace), parts);
}

export function eventPolicyTemplate(all: readonly FunctionDefinition[]): string {
  const condition = `and (${onKnative}) .Values.eventPolicy.enabled (${isOneOn(all.filter(postsToBroker))})`;
  return plainTemplate(condition, createTemplates(systemNamespace), [{ manifest: eventPolicy(all) }]);
}
