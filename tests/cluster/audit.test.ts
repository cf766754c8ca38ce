import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { detections } from '../../functions/audit/detections.ts';
import { plantedRequests } from '../functions/planted-requests.ts';
import { until } from '../host/program.ts';
import { actorOf, deployment, pod, type RealDeed, realDeeds } from './audit-deeds.ts';
import { type AuditObservation, type AuditPipeline, startAuditPipeline } from './audit-pipeline.ts';
import { skipWithoutCluster } from './cluster.ts';
import { startKubelet } from './kubelet.ts';
import { postTo } from './proxy.ts';
import { crd } from './report-crds.ts';

const folder = join(import.meta.dirname, '..', '..', 'knative');
const rbac = '/apis/rbac.authorization.k8s.io/v1';

let pipeline: AuditPipeline;
let kubelet: Awaited<ReturnType<typeof startKubelet>>;
/** By actor. */
const tokens = new Map<string, string>();

const isUser = ({ by }: RealDeed): boolean => by !== 'system:anonymous' && by?.includes('/') !== true;
const users = [
  ...realDeeds.filter(isUser).map((deed) => ({ name: actorOf(deed), groups: deed.groups ?? [] })),
  { name: 'last@example.com' },
];

async function create(path: string, body: unknown): Promise<void> {
  const { status, body: answer } = await pipeline.cluster.request('POST', path, body);
  expect(status, JSON.stringify(answer)).toBe(201);
}

