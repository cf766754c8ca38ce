import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type * as z from 'zod';
import gc from '../../functions/gc.ts';
import { sharedManifests } from '../../knative/generator/manifests.ts';
import { ingesterObject } from '../../shared/api/ingester.ts';
import { labels } from '../../shared/api/labels.ts';
import { exceptionObject } from '../../shared/api/observation-exception.ts';
import { filterObject } from '../../shared/api/observation-filter.ts';
import { mappingObject } from '../../shared/api/observation-mapping.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import {
  applyCrds,
  type Cluster,
  kubectl,
  observationColumns,
  skipWithoutCluster,
  startCluster,
} from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { writerRules } from '../cluster/rules.ts';
import { expectNone } from '../facts/faults.ts';
import { until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { badInputsOf, fieldsIn, fieldsOf, specSchemaOf } from './bad-input.ts';

interface Example {
  readonly file: string;
  readonly expected: string | undefined;
  readonly object: { readonly apiVersion: string; readonly kind: string; readonly metadata: { readonly name: string } };
}

function examplesIn(folder: string): Example[] {
  const path = join(import.meta.dirname, folder);
  return readdirSync(path)
    .sort()
    .map((file) => {
      const text = readFileSync(join(path, file), 'utf8');
      return { file, expected: /^# expect: (.*)$/m.exec(text)?.[1], object: parse(text) };
    });
}

const ownSchemas: Readonly<Record<string, z.ZodType>> = {
  ObservationFilter: filterObject,
  ObservationException: exceptionObject,
  ObservationMapping: mappingObject,
  Ingester: ingesterObject,
};

/** Only the API server refuses these, and they are harmless: repeated items in a list that is a set. */
const onlyTheServer: ReadonlySet<string> = new Set(['observationfilter-twice-the-same.yaml']);

/** An older or newer CRD may let other objects through, so the functions must be as strict as the CRD. */
describe.each(Object.entries(ownSchemas))('the schema of %s', (kind, schema) => {
  const placed = ({ object }: Example) => ({ ...object, metadata: { namespace: 'shop', ...object.metadata } });
  const of = (folder: string): Example[] => examplesIn(folder).filter(({ object }) => object.kind === kind);

  it.each(of('valid'))('takes $file', (example) => {
    expect(schema.safeParse(placed(example)).error).toBeUndefined();
  });

  it.each(of('invalid').filter(({ file }) => !onlyTheServer.has(file)))('refuses $file', (example) => {
    expect(schema.safeParse(placed(example)).success).toBe(false);
  });
});

/** Each of our kinds that people write, and what may stand in its fields. */
const configured = Object.entries(ownSchemas).map(([kind, schema]) => {
  const file = join(import.meta.dirname, '..', '..', 'crds', `${kind.toLowerCase()}s.yaml`);
  const specSchema = specSchemaOf(parse(readFileSync(file, 'utf8')));
  const examples = examplesIn('valid').filter(({ object }) => object.kind === kind);
  const bad = examples
    .filter(({ file: name }) => /-(everything|informer|webhook)\./.test(name))
    .flatMap(({ object }) => badInputsOf(specSchema, specOf(object)).map((one) => ({ ...one, object })));
  return { kind, schema, specSchema, examples, bad };
});

function specOf(object: object): unknown {
  return 'spec' in object ? object.spec : undefined;
}

describe.each(configured)('bad input in $kind', ({ schema, specSchema, examples, bad }) => {
  it('is made of every field', () => {
    const shown = new Set(examples.flatMap(({ object }) => fieldsIn(specOf(object))));
    const missing = fieldsOf(specSchema).filter((field) => !shown.has(field));
    expectNone(missing.map((field) => `tests/crds/valid has no example with spec${field}`));
  });

  it('is refused by the functions, too: wrong in type, range and spelling', () => {
    const taken = bad.filter(({ object, spec }) => schema.safeParse({ ...object, spec }).success);
    expectNone(taken.map(({ what }) => `${what} is taken`));
    expect(bad.length).toBeGreaterThan(50);
  });
});

/** An older CRD of Observation, as the Go zen-watcher has it: any words are allowed. */
const looseCrd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: observations.zen.kube-zen.io }
spec:
  group: zen.kube-zen.io
  scope: Namespaced
  names: { kind: Observation, plural: observations, singular: observation, listKind: ObservationList, shortNames: [obs] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [source, category, severity, eventType]
              properties:
                source: { type: string }
                category: { type: string }
                severity: { type: string }
                eventType: { type: string }
                resource: { type: object, x-kubernetes-preserve-unknown-fields: true }
                details: { type: object, x-kubernetes-preserve-unknown-fields: true }
                detectedAt: { type: string }
                ttlSecondsAfterCreation: { type: integer, minimum: 1 }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`;

const oddSpec = {
  ...{ source: 'kubebench', category: 'Weird_Thing', severity: 'High', eventType: 'CIS Benchmark' },
  ...{ resource: { name: 'of no kind' }, details: { a: 1 }, detectedAt: 'last week', ttlSecondsAfterCreation: 1 },
};

/** An Observation as version 0.1.0 wrote it. */
const oldObject = {
  metadata: {
    name: 'trivy-3e079a629601b0bb243596ce71ff413d',
    labels: {
      'zen.kube-zen.io/source': 'trivy',
      'zen.kube-zen.io/category': 'security',
      'zen.kube-zen.io/severity': 'MEDIUM',
      'zen.kube-zen.io/expires': '999999',
      'zen.kube-zen.io/subject': '0123456789abcdef0123456789abcdef',
      'zen.kube-zen.io/state': 'open',
      'zen.kube-zen.io/state-since': '1772359200',
    },
    annotations: { 'zen.kube-zen.io/correlation-id': 'c-1' },
  },
  spec: {
    ...{ source: 'trivy', category: 'security', severity: 'MEDIUM', eventType: 'vulnerability' },
    resource: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'api-7d9c5b6f4d', namespace: 'examples' },
    details: { vulnerabilityID: 'CVE-2099-0001', package: 'openssl' },
    ...{ detectedAt: '2026-03-01T10:00:00Z', ttlSecondsAfterCreation: 604_800 },
  },
};

describe.skipIf(skipWithoutCluster())('the CRDs on a real API server', { timeout: 60_000 }, () => {
  let cluster: Cluster;
  const pathOf = ({ apiVersion, kind }: Example['object']): string =>
    `/apis/${apiVersion}/namespaces/examples/${kind.toLowerCase()}s`;
  const post = (object: Example['object']) =>
    cluster.request('POST', `${pathOf(object)}?fieldValidation=Strict`, object);
  const observations = '/apis/zen.kube-zen.io/v1/namespaces/examples/observations';
  const merge = { contentType: 'application/merge-patch+json' };

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.namespace('examples');
    await cluster.namespace('zen-system');
    await cluster.apply(looseCrd);
    await until('the loose CRD is served', async () => (await cluster.request('GET', observations)).status === 200);
    const metadata = { name: 'written-by-another-program' };
    const answer = await cluster.request('POST', observations, {
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata,
      spec: oddSpec,
    });
    expect(answer.status).toBe(201);
    const typed = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation' };
    expect((await cluster.request('POST', observations, { ...typed, ...oldObject })).status).toBe(201);
    await applyCrds(cluster);
    for (const manifest of sharedManifests(await loadFunctions())) {
      if (/^ValidatingAdmissionPolicy/.test(manifest.kind) && manifest.metadata.name === 'zen-watcher-approvals')
        await applyManifest(cluster, manifest);
    }
    const odd = examplesIn('invalid').find(({ file }) => file === 'observationexception-unknown-field.yaml');
    await until('the policy acts', async () => {
      if (!odd) throw new Error('the example is missing');
      const { status } = await post(odd.object);
      if (status === 201) await cluster.request('DELETE', `${pathOf(odd.object)}/${odd.object.metadata.name}`);
      return status === 422;
    });
    // The new schema takes a moment to act after it is applied.
    await until('the new schema acts', async () => {
      const probe = {
        apiVersion: 'zen.kube-zen.io/v1',
        kind: 'Observation',
        metadata: { name: 'probe' },
        spec: oddSpec,
      };
      if ((await cluster.request('POST', observations, probe)).status === 422) return true;
      await cluster.request('DELETE', `${observations}/probe`);
      return false;
    });
  }, 900_000);

  afterAll(() => cluster.stop());

  it.each(examplesIn('valid'))('accepts $file', async ({ object }) => {
    const { status, body } = await post(object);
    expect(body.message).toBeUndefined();
    expect(status).toBe(201);
  });

  it.each(examplesIn('invalid'))('refuses $file and names $expected', async ({ object, expected }) => {
    const { status, body } = await post(object);
    expect([400, 422]).toContain(status);
    expect(body.message).toContain(expected ?? 'an expectation in the first line');
  });

  it.each(configured)('refuse bad input in $kind with a message that names the field', async ({ bad }) => {
    const faults = await Promise.all(
      bad.map(async ({ what, field, object, spec }) => {
        const path = `${pathOf(object)}?fieldValidation=Strict&dryRun=All`;
        const metadata = { ...object.metadata, name: 'bad-input' };
        const { status, body } = await cluster.request('POST', path, { ...object, metadata, spec });
        if (![400, 422].includes(status)) return [`${what} is answered ${status}`];
        // Where unknown fields are kept, a required one that is misspelt is missing by its right name.
        const names = [field, `${field.replace(/x$/, '')}: Required value`];
        return names.some((name) => String(body.message).includes(name))
          ? []
          : [`${what}: ${field} is not in: ${body.message}`];
      }),
    );
    expectNone(faults.flat());
  });

  it('has enough examples', () => {
    expect(examplesIn('valid').length).toBeGreaterThanOrEqual(12);
    expect(examplesIn('invalid').length).toBeGreaterThanOrEqual(40);
  });

  /** Creates an Observation for one test, and deletes it after that. */
  async function withOne(spec: object, act: (path: string) => Promise<void>): Promise<void> {
    const object = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata: { name: 'for-one-test' }, spec };
    expect((await cluster.request('POST', observations, object)).status).toBe(201);
    await act(`${observations}/for-one-test`);
    await cluster.request('DELETE', `${observations}/for-one-test`);
  }

  const least = { source: 'trivy', category: 'compliance', severity: 'MEDIUM', eventType: 'compliance-failure' };
  const fixed = { ...least, rule: 'one', detectedAt: '2026-03-01T10:00:00Z' };

  it.each<[string, unknown]>([
    ['source', 'another'],
    ['category', 'operations'],
    ['eventType', 'another'],
    ['detectedAt', '2026-03-01T10:00:00.0Z'],
    ['detectedAt', null],
    ['rule', 'another'],
    ['rule', ''],
    ['rule', null],
  ])('lets nobody change the %s to %j', async (field, value) => {
    await withOne(fixed, async (path) => {
      const { status, body } = await cluster.request('PATCH', path, { spec: { [field]: value } }, merge);
      expect(status).toBe(422);
      expect(body.message).toContain(`${field} is immutable`);
    });
  });

  it.each<[string, unknown]>([
    ['severity', 'CRITICAL'],
    ['summary', 'it is worse'],
    ['remediation', 'do something'],
    ['references', ['https://example.com/1']],
    ['details', { fixedVersion: '3.0.1' }],
    ['resource', { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'examples', name: 'api' }],
  ])('lets the %s be changed', async (field, value) => {
    await withOne(fixed, async (path) => {
      const { status, body } = await cluster.request('PATCH', path, { spec: { [field]: value } }, merge);
      expect(body.message).toBeUndefined();
      expect(status).toBe(200);
      expect(body.spec).toEqual({ ...fixed, [field]: value });
    });
  });

  it.each<[string, object]>([
    ['no count', { lastObservedTime: '2026-03-01T10:00:00Z' }],
    ['no time', { count: 2 }],
    ['a count of none', { count: 0, lastObservedTime: '2026-03-01T10:00:00Z' }],
    ['a time that is none', { count: 2, lastObservedTime: 'now' }],
    ['more than 20 names', { count: 2, lastObservedTime: '2026-03-01T10:00:00Z', seen: Array(21).fill('shop/web') }],
    ['a name that is too long', { count: 2, lastObservedTime: '2026-03-01T10:00:00Z', seen: ['x'.repeat(254)] }],
  ])('takes no series with %s', async (_what, series) => {
    await withOne(fixed, async (path) => {
      const { status, body } = await cluster.request('PATCH', `${path}/status`, { status: { series } }, merge);
      expect(status).toBe(422);
      expect(body.message).toContain('status.series');
    });
  });

  it('lets a rule be given once to an Observation without one, and then never changed', async () => {
    await withOne(least, async (path) => {
      const given = (rule: string | null) => cluster.request('PATCH', path, { spec: { rule } }, merge);
      expect(await given('CVE-2099-0001')).toMatchObject({ status: 200, body: { spec: { rule: 'CVE-2099-0001' } } });
      for (const rule of ['another', null]) {
        expect(await given(rule)).toMatchObject({
          status: 422,
          body: { message: expect.stringContaining('rule is immutable') },
        });
      }
      const summary = await cluster.request('PATCH', path, { spec: { summary: 'and more' } }, merge);
      expect(summary).toMatchObject({ status: 200, body: { spec: { rule: 'CVE-2099-0001', summary: 'and more' } } });
    });
  });

  it('lets nobody give a time to an Observation without one', async () => {
    await withOne(least, async (path) => {
      const { status } = await cluster.request('PATCH', path, { spec: { detectedAt: fixed.detectedAt } }, merge);
      expect(status).toBe(422);
    });
  });

  it('shows as a table what kubectl prints, the summary last, and more if that is asked for', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { body } = await cluster.request('GET', `${observations}/whole`, undefined, { accept });
    expect(body.kind).toBe('Table');
    const columns: { name: string; priority: number }[] = body.columnDefinitions;
    const shown = columns.filter(({ priority }) => priority === 0).map(({ name }) => name);
    expect(shown.map((name) => name.toUpperCase())).toEqual(observationColumns);
    const wide = columns.filter(({ priority }) => priority === 1).map(({ name }) => name);
    expect(wide).toEqual(['Category', 'Type', 'Rule', 'Actor', 'Count', 'Exception']);
    expect(columns.at(-1)?.name).toBe('Summary');
    const cells: unknown[] = body.rows[0].cells;
    const cellOf = (name: string) => cells[columns.findIndex((column) => column.name === name)];
    expect(['Name', 'Source', 'Severity', 'Kind', 'Resource', 'Category', 'Type', 'Rule'].map(cellOf)).toEqual([
      ...['whole', 'trivy', 'HIGH', 'ReplicaSet', 'cart-7d9c', 'security', 'vulnerability', 'CVE-2099-0001'],
    ]);
    expect(cellOf('Actor')).toBe('system:serviceaccount:shop:eve');
    expect(cellOf('Summary')).toBe('CVE-2099-0001 in openssl 3.0.0: a text of Ünïcödé');
  });

  it('lets clients select by field', async () => {
    for (const [field, count] of [
      ['severity=HIGH', 4],
      ['severity=LOW', 0],
      ['source=my-own-tool', 1],
      ['eventType=vulnerability', 5],
      ['category=security', 5],
      ['rule=CVE-2099-0001', 1],
    ]) {
      const { body } = await cluster.request('GET', `${observations}?fieldSelector=spec.${field}`);
      expect(body.items, String(field)).toHaveLength(Number(count));
    }
  });

  const strange = 'written-by-another-program';

  /** The store, with the rights of the functions. */
  async function connectStore(name: string) {
    const { folder } = await cluster.serviceAccount(name, writerRules);
    return connectAs(cluster.server, folder);
  }

  it('keeps Observations of an older CRD and of version 0.1.0 as they were', async () => {
    expect((await cluster.request('GET', `${observations}/${strange}`)).body.spec).toEqual(oddSpec);
    const { body } = await cluster.request('GET', `${observations}/${oldObject.metadata.name}`);
    expect(body).toMatchObject(oldObject);
    expect(body.spec).toEqual(oldObject.spec);
  });

  it('lets the store read and relabel them', async () => {
    const { store, close } = await connectStore('relabeller');
    const { items } = await store.read({ limit: 99, namespace: 'examples' });
    const found = items.filter(({ metadata }) => [strange, oldObject.metadata.name].includes(metadata.name));
    expect(found.map(({ spec }) => spec)).toMatchObject([
      oldObject.spec,
      { category: 'Weird_Thing', severity: 'HIGH', details: { a: 1 } },
    ]);
    const signal = AbortSignal.timeout(60_000);
    const stored = await Array.fromAsync(store.names({ namespace: 'examples' }, signal));
    for (const name of [strange, oldObject.metadata.name]) {
      const one = stored.find(({ ref }) => ref.name === name);
      if (!one) throw new Error(`${name} is not listed`);
      expect(await store.patch(one, { labels: { [labels.state]: 'missing', [labels.since]: '1' } }, signal)).toBe(true);
      const { body } = await cluster.request('GET', `${observations}/${name}`);
      expect(body.metadata.labels).toEqual({ ...one.labels, [labels.state]: 'missing', [labels.since]: '1' });
    }
    close();
  });

  it('lets kubectl show and label them', async () => {
    const run = kubectl(cluster.kubeconfig());
    if (!run) return;
    for (const [name, cells] of [
      [strange, /kubebench\s+High\s+of no kind\s+open/],
      [oldObject.metadata.name, /trivy\s+MEDIUM\s+ReplicaSet\s+api-7d9c5b6f4d\s+open/],
    ] as const) {
      run(['label', '--overwrite', 'obs', name, '-n', 'examples', 'zen.kube-zen.io/state=open']);
      const [header = '', line = ''] = run(['get', 'obs', name, '-n', 'examples']).trim().split('\n');
      expect(header.split(/\s+/)).toEqual(observationColumns);
      expect(line).toMatch(cells);
    }
  });

  it('lets an Observation of version 0.1.0 be given what it lacks', async () => {
    const path = `${observations}/${oldObject.metadata.name}`;
    const facts = { rule: 'CVE-2099-0001', summary: 'CVE-2099-0001 in openssl', severity: 'LOW' };
    const { status, body } = await cluster.request('PATCH', path, { spec: facts }, merge);
    expect(body.message).toBeUndefined();
    expect(status).toBe(200);
    expect(body.spec).toEqual({ ...oldObject.spec, ...facts });
  });

  it('lets gc delete Observations without labels when the TTL in their spec is over, and nothing else', async () => {
    const { store, close } = await connectStore('collector');
    const { context } = createTestContext(gc, { context: { store, now: () => Date.now() + 3_600_000 } });
    const summary = await handled(gc, ping, context);
    expect(summary.deleted).toEqual([{ source: 'kubebench', reason: 'ttl', count: 1 }]);
    const { body } = await cluster.request('GET', observations);
    const left: { metadata: { name: string } }[] = body.items;
    expect(left.map(({ metadata }) => metadata.name)).toEqual([
      ...['any-source', 'least', 'name-with-colons', oldObject.metadata.name, 'whole'],
    ]);
    close();
  });
});
