import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { observationName } from '../../shared/finding/name.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { findingsOf } from './audit-requests.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'cases');

/** What each case of the audit log is, as `SEVERITY rule`, in order and each Observation once. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'A01-impersonation': ['HIGH impersonation'],
  'A02-truncated-privileged-pod': ['MEDIUM privileged-pod-creation'],
  'A03-generateName-privileged': [],
  'A04-namespace-deletion': ['HIGH resource-deletion', 'LOW access-probe'],
  'A05-404-409-not-denied': [],
  'A06-cluster-autoscaler-status': [],
  'A07-kubectl-debug-node': ['CRITICAL privileged-pod-creation'],
  'A08-privileged-deployment-update': ['CRITICAL privileged-pod-creation', 'CRITICAL privileged-pod-creation'],
  'A09-secret-reads': ['HIGH secret-read', 'LOW secret-read'],
  'A10-exec-command': ['HIGH pod-exec-suspicious'],
  'A11-ephemeral-privileged': ['CRITICAL privileged-pod-creation', 'HIGH privileged-pod-creation'],
  'A12-events-deleted': ['HIGH resource-deletion', 'MEDIUM resource-deletion'],
  'A13-csr-token-webhook-nodeproxy': [
    'MEDIUM token-request',
    'HIGH token-request',
    'HIGH token-request',
    'HIGH admission-change',
    'HIGH proxy-access',
    'MEDIUM workload-by-hand',
    'HIGH admission-change',
    'LOW node-change',
    'HIGH kube-system-workload',
  ],
  'A14-deletecollection-own-noise': ['HIGH resource-deletion'],
  'A15-exec-started-and-complete': ['MEDIUM pod-exec'],
  'A16-psa-and-vap-audit-annotations': ['MEDIUM pod-security-violation', 'MEDIUM pod-security-violation'],
};

function toldOf(events: readonly unknown[]): string[] {
  const told = new Map<string, string>();
  for (const finding of events.flatMap((event) => findingsOf(event))) {
    const name = observationName('audit', finding);
    if (!told.has(name)) told.set(name, `${finding.severity} ${finding.rule}`);
  }
  return [...told.values()];
}

function eventsOf(name: string): unknown[] {
  return readdirSync(join(folder, name))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, name, file), 'utf8')))
    .flatMap((body) => body.items ?? body);
}

describe.skipIf(corpusMissing)('what went wrong once with the audit log', () => {
  it.each(Object.entries(expected))('is judged as expected: %s', (name, rules) => {
    expect(toldOf(eventsOf(name))).toEqual(rules);
  });

  it('shows both users of an impersonated request, and where a Namespace was', () => {
    const [impersonated] = findingsOf(eventsOf('A01-impersonation')[0]);
    expect(impersonated?.actor).toMatchObject({ username: 'alice@example.com', groups: ['dev'] });
    expect(impersonated?.summary).toContain('alice@example.com as system:admin deleted Secret payments/db');
    const [deleted] = findingsOf(eventsOf('A04-namespace-deletion')[0]);
    expect(deleted?.resource).not.toHaveProperty('namespace', 'payments');
    expect(deleted?.summary).toBe('alice@example.com deleted Namespace payments');
  });
});

/** What people did in recordings of a real cluster; what it did itself is nothing. */
const recordings: Readonly<Record<string, readonly string[]>> = {
  'audit-exec-spdy': [...Array.from({ length: 4 }, () => 'MEDIUM pod-exec'), 'LOW pod-exec'],
  'audit-exec-websocket': [...Array.from({ length: 4 }, () => 'MEDIUM pod-exec'), 'LOW pod-exec'],
  'audit-kubelet-tokens': [],
  'audit-quiet-hour': [],
  'audit-scale-from-zero': [],
  'audit-rollout': [
    'MEDIUM masters-access',
    'MEDIUM secret-access',
    'LOW workload-by-hand',
    'MEDIUM rbac-change',
    'MEDIUM rbac-change',
    'LOW workload-by-hand',
    'MEDIUM workload-by-hand',
    'HIGH resource-deletion',
  ],
};

describe.skipIf(corpusMissing)('a recording of a real cluster', () => {
  const texts = new Map(corpusFiles('cluster').map(({ file, text }) => [file, text]));

  it.each(Object.entries(recordings))('is what people did: %s', (name, rules) => {
    const { events } = JSON.parse(texts.get(`cluster/${name}.json`) ?? '{"events":[]}');
    expect(events.length).toBeGreaterThan(0);
    expect(toldOf(events.map(({ event }: { readonly event: unknown }) => event))).toEqual(rules);
  });
});
