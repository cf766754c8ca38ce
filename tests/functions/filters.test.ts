import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import filters from '../../functions/filters.ts';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import { observationName } from '../../shared/finding/name.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';

const name = 'zen-watcher-filter';

function createWorld(environment: Record<string, string> = {}) {
  const test = createTestContext(filters, { environment });
  const { all } = test.objects;
  return {
    ...test,
    all,
    set(configuration: unknown, key = 'filter.json') {
      const text = typeof configuration === 'string' ? configuration : JSON.stringify(configuration);
      const at = all.findIndex(({ kind }) => kind === 'ConfigMap');
      if (at >= 0) all.splice(at, 1);
      const metadata = { name, namespace: environment.FILTER_CONFIGMAP_NAMESPACE ?? 'zen-system' };
      all.push({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [key]: text } } as KubernetesObject);
    },
    unset: () =>
      void all.splice(
        all.findIndex(({ kind }) => kind === 'ConfigMap'),
        1,
      ),
    run: () => handled(filters, ping, test.context),
    made: () =>
      Object.fromEntries(
        all
          .filter(({ kind, metadata }) => kind === 'ObservationFilter' && metadata.labels)
          .map((object) => [object.metadata.name, 'spec' in object ? object.spec : undefined]),
      ),
    async reports() {
      const { items } = await test.store.read({ limit: 100, source: 'filters' });
      return items.map(({ metadata, spec }) => ({
        name: metadata.name,
        namespace: metadata.namespace,
        type: spec.eventType,
        resource: spec.resource,
        field: spec.details.field,
        message: spec.details.message,
        summary: spec.summary,
        state: metadata.labels[labels.state],
      }));
    },
  };
}

const good = { sources: { falco: { minSeverity: 'HIGH' }, kubebench: { enabled: false }, kyverno: {} } };
const made = {
  'zen-watcher-filter-falco': { targetSource: 'falco', minSeverity: 'HIGH', enabled: true },
  'zen-watcher-filter-kubebench': { targetSource: 'kubebench', enabled: false },
  'zen-watcher-filter-kyverno': { targetSource: 'kyverno', enabled: true },
};

function aFilter(of: string, spec: object, namespace = 'zen-system'): KubernetesObject {
  const object = {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'ObservationFilter',
    metadata: { name: of, namespace },
  };
  return { ...object, spec } as KubernetesObject;
}

