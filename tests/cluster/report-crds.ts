import { type FunctionDefinition, triggersOf } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { until } from '../host/program.ts';
import type { Cluster } from './cluster.ts';

/** CRDs for the reports in the tests, as permissive as the API server allows. */
export function crd(group: string, version: string, kind: string): string {
  const plural = `${kind.toLowerCase()}s`;
  const scope = kind.startsWith('Cluster') ? 'Cluster' : 'Namespaced';
  return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ${plural}.${group}
  annotations: { api-approved.kubernetes.io: unapproved for tests }
spec:
  group: ${group}
  scope: ${scope}
  names: { kind: ${kind}, plural: ${plural}, singular: ${kind.toLowerCase()}, listKind: ${kind}List }
  versions:
    - name: ${version}
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`;
}

export const reportCrds = [
  crd('wgpolicyk8s.io', 'v1alpha2', 'PolicyReport'),
  crd('aquasecurity.github.io', 'v1alpha1', 'VulnerabilityReport'),
].join('---\n');

/** Knative's kinds, for tests that don't need Knative's own CRDs. */
export const knativeCrds = [
  crd('sources.knative.dev', 'v1', 'ApiServerSource'),
  crd('eventing.knative.dev', 'v1', 'Trigger'),
  crd('eventing.knative.dev', 'v1', 'Broker'),
].join('---\n');

/** A Broker to which Knative has given this address. */
export function broker(address: object) {
  return {
    ...{ apiVersion: 'eventing.knative.dev/v1', kind: 'Broker' },
    metadata: { name: 'zen-watcher', namespace: 'zen-system' },
    status: { address },
  };
}

/** A Trigger that Knative has marked as ready. */
export function readyTrigger(functionName: string, type: string, isReady = true) {
  return {
    ...{ apiVersion: 'eventing.knative.dev/v1', kind: 'Trigger' },
    metadata: { name: functionName, namespace: 'zen-system' },
    spec: { broker: 'zen-watcher', filter: { attributes: { type } }, subscriber: { ref: { name: functionName } } },
    status: { conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
  };
}

/** Makes a ready Trigger for each Broker trigger of these functions. The cluster must have none yet. */
export async function applyTriggers(cluster: Cluster, definitions: readonly FunctionDefinition[]): Promise<void> {
  await cluster.apply(knativeCrds);
  const eventing = '/apis/eventing.knative.dev/v1/namespaces/zen-system';
  const path = `${eventing}/triggers`;
  for (const one of [path, `${eventing}/brokers`]) {
    await until(`${one} is served`, async () => (await cluster.request('GET', one)).status === 200);
  }
  for (const definition of definitions) {
    const { name } = definition;
    for (const trigger of triggersOf(definition, parseSettings({}, definition.settings, []))) {
      if (trigger.type !== 'Broker') continue;
      await cluster.request('POST', path, readyTrigger(name, trigger.eventType));
    }
  }
}

/** A policy report on one Deployment, with a failed result for each rule. */
export function policyReport(name: string, namespace: string, rules: readonly string[]) {
  return {
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name, namespace },
    scope: { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace },
    results: rules.map((rule) => ({
      policy: 'p',
      rule,
      result: 'fail',
      severity: 'high',
      source: 'kyverno',
      message: `m ${rule}`,
    })),
  };
}

/** A vulnerability report on one ReplicaSet. */
export function vulnerabilityReport(name: string, namespace: string, count: number) {
  return {
    apiVersion: 'aquasecurity.github.io/v1alpha1',
    kind: 'VulnerabilityReport',
    metadata: {
      name,
      namespace,
      labels: {
        'trivy-operator.resource.kind': 'ReplicaSet',
        'trivy-operator.resource.name': name,
        'trivy-operator.resource.namespace': namespace,
        'trivy-operator.container.name': 'app',
      },
    },
    report: {
      updateTimestamp: '2026-03-01T09:30:00Z',
      vulnerabilities: Array.from({ length: count }, (_, index) => ({
        ...{ vulnerabilityID: `CVE-2099-${index}`, resource: 'openssl', installedVersion: '3.0.11', severity: 'HIGH' },
        title: 'an example flaw',
      })),
    },
  };
}

export function referenceTo({
  apiVersion,
  kind,
  metadata,
}: {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace: string };
}) {
  const headers = {
    ...{ 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-id': crypto.randomUUID() },
    ...{ 'ce-source': 'https://10.96.0.1:443', 'ce-type': 'dev.knative.apiserver.ref.update' },
  };
  return { headers, body: JSON.stringify({ apiVersion, kind, name: metadata.name, namespace: metadata.namespace }) };
}

export const pingHeaders = {
  ...{ 'ce-specversion': '1.0', 'ce-id': 'ping', 'ce-type': 'dev.knative.sources.ping' },
  'ce-source': '/apis/v1/namespaces/zen-system/pingsources/test',
};
