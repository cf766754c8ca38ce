import { beforeAll, describe, expect, it } from 'vitest';
import { createChangeTeller, createEmbeddedFeed } from '../../shared/local/embedded-feed.ts';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { createLiveView } from '../../shared/view/live-view.ts';
import type { Table } from '../../shared/view/table-query.ts';
import { createViewer } from '../../shared/view/viewer.ts';
import { atEnd } from '../host/at-end.ts';
import { until } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';

const signal = AbortSignal.timeout(60_000);
const label = (name: string) => `zen.kube-zen.io/${name}`;

/** Enough of them that some have everything in common, and others nothing. */
const many = Array.from({ length: 400 }, (_, at) => {
  const severity = (['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] as const)[at % 5] ?? 'LOW';
  const state = ['open', 'missing', 'resolved', undefined][at % 4];
  const namespace = ['shop', 'shopping', 'prod'][at % 3] ?? 'shop';
  const source = ['trivy', 'falco', 'audit'][at % 7] ?? 'trivy';
  return anObservation({
    metadata: {
      name: `${source}-${at.toString(16).padStart(32, '0')}`,
      namespace,
      labels: {
        ...(state !== undefined && { [label('state')]: state }),
        ...(at % 6 === 0 && { [label('since')]: String(Date.now() - (at % 2) * 10 * 86_400_000) }),
        ...(at % 11 === 0 && { [label('accepted')]: at % 2 ? 'forever' : '4000000000' }),
      },
    },
    spec: {
      source,
      severity,
      category: at % 9 ? 'security' : 'compliance',
      eventType: at % 8 ? 'vulnerability' : 'secret-access',
      ...(at % 10 && { rule: `CVE-2026-${at % 13}` }),
      summary: at % 5 ? `flaw ${at} in OpenSSL` : `ÄRGER ${at}`,
      ...(at % 4 && {
        resource: { apiVersion: 'v1', kind: at % 3 ? 'Deployment' : 'Secret', namespace, name: `web-${at % 5}` },
      }),
      ...(at % 3 === 0 && { actor: { username: `user:${at % 4}` } }),
      ...(at % 2 && { remediation: `upgrade openssl to 3.0.${at % 5}\nand restart` }),
      details: at % 3 ? { image: `registry.example/web-${at % 4}${at % 2 ? '\nother' : ''}` } : {},
      detectedAt: new Date(Date.now() - at * 3_600_000).toISOString(),
    },
  });
});

async function open() {
  const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
  const teller = createChangeTeller(store);
  const live = createLiveView(createEmbeddedFeed(store, teller.listen));
  atEnd(() => live.stop());
  const viewer = createViewer({
    reader: store,
    live,
    now: Date.now,
    place: { kind: 'local', systemNamespace: 'zen-system' },
  });
  return { store: teller.store, live, viewer };
}

type Opened = Awaited<ReturnType<typeof open>>;

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever is answered.
async function ask(answer: unknown): Promise<any> {
  return JSON.parse(JSON.stringify(await answer));
}

type Query = Readonly<Record<string, string | readonly string[]>>;

async function tableOf({ viewer }: Opened, query: Query): Promise<Table & { read: number }> {
  return ask(viewer.table(query));
}

describe('createViewer', () => {
  let under: Opened;

  beforeAll(async () => {
    under = await open();
    await Promise.all(many.map((one) => under.store.create(one, signal)));
    await until('all to be read', () => under.live.rows() === many.length);
  });

  it.each<Query>([
    {},
    { view: 'open' },
    { view: 'new' },
    { view: 'gone' },
    { view: 'accepted' },
    { source: 'falco' },
    { severity: 'critical' },
    { namespace: 'shop' },
    { category: 'compliance' },
    { eventType: 'secret-access' },
    { rule: 'CVE-2026-1' },
    { rule: 'CVE-2026-1*' },
    { rule: '*' },
    { actor: 'user:1' },
    { actor: 'user:*' },
    { workload: 'web-2' },
    { workload: 'deployment/web-2' },
    { workload: 'shop/web-1' },
    { workload: 'shop/Secret/web-3' },
    { kind: 'secret' },
    { image: 'registry.example/web-1' },
    { image: 'other' },
    { image: '*' },
    { fix: 'upgrade openssl to 3.0.1' },
    { fixable: 'true' },
    { fixable: 'false' },
    { search: 'openssl' },
    { search: 'ärger' },
    { search: 'WEB-4' },
    { search: 'cve-2026-12' },
    { search: 'web-4 openssl' },
    { search: 'Secret shop user:1' },
    { search: 'falco-00000000000000000000000000000001' },
    { search: 'registry.example/web-2 trivy' },
    { search: 'critical openssl' },
    { search: 'UPGRADE 3.0.1' },
    { source: ['falco', 'audit'] },
    { severity: ['low', 'CRITICAL'] },
    { namespace: ['shop', 'prod'], source: ['trivy', 'nobody'] },
    { namespace: ['shop', 'shopping'], sort: 'namespace' },
    { rule: ['CVE-2026-1', 'CVE-2026-3*'] },
    { rule: ['CVE-2026-1', 'CVE-2026-2'] },
    { actor: ['user:1', 'user:2'] },
    { workload: ['shop/web-1', 'deployment/web-2'] },
    { kind: ['secret', 'Deployment'] },
    { image: ['registry.example/web-1', 'other'] },
    { fix: ['upgrade openssl to 3.0.1', 'upgrade openssl to 3.0.2'] },
    { category: ['compliance', 'security'], eventType: ['secret-access', 'none'] },
    { since: '3d' },
    { created: '1h' },
    { changed: '1h' },
    { accepted: 'false' },
    { view: 'open', severity: 'HIGH', namespace: 'prod', fixable: 'true', search: 'flaw' },
  ])('finds in memory by %j what the store finds', async (query) => {
    const table = await tableOf(under, { view: 'all', limit: '1000', ...query });
    const { items } = await ask(under.viewer.list({ view: 'all', limit: '1000', ...query }));
    const names = (all: readonly { name: string }[]) => all.map(({ name }) => name).sort();
    expect(names(table.items)).toEqual(names(items.map(({ metadata }: { metadata: { name: string } }) => metadata)));
    expect(table.total).toBe(items.length);
    expect(table.total).toBeGreaterThan(0);
  });

  it.each(['source', 'severity', 'namespace', 'workload', 'rule', 'kind', 'actor', 'fix', 'category'] as const)(
    'counts by %s what the store counts',
    async (by) => {
      const { facets } = await tableOf(under, { view: 'all', top: '500' });
      const { items } = await ask(under.viewer.counts({ by, limit: '1000' }));
      const counted = items
        .filter(({ value }: { value: string }) => value !== '')
        .map(({ value, severities }: { value: string; severities: object }) => [value, Object.values(severities)]);
      const byValue = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
      expect(facets[by].items.map(({ value, severities }) => [value, severities]).toSorted(byValue)).toEqual(
        counted.toSorted(byValue),
      );
      expect(facets[by].distinct).toBe(counted.length);
    },
  );

  it('has nothing open, gone and accepted at once', async () => {
    const { views } = await tableOf(under, { view: 'all' });
    const total = (name: 'open' | 'gone' | 'accepted') => views[name].reduce((sum, count) => sum + count, 0);
    const names = new Set<string>();
    for (const view of ['open', 'gone', 'accepted'] as const) {
      const { items } = await tableOf(under, { view, limit: '1000' });
      expect(items).toHaveLength(total(view));
      for (const { name } of items) names.add(name);
    }
    expect(names.size).toBe(total('open') + total('gone') + total('accepted'));
  });

  it('counts of a facet what would be there without what is chosen of it, and of the others what is', async () => {
    const { total, facets } = await tableOf(under, { view: 'all', namespace: 'shop' });
    expect(facets.namespace.items.map(({ value }) => value).sort()).toEqual(['prod', 'shop', 'shopping']);
    const sources = facets.source.items.flatMap(({ severities }) => severities);
    expect(sources.reduce((sum, count) => sum + count, 0)).toBe(total);
  });

  it('finds by several words what has each of them somewhere', async () => {
    const both = await tableOf(under, { view: 'all', limit: '1000', search: 'openssl secret shop' });
    expect(both.total).toBeGreaterThan(0);
    expect(both.items.every(({ namespace, resource }) => namespace === 'shop' && resource?.kind === 'Secret')).toBe(
      true,
    );
    expect(await tableOf(under, { view: 'all', search: 'openssl nothing-has-this' })).toMatchObject({ total: 0 });
  });

  it('counts of a facet of which several are chosen what each of the others would add', async () => {
    const { total, facets } = await tableOf(under, { view: 'all', namespace: ['shop', 'prod'] });
    const totals = new Map(
      facets.namespace.items.map(({ value, severities }) => [value, severities.reduce((sum, count) => sum + count, 0)]),
    );
    expect((totals.get('shop') ?? 0) + (totals.get('prod') ?? 0)).toBe(total);
    expect(totals.get('shopping')).toBe((await tableOf(under, { view: 'all', namespace: 'shopping' })).total);
  });

  it.each([
    ['severity', ({ severity }: { severity: string }) => 'CHMLU'.indexOf(severity.charAt(0))],
    ['age', ({ createdAt }: { createdAt: number }) => -createdAt],
    ['namespace', ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`],
  ] as const)('sorts by %s from page to page', async (sort, keyOf) => {
    const rows: Table['items'][number][] = [];
    for (const offset of ['0', '150', '300']) {
      rows.push(...(await tableOf(under, { view: 'all', sort, offset, limit: '150' })).items);
    }
    const keys = rows.map((row) => keyOf(row));
    expect(new Set(rows.map(({ name }) => name)).size).toBe(many.length);
    expect(keys).toEqual(keys.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
  });

  it('shows each change, and tells of it', async () => {
    const stopping = new AbortController();
    // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever is answered.
    const lines: any[] = [];
    const done = (async () => {
      for await (const line of under.viewer.watch({ watch: '1' }, stopping.signal)) lines.push(JSON.parse(line));
    })();
    const name = `late-${'0'.repeat(32)}`;
    const object = anObservation({ metadata: { name, namespace: 'late' }, spec: { summary: 'late' } });
    await under.store.create(object, signal);
    const addition = { count: 1, lastObservedTime: '2026-03-01T10:00:00Z', seen: [] };
    await under.store.addSeries({ namespace: 'late', name }, addition, signal);
    await until('the change', () => lines.at(-1)?.object.status?.series.count === 2);
    expect(lines[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name } } });
    expect(await tableOf(under, { search: 'late' })).toMatchObject({ total: 1 });
    const stored = await under.store.find('late', name, signal);
    expect(stored && (await under.store.delete(stored.ref, signal))).toBe(true);
    await until('the deletion', () => lines.at(-1)?.type === 'DELETED');
    expect(lines.at(-1)).toEqual({
      type: 'DELETED',
      object: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata: { namespace: 'late', name } },
    });
    expect(await tableOf(under, { search: 'late' })).toMatchObject({ total: 0 });
    stopping.abort();
    await done;
  });

  it('ends a stream whose reader falls behind', async () => {
    const stream = under.live.changes(signal);
    const first = stream.next();
    const objects = Array.from({ length: 2500 }, (_, at) =>
      anObservation({ metadata: { name: `flood-${at}`, namespace: 'flood' } }),
    );
    await Promise.all(objects.map((object) => under.store.create(object, signal)));
    expect((await first).done).toBe(true);
  });

  it('exports what is shown, as CSV and as JSON', async () => {
    const query = { view: 'open', severity: 'HIGH' };
    const { total } = await tableOf(under, query);
    const csv = (await Array.fromAsync(under.viewer.export({ ...query, format: 'csv' }).parts)).join('');
    expect(csv.trim().split('\r\n')).toHaveLength(total + 1);
    const json = (await Array.fromAsync(under.viewer.export({ ...query, format: 'json' }).parts)).join('');
    expect(JSON.parse(json).items).toHaveLength(total);
  });

  it.each<[query: Record<string, string>, path: string]>([
    [{ view: 'closed' }, 'view'],
    [{ offset: '-1' }, 'offset'],
    [{ limit: '1001' }, 'limit'],
    [{ top: '501' }, 'top'],
    [{ sort: 'name' }, 'sort'],
    [{ state: 'open' }, 'state'],
    [{ nonsense: '1' }, 'nonsense'],
  ])('refuses %j', async (query, path) => {
    await expect(tableOf(under, query)).rejects.toMatchObject({ status: 400, path });
  });

  it('gives one Observation whole, and says when there is none', async () => {
    const { namespace, name } = many[7]?.metadata ?? { namespace: '', name: '' };
    expect(await under.viewer.one({ namespace, name })).toMatchObject({ metadata: { namespace, name } });
    await expect(under.viewer.one({ namespace, name: 'nobody' })).rejects.toMatchObject({ status: 404 });
  });
});
