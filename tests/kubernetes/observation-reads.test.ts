import { Readable } from 'node:stream';
import { PbfWriter } from 'pbf';
import { describe, expect, it } from 'vitest';
import { actorHash, workloadHash } from '../../shared/finding/name.ts';
import type { ApiRequest } from '../../shared/kubernetes/api-client.ts';
import { createObservationReads } from '../../shared/kubernetes/observation-reads.ts';
import { selectorsOf } from '../../shared/kubernetes/observation-selectors.ts';
import type { ReadQuery } from '../../shared/view/observation-reader.ts';
import type { Selection } from '../../shared/view/selection.ts';

describe('selectorsOf', () => {
  const webLabel = `zen.kube-zen.io/workload=${workloadHash({ kind: 'Deployment', namespace: 'shop', name: 'web' })}`;

  it.each<[selection: Selection, fieldSelector: string | undefined, labelSelector: string | undefined]>([
    [{}, undefined, undefined],
    [{ source: 'trivy' }, 'spec.source=trivy', undefined],
    [
      { source: 's', severity: 'HIGH', category: 'c', eventType: 'e', rule: 'r' },
      'spec.source=s,spec.severity=HIGH,spec.category=c,spec.eventType=e,spec.rule=r',
      undefined,
    ],
    [{ rule: 'a,b=c\\d' }, 'spec.rule=a\\,b\\=c\\\\d', undefined],
    [{ rule: 'CVE-*', actor: 'system:*', since: 1, search: 's' }, undefined, undefined],
    [{ actor: 'eve' }, undefined, `zen.kube-zen.io/actor=${actorHash('eve')}`],
    [{ states: ['missing'] }, undefined, 'zen.kube-zen.io/state in (missing)'],
    [{ states: ['missing', 'resolved'] }, undefined, 'zen.kube-zen.io/state in (missing,resolved)'],
    [{ states: ['open'] }, undefined, 'zen.kube-zen.io/state notin (missing,resolved)'],
    [{ states: ['open', 'missing'] }, undefined, 'zen.kube-zen.io/state notin (resolved)'],
    [{ states: ['open', 'missing', 'resolved'] }, undefined, undefined],
    [{ workload: 'deployment/web' }, undefined, undefined],
    [{ workload: 'deployment/web', namespace: 'shop' }, undefined, webLabel],
    [{ workload: 'web', namespace: 'shop' }, undefined, undefined],
    [
      { workload: 'pod/web-7d9c5b6f4d-x2x9z', namespace: 'shop', states: ['missing'], actor: 'eve', source: 'falco' },
      'spec.source=falco',
      `zen.kube-zen.io/state in (missing),zen.kube-zen.io/actor=${actorHash('eve')},${webLabel}`,
    ],
  ])('of %j', (selection, fieldSelector, labelSelector) => {
    expect(selectorsOf(selection)).toEqual({ fieldSelector, labelSelector });
  });
});

/** An Observation as another program may have written it. */
function item(index: number, spec: object = {}) {
  return {
    metadata: {
      ...{ namespace: 'shop', name: `n${String(index).padStart(5, '0')}`, uid: 'u', resourceVersion: '1' },
      creationTimestamp: '2026-03-01T10:00:00Z',
    },
    spec: { source: 's', category: 'c', severity: index % 2 === 0 ? 'low' : 'HIGH', eventType: 'e', ...spec },
  };
}

/** Reads from an API server that has these items, and what it was asked. */
function readsOf(items: readonly object[], watchNamespace?: string) {
  const requests: ApiRequest[] = [];
  const client = {
    async request(request: ApiRequest) {
      requests.push(request);
      const { limit, continue: from = '0' } = request.query ?? {};
      const start = Number(from);
      const end = start + Number(limit);
      const next = end < items.length ? { continue: String(end) } : {};
      return { status: 200, bytes: 0, body: { items: items.slice(start, end), metadata: next } };
    },
    stream: () => Promise.reject(new Error('no stream is read')),
    open: () => Promise.reject(new Error('no stream is read')),
    close: () => undefined,
  };
  return { requests, reads: createObservationReads({ client, watchNamespace, defaultTtl: 0 }) };
}

/** A list of metadata with these names, all in one namespace, as the API server answers. */
function metadataOf(names: readonly string[]): Buffer {
  const writer = new PbfWriter();
  for (const byte of 'k8s\0') writer.writeVarint(byte.charCodeAt(0));
  const writeName = (name: string, to: PbfWriter): void => {
    to.writeStringField(1, name);
    to.writeStringField(3, 'shop');
  };
  const writeItem = (name: string, to: PbfWriter): void => to.writeMessage(1, writeName, name);
  const writeList = (all: readonly string[], to: PbfWriter): void => {
    for (const name of all) to.writeMessage(2, writeItem, name);
  };
  writer.writeMessage(2, writeList, names);
  return Buffer.from(writer.finish());
}

