import type { ResourceRef } from '../../shared/finding/finding.ts';
import { parseSeverity } from '../../shared/finding/severity.ts';
import type { OldFinding } from './version-0.1.0.ts';

/** What a tool has written, and what version 0.1.0 makes of it. */
export interface ToolReport {
  readonly source: string;
  /** Of the collection that the object is in. */
  readonly path: string;
  readonly object: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Record<string, string> };
  };
  /** The same, so that neither version can read it, or not all of it. */
  readonly unreadable: object;
  readonly old: readonly OldFinding[];
}

/** What a sensor has sent, and what version 0.1.0 makes of it. */
export interface SensorEvent {
  readonly source: string;
  readonly type: string;
  readonly data: object;
  readonly old: OldFinding;
}

const time = '2026-03-01T10:00:00Z';

/** Stands in everything that is said about one finding, whichever version says it. */
const keyPattern = /(?:CVE-2099-|rule-|CKV_|alert-|role-)\d{5}/;

export function keyOf(text: string): string | undefined {
  return keyPattern.exec(text)?.[0];
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

function vulnerabilities(workload: number, templateHash: string, count: number): ToolReport {
  const name = `web-${workload}-${templateHash}`;
  const metadata = {
    ...{ name: `replicaset-${name}-app`, namespace: 'shop' },
    labels: {
      'trivy-operator.resource.kind': 'ReplicaSet',
      'trivy-operator.resource.name': name,
      'trivy-operator.resource.namespace': 'shop',
      'trivy-operator.container.name': 'app',
    },
  };
  const rows = numbers(10_000 + workload * 100, count).map((number) => ({
    vulnerabilityID: `CVE-2099-${number}`,
    ...{
      resource: 'libexample3',
      installedVersion: '3.0.11-1',
      fixedVersion: '3.0.13-1',
      severity: 'HIGH',
      score: 7.5,
    },
    ...{ title: 'libexample: a buffer overflow in the parser of names', primaryLink: `https://example.com/${number}` },
    target: 'registry.example.com/shop/web:1.4.2 (debian 12.4)',
  }));
  const typed = { apiVersion: 'aquasecurity.github.io/v1alpha1', kind: 'VulnerabilityReport', metadata };
  const scanned = {
    ...{ updateTimestamp: time, registry: { server: 'registry.example.com' } },
    artifact: { repository: 'shop/web', tag: '1.4.2' },
  };
  return {
    source: 'trivy',
    path: '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports',
    object: { ...typed, ...{ report: { ...scanned, vulnerabilities: rows } } },
    unreadable: { ...typed, report: { ...scanned, vulnerabilities: 'none' } },
    old: rows.map(
      ({ vulnerabilityID, resource, installedVersion, fixedVersion, title, score, primaryLink, target }) => {
        const identity = { vulnerabilityID, package: resource, installedVersion, target, container: 'app' };
        return {
          ...{ source: 'trivy', category: 'security', severity: 'HIGH', eventType: 'vulnerability', identity },
          resource: { kind: 'ReplicaSet', namespace: 'shop', name },
          details: {
            ...identity,
            ...{ title, fixedVersion, score, primaryLink, image: 'registry.example.com/shop/web:1.4.2' },
          },
          ...{ detectedAt: time, hasState: true },
        };
      },
    ),
  };
}

function deployment(workload: number): ResourceRef {
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: `web-${workload}` };
}

function violations(workload: number): ToolReport {
  const resource = deployment(workload);
  const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: `web-${workload}`, uid: crypto.randomUUID() };
  const metadata = {
    ...{ name: `report-web-${workload}`, namespace: 'shop', ownerReferences: [owner] },
    labels: { 'app.kubernetes.io/managed-by': 'kyverno' },
  };
  const results = numbers(20_000 + workload * 100, 15).map((number) => ({
    ...{ policy: 'require-limits', rule: `rule-${number}`, result: 'fail', severity: 'medium', source: 'kyverno' },
    ...{ category: 'Best Practices', message: 'validation error: every container must have a limit of memory' },
    timestamp: { seconds: Date.parse(time) / 1000 },
  }));
  const typed = { apiVersion: 'wgpolicyk8s.io/v1alpha2', kind: 'PolicyReport', metadata, scope: resource };
  return {
    source: 'kyverno',
    path: '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports',
    object: { ...typed, ...{ results } },
    unreadable: { ...typed, results: results.map((row, index) => (index === 7 ? { ...row, policy: 7 } : row)) },
    old: results.map(({ policy, rule, result, severity, source: engine, category, message }) => ({
      ...{ source: 'kyverno', category: 'security', severity: parseSeverity(severity), eventType: 'policy-violation' },
      ...{ resource, identity: { policy, rule, engine }, details: { policy, rule, message, result, category, engine } },
      ...{ detectedAt: '2026-03-01T10:00:00.000Z', hasState: true },
    })),
  };
}

