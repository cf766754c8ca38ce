import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import { labels } from '../../shared/api/labels.ts';

import type { Observation } from '../../shared/api/observation.ts';
import { createEmbeddedStore, openEmbeddedReader } from '../../shared/local/embedded-store.ts';
import { sorts } from '../../shared/view/order.ts';

import { temporaryFolder } from '../host/program.ts';
import { oldDatabase } from './database-0.1.0.ts';
import { aFinding, anObservationOf, slotOf, storeContract } from './store-contract.ts';

storeContract('embedded, on disk', async () => {
  const store = createEmbeddedStore({ data: temporaryFolder(), now: Date.now });
  return { store, reader: store, now: Date.now, namespaces: ['shop', 'shopping'], close: async () => store.close() };
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

  describe('of a database that version 0.1.0 made', () => {
    const createdAt = Date.parse('2026-03-01T10:00:00Z');

    const oldLabels = {
      'zen.kube-zen.io/source': 'contract',
      'zen.kube-zen.io/severity': 'HIGH',
      'zen.kube-zen.io/subject': 'a-subject',
      'zen.kube-zen.io/state': 'open',
      'zen.kube-zen.io/state-since': '1772359200',
    };

    const observation: Observation = {
      ...{ apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation' },
      metadata: {
        ...{ name: 'contract-00000000000000000000000000000000', namespace: 'shop', labels: oldLabels, annotations: {} },
      },
      spec: {
        ...{ source: 'contract', category: 'security', severity: 'HIGH', eventType: 'policy-violation' },
        resource: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' },
        ...{ details: { rule: 'old' }, detectedAt: '2026-03-01T10:00:00Z', ttlSecondsAfterCreation: 604_800 },
      },
    };

    it('lists and reads what it has, relabels that, and takes more', async () => {
      const data = oldDatabase([observation], createdAt);
      const store = createEmbeddedStore({ data, now: () => createdAt });
      const [old] = await Array.fromAsync(store.names({ source: 'contract', namespace: 'shop' }, signal));
      expect(old).toMatchObject({ labels: oldLabels, createdAt });
      if (!old) throw new Error('not listed');
      expect(await store.patch(old, { labels: { [labels.state]: 'missing', [labels.since]: '1' } }, signal)).toBe(true);
      const repeats = { count: 1, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [] };
      expect(await store.addSeries(old.ref, repeats, signal)).toBe('added');
      const finding = aFinding('new', 'shop');
      expect(await store.create(anObservationOf(finding), signal)).toBe('created');
      const ofSlot = await Array.fromAsync(store.names({ slots: [slotOf(finding)], namespace: 'shop' }, signal));
      expect(ofSlot.map(({ ref }) => ref.name)).toEqual([anObservationOf(finding).metadata.name]);
      store.close();
      const again = createEmbeddedStore({ data, now: () => createdAt });
      const { items } = await again.read({ limit: 9 });
      const shown = items.map(({ spec, metadata, status }) => [
        spec.details.rule,
        metadata.labels[labels.state],
        status?.series?.count,
      ]);
      expect(shown.sort()).toEqual([
        ['new', 'open', undefined],
        ['old', 'missing', 2],
      ]);
      again.close();
    });

    it('can be read by a command that changes nothing', async () => {
      const reader = openEmbeddedReader(oldDatabase([observation], createdAt));
      const { items } = await reader.read({ limit: 9 });
      expect(items.map(({ spec }) => spec.details.rule)).toEqual(['old']);
      for (const sort of sorts) expect((await reader.read({ limit: 9, sort })).items).toEqual(items);
      expect(reader.sortsAcrossPages).toBe(false);
      expect(await reader.counts({ states: ['open'] }, 'workload')).toMatchObject([{ value: 'shop/web', total: 1 }]);
      expect(await reader.findByName('contract-000', undefined, 9)).toEqual(items);
      reader.close();
    });
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

  it('deletes what is deleted together with one wait for the disk', async () => {
    const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    const commit = prepare.mock.results.find((_, index) => prepare.mock.calls[index]?.[0] === 'COMMIT')?.value;
    prepare.mockRestore();
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => store.create(anObservationOf(aFinding(`r${index}`, 'shop')), signal)),
    );
    const refs = (await Array.fromAsync(store.names({}, signal))).map(({ ref }) => ref);
    const commits = vi.spyOn(commit, 'run');
    expect(await Promise.all(refs.map((ref) => store.delete(ref, signal)))).toEqual(Array(20).fill(true));
    expect(commits).toHaveBeenCalledTimes(1);
    store.close();
  });

  it('refuses only the one of several writes whose row it cannot read', async () => {
    const data = temporaryFolder();
    const store = createEmbeddedStore({ data, now: Date.now });
    const [broken, whole] = [anObservationOf(aFinding('broken', 'shop')), anObservationOf(aFinding('whole', 'shop'))];
    await Promise.all([broken, whole].map((object) => store.create(object, signal)));
    const found = await Array.fromAsync(store.names({}, signal));
    const disk = new DatabaseSync(join(data, 'observations.sqlite'));
    disk.exec(`UPDATE observations SET labels = '[]' WHERE name = '${broken.metadata.name}'`);
    disk.close();
    const patched = await Promise.allSettled(found.map((one) => store.patch(one, { labels: { x: 'y' } }, signal)));
    const outcomes = new Map(found.map(({ ref }, index) => [ref.name, patched[index]]));
    expect(outcomes.get(broken.metadata.name)).toMatchObject({ status: 'rejected', reason: { status: 503 } });
    expect(outcomes.get(whole.metadata.name)).toEqual({ status: 'fulfilled', value: true });
    store.close();
  });

  it('answers 503 if its disk fails', async () => {
    const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
    store.close();
    await expect(store.create(anObservationOf(aFinding('x', 'shop')), signal)).rejects.toMatchObject({ status: 503 });
  });
});
