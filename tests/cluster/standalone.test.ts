import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import type { Program } from '../host/program.ts';
import { until } from '../host/program.ts';
import { type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { applyTriggers, crd, pingHeaders } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { startBroker } from './senders.ts';
import {
  allSamples,
  installStandalone,
  namesIn,
  passesOf,
  type Sample,
  signedIn,
  startReadyStandalone,
  startStandalone,
} from './standalone.ts';

const all = allSamples();
const isObject = ({ data }: Sample): boolean => data.apiVersion !== undefined && data.metadata !== undefined;
const objects = all.filter(isObject);
const reports = objects.filter(({ data }) => data.kind !== 'ConfigMap');

/** The CRDs of the tools whose reports the samples are. */
const toolCrds = [...new Set(reports.map(({ data }) => `${data.apiVersion}/${data.kind}`))].map((text) => {
  const [group = '', version = '', kind = ''] = text.split('/');
  return crd(group, version, kind);
});

function pathOf({ apiVersion = '', kind = '', metadata }: Sample['data']): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata?.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${scope}/${kind.toLowerCase()}s`;
}

const mappings = { severity: 'HIGH', category: 'operational', eventType: 'own', rule: '.metadata.name' };
const ownMapping = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationMapping' },
  metadata: { name: 'own', namespace: 'zen-system' },
  spec: { sourceName: 'own', group: 'example.com', version: 'v1', kind: 'Finding', mappings },
};
const ownIngester = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester' },
  metadata: { name: 'informer', namespace: 'zen-system' },
  spec: {
    ...{ source: 'informer', ingester: 'informer' },
    informer: { gvr: { group: 'example.com', version: 'v1', resource: 'alarms' } },
    mappings,
  },
};
const webhookIngester = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester' },
  metadata: { name: 'posted', namespace: 'zen-system' },
  spec: {
    ...{ source: 'posted', ingester: 'webhook', webhook: { path: 'posted' } },
    mappings: { ...mappings, rule: '.rule' },
    identity: ['.rule'],
  },
};
const ours = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system';
const find = (kind: string, name: string) => ({
  ...{ apiVersion: 'example.com/v1', kind },
  metadata: { name, namespace: 'shop' },
});

describe.skipIf(skipWithoutCluster())('standalone mode on a real API server', { timeout: 600_000 }, () => {
  let cluster: Cluster;
  let folder: string;
  let program: Program;

  async function create(path: string, object: object): Promise<void> {
    const { status, body } = await cluster.request('POST', path, object);
    expect(status, JSON.stringify(body)).toBe(201);
  }

  const sourceHas = (source: string, count: number) =>
    until(`${count} of ${source}`, async () => {
      const names = await namesIn(cluster, `zen.kube-zen.io/source=${source}`);
      return names.length === count;
    });
  const hasSome = (source: string) =>
    until(`some of ${source}`, async () => (await namesIn(cluster, `zen.kube-zen.io/source=${source}`)).length > 0);
  const post = (path: string, body: unknown, headers: Record<string, string> = signedIn): Promise<number> =>
    postTo(`${program.url}${path}`, headers, JSON.stringify(body));

  beforeAll(async () => {
    cluster = await startCluster();
    folder = await installStandalone(cluster);
    const known = new Set(['default', 'kube-system', 'checkov', 'kube-bench', 'zen-system']);
    const places = new Set(['shop', 'pay', ...all.map(({ data }) => data.metadata?.namespace ?? 'shop')]);
    for (const name of places.difference(known)) await cluster.namespace(name);
    const rules = [{ apiGroups: ['example.com'], resources: ['*'], verbs: ['get', 'list', 'watch'] }];
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const name = 'reads-examples';
    await create(`${rbac}/clusterroles`, { metadata: { name }, rules });
    await create(`${rbac}/clusterrolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name: 'zen-watcher', namespace: 'zen-system' }],
    });
    program = await startReadyStandalone({ server: cluster.server, folder });
  }, 900_000);

  afterAll(async () => {
    await program.stop();
    await cluster.stop();
  });

  it('does not start without a token that senders must have', async () => {
    await expect(
      startStandalone({ server: cluster.server, folder, environment: { WEBHOOK_AUTH_TOKEN_FILE: '' } }),
    ).rejects.toThrow('WEBHOOK_AUTH_TOKEN_FILE must be set');
  });

  it.each(['/', '/falco/webhook', '/audit/webhook', '/ingest/posted'])(
    'takes nothing at %s without the token, nor with another',
    async (path) => {
      const { authorization: _token, ...without } = signedIn;
      expect(await post(path, {}, without)).toBe(401);
      expect(await post(path, {}, { ...without, authorization: 'Bearer another' })).toBe(401);
    },
  );

  it('sees the ConfigMaps of tools, in the namespaces that are theirs', async () => {
    for (const { data } of objects.filter((sample) => !reports.includes(sample))) await create(pathOf(data), data);
    await hasSome('checkov');
    await hasSome('kube-bench');
  });

  it('finds kinds that are installed later, without a restart, and what is there already', async () => {
    for (const one of toolCrds) await cluster.apply(one);
    for (const { data } of reports) {
      const path = pathOf(data);
      await until(`${path} is served`, async () => (await cluster.request('GET', path)).status === 200);
      await create(path, data);
    }
    await hasSome('trivy');
    await hasSome('kyverno');
  });

  it('sees that a report says otherwise, within seconds', async () => {
    const path = '/apis/wgpolicyk8s.io/v1beta1/namespaces/pay/policyreports';
    const result = { policy: 'p', rule: 'r', result: 'fail', source: 'kyverno', severity: 'high', message: 'm' };
    const scope = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'later', namespace: 'pay' };
    await until('it is served', async () => (await cluster.request('GET', path)).status === 200);
    const report = { apiVersion: 'wgpolicyk8s.io/v1beta1', kind: 'PolicyReport', metadata: { name: 'later' }, scope };
    await create(path, { ...report, results: [result] });
    const states = async (): Promise<string[]> => {
      const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/namespaces/pay/observations');
      const items: { metadata: { labels: Record<string, string> }; spec: { resource: { name: string } } }[] =
        body.items;
      return items
        .filter(({ spec }) => spec.resource.name === 'later')
        .map(({ metadata }) => metadata.labels['zen.kube-zen.io/state'] ?? '');
    };
    await until('it is open', async () => (await states()).join() === 'open');
    await cluster.request('PATCH', `${path}/later`, { results: [] }, { contentType: 'application/merge-patch+json' });
    await until('it is missing', async () => (await states()).join() === 'missing');
    await cluster.request('DELETE', `${path}/later`);
    await cluster.request('DELETE', '/apis/zen.kube-zen.io/v1/namespaces/pay/observations');
  });

  it('takes posts of Falco and the audit webhook, and CloudEvents, and answers once they are stored', async () => {
    for (const { data } of all.filter(({ source }) => source === 'falco'))
      expect(await post('/falco/webhook', data)).toBe(204);
    expect(await namesIn(cluster, 'zen.kube-zen.io/source=falco')).toHaveLength(2);
    const items = all.filter(({ source }) => source === 'audit').map(({ data }) => data);
    const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
    expect(await post('/audit/webhook', list)).toBe(204);
    expect((await namesIn(cluster, 'zen.kube-zen.io/source=audit')).length).toBeGreaterThan(0);
    const event = { specversion: '1.0', id: '1', source: '/tests', type: 'falco.rule.output.v1', data: all[0] };
    expect(await post('/', event, { ...signedIn, 'content-type': 'application/cloudevents+json' })).toBe(204);
  });

  it('records what a function refuses, as dead letters are', async () => {
    const event = { specversion: '1.0', id: '2', source: '/tests', type: 'falco.rule.output.v1', data: { rule: 7 } };
    expect(await post('/', event, { ...signedIn, 'content-type': 'application/cloudevents+json' })).toBe(204);
    await hasSome('deadletter');
    await cluster.request(
      'DELETE',
      '/apis/zen.kube-zen.io/v1/namespaces/zen-system/observations?labelSelector=zen.kube-zen.io/source=deadletter',
    );
  });

  it('maps what mappings and Ingesters name, from when they and their kinds are there', async () => {
    await create(`${ours}/observationmappings`, ownMapping);
    await create(`${ours}/ingesters`, ownIngester);
    await create(`${ours}/ingesters`, webhookIngester);
    await until('the path is served', async () => (await post('/ingest/posted', { rule: 'a' })) === 204);
    await hasSome('posted');
    for (const kind of ['Finding', 'Alarm']) {
      await cluster.apply(crd('example.com', 'v1', kind));
      const path = `/apis/example.com/v1/namespaces/shop/${kind.toLowerCase()}s`;
      await until(`${path} is served`, async () => (await cluster.request('GET', path)).status === 200);
      await create(path, find(kind, 'first'));
    }
    await sourceHas('own', 1);
    await sourceHas('informer', 1);
    // Now that they are watched, too.
    for (const kind of ['Finding', 'Alarm'])
      await create(`/apis/example.com/v1/namespaces/shop/${kind.toLowerCase()}s`, find(kind, 'second'));
    await sourceHas('own', 2);
    await sourceHas('informer', 2);
  });

  it('applies filters from when they are there', async () => {
    const filter = {
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
      metadata: { name: 'own', namespace: 'zen-system' },
      spec: { targetSource: 'own', excludeNamespaces: ['shop'] },
    };
    await create(`${ours}/observationfilters`, filter);
    await until('it is accepted', async () => {
      const { body } = await cluster.request('GET', `${ours}/observationfilters/own`);
      return body.status?.conditions?.[0]?.status === 'True';
    });
    await create('/apis/example.com/v1/namespaces/shop/findings', find('Finding', 'third'));
    await create('/apis/example.com/v1/namespaces/shop/alarms', find('Alarm', 'third'));
    await sourceHas('informer', 3);
    await sourceHas('own', 2);
    await cluster.request('DELETE', `${ours}/observationfilters/own`);
  });

  it('applies exceptions, to what is there and to what comes', async () => {
    const exception = {
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationException' },
      metadata: { name: 'alarms', namespace: 'zen-system' },
      spec: { match: { sources: ['informer'] }, reason: 'known' },
    };
    const accepted = () => namesIn(cluster, 'zen.kube-zen.io/source=informer,zen.kube-zen.io/accepted');
    await create(`${ours}/observationexceptions`, exception);
    await until('what is there is accepted', async () => (await accepted()).length === 3);
    await create('/apis/example.com/v1/namespaces/shop/alarms', find('Alarm', 'excepted'));
    await until('what comes is accepted', async () => (await accepted()).length === 4);
    await cluster.request('DELETE', `${ours}/observationexceptions/alarms`);
    await until('nothing is accepted any more', async () => (await accepted()).length === 0);
  });

  it('lets a kind go that goes, and finds it when it is there again', async () => {
    const said = (words: string): number => program.log.filter((line) => line.includes(words)).length;
    const watched = '"resource":"alarms.example.com"';
    const definition = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/alarms.example.com';
    await cluster.request('DELETE', definition);
    await until('it is let go', () =>
      program.log.some((line) => line.includes(watched) && line.includes('no longer watched')),
    );
    const before = said(watched);
    await cluster.apply(crd('example.com', 'v1', 'Alarm'));
    await until('it is watched again', () => said(watched) > before);
    const path = '/apis/example.com/v1/namespaces/shop/alarms';
    await until('it is served', async () => (await cluster.request('GET', path)).status === 200);
    await create(path, find('Alarm', 'fourth'));
    await sourceHas('informer', 5);
  });

  it('ends in the same names as the functions of Knative do', async () => {
    const sources = ['trivy', 'kyverno', 'checkov', 'kube-bench', 'falco', 'audit'] as const;
    const selector = `zen.kube-zen.io/source in (${sources.join(',')})`;
    const here = await namesIn(cluster, selector);
    expect(await program.stop()).toBe(0);
    for (const namespace of new Set(here.map((name) => name.split('/')[0])))
      await cluster.request('DELETE', `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`);
    expect(await namesIn(cluster, selector)).toEqual([]);
    await applyTriggers(cluster, [falco, audit]);
    const { folder: account } = await cluster.serviceAccount('functions', [
      ...writerRules,
      { apiGroups: ['zen.kube-zen.io'], resources: ['observations'], verbs: ['record'] },
    ]);
    const on = { server: cluster.server, folder: account };
    const functions = new Map<string, Program>();
    for (const name of [...sources, 'deadletter']) functions.set(name, await startReadyFunction(name, on));
    const urlOf = (name: string): string => functions.get(name)?.url ?? '';
    const broker = await startBroker({
      subscribers: new Map([
        ['falco.rule.output.v1', urlOf('falco')],
        ['io.kube-zen.audit.v1', urlOf('audit')],
      ]),
      deadLetterSink: urlOf('deadletter'),
    });
    const webhook = await startReadyFunction('webhook', { ...on, environment: { K_SINK: broker.url } });
    const stateful = ['trivy', 'kyverno', 'checkov', 'kube-bench'];
    const passes = async (): Promise<void> => {
      for (const name of stateful) expect(await postTo(urlOf(name), pingHeaders, '')).toBe(204);
    };
    await passes();
    const json = { 'content-type': 'application/json' };
    for (const { data } of all.filter(({ source }) => source === 'falco'))
      expect(await postTo(`${webhook.url}/falco/webhook`, json, JSON.stringify(data))).toBe(204);
    const items = all.filter(({ source }) => source === 'audit').map(({ data }) => data);
    const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
    expect(await postTo(`${webhook.url}/audit/webhook`, json, JSON.stringify(list))).toBe(204);
    const there = await namesIn(cluster, selector);
    console.log(`${here.length} Observations standalone, ${there.length} by functions on Knative`);
    expect(there).toEqual(here);

    // Moving changes nothing that is stored: not to standalone, and not back.
    const versions = async (): Promise<string[]> => {
      const path = `/apis/zen.kube-zen.io/v1/observations?labelSelector=${encodeURIComponent(selector)}`;
      const items: { metadata: { uid: string; resourceVersion: string } }[] = (await cluster.request('GET', path)).body
        .items;
      return items.map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`).sort();
    };
    const before = await versions();
    expect(before).toHaveLength(there.length);
    program = await startReadyStandalone({ server: cluster.server, folder });
    await until('its passes have run', async () => new Set(stateful).isSubsetOf(await passesOf(program)));
    expect(await versions()).toEqual(before);
    await passes();
    expect(await versions()).toEqual(before);
    broker.stop();
    for (const one of [...functions.values(), webhook]) await one.stop();
  });
});