function checks(count: number): ToolReport {
  const failed = numbers(30_000, count).map((number) => ({
    ...{ check_id: `CKV_${number}`, check_name: 'Every container has a limit of memory', file_path: '/web.yaml' },
    ...{ resource: `Deployment.shop.web-${number % 20}`, guideline: `https://example.com/${number}`, severity: 'LOW' },
  }));
  const typed = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap' },
    metadata: { name: 'results', namespace: 'checkov', labels: { app: 'checkov' } },
  };
  const results = { check_type: 'kubernetes', results: { failed_checks: failed } };
  return {
    source: 'checkov',
    path: '/api/v1/namespaces/checkov/configmaps',
    object: { ...typed, ...{ data: { 'results.json': JSON.stringify(results) } } },
    unreadable: { ...typed, data: { 'results.json': 'no JSON' } },
    old: failed.map(({ check_id: checkId, check_name: title, resource, file_path: file, guideline, severity }) => ({
      ...{ source: 'checkov', category: 'security', severity: parseSeverity(severity), eventType: 'static-analysis' },
      resource: { kind: 'Deployment', namespace: 'shop', name: resource.slice('Deployment.shop.'.length) },
      identity: { checkId, resource, file },
      details: { checkId, title, resource, file, guideline, checkType: 'kubernetes' },
      ...{ detectedAt: time, hasState: true },
    })),
  };
}

/** How much the tools report. */
interface WorldSize {
  readonly trivy: number;
  readonly kyverno: number;
  /** Vulnerabilities of a workload. */
  readonly vulnerabilities: number;
  readonly checks: number;
}

const wholeSize: WorldSize = { trivy: 30, kyverno: 20, vulnerabilities: 40, checks: 300 };

/** Workloads 1 and 2 are in the middle of a rollout: two ReplicaSets, of which each has what the other has. */
export function toolReports(size = wholeSize): ToolReport[] {
  return [
    ...numbers(0, size.trivy).map((workload) => vulnerabilities(workload, '7d9c5b6f4d', size.vulnerabilities)),
    ...[1, 2].map((workload) => vulnerabilities(workload, '85b9d4c7f6', size.vulnerabilities)),
    ...numbers(0, size.kyverno).map(violations),
    checks(size.checks),
  ];
}

export function alert(number: number): SensorEvent {
  const rule = `alert-${number}`;
  const fields = {
    ...{ 'container.id': '3ad7b26ded6d', 'container.image.repository': 'shop/web', 'container.image.tag': '1.4.2' },
    ...{ 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web-1-7d9c5b6f4d-x2x9z', 'proc.name': 'sh', 'user.name': 'root' },
    ...{ 'proc.cmdline': 'sh -c id', 'fd.name': '/etc/shadow' },
  };
  const data = {
    ...{ rule, priority: 'Error', source: 'syscall', tags: ['filesystem'], hostname: 'node-1', time },
    ...{ output: `a shell read a file (${rule})`, output_fields: fields },
  };
  return {
    ...{ source: 'falco', type: 'falco.rule.output.v1', data },
    old: {
      ...{ source: 'falco', category: 'security', severity: 'HIGH', eventType: 'runtime-security' },
      resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-1-7d9c5b6f4d-x2x9z' },
      identity: {
        ...{ rule, container: '3ad7b26ded6d', process: 'sh', user: 'root', file: '/etc/shadow' },
        window: String(Date.parse(time) / 300_000),
      },
      details: {
        ...{ rule, priority: 'Error', output: data.output, tags: data.tags, hostname: 'node-1' },
        ...{ containerId: '3ad7b26ded6d', image: 'shop/web:1.4.2', process: 'sh', commandLine: 'sh -c id' },
      },
      ...{ detectedAt: time, hasState: false },
    },
  };
}

export function auditEvent(number: number): SensorEvent {
  const auditID = `0f0f0f0f-1111-4222-8333-4444444${number}`;
  const data = {
    ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', auditID, stage: 'ResponseComplete' },
    ...{ requestURI: '/x', verb: 'create', user: { username: 'eve@example.com', groups: ['system:authenticated'] } },
    ...{ sourceIPs: ['192.0.2.10'], userAgent: 'kubectl/v1.36', responseStatus: { code: 201 } },
    objectRef: {
      ...{ resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', apiVersion: 'v1' },
      ...{ namespace: 'shop', name: `role-${number}` },
    },
    ...{ requestReceivedTimestamp: time, stageTimestamp: time },
  };
  return {
    ...{ source: 'audit', type: 'io.kube-zen.audit.v1', data },
    old: {
      ...{ source: 'audit', category: 'compliance', severity: 'HIGH', eventType: 'rbac-change' },
      resource: {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        ...{ kind: 'Role', namespace: 'shop', name: `role-${number}` },
      },
      identity: { auditID, verb: 'create', user: 'eve@example.com', requestReceivedTimestamp: time },
      details: {
        ...{ verb: 'create', auditID, username: 'eve@example.com', groups: ['system:authenticated'] },
        ...{ sourceIPs: ['192.0.2.10'], userAgent: 'kubectl/v1.36', statusCode: 201 },
        ...{ apiGroup: 'rbac.authorization.k8s.io', outcome: 'allowed' },
      },
      ...{ detectedAt: time, hasState: false },
    },
  };
}
