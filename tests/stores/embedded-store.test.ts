import { describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { temporaryFolder } from '../host/program.ts';
import { anObject, anObservation, storeContract } from './store-contract.ts';

storeContract('embedded, on disk', async () => {
  const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
  return { store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => store.close() };
});

describe('embedded store', () => {
  const signal = AbortSignal.timeout(600_000);

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

  it('answers 503 when its disk fails', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    store.close();
    await expect(store.create(anObject(anObservation('x', 'shop')), signal)).rejects.toMatchObject({ status: 503 });
  });
});
