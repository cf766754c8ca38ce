import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type * as z from 'zod';
import gc from '../../functions/gc.ts';
import { ingesterObject } from '../../shared/api/ingester.ts';
import { filterObject } from '../../shared/api/observation-filter.ts';
import { mappingObject } from '../../shared/api/observation-mapping.ts';
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
import { temporaryFolder, until } from '../host/program.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';

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
    await applyCrds(cluster);
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

  it('has enough examples', () => {
    expect(examplesIn('valid').length).toBeGreaterThanOrEqual(12);
    expect(examplesIn('invalid').length).toBeGreaterThanOrEqual(40);
  });

  it('lets nobody change a spec', async () => {
    const changed = { spec: { details: { vulnerabilityID: 'another' } } };
    const { status, body } = await cluster.request('PATCH', `${observations}/whole`, changed, merge);
    expect(status).toBe(422);
    expect(body.message).toContain('spec is immutable');
  });

  it('lets clients select by field', async () => {
    for (const [field, count] of [
      ['severity=HIGH', 4],
      ['severity=LOW', 0],
      ['source=my-own-tool', 1],
      ['eventType=vulnerability', 4],
      ['category=security', 4],
    ]) {
      const { body } = await cluster.request('GET', `${observations}?fieldSelector=spec.${field}`);
      expect(body.items, String(field)).toHaveLength(Number(count));
    }
  });

  it('keeps Observations of an older CRD readable, lets kubectl label them, and lets nobody change them', async () => {
    const name = 'written-by-another-program';
    expect((await cluster.request('GET', `${observations}/${name}`)).body.spec).toEqual(oddSpec);
    const run = kubectl(cluster.kubeconfig());
    if (run) {
      run(['label', 'obs', name, '-n', 'examples', 'zen.kube-zen.io/state=open']);
      const [header = '', line = ''] = run(['get', 'obs', name, '-n', 'examples']).trim().split('\n');
      expect(header.split(/\s+/)).toEqual(observationColumns);
      expect(line).toMatch(/kubebench\s+Weird_Thing\s+High\s+CIS Benchmark\s+of no kind\s+open/);
    }
    const { status } = await cluster.request('PATCH', `${observations}/${name}`, { spec: { severity: 'HIGH' } }, merge);
    expect(status).toBe(422);
  });

  it('lets gc delete Observations without labels when the TTL in their spec is over, and nothing else', async () => {
    const { token } = await cluster.serviceAccount('collector', writerRules);
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'token'), token);
    writeFileSync(join(folder, 'ca.crt'), readFileSync(cluster.caFile));
    const { store, close } = connectAs(cluster.server, folder);
    const { context } = createTestContext(gc, { context: { store, now: () => Date.now() + 3_600_000 } });
    const summary = await handled(gc, ping, context);
    expect(summary.deleted).toEqual([{ source: 'kubebench', reason: 'ttl', count: 1 }]);
    const { body } = await cluster.request('GET', observations);
    const left: { metadata: { name: string } }[] = body.items;
    expect(left.map(({ metadata }) => metadata.name)).toEqual(['any-source', 'least', 'name-with-colons', 'whole']);
    close();
  });
});
