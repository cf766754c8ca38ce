import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { temporaryFolder } from '../host/program.ts';
import { anObject, anObservation, storeContract } from './store-contract.ts';

storeContract('embedded, on disk', async () => {
  const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
  return { store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => store.close() };
});

describe('embedded store', () => {
  const signal = AbortSignal.timeout(60_000);

  it('has what was stored after it is opened again', async () => {
    const data = temporaryFolder();
    const before = createEmbeddedStore({ data, now: Date.now });
    await before.create(anObject(anObservation('kept', 'shop')), signal);
    before.close();
    const after = createEmbeddedStore({ data, now: Date.now });
    expect((await after.read({ limit: 10 })).items.map(({ spec }) => spec.details.rule)).toEqual(['kept']);
    after.close();
  });

  it('reads pages that follow each other, in the order of namespaces', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    for (const namespace of ['a', 'a-b', 'b']) {
      for (const rule of ['1', '2']) await store.create(anObject(anObservation(rule, namespace)), signal);
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

  it('has on the disk what it says is created: a power failure takes nothing back', () => {
    // How much SQLite waits for belongs to a connection, so it is the store's own that is asked.
    const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
    const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
    const database = prepare.mock.contexts.find((context) => context instanceof DatabaseSync);
    prepare.mockRestore();
    const full = 2;
    expect(database?.prepare('PRAGMA synchronous').get()?.synchronous).toBeGreaterThanOrEqual(full);
    store.close();
  });

  it('has nothing of what it refuses when its disk fails in between, and takes all of it afterwards', async () => {
    const data = temporaryFolder();
    const store = createEmbeddedStore({ data, now: Date.now });
    const objects = ['first', 'second', 'third'].map((rule) => anObject(anObservation(rule, 'shop')));
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

  it('answers 503 when its disk fails', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    store.close();
    await expect(store.create(anObject(anObservation('x', 'shop')), signal)).rejects.toMatchObject({ status: 503 });
  });
});
