import { describe, expect, it } from 'vitest';
import filters from '../../functions/filters.ts';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import type { OperationsReport } from '../../shared/pipeline/operations.ts';
import { settleOperations } from '../../shared/pipeline/settle-operations.ts';
import { createTestContext, type TestContext, type TestContextOptions, tallied } from './test-context.ts';

const about: ResourceRef = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a' };

function aReport(field: string, resource = about): OperationsReport {
  return {
    eventType: 'invalid-configuration',
    summary: `${field} is wrong`,
    resource,
    identity: { object: [resource.kind, resource.namespace, resource.name].join('/'), field },
    details: { field },
    detectedAt: '2026-03-01T12:00:00Z',
  };
}

function createWorld(options?: TestContextOptions) {
  const test = createTestContext(filters, options);
  return {
    ...test,
    settle: (fields: readonly string[], resource = about) =>
      tallied(test.context, (context) =>
        settleOperations(
          'filters',
          resource,
          fields.map((field) => aReport(field, resource)),
          context,
        ),
      ),
  };
}

async function statesIn({ store }: Pick<TestContext, 'store'>): Promise<string[]> {
  const { items } = await store.read({ limit: 9 });
  return items
    .map(({ metadata, spec }) => `${spec.resource?.name} ${spec.details.field} ${metadata.labels[labels.state]}`)
    .sort();
}

describe('settleOperations', () => {
  it('keeps open what is wrong with an object, and resolves what was, and nothing about another object', async () => {
    const world = createWorld();
    await world.settle(['x', 'y']);
    await world.settle(['x'], { ...about, name: 'b' });
    await world.settle(['y', 'z']);
    expect(await statesIn(world)).toEqual(['a x resolved', 'a y open', 'a z open', 'b x open']);
    const { items } = await world.store.read({ limit: 9 });
    const histories = items.map(({ metadata }) => metadata.annotations[historyAnnotation] ?? '');
    expect(histories.filter((history) => history.includes('"reason":"mended"'))).toHaveLength(1);
    await world.settle([]);
    expect(await statesIn(world)).toEqual(['a x resolved', 'a y resolved', 'a z resolved', 'b x open']);
  });

  it('looks at what it has said about the object alone, so that it needs no other right than for its namespace', async () => {
    const queries: Parameters<Store['names']>[0][] = [];
    const wrap = (store: Store): Partial<Store> => ({
      names(query, signal) {
        queries.push(query);
        return store.names(query, signal);
      },
    });
    const world = createWorld({ wrap });
    await world.settle(['x']);
    await world.settle(['x'], { apiVersion: 'v1', kind: 'Node', name: 'n' });
    expect(queries.length).toBeGreaterThan(0);
    expect(queries).toEqual(
      queries.map(() => expect.objectContaining({ source: 'filters', slots: [expect.any(String)] })),
    );
    expect(new Set(queries.map(({ namespace }) => namespace))).toEqual(new Set(['shop', 'zen-system']));
  });

  it('throws, so that it is tried again, if not even the system namespace takes what it says', async () => {
    const wrap = (): Partial<Store> => ({ create: () => Promise.reject(new NamespaceRefusal('full')) });
    await expect(createWorld({ wrap }).settle(['x'])).rejects.toMatchObject({
      status: 503,
      message: 'the system namespace is full',
    });
  });
});