describe('the filter ConfigMap', () => {
  it('becomes an ObservationFilter for each source', async () => {
    const { set, run, made: filtersMade } = createWorld();
    set(good);
    await run();
    expect(filtersMade()).toEqual(made);
  });

  it('changes its filters when it changes, and writes nothing when it does not', async () => {
    const { set, run, made: filtersMade, objects } = createWorld();
    set(good);
    await run();
    const written = new Set<string>();
    const { apply, delete: remove } = objects;
    objects.apply = async (...args) => {
      written.add(args[1].metadata.name);
      await apply(...args);
    };
    objects.delete = async (...args) => {
      written.add(args[1].metadata.name);
      await remove(...args);
    };
    await run();
    expect(written).toEqual(new Set());
    set({ sources: { falco: { minSeverity: 'low' }, kyverno: {} } });
    await run();
    expect(filtersMade()).toEqual({
      'zen-watcher-filter-falco': { targetSource: 'falco', minSeverity: 'LOW', enabled: true },
      'zen-watcher-filter-kyverno': made['zen-watcher-filter-kyverno'],
    });
    expect(written).not.toContain('zen-watcher-filter-kyverno');
  });

  it('is named by a label of its filters', async () => {
    const { set, run, all } = createWorld();
    set(good);
    await run();
    const written = all.filter(({ kind }) => kind === 'ObservationFilter');
    expect(written).toHaveLength(Object.keys(good.sources).length);
    for (const filter of written) {
      expect(filter).toMatchObject({
        apiVersion: 'zen.kube-zen.io/v1alpha1',
        metadata: { namespace: 'zen-system', labels: { 'zen.kube-zen.io/filter-configmap': name } },
      });
    }
  });

  it('leaves a filter alone that differs only in order or case, and repairs an invalid one', async () => {
    const { set, run, all, objects } = createWorld();
    set(good);
    await run();
    const falco = all.find(({ metadata }) => metadata.name === 'zen-watcher-filter-falco');
    const writes: string[] = [];
    const { apply } = objects;
    objects.apply = async (...args) => {
      writes.push(args[1].metadata.name);
      await apply(...args);
    };
    Object.assign(falco ?? {}, { spec: { enabled: true, minSeverity: 'high', targetSource: 'falco' } });
    await run();
    expect(writes).toEqual([]);
    Object.assign(falco ?? {}, { spec: { enabled: true, minSeverity: 'hgih', targetSource: 'falco' } });
    await run();
    expect(writes).toEqual(['zen-watcher-filter-falco']);
  });

  it('takes its filters with it while it is being deleted', async () => {
    const { set, run, all, made: filtersMade } = createWorld();
    set(good);
    await run();
    const configMap = all.find(({ kind }) => kind === 'ConfigMap');
    Object.assign(configMap?.metadata ?? {}, { deletionTimestamp: '2026-03-01T12:00:00Z' });
    await run();
    expect(filtersMade()).toEqual({});
  });

  it.each([
    [new Refusal(503, 'the API server is away'), { status: 503 }, 0],
    [new TypeError('a bug'), { status: 503, cause: { name: 'TypeError' } }, 0],
    [new Refusal(422, 'no such field', { path: 'spec.newer' }), undefined, 1],
  ])('is retried if it cannot be applied, or reported if a retry would not help: %s', async (error, thrown, count) => {
    const { set, run, objects, reports } = createWorld();
    set(good);
    objects.apply = async () => Promise.reject(error);
    if (thrown) await expect(run()).rejects.toMatchObject(thrown);
    else await run();
    expect(await reports()).toHaveLength(count);
  });

  it('takes its filters with it when it is deleted, and no others', async () => {
    const { set, unset, run, all, made: filtersMade } = createWorld();
    all.push(aFilter('mine', { targetSource: 'falco' }));
    set(good);
    await run();
    unset();
    await run();
    expect(filtersMade()).toEqual({});
    expect(all.map(({ metadata }) => metadata.name)).toEqual(['mine']);
  });

  it.each<[string, unknown, string]>([
    ['text that is not JSON', '{"sources": {', 'filter.json'],
    ['YAML', stringify(good), 'filter.json'],
    ['nothing', '', 'filter.json'],
    ['a list', '[]', 'filter.json'],
    ['no sources', {}, 'sources'],
    ['something beside the sources', { ...good, source: {} }, 'source'],
    ['a misspelt severity', { sources: { falco: { minSeverity: 'hgih' } } }, 'sources.falco.minSeverity'],
    [
      'a misspelt severity in a list',
      { sources: { falco: { includeSeverity: ['HIGH', 'x'] } } },
      'sources.falco.includeSeverity[1]',
    ],
    ['a misspelt field', { sources: { falco: { minSeverty: 'HIGH' } } }, 'sources.falco.minSeverty'],
    ['a severity that is a number', { sources: { falco: { minSeverity: 3 } } }, 'sources.falco.minSeverity'],
    ['text instead of a list', { sources: { falco: { excludeKinds: 'Pod' } } }, 'sources.falco.excludeKinds'],
    ['an empty word', { sources: { falco: { excludeKinds: [''] } } }, 'sources.falco.excludeKinds[0]'],
    [
      'a pattern for a namespace',
      { sources: { falco: { includeNamespaces: ['kube-.*'] } } },
      'sources.falco.includeNamespaces[0]',
    ],
    ['an invalid name of a source', { sources: { 'Fal co': {} } }, 'sources.Fal co'],
    ['text for enabled', { sources: { falco: { enabled: 'no' } } }, 'sources.falco.enabled'],
    [
      '10,000 entries',
      { sources: { falco: { excludeRules: Array.from({ length: 10_000 }, (_, i) => `r${i}`) } } },
      'sources.falco.excludeRules',
    ],
    ['null for a source', { sources: { falco: null } }, 'sources.falco'],
    [
      'a wrong expression',
      { sources: { falco: { expression: 'resource.nmae == "web"' } } },
      'sources.falco.expression',
    ],
    [
      'a wrong expression of a grade',
      { sources: { falco: { setSeverity: [{ severity: 'LOW', expression: 'rule.matches("(")' }] } } },
      'sources.falco.setSeverity[0].expression',
    ],
    [
      'a good source beside a bad one',
      { sources: { trivy: { minSeverity: 'LOW' }, falco: { enabled: 1 } } },
      'sources.falco.enabled',
    ],
  ])('with %s changes nothing, and is reported with the field', async (_case, bad, field) => {
    const { set, run, made: filtersMade, reports } = createWorld();
    set(good);
    await run();
    set(bad);
    await run();
    await run();
    expect(filtersMade()).toEqual(made);
    expect(await reports()).toMatchObject([
      {
        namespace: 'zen-system',
        type: 'invalid-configuration',
        resource: { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'zen-system', name },
        field,
        message: expect.stringContaining(`the filters stay as they were: ${field}: `),
        summary: expect.stringContaining(`the filters in ConfigMap ${name} are not used: ${field}: `),
      },
    ]);
  });

  it.each([
    ['is mended', 'zen-system'],
    ['is mended', 'config'],
    ['is gone', 'zen-system'],
  ])('is over once it %s, and comes back under the same name: in %s', async (how, namespace) => {
    const { set, unset, run, reports, store } = createWorld({ FILTER_CONFIGMAP_NAMESPACE: namespace });
    const statesOf = async () => (await reports()).map(({ field, state }) => [field, state]);
    const bad = { sources: { falco: { enabled: 1 } } };
    set(bad);
    await run();
    set({ sources: { falco: { minSeverity: 3 } } });
    await run();
    const [falco, severity] = ['sources.falco.enabled', 'sources.falco.minSeverity'];
    expect((await statesOf()).sort()).toEqual([
      [falco, 'resolved'],
      [severity, 'open'],
    ]);
    if (how === 'is gone') unset();
    else set(good);
    await run();
    expect((await statesOf()).map(([, state]) => state)).toEqual(['resolved', 'resolved']);
    const { items } = await store.read({ limit: 9 });
    for (const { metadata } of items) expect(metadata.annotations[historyAnnotation]).toContain('"reason":"mended"');
    set(bad);
    await run();
    expect((await statesOf()).sort()).toEqual([
      [falco, 'open'],
      [severity, 'resolved'],
    ]);
  });

  it('is reported once for each fault, under the same name each time', async () => {
    const { set, run, reports } = createWorld();
    for (const minSeverity of [3, 3, 'x']) {
      set({ sources: { falco: { minSeverity } } });
      await run();
    }
    set({ sources: { falco: { enabled: 1 } } });
    await run();
    const nameOf = (field: string): string =>
      observationName('filters', {
        ...{
          category: 'operations',
          severity: 'HIGH',
          eventType: 'invalid-configuration',
          rule: 'invalid-configuration',
          summary: '',
          details: {},
          detectedAt: '',
        },
        resource: { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'zen-system', name },
        identity: { object: `ConfigMap/zen-system/${name}`, field },
      });
    const names = ['sources.falco.minSeverity', 'sources.falco.enabled'].map(nameOf);
    expect((await reports()).map((report) => report.name).sort()).toEqual(names.sort());
  });

  it('without its key changes nothing', async () => {
    const { set, run, made: filtersMade, reports } = createWorld();
    set(good);
    await run();
    set(good, 'filters.json');
    await run();
    expect(filtersMade()).toEqual(made);
    expect(await reports()).toMatchObject([
      { field: 'data.filter.json', message: expect.stringContaining('has no such key') },
    ]);
  });

  it('may filter an unknown source', async () => {
    const { set, run, made: filtersMade, reports } = createWorld();
    set({ sources: { 'my-own-tool': { minSeverity: 'LOW' } } });
    await run();
    expect(Object.keys(filtersMade())).toEqual(['zen-watcher-filter-my-own-tool']);
    expect(await reports()).toEqual([]);
  });

  it('never touches a filter with the same name that somebody else has written', async () => {
    const { set, run, all, reports } = createWorld();
    const theirs = aFilter('zen-watcher-filter-falco', { targetSource: 'falco', minSeverity: 'LOW' });
    all.push(theirs);
    set(good);
    await run();
    expect(all.filter(({ kind }) => kind === 'ObservationFilter')).toEqual([
      expect.objectContaining({ spec: { targetSource: 'falco', minSeverity: 'LOW' } }),
    ]);
    expect(await reports()).toMatchObject([
      { field: 'zen-watcher-filter-falco', message: expect.stringContaining('of this name is not ours') },
    ]);
  });

  it('has the name, namespace and key in the settings', async () => {
    const {
      run,
      all,
      made: filtersMade,
    } = createWorld({
      FILTER_CONFIGMAP_NAME: 'noise',
      FILTER_CONFIGMAP_NAMESPACE: 'config',
      FILTER_CONFIGMAP_KEY: 'f',
    });
    const metadata = { name: 'noise', namespace: 'config' };
    all.push({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { f: JSON.stringify(good) } } as KubernetesObject);
    await run();
    expect(Object.keys(filtersMade())).toEqual(['noise-falco', 'noise-kubebench', 'noise-kyverno']);
  });
});