/** Finds among these names, of which each is answered as given when it is read. */
function finderOf(names: readonly string[], answer: (name: string) => { status: number; body?: unknown }) {
  const gets: string[] = [];
  const client = {
    async request({ path }: ApiRequest) {
      gets.push(path);
      return { bytes: 0, body: undefined, ...answer(path.slice(path.lastIndexOf('/') + 1)) };
    },
    stream: () => Promise.reject(new Error('no stream is read')),
    open: async () => ({ status: 200, bytes: 0, body: undefined, chunks: Readable.from([metadataOf(names)]) }),
    close: () => undefined,
  };
  return { gets, reads: createObservationReads({ client, watchNamespace: undefined, defaultTtl: 0 }) };
}

function answering(status: number, body: unknown = {}) {
  const client = {
    request: async () => ({ status, bytes: 0, body }),
    stream: () => Promise.reject(new Error('no stream is read')),
    open: async () => ({ status, bytes: 0, body }),
    close: () => undefined,
  };
  return createObservationReads({ client, watchNamespace: undefined, defaultTtl: 0 });
}

describe('createObservationReads', () => {
  const names = (items: readonly { readonly metadata: { readonly name: string } }[]) =>
    items.map(({ metadata }) => Number(metadata.name.slice(1)));

  const many = Array.from({ length: 6000 }, (_, index) =>
    item(index, { summary: index % 1000 === 999 || index < 3 ? 'openssl' : 'zlib' }),
  );

  it('makes one call for what the API server can select', async () => {
    const { reads, requests } = readsOf(many);
    const first = await reads.read({ source: 's', limit: 20 });
    expect(names(first.items)).toEqual(names(many.slice(0, 20).map((one) => one)));
    const second = await reads.read({ source: 's', limit: 20, continue: first.continue });
    expect(names(second.items)[0]).toBe(20);
    expect(requests.map(({ path, query }) => [path, query])).toEqual([
      [
        '/apis/zen.kube-zen.io/v1/observations',
        { fieldSelector: 'spec.source=s', labelSelector: undefined, limit: '20', continue: undefined },
      ],
      [
        '/apis/zen.kube-zen.io/v1/observations',
        { fieldSelector: 'spec.source=s', labelSelector: undefined, limit: '20', continue: '20' },
      ],
    ]);
  });

  it.each<[watchNamespace: string | undefined, namespace: string | undefined, path: string]>([
    [undefined, undefined, '/apis/zen.kube-zen.io/v1/observations'],
    [undefined, 'shop', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations'],
    ['tenant', undefined, '/apis/zen.kube-zen.io/v1/namespaces/tenant/observations'],
    ['tenant', 'shop', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations'],
  ])('looks, watching %s and asked for %s, in %s', async (watchNamespace, namespace, path) => {
    const { reads, requests } = readsOf([], watchNamespace);
    expect(await reads.read({ namespace, limit: 1 })).toEqual({ items: [] });
    expect(requests.map((request) => request.path)).toEqual([path]);
  });

  it('looks through pages for what only it can compare, and goes on in the middle of one', async () => {
    const { reads, requests } = readsOf(many);
    const found: number[] = [];
    const counts: number[] = [];
    let next: string | undefined;
    do {
      const page = await reads.read({ search: 'OpenSSL', limit: 2, continue: next });
      found.push(...names(page.items));
      counts.push(page.items.length);
      next = page.continue;
    } while (next !== undefined);
    expect(found).toEqual([0, 1, 2, 999, 1999, 2999, 3999, 4999, 5999]);
    expect(counts).toEqual([2, 2, 2, 2, 1]);
    expect(requests.map(({ query }) => Number(query?.limit))).toEqual(requests.map(() => 500));
    // Twelve pages, and again those in whose middle a read ended.
    expect(requests).toHaveLength(13);
  });

  it('asks for no more at a time than it needs, and for 500 at most', async () => {
    const { reads, requests } = readsOf(many);
    const { items } = await reads.read({ limit: 700 });
    expect(items).toHaveLength(700);
    expect(requests.map(({ query }) => query?.limit)).toEqual(['500', '200']);
  });

  it('looks through ten pages at most, and says where to go on', async () => {
    const { reads, requests } = readsOf(many);
    const first = await reads.read({ search: 'nothing', limit: 2 });
    expect([first.items, requests.length]).toEqual([[], 10]);
    expect(await reads.read({ search: 'nothing', limit: 2, continue: first.continue })).toEqual({ items: [] });
    expect(requests).toHaveLength(12);
  });

  it('ends where the last page ends', async () => {
    const { reads } = readsOf(many.slice(0, 3));
    expect(await reads.read({ search: 'openssl', limit: 3 })).toEqual({ items: expect.any(Array) });
    const short = await reads.read({ search: 'openssl', limit: 2 });
    expect(short.continue).toBeDefined();
    expect(names((await reads.read({ search: 'openssl', limit: 2, continue: short.continue })).items)).toEqual([2]);
  });

  it('sorts each page by itself', async () => {
    const { reads } = readsOf(many);
    expect(reads.sortsAcrossPages).toBe(false);
    const query: ReadQuery = { sort: 'severity', limit: 4 };
    const first = await reads.read(query);
    expect(names(first.items)).toEqual([1, 3, 0, 2]);
    expect(names((await reads.read({ ...query, continue: first.continue })).items)).toEqual([5, 7, 4, 6]);
    expect(names((await reads.read({ limit: 4 })).items)).toEqual([0, 1, 2, 3]);
  });

  it('gives no more than asked for of a page that has more, and none of it twice', async () => {
    const items = Array.from({ length: 1000 }, (_, index) =>
      item(index, { summary: index >= 499 && index < 509 ? 'openssl' : 'zlib' }),
    );
    const { reads } = readsOf(items);
    const first = await reads.read({ search: 'openssl', limit: 4 });
    expect(names(first.items)).toEqual([499, 500, 501, 502]);
    const second = await reads.read({ search: 'openssl', limit: 4, continue: first.continue });
    expect(names(second.items)).toEqual([503, 504, 505, 506]);
  });

  it('counts all pages', async () => {
    const { reads, requests } = readsOf(many);
    expect(await reads.counts({ search: 'zlib' }, 'eventType')).toEqual([
      { value: 'e', total: 5991, severities: { CRITICAL: 0, HIGH: 2993, MEDIUM: 0, LOW: 2998, UNKNOWN: 0 } },
    ]);
    expect(requests).toHaveLength(12);
  });

  it('reads what other programs wrote', async () => {
    const { reads } = readsOf([item(0)]);
    const { items } = await reads.read({ limit: 1 });
    expect(items[0]).toEqual({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata: { ...item(0).metadata, labels: {}, annotations: {} },
      spec: { ...item(0).spec, severity: 'LOW', details: {}, detectedAt: '', ttlSecondsAfterCreation: 0 },
    });
  });

  it('takes a list without items for empty', async () => {
    expect(await answering(200, { items: null, metadata: {} }).read({ limit: 1 })).toEqual({ items: [] });
  });

  const token = Buffer.from('{"page":"p"}').toString('base64url');

  it.each<[status: number, next: string | undefined, expected: object]>([
    [410, token, { status: 400, path: 'continue' }],
    [400, token, { status: 400, path: 'continue' }],
    [400, undefined, { status: 503 }],
    [403, undefined, { status: 403, path: 'namespace' }],
    [403, token, { status: 403, path: 'namespace' }],
    [404, undefined, { status: 503, message: expect.stringContaining('is its CRD installed?') }],
  ])('answers %d of the API server, asked to go on from %s', async (status, next, expected) => {
    await expect(answering(status).read({ limit: 1, continue: next })).rejects.toMatchObject(expected);
  });
});

describe('finding by name', () => {
  const all = ['trivy-aaa1', 'trivy-aaa2', 'trivy-aaa', 'falco-bbb'];

  function there(name: string) {
    const one = item(0);
    return { status: 200, body: { ...one, metadata: { ...one.metadata, name } } };
  }

  it.each<[text: string, limit: number, found: readonly string[]]>([
    ['bbb', 9, ['falco-bbb']],
    ['trivy-', 9, ['trivy-aaa1', 'trivy-aaa2', 'trivy-aaa']],
    ['trivy-', 2, ['trivy-aaa1', 'trivy-aaa2']],
    ['trivy-aaa', 1, ['trivy-aaa']],
    ['ccc', 9, []],
  ])('finds by %s, at most %d: %s', async (text, limit, found) => {
    const { reads, gets } = finderOf(all, there);
    expect((await reads.findByName(text, undefined, limit)).map(({ metadata }) => metadata.name)).toEqual(found);
    expect(gets).toEqual(found.map((name) => `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${name}`));
  });

  it('leaves out what is gone in the meantime', async () => {
    const { reads } = finderOf(all, (name) => (name === 'trivy-aaa1' ? { status: 404 } : there(name)));
    const found = await reads.findByName('trivy-', undefined, 2);
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['trivy-aaa2']);
  });

  it('says that it may not read one', async () => {
    const { reads } = finderOf(all, () => ({ status: 403 }));
    await expect(reads.findByName('bbb', undefined, 2)).rejects.toMatchObject({
      status: 403,
      message: 'reading Observations is not allowed here: name a namespace where it is',
    });
  });
});
