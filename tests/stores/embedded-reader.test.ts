import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import { createEmbeddedStore, openEmbeddedReader } from '../../shared/local/embedded-store.ts';
import type { Grouping } from '../../shared/view/counts.ts';
import type { ObservationReader } from '../../shared/view/observation-reader.ts';
import { type Sort, sorts } from '../../shared/view/order.ts';
import { temporaryFolder } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import { readerContract } from './reader-contract.ts';

readerContract('embedded', async () => {
  const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
  return { store, namespaces: ['shop', 'shopping'], close: async () => store.close() };
});

readerContract('embedded, of a command that changes nothing', async () => {
  const data = temporaryFolder();
  const store = createEmbeddedStore({ data, now: Date.now });
  const reader = openEmbeddedReader(data);
  return {
    store: { ...reader, create: store.create },
    namespaces: ['shop', 'shopping'],
    async close() {
      reader.close();
      store.close();
    },
  };
});

describe('embedded reader', () => {
  const signal = AbortSignal.timeout(600_000);

  it.each(sorts)('refuses to go on by %s from a page of another order', async (sort) => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    for (const name of ['a', 'b']) await store.create(anObservation({ metadata: { name } }), signal);
    for (const other of sorts) {
      const { continue: token } = await store.read({ sort: other, limit: 1 });
      const read = store.read({ sort, limit: 1, continue: token });
      if (sort === other) expect((await read).items).toHaveLength(1);
      else await expect(read).rejects.toMatchObject({ status: 400, path: 'continue' });
    }
    store.close();
  });

  it.each(sorts)('says by %s that there is more only where there is', async (sort) => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    for (const name of ['a', 'b', 'c']) await store.create(anObservation({ metadata: { name } }), signal);
    const { continue: token } = await store.read({ sort, limit: 1 });
    expect(await store.read({ sort, limit: 2, continue: token })).toEqual({
      items: [expect.anything(), expect.anything()],
    });
    store.close();
  });

  it('finds the one of that name before those that have it in theirs', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    for (const name of ['ab', 'b']) await store.create(anObservation({ metadata: { name } }), signal);
    expect((await store.findByName('b', undefined, 1)).map(({ metadata }) => metadata.name)).toEqual(['b']);
    store.close();
  });

  it('shows the newest first by --sort age, also if the clock was put back', async () => {
    let now = Date.parse('2026-03-01T10:00:00Z');
    const store = createEmbeddedStore({ data: ':memory:', now: () => now });
    for (const name of ['first', 'second', 'third']) {
      await store.create(anObservation({ metadata: { name } }), signal);
      now -= 1000;
    }
    const { items } = await store.read({ sort: 'age', limit: 9 });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['third', 'second', 'first']);
    store.close();
  });

  /** How SQLite answers the queries that a reader makes. */
  async function plansOf(read: (reader: ObservationReader) => Promise<unknown>): Promise<unknown[]> {
    const data = temporaryFolder();
    const store = createEmbeddedStore({ data, now: Date.now });
    const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
    await read(store);
    const statements = prepare.mock.calls.map(([statement]) => statement);
    prepare.mockRestore();
    store.close();
    const database = new DatabaseSync(join(data, 'observations.sqlite'));
    const details = statements.flatMap((statement) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${statement}`)
        .all()
        .map(({ detail }) => detail),
    );
    database.close();
    return details;
  }

  it.each<[sort: Sort, namespace: string | undefined, plan: string]>([
    ['severity', undefined, 'INDEX by_severity (severity=? AND (source,place,name)>(?,?,?))'],
    ['severity', 'n', 'INDEX by_severity (severity=? AND (source,place,name)>(?,?,?))'],
    ['age', undefined, 'INTEGER PRIMARY KEY (rowid<?)'],
    ['age', 'n', 'INTEGER PRIMARY KEY (rowid<?)'],
    ['namespace', undefined, 'INDEX sqlite_autoindex_observations_1 ((place,name)>(?,?))'],
    ['namespace', 'n', 'INDEX sqlite_autoindex_observations_1 (place=? AND name>?)'],
  ])(
    'reads a page by %s, of the namespace %s, without sorting, whatever is selected',
    async (sort, namespace, plan) => {
      const selection = { source: 's', severity: 'HIGH', namespace, states: ['open'], rule: 'r' } as const;
      const plans = await plansOf((reader) => reader.read({ ...selection, sort, limit: 1 }));
      expect(plans).toEqual([`SEARCH observations USING ${plan}`]);
    },
  );

  it.each<Grouping>(['source', 'severity', 'namespace', 'state'])(
    'counts by %s without reading an Observation',
    async (by) => {
      const plans = await plansOf((reader) => reader.counts({ states: ['open'], source: 's' }, by));
      expect(plans).toContain('SCAN observations USING COVERING INDEX by_severity');
    },
  );
});