/** Gives an actor the rights of its deed, in a ClusterRole of its own, and waits until the API server knows. */
async function allow(deed: RealDeed, index: number): Promise<void> {
  const { cluster } = pipeline;
  const { by = '', rules = [] } = deed;
  const actor = actorOf(deed);
  if (by.includes('/')) {
    const [namespace = '', name = ''] = by.split('/');
    tokens.set(actor, (await cluster.serviceAccount(name, rules, namespace)).token);
    return;
  }
  tokens.set(actor, by === 'system:anonymous' ? '' : cluster.tokenOf(actor));
  if (rules.length === 0) return;
  const name = `deed-${index}`;
  const apiGroup = 'rbac.authorization.k8s.io';
  await create(`${rbac}/clusterroles`, { metadata: { name }, rules });
  await create(`${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name },
    subjects: [{ apiGroup, kind: 'User', name: actor }],
  });
}

async function isAllowed(deed: RealDeed): Promise<boolean> {
  const {
    resources: [resource = ''] = [],
    verbs: [verb] = [],
    apiGroups: [group] = [],
    resourceNames,
  } = deed.rules?.at(-1) ?? {};
  const [plural, subresource] = resource.split('/');
  const attributes = { verb, group, resource: plural, subresource, name: resourceNames?.[0] };
  const { body } = await pipeline.cluster.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    spec: { user: actorOf(deed), resourceAttributes: attributes },
  });
  return body.status.allowed;
}

/** What the deeds are done to. */
async function prepare(): Promise<void> {
  const { cluster } = pipeline;
  const label = (mode: string, level: string) => ({ [`pod-security.kubernetes.io/${mode}`]: level });
  await create('/api/v1/namespaces', { metadata: { name: 'audited', labels: label('audit', 'restricted') } });
  await create('/api/v1/namespaces', { metadata: { name: 'guarded', labels: label('enforce', 'restricted') } });
  for (const namespace of ['shop', 'audited', 'kube-system'])
    await create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
  kubelet = await startKubelet(cluster);
  await create('/api/v1/nodes', { metadata: { name: 'n1' }, status: kubelet.nodeStatus });
  await create('/api/v1/namespaces/shop/pods', pod('web', {}, { nodeName: 'n1' }));
  await create('/apis/apps/v1/namespaces/shop/deployments', deployment('old', 0));
  await create('/api/v1/namespaces/shop/secrets', { metadata: { name: 'db' }, stringData: { a: 'PLANTED-SECRET' } });
  await cluster.apply(crd('argoproj.io', 'v1alpha1', 'Application'));
  await until('Applications are served', async () => {
    const { status } = await cluster.request('GET', '/apis/argoproj.io/v1alpha1/applications');
    return status === 200;
  });
}

const byActor = (findings: readonly AuditObservation[], actor: string): AuditObservation[] =>
  findings.filter(({ spec }) => spec.actor?.username === actor);

/** The summary without the actor's name. */
const told = (deed: RealDeed, { spec }: AuditObservation): string => {
  const names = [actorOf(deed), `ServiceAccount ${deed.by}`, `node ${deed.by?.split(':').at(-1)}`];
  const name = names.find((one) => spec.summary.startsWith(`${one} `));
  return name === undefined ? spec.summary : spec.summary.slice(name.length + 1);
};

/** The rows with * look at who acts, which the default Policy can't tell: it needn't log their deeds. */
const aboutWho = new Set(detections.filter(({ isAboutWho }) => isAboutWho).map(({ name }) => name));
const policies = [
  { file: 'audit-policy.yaml', deeds: realDeeds.filter(({ eventType }) => !aboutWho.has(eventType)) },
  { file: 'audit-policy-all.yaml', deeds: realDeeds },
];

describe('the real deeds', () => {
  it('are of every detection', () => {
    const done = new Set(realDeeds.map(({ eventType }) => eventType));
    expect(detections.map(({ name }) => name).filter((name) => !done.has(name))).toEqual([]);
  });
});

describe.skipIf(skipWithoutCluster()).each(policies)(
  'the audit source on a real API server with $file',
  {
    timeout: 300_000,
  },
  ({ file, deeds }) => {
    beforeAll(async () => {
      const environment = { AUDIT_CLUSTER_CIDRS: '127.0.0.1/32,::1/128' };
      pipeline = await startAuditPipeline({ policyFile: join(folder, file), users, environment });
      await prepare();
      for (const [index, deed] of deeds.entries()) await allow(deed, index);
      for (const deed of deeds) if (deed.rules) await until(`${actorOf(deed)} has its rights`, () => isAllowed(deed));
    }, 900_000);

    afterAll(async () => {
      kubelet?.stop();
      await pipeline.stop();
    });

    it('tells of each deed once, and says who did what to what', async () => {
      const { cluster } = pipeline;
      for (const deed of deeds) {
        const status = await deed.act(cluster, tokens.get(actorOf(deed)) ?? '', kubelet.sessions);
        expect(status < 400, `${actorOf(deed)}: ${status}`).toBe(deed.isRefused !== true);
      }
      await cluster.request('DELETE', '/apis/apiregistration.k8s.io/v1/apiservices/v1.evil.example.com');
      await until('every deed is told', async () => {
        const findings = await pipeline.findings();
        return deeds.every((deed) => byActor(findings, actorOf(deed)).length > 0);
      });
      // Once what was done last is told, so is everything before it.
      await cluster.request('GET', '/api/v1/namespaces/shop/secrets', undefined, {
        token: cluster.tokenOf('last@example.com'),
      });
      await until(
        'the last deed is told',
        async () => byActor(await pipeline.findings(), 'last@example.com').length > 0,
      );
      const findings = await pipeline.findings();
      for (const deed of deeds) {
        const found = byActor(findings, actorOf(deed));
        const shown = found.map((one) => `${one.spec.severity} ${one.spec.eventType} ${told(deed, one)}`);
        const { severity, eventType, summary } = deed;
        const whole =
          typeof summary === 'string' ? `${severity} ${eventType} ${summary}` : expect.stringMatching(summary);
        expect(shown, actorOf(deed)).toEqual([whole]);
      }
      expect(kubelet.sessions.map((path) => path.replace(/\?.*/, '')).sort()).toEqual([
        '/attach/shop/web/web',
        ...Array.from({ length: 3 }, () => '/exec/shop/web/web'),
        '/portForward/shop/web',
      ]);
    });

    it('shows none of 100 planted secrets in any hop', async () => {
      const [webhook, auditor] = pipeline.programs;
      const events = plantedRequests();
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', items: events });
      expect(await postTo(`${webhook?.url}/audit/webhook`, headers, body)).toBe(204);
      const isPublished = ({ auditID }: Readonly<Record<string, unknown>>): boolean =>
        pipeline.published.some((text) => text.includes(String(auditID)));
      expect(events.filter((event) => !isPublished(event))).toEqual([]);
      const metrics = await Promise.all(
        [webhook, auditor].map(async (program) => (await fetch(`${program?.url}/metrics`)).text()),
      );
      const hops = {
        'to the Broker': pipeline.published,
        'in the logs': pipeline.programs.flatMap(({ log }) => log),
        'in the metrics': metrics,
        'in the Observations': (await pipeline.findings()).map((one) => JSON.stringify(one)),
      };
      // What the API server itself has sent, of the deeds above, holds them, too.
      expect(pipeline.posted.join()).toContain('PLANTED-SECRET');
      for (const [hop, texts] of Object.entries(hops)) {
        expect(texts.length, hop).toBeGreaterThan(1);
        expect(
          texts.filter((text) => text.includes('PLANTED')),
          hop,
        ).toEqual([]);
      }
    });
  },
);
