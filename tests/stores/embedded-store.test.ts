import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { temporaryFolder } from '../host/program.ts';
import { aFinding, anObservationOf, storeContract } from './store-contract.ts';

storeContract('embedded, on disk', async () => {
  const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
  return { store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => store.close() };
});

describe('embedded store', () => {
  const signal = AbortSignal.timeout(600_000);

  it('still has what was stored after it is reopened', async () => {
    const data = temporaryFolder();
    const before = createEmbeddedStore({ data, now: Date.now });
    await before.create(anObservationOf(aFinding('kept', 'shop')), signal);
    before.close();
    const after = createEmbeddedStore({ data, now: Date.now });
    expect((await after.read({ limit: 10 })).items.map(({ spec }) => spec.details.rule)).toEqual(['kept']);
    after.close();
  });

  it('reads consecutive pages in the order of namespaces', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    for (const namespace of ['a', 'a-b', 'b']) {
      for (const rule of ['1', '2']) await store.create(anObservationOf(aFinding(rule, namespace)), signal);
    }
    const first = await store.read({ limit: 4 });
    const second = await store.read({ limit: 4, continue: first.continue });
    expect([...first.items, ...second.items].map(({ metadata }) => metadata.namespace)).toEqual([
      'a-b',
      'a-b',
      'a',
      'a',
      'b',
      'b',
    ]);
    expect(second.continue).toBeUndefined();
    expect((await store.read({ limit: 9, namespace: 'b', severity: 'HIGH', source: 'contract' })).items).toHaveLength(
      2,
    );
    expect((await store.read({ limit: 9, severity: 'LOW' })).items).toEqual([]);
    store.close();
  });

  it('has on disk what it says is created, so that a power failure loses nothing', () => {
    // The level of durability is a property of a connection, so the store's own connection is asked.
    const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
    const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
    const database = prepare.mock.contexts.find((context) => context instanceof DatabaseSync);
    prepare.mockRestore();
    const full = 2;
    expect(database?.prepare('PRAGMA synchronous').get()?.synchronous).toBeGreaterThanOrEqual(full);
    store.close();
  });

  it('stores nothing of a batch that it refuses when the disk fails in between, and takes all of it afterwards', async () => {
    const data = temporaryFolder();
    const store = createEmbeddedStore({ data, now: Date.now });
    const objects = ['first', 'second', 'third'].map((rule) => anObservationOf(aFinding(rule, 'shop')));
    const namesIn = async (of: typeof store) =>
      (await Array.fromAsync(of.names({}, signal))).map(({ ref }) => ref.name).sort();
    const disk = new DatabaseSync(join(data, 'observations.sqlite'));
    disk.exec(`CREATE TRIGGER fault BEFORE INSERT ON observations WHEN NEW.name = '${objects[1]?.metadata.name}'
               BEGIN SELECT RAISE(FAIL, 'no space is left'); END`);
    const refused = await Promise.allSettled(objects.map((object) => store.create(object, signal)));
    expect(refused).toEqual(Array(3).fill({ status: 'rejected', reason: expect.objectContaining({ status: 503 }) }));
    expect(await namesIn(store)).toEqual([]);
    disk.exec('DROP TRIGGER fault');
    disk.close();
    for (const object of objects) expect(await store.create(object, signal)).toBe('created');
    store.close();
    const after = createEmbeddedStore({ data, now: Date.now });
    expect(await namesIn(after)).toEqual(objects.map(({ metadata }) => metadata.name).sort());
    after.close();
  });

  it('answers 503 if its disk fails', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    store.close();
    await expect(store.create(anObservationOf(aFinding('x', 'shop')), signal)).rejects.toMatchObject({ status: 503 });
  });
});
