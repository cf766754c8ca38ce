import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import exceptions from '../../functions/exceptions.ts';
import { sharedManifests } from '../../knative/generator/manifests.ts';
import { labels } from '../../shared/api/labels.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { anException, type ExceptionFields } from '../rules/an-exception.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { type Answer, applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { pingHeaders } from './report-crds.ts';
import { writerRules } from './rules.ts';

const api = '/apis/zen.kube-zen.io/v1alpha1/namespaces';
const observations = '/apis/zen.kube-zen.io/v1';
const merge = 'application/merge-patch+json';
const rbac = '/apis/rbac.authorization.k8s.io/v1';

const users = ['alice', 'bob', 'gitops'].map((name) => ({ name }));

type Program = Awaited<ReturnType<typeof startReadyFunction>>;

describe.skipIf(skipWithoutCluster())('exceptions on a real API server', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let folder: string;

  const pathOf = (name: string, namespace = 'shop'): string => `${api}/${namespace}/observationexceptions/${name}`;

  function create(
    name: string,
    fields: ExceptionFields,
    { user, namespace = 'shop' }: { user?: string; namespace?: string } = {},
  ) {
    const { metadata, ...object } = anException(name, fields, namespace);
    const given = { ...object, metadata: { name: metadata.name } };
    return cluster.request('POST', pathOf('', namespace).replace(/\/$/, ''), given, tokenOf(user));
  }

  function edit(name: string, spec: object, user?: string): Promise<Answer> {
    return cluster.request('PATCH', pathOf(name), { spec }, { ...tokenOf(user), contentType: merge });
  }

  function tokenOf(user: string | undefined) {
    return user === undefined ? {} : { token: cluster.tokenOf(user) };
  }

  async function removeAll(namespace = 'shop'): Promise<void> {
    await cluster.request('DELETE', `${api}/${namespace}/observationexceptions`);
  }

  async function grant(user: string, verbs: readonly string[]): Promise<void> {
    const rule = { apiGroups: ['zen.kube-zen.io'], resources: ['observationexceptions'], verbs };
    await cluster.request('POST', `${rbac}/clusterroles`, { metadata: { name: user }, rules: [rule] });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user };
    const subjects = [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }];
    await cluster.request('POST', `${rbac}/clusterrolebindings`, { metadata: { name: user }, roleRef, subjects });
  }

  beforeAll(async () => {
    cluster = await startCluster({ users });
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop', 'pay']) await cluster.namespace(name);
    for (const manifest of sharedManifests(await loadFunctions())) {
      if (/^(ValidatingAdmissionPolicy|ClusterRole)/.test(manifest.kind)) await applyManifest(cluster, manifest);
    }
    const rule = (resource: string, verbs: readonly string[]) => ({
      apiGroups: ['zen.kube-zen.io'],
      resources: [resource],
      verbs,
    });
    const rules = [rule('observations', ['record']), rule('observationexceptions/status', ['patch'])];
    ({ folder } = await cluster.serviceAccount('functions', [...writerRules, ...rules]));
    const writes = ['create', 'get', 'list', 'patch', 'update', 'delete'];
    for (const user of ['alice', 'bob']) await grant(user, writes);
    await grant('gitops', [...writes, 'approve']);
    await until('the policy acts', async () => {
      const { status } = await create('forged', { approvedBy: 'alice' }, { user: 'bob' });
      if (status === 201) await removeAll();
      return status === 403;
    });
  }, 900_000);

  afterAll(() => cluster.stop());

  describe('approvedBy', () => {
    it('can be set to oneself, when it is made or later, and not in the name of another', async () => {
      expect((await create('own', { approvedBy: 'alice' }, { user: 'alice' })).status).toBe(201);
      expect((await create('later', {}, { user: 'bob' })).status).toBe(201);
      const forged = await edit('later', { approvedBy: 'alice' }, 'bob');
      expect([forged.status, forged.body.message]).toEqual([
        403,
        expect.stringContaining('can be set to oneself only'),
      ]);
      expect((await edit('later', { approvedBy: 'alice' }, 'alice')).status).toBe(200);
      await removeAll();
    });

    it('can be neither cleared nor taken over, and what is approved can be edited otherwise', async () => {
      expect((await create('approved', { approvedBy: 'alice' }, { user: 'alice' })).status).toBe(201);
      expect((await edit('approved', { approvedBy: null }, 'bob')).status).toBe(403);
      expect((await edit('approved', { approvedBy: '' }, 'bob')).status).toBe(422);
      expect((await edit('approved', { approvedBy: 'bob' }, 'bob')).status).toBe(403);
      expect((await edit('approved', { approvedBy: null }, 'alice')).status).toBe(403);
      expect((await edit('approved', { reason: 'more of it' }, 'bob')).status).toBe(200);
      await removeAll();
    });

    it('can be set and cleared by who may approve', async () => {
      expect((await create('applied', { approvedBy: 'alice' }, { user: 'gitops' })).status).toBe(201);
      expect((await edit('applied', { approvedBy: 'bob' }, 'gitops')).status).toBe(200);
      expect((await edit('applied', { approvedBy: null }, 'gitops')).status).toBe(200);
      await removeAll();
    });
  });

  it.each<[what: string, fields: ExceptionFields, message: string]>([
    ['spec', { untill: '2026-12-31T00:00:00Z' }, 'spec has an unknown field: untill'],
    ['spec.match', { match: { sources: ['trivy'], rulez: ['CVE-1'] } }, 'spec.match has an unknown field: rulez'],
    ['a resource', { match: { resources: [{ kind: 'Pod', nmae: 'a' }] } }, 'spec.match.resources has an unknown field'],
  ])('refuses an unknown field of %s, whoever sends it, without strict validation', async (_what, fields, message) => {
    for (const user of [undefined, 'alice']) {
      const { status, body } = await create('wide', fields, user === undefined ? {} : { user });
      expect([status, body.message]).toEqual([422, expect.stringContaining(message)]);
    }
  });

  const twoRules = ['a', 'b'];

  async function store(places: readonly string[]): Promise<void> {
    for (const place of places) {
      for (const rule of twoRules) {
        const object = anObservationOf(aFinding(rule, place), { source: 'trivy' });
        await cluster.request('POST', `${observations}/namespaces/${place}/observations`, object);
      }
    }
  }

  /** What is accepted, as `<namespace> <rule> <label>`. */
  async function acceptedNow(): Promise<string[]> {
    const { body } = await cluster.request('GET', `${observations}/observations?labelSelector=${labels.accepted}`);
    const items: { metadata: { namespace: string; labels: Record<string, string> }; spec: { rule: string } }[] =
      body.items;
    return items
      .map(({ metadata, spec }) => `${metadata.namespace} ${spec.rule} ${metadata.labels[labels.accepted]}`)
      .sort();
  }

  async function withPolicyOff(act: () => Promise<void>): Promise<void> {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/zen-watcher-approvals';
    const { body } = await cluster.request('GET', path);
    await cluster.request('DELETE', path);
    await until('the policy is off', async () => {
      const { status } = await create('probe', { odd: true });
      return status === 201;
    });
    await removeAll();
    await act();
    const { resourceVersion: _version, uid: _uid, ...metadata } = body.metadata;
    await cluster.request('POST', path.replace(/\/[^/]*$/, ''), { ...body, metadata });
    await until('it is on again', async () => (await create('probe', { odd: true })).status === 422);
  }

  it('is accepted where an exception is, and no wider where a field is misspelt and no policy refuses it', async () => {
    await store(['shop', 'pay']);
    const program: Program = await startReadyFunction('exceptions', { server: cluster.server, folder });
    const wake = () => postTo(program.url, pingHeaders, '');
    expect((await create('one', { match: { rules: ['a'] } })).status).toBe(201);
    expect(await wake()).toBe(204);
    expect(await acceptedNow()).toEqual(['shop a forever']);
    const { body } = await cluster.request('GET', pathOf('one'));
    expect(body.status.matched).toBe(1);
    await removeAll();
    await withPolicyOff(async () => {
      expect((await create('wide', { match: { sources: ['trivy'], rulez: ['a'] } })).status).toBe(201);
      expect(await wake()).toBe(204);
      expect(await acceptedNow()).toEqual([]);
      const { body: wide } = await cluster.request('GET', pathOf('wide'));
      const [accepted] = wide.status.conditions.filter(({ type }: { type: string }) => type === 'Accepted');
      expect(accepted).toMatchObject({ status: 'False', message: expect.stringMatching(/^spec\.match\.rulez: /) });
      await removeAll();
    });
    expect(
      (await create('all', { match: { rules: ['*'] }, until: '2099-01-01T00:00:00Z' }, { namespace: 'zen-system' }))
        .status,
    ).toBe(201);
    expect(await wake()).toBe(204);
    expect(await acceptedNow()).toEqual([
      'pay a 4070908800',
      'pay b 4070908800',
      'shop a 4070908800',
      'shop b 4070908800',
    ]);
    await removeAll('zen-system');
    expect(await wake()).toBe(204);
    expect(await acceptedNow()).toEqual([]);
    await program.stop();
  });

  it.each([
    ['shop', 'false', []],
    ['shop', 'true', ['shop seen forever']],
    ['pay', 'true', []],
    ['zen-system', 'false', ['shop seen forever']],
  ])(
    'of %s reaches an event of Falco in shop with TENANTS_FILTER_EVENTS=%s: %j',
    async (namespace, reaches, expected) => {
      await cluster.request('DELETE', `${observations}/namespaces/shop/observations`);
      expect((await create('silent', { match: { sources: ['falco'] } }, { namespace })).status).toBe(201);
      const environment = { TENANTS_FILTER_EVENTS: reaches, DEDUP_CACHE_SIZE: '0' };
      const falco = await startReadyFunction('falco', { server: cluster.server, folder, environment });
      const judge = await startReadyFunction('exceptions', { server: cluster.server, folder, environment });
      const alert = {
        ...{ rule: 'seen', priority: 'Error', time: '2026-03-01T10:00:00Z' },
        output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
      };
      expect(await postTo(falco.url, eventHeaders('falco.rule.output.v1'), JSON.stringify(alert))).toBe(204);
      expect(await acceptedNow()).toEqual(expected);
      expect(await postTo(judge.url, pingHeaders, '')).toBe(204);
      expect(await acceptedNow()).toEqual(expected);
      await falco.stop();
      await judge.stop();
      await removeAll(namespace);
    },
  );

  it('says so where it has no right to change Observations', async () => {
    await store(['pay']);
    const patch = { apiGroups: ['zen.kube-zen.io'], resources: ['observationexceptions/status'], verbs: ['patch'] };
    const readers = writerRules
      .map((rule) => ({ ...rule, verbs: rule.verbs.filter((verb) => verb !== 'patch') }))
      .filter(({ verbs }) => verbs.length > 0);
    const poor = await cluster.serviceAccount('poor', [...readers, patch]);
    const program = await startReadyFunction('exceptions', { server: cluster.server, folder: poor.folder });
    expect((await create('all', { match: { rules: ['a'] } }, { namespace: 'pay' })).status).toBe(201);
    expect(await postTo(program.url, pingHeaders, '')).toBe(503);
    await until('it is said', () => program.log.some((line) => line.includes('changing Observations')));
    await program.stop();
    await removeAll('pay');
  });

  it('is seen in what is stored after one event', async () => {
    // 10,000 take ten times as long: a minute is enough for them unless something else keeps the machine busy.
    const count = Number(process.env.FINDINGS ?? 1000);
    const { store: all, objects, close } = connectAs(cluster.server, folder);
    const signal = AbortSignal.timeout(280_000);
    const findings = Array.from({ length: count }, (_, index) => aFinding(`many-${index}`, 'pay', `w-${index}`));
    const before = performance.now();
    await forEachConcurrently(findings, 16, async (finding) => {
      await all.create(anObservationOf(finding, { source: 'many' }), signal);
    });
    console.log(`created ${count} findings: ${((performance.now() - before) / 1000).toFixed(1)} s`);
    await cluster.request('DELETE', `${observations}/namespaces/shop/observations`);
    expect((await create('many', { match: { sources: ['many'] } }, { namespace: 'zen-system' })).status).toBe(201);
    const { context } = createTestContext(exceptions, { context: { store: all, objects } });
    const start = performance.now();
    const summary = await handled(exceptions, ping, context);
    const seconds = (performance.now() - start) / 1000;
    console.log(`applied to ${count} findings: ${seconds.toFixed(1)} s`);
    expect(summary.relabelled).toMatchObject({ accepted: count });
    const again = performance.now();
    expect((await handled(exceptions, ping, context)).relabelled).toEqual({});
    console.log(`judged again: ${((performance.now() - again) / 1000).toFixed(1)} s`);
    close();
  });
});