describe('every ObservationFilter', () => {
  const conditionsOf = (object: KubernetesObject | undefined) =>
    (object as unknown as { status?: { conditions: object[] } })?.status?.conditions;

  it('gets a condition that says whether it is accepted, and if not, why', async () => {
    const { run, all } = createWorld();
    all.push(
      aFilter('good', { targetSource: 'falco' }),
      aFilter('bad', { targetSource: 'falco', minSeverity: 'hgih' }, 'shop'),
    );
    await run();
    expect(conditionsOf(all.find(({ metadata }) => metadata.name === 'good'))).toMatchObject([
      { type: 'Accepted', status: 'True' },
    ]);
    expect(conditionsOf(all.find(({ metadata }) => metadata.name === 'bad'))).toMatchObject([
      {
        type: 'Accepted',
        status: 'False',
        reason: 'Invalid',
        message: 'spec.minSeverity: must be critical, high, medium, low or unknown',
      },
    ]);
  });

  it.each<[string, object, string]>([
    ['a severity', { minSeverity: 'hgih' }, 'critical, high, medium, low or unknown'],
    ['a namespace', { excludeNamespaces: ['kube-?'] }, 'the name of a namespace'],
    ['a source', { targetSource: 'Falco' }, 'lower-case letters, digits and hyphens'],
    [
      'an expression',
      { expression: 'severity == "HIGH" && resource.nmae == "web"' },
      'spec.expression: at 1:31: there is no .nmae; there are apiVersion, kind, name, namespace',
    ],
    [
      'the expression of a grade',
      { setSeverity: [{ severity: 'LOW' }, { expression: 'rule.matches("(")', severity: 'LOW' }] },
      'spec.setSeverity[1].expression: at 1:14: error parsing regexp: missing closing )',
    ],
  ])('gets a message that says what %s may be, if it is invalid', async (_case, spec, hint) => {
    const { run, all } = createWorld();
    all.push(aFilter('bad', { targetSource: 'falco', ...spec }));
    await run();
    expect(conditionsOf(all[0])).toMatchObject([{ status: 'False', message: expect.stringContaining(hint) }]);
  });

  it('is told if it is not used, since its namespace has too many', async () => {
    const { run, all } = createWorld();
    for (let index = 100; index < 151; index += 1) all.push(aFilter(`f${index}`, { targetSource: 'falco' }, 'shop'));
    await run();
    const reasons = all.flatMap((object) => conditionsOf(object)?.map((one) => ('reason' in one ? one.reason : '')));
    expect(reasons).toEqual([...Array.from({ length: 50 }, () => 'Valid'), 'TooMany']);
  });

  it('is no longer shown to fail once it has changed', async () => {
    const { run, all } = createWorld();
    const failed = { type: 'Failing', status: 'True', reason: 'ExpressionFailed', message: 'm' };
    const conditions = [{ ...failed, lastTransitionTime: '2026-03-01T12:00:00Z', observedGeneration: 1 }];
    const given = aFilter('f', { targetSource: 'falco', expression: 'details.a == 1' });
    const filter = { ...given, metadata: { ...given.metadata, generation: 1 }, status: { conditions } };
    all.push(filter);
    await run();
    expect(conditionsOf(filter)).toContainEqual(expect.objectContaining({ type: 'Failing', status: 'True' }));
    Object.assign(filter.metadata, { generation: 2 });
    await run();
    expect(conditionsOf(filter)).toContainEqual(
      expect.objectContaining({ type: 'Failing', status: 'False', reason: 'Changed', message: '' }),
    );
  });

  it('is left to the next run if there was one just now', async () => {
    const { context } = createTestContext(filters, { context: { coalesce: async () => undefined } });
    expect((await handled(filters, ping, context)).skipped).toEqual({ coalesced: 1 });
    expect((await handled(filters, ping, createTestContext(filters).context)).skipped).toEqual({});
  });

  it('is written to only if that condition changes', async () => {
    const { run, all, objects, clock } = createWorld();
    const filter = aFilter('f', { targetSource: 'falco' });
    all.push(filter);
    await run();
    let writes = 0;
    const { setStatus } = objects;
    objects.setStatus = async (...args) => {
      writes += 1;
      await setStatus(...args);
    };
    clock.now += 60_000;
    await run();
    expect(writes).toBe(0);
    Object.assign(filter, { spec: { targetSource: 'falco', enabled: 'x' } });
    await run();
    expect(conditionsOf(filter)).toMatchObject([{ status: 'False', lastTransitionTime: '2026-03-01T12:01:00.000Z' }]);
  });
});
