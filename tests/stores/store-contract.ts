import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { due, labels, outboxLabel, toldAnnotation } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { observationOf } from '../../shared/api/observation.ts';
import { contentHash } from '../../shared/finding/canonical-json.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { findingDigest, observationName } from '../../shared/finding/name.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { ObservationsQuery, Store, Stored, StoredObservation } from '../../shared/function/stores.ts';
import type { ObservationReader } from '../../shared/view/observation-reader.ts';

export interface StoreUnderTest {
  readonly store: Store;
  readonly reader: ObservationReader;
  /** Milliseconds since 1970 by the store's own clock. */
  now(): number;
  /** Two namespaces that exist, of which the first sorts before the second. */
  readonly namespaces: readonly [string, string];
  close(): Promise<void>;
}

const signal = AbortSignal.timeout(600_000);

export function aFinding(rule: string, namespace: string, resource = 'web'): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'policy-violation',
    rule,
    summary: `${rule} is violated by Deployment ${resource}`,
    resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: resource },
    identity: { rule },
    details: { rule, message: 'ünïcödé 🦀 "quoted"' },
    detectedAt: '2026-03-01T10:00:00Z',
  };
}

/** The slot of a report about one resource. */
export function slotOf({ resource }: Finding): string {
  return contentHash({ resource: resource?.name });
}

export function anObservationOf(
  finding: Finding,
  options: { source?: string; now?: number; ttl?: number; hasState?: boolean } = {},
): Observation {
  const { source = 'contract', now = Date.now(), ttl = 3600, hasState = true } = options;
  return observationOf(finding, {
    name: observationName(source, finding),
    namespace: finding.resource?.namespace ?? 'zen-system',
    source,
    state: hasState ? { slot: slotOf(finding), digest: findingDigest(finding) } : undefined,
    correlationId: 'contract-test',
    ttl,
    now,
    expiresAt: now + ttl * 1000,
  });
}

async function collect(items: AsyncIterable<Stored>): Promise<Stored[]> {
  return Array.fromAsync(items);
}

/** What every implementation of Store must do. */
export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store contract: ${name}`, () => {
    let under: StoreUnderTest;
    let first: string;
    let second: string;

    beforeAll(async () => {
      under = await open();
      [first, second] = under.namespaces;
    });

    afterAll(() => under.close());

    const namesOf = (stored: readonly Stored[]): string[] => stored.map(({ ref }) => ref.name).sort();

    it('creates an object once, and then says that it exists', async () => {
      const object = anObservationOf(aFinding('once', first));
      expect(await under.store.create(object, signal)).toBe('created');
      expect(await under.store.create(object, signal)).toBe('exists');
    });

    it('creates only one of many equal objects that arrive at the same time', async () => {
      const object = anObservationOf(aFinding('race', first));
      const results = await Promise.all(Array.from({ length: 20 }, () => under.store.create(object, signal)));
      expect(results.filter((result) => result === 'created')).toHaveLength(1);
    });

    it('keeps equal names in two namespaces apart', async () => {
      const object = anObservationOf(aFinding('apart', first));
      const elsewhere = { ...object, metadata: { ...object.metadata, namespace: second } };
      expect(await under.store.create(object, signal)).toBe('created');
      expect(await under.store.create(elsewhere, signal)).toBe('created');
    });

    it('finds names by source, slot and namespace, in the order of namespaces', async () => {
      const source = 'finder';
      const objects = [
        anObservationOf(aFinding('1', second, 'a'), { source }),
        anObservationOf(aFinding('2', first, 'a'), { source }),
        anObservationOf(aFinding('3', first, 'b'), { source }),
      ];
      for (const object of objects) await under.store.create(object, signal);
      const [a, b, c] = objects.map(({ metadata }) => metadata.name);
      const all = await collect(under.store.names({ source }, signal));
      expect(all.map(({ ref }) => ref.namespace)).toEqual([first, first, second]);
      expect(namesOf(all)).toEqual([a, b, c].sort());
      expect(namesOf(await collect(under.store.names({ source, namespace: first }, signal)))).toEqual([b, c].sort());
      const slots = [slotOf(aFinding('3', first, 'b'))];
      expect(namesOf(await collect(under.store.names({ slots, namespace: first }, signal)))).toEqual([c]);
      expect(namesOf(await collect(under.store.names({ slots, namespace: second }, signal)))).toEqual([]);
      const both = [...slots, slotOf(aFinding('2', first, 'a'))];
      expect(namesOf(await collect(under.store.names({ slots: both, namespace: first }, signal)))).toEqual(
        [b, c].sort(),
      );
    });

    it('returns labels and the time of creation', async () => {
      const source = 'faithful';
      const object = anObservationOf(aFinding('labels', first), { source });
      await under.store.create(object, signal);
      const [stored] = await collect(under.store.names({ source }, signal));
      expect(stored?.labels).toEqual(object.metadata.labels);
      expect(Math.abs((stored?.createdAt ?? 0) - under.now())).toBeLessThan(60_000);
    });

    it('relabels the version that was read, and no other', async () => {
      const source = 'relabel';
      await under.store.create(anObservationOf(aFinding('r', first), { source }), signal);
      const read = async (): Promise<Stored | undefined> => (await collect(under.store.names({ source }, signal)))[0];
      const before = await read();
      if (!before) throw new Error('not stored');
      expect(await under.store.patch(before, { labels: { [labels.state]: 'missing' } }, signal)).toBe(true);
      const after = await read();
      expect(after?.labels).toEqual({ ...before.labels, [labels.state]: 'missing' });
      expect(after?.ref.uid).toBe(before.ref.uid);
      expect(await under.store.patch(before, { labels: { [labels.state]: 'resolved' } }, signal)).toBe(false);
      expect((await read())?.labels[labels.state]).toBe('missing');
    });

    it('replaces what is said about a finding, whole, and nothing else, and finds it by its name', async () => {
      const source = 'patch';
      const given = { ...aFinding('p', first), remediation: 'update', references: ['https://example.com/1'] };
      const object = anObservationOf(given, { source });
      await under.store.create(object, signal);
      const { name } = object.metadata;
      const before = await under.store.find(first, name, signal);
      if (!before) throw new Error('not found');
      expect(before.labels).toEqual(object.metadata.labels);
      const facts = { severity: 'LOW' as const, summary: 'it is better', details: { fixedVersion: '3.0.1' } };
      const changed = { [labels.severity]: 'LOW', [labels.digest]: 'another' };
      expect(await under.store.patch(before, { labels: changed, history: '[]', facts }, signal)).toBe(true);
      const after = await under.store.find(first, name, signal);
      expect(after).toMatchObject({ labels: { ...before.labels, ...changed }, history: '[]' });
      const { items } = await under.reader.read({ source, namespace: first, limit: 9 });
      const { severity: _severity, summary: _summary, details: _details, ...said } = object.spec;
      const { remediation: _remediation, references: _references, ...kept } = said;
      expect(items.map(({ spec }) => spec)).toEqual([{ ...kept, ...facts }]);
      expect(items[0]?.metadata.annotations).toMatchObject(object.metadata.annotations);
      expect(await under.store.patch(before, { labels: {}, facts }, signal)).toBe(false);
      expect(await under.store.find(second, name, signal)).toBeUndefined();
      expect(await under.store.find(first, `${name}0`, signal)).toBeUndefined();
    });

    it('gives a rule to an Observation without one', async () => {
      const source = 'ruleless';
      const whole = anObservationOf(aFinding('none', first), { source });
      const { rule: _rule, summary: _summary, ...old } = whole.spec;
      await under.store.create({ ...whole, spec: old }, signal);
      const stored = await under.store.find(first, whole.metadata.name, signal);
      if (!stored) throw new Error('not found');
      const facts = { severity: 'HIGH' as const, summary: 'now', details: {}, rule: 'CVE-1' };
      expect(await under.store.patch(stored, { labels: {}, facts }, signal)).toBe(true);
      const { items } = await under.reader.read({ source, namespace: first, limit: 9 });
      expect(items.map(({ spec }) => [spec.rule, spec.summary])).toEqual([['CVE-1', 'now']]);
    });

    it('deletes the version that was read, and says if the object has changed or is gone', async () => {
      const source = 'delete';
      await under.store.create(anObservationOf(aFinding('d', first), { source }), signal);
      const [before] = await collect(under.store.names({ source }, signal));
      if (!before) throw new Error('not stored');
      await under.store.patch(before, { labels: { [labels.state]: 'missing' } }, signal);
      expect(await under.store.delete(before.ref, signal)).toBe(false);
      const [after] = await collect(under.store.names({ source }, signal));
      if (!after) throw new Error('deleted though it had changed');
      expect(await under.store.delete(after.ref, signal)).toBe(true);
      expect(await under.store.delete(after.ref, signal)).toBe(false);
      expect(await under.store.patch(after, { labels: { [labels.state]: 'open' } }, signal)).toBe(false);
      expect(await collect(under.store.names({ source }, signal))).toEqual([]);
    });

    it('adds repeats up in the status, and changes nothing else', async () => {
      const source = 'series';
      const object = anObservationOf(aFinding('s', first), { source, hasState: false });
      await under.store.create(object, signal);
      const { name } = object.metadata;
      const read = async () => (await under.reader.read({ source, namespace: first, limit: 9 })).items[0];
      const before = await read();
      const ref = (await under.store.find(first, name, signal))?.ref;
      const add = (count: number, lastObservedTime: string, seen: readonly string[]) =>
        under.store.addSeries({ namespace: first, name }, { count, lastObservedTime, seen }, signal);
      expect(before?.status).toBeUndefined();
      expect(await add(1, '2026-03-01T10:00:00.000Z', [])).toBe('added');
      expect((await read())?.status).toEqual({ series: { count: 2, lastObservedTime: '2026-03-01T10:00:00.000Z' } });
      expect(await add(40, '2026-03-01T10:00:02.000Z', ['shop/a', 'shop/b'])).toBe('added');
      expect(await add(400, '2026-03-01T10:00:01.000Z', ['shop/b', 'shop/c'])).toBe('added');
      const after = await read();
      expect(after?.status).toEqual({
        series: { count: 442, lastObservedTime: '2026-03-01T10:00:02.000Z', seen: ['shop/a', 'shop/b', 'shop/c'] },
      });
      expect(after?.spec).toEqual(before?.spec);
      expect(after?.metadata.labels).toEqual(before?.metadata.labels);
      expect(after?.metadata.annotations).toEqual(before?.metadata.annotations);
      if (!ref) throw new Error('not found');
      expect(await under.store.delete(ref, signal)).toBe(false);
    });

    it('keeps the first 20 names of what repeats were about', async () => {
      const source = 'seen';
      const object = anObservationOf(aFinding('s', first), { source, hasState: false });
      await under.store.create(object, signal);
      const names = Array.from({ length: 30 }, (_, index) => `shop/${index}`);
      for (const seen of [names.slice(0, 12), names.slice(10, 30)]) {
        const addition = { count: 1, lastObservedTime: '2026-03-01T10:00:00.000Z', seen };
        expect(await under.store.addSeries({ namespace: first, name: object.metadata.name }, addition, signal)).toBe(
          'added',
        );
      }
      const { items } = await under.reader.read({ source, limit: 9 });
      expect(items[0]?.status?.series?.seen).toEqual(names.slice(0, 20));
    });

    it('loses no repeats if several add them at the same time, each of whom tries again if told to', async () => {
      const source = 'adders';
      const object = anObservationOf(aFinding('s', first), { source, hasState: false });
      await under.store.create(object, signal);
      const addition = { count: 10, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [] };
      const outcomes: string[] = [];
      const add = async (): Promise<void> => {
        const outcome = await under.store.addSeries({ namespace: first, name: object.metadata.name }, addition, signal);
        outcomes.push(outcome);
        if (outcome === 'changed') await add();
      };
      await Promise.all(Array.from({ length: 8 }, add));
      expect(outcomes.filter((outcome) => outcome === 'added')).toHaveLength(8);
      const { items } = await under.reader.read({ source, limit: 9 });
      expect(items[0]?.status?.series?.count).toBe(81);
    });

    it('says that an Observation is gone, and adds to none of that name elsewhere', async () => {
      const source = 'gone';
      const object = anObservationOf(aFinding('s', first), { source, hasState: false });
      await under.store.create(object, signal);
      const addition = { count: 1, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [] };
      const { name } = object.metadata;
      expect(await under.store.addSeries({ namespace: second, name }, addition, signal)).toBe('gone');
      expect(await under.store.addSeries({ namespace: first, name: `${name}0` }, addition, signal)).toBe('gone');
      const { items } = await under.reader.read({ source, limit: 9 });
      expect(items.map(({ status }) => status)).toEqual([undefined]);
    });

    it('renews an Observation with its repeats, and never shortens its time', async () => {
      const source = 'renewal';
      const now = under.now();
      const hour = Math.ceil(now / 3_600_000);
      const object = anObservationOf(aFinding('s', first), { source, hasState: false, now: now - 10 * 3_600_000 });
      await under.store.create(object, signal);
      const expired = async (): Promise<number> =>
        (await Array.fromAsync(under.store.expired(now, signal))).filter((one) => one.source === source).length;
      const renewed = async (expires: string | undefined) => {
        const addition = { count: 1, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [], expires };
        expect(await under.store.addSeries({ namespace: first, name: object.metadata.name }, addition, signal)).toBe(
          'added',
        );
        return (await under.store.find(first, object.metadata.name, signal))?.labels;
      };
      expect(await renewed(undefined)).toEqual(object.metadata.labels);
      expect(await expired()).toBe(1);
      const later = { ...object.metadata.labels, [labels.expires]: String(hour + 5) };
      expect(await renewed(String(hour + 5))).toEqual(later);
      expect(await expired()).toBe(0);
      expect(await renewed(String(hour + 4))).toEqual(later);
      const { items } = await under.reader.read({ source, limit: 9 });
      expect(items[0]?.status?.series?.count).toBe(4);
    });

    it('finds what has expired, and nothing that was renewed', async () => {
      const source = 'expiry';
      const now = under.now();
      await under.store.create(anObservationOf(aFinding('old', first), { source, now: now - 10 * 3_600_000 }), signal);
      await under.store.create(
        anObservationOf(aFinding('renewed', first), { source, now: now - 10 * 3_600_000 }),
        signal,
      );
      await under.store.create(anObservationOf(aFinding('young', first), { source, now }), signal);
      const renewed = anObservationOf(aFinding('renewed', first), { source }).metadata.name;
      for (const stored of await collect(under.store.names({ source }, signal))) {
        if (stored.ref.name !== renewed) continue;
        const later = String(Math.ceil(now / 3_600_000) + 5);
        await under.store.patch(stored, { labels: { [labels.expires]: later } }, signal);
      }
      const expired = (await Array.fromAsync(under.store.expired(now, signal))).filter((one) => one.source === source);
      expect(namesOf(expired)).toEqual([anObservationOf(aFinding('old', first), { source }).metadata.name]);
    });

    it('keeps what was told, until something else is', async () => {
      const source = 'told';
      await under.store.create(anObservationOf(aFinding('told', first), { source }), signal);
      const known = async (): Promise<Stored> => {
        const [stored] = await collect(under.store.names({ source }, signal));
        if (!stored) throw new Error('not stored');
        expect((await under.store.find(first, stored.ref.name, signal))?.told).toBe(stored.told);
        return stored;
      };
      expect((await known()).told).toBeUndefined();
      await under.store.patch(await known(), { labels: {}, told: 'one' }, signal);
      expect((await known()).told).toBe('one');
      await under.store.patch(await known(), { labels: { [labels.since]: '1' } }, signal);
      expect((await known()).told).toBe('one');
      await under.store.patch(await known(), { labels: {}, told: 'two' }, signal);
      expect((await known()).told).toBe('two');
      const { items } = await under.reader.read({ source, limit: 1 });
      expect(items[0]?.metadata.annotations[toldAnnotation]).toBe('two');
    });

    it('finds one whole, with what it takes to change it', async () => {
      const source = 'whole';
      const object = anObservationOf({ ...aFinding('w', first), references: ['https://example.com/1'] }, { source });
      const { name } = object.metadata;
      const find = () => under.store.findWhole(first, name, signal);
      expect(await find()).toBeUndefined();
      await under.store.create(object, signal);
      const before = await find();
      if (!before) throw new Error('not found');
      const { observation, ...stored } = before;
      expect(stored).toEqual(await under.store.find(first, name, signal));
      expect(observation.spec).toEqual(object.spec);
      expect(observation.status).toBeUndefined();
      expect(observation.metadata).toMatchObject({ ...object.metadata, uid: before.ref.uid });
      expect(Date.parse(before.observation.metadata.creationTimestamp ?? '')).toBe(before.createdAt);
      const repeats = { count: 2, lastObservedTime: '2026-03-01T10:00:00.000Z', seen: [] };
      await under.store.addSeries({ namespace: first, name }, repeats, signal);
      const change = {
        labels: { [labels.severity]: 'LOW' },
        told: 'one',
        facts: { severity: 'LOW', details: {} },
      } as const;
      expect(await under.store.patch(before, change, signal)).toBe(false);
      const repeated = await find();
      if (!repeated) throw new Error('not found');
      expect(repeated.observation.status?.series?.count).toBe(3);
      expect(await under.store.patch(repeated, change, signal)).toBe(true);
      const after = await find();
      expect(after).toMatchObject({ told: 'one', labels: { [labels.severity]: 'LOW' } });
      expect(after?.observation.metadata.annotations[toldAnnotation]).toBe('one');
      expect(after?.observation.spec).toMatchObject({ severity: 'LOW', details: {} });
      expect(await under.store.findWhole(second, name, signal)).toBeUndefined();
      expect(await under.store.findWhole(first, `${name}0`, signal)).toBeUndefined();
      if (after) await under.store.delete(after.ref, signal);
      expect(await find()).toBeUndefined();
    });

    it('lists whole ones: by severity, what is open or has no state, by whether they are marked as accepted', async () => {
      const source = 'open';
      const create = async (rule: string, severity: Severity, namespace: string, hasState = true) => {
        const object = anObservationOf({ ...aFinding(rule, namespace), severity }, { source, hasState });
        await under.store.create(object, signal);
        return object;
      };
      const created = new Map(
        [
          await create('high', 'HIGH', second),
          await create('critical', 'CRITICAL', first),
          await create('event', 'HIGH', first, false),
          await create('accepted', 'HIGH', first),
          await create('low', 'LOW', first),
          await create('missing', 'HIGH', first),
          await create('resolved', 'CRITICAL', first),
          await create('deleted', 'HIGH', first),
          await create('fallen', 'HIGH', first),
          await create('risen', 'LOW', first),
        ].map((object) => [object.spec.rule ?? '', object]),
      );
      const storedOf = async (rule: string): Promise<Stored> => {
        const { namespace = '', name = '' } = created.get(rule)?.metadata ?? {};
        const stored = await under.store.find(namespace, name, signal);
        if (!stored) throw new Error('not found');
        return stored;
      };
      const change = async (rule: string, changed: Record<string, string>, severity?: Severity): Promise<void> => {
        const facts = severity && { facts: { severity, details: {} } };
        await under.store.patch(await storedOf(rule), { labels: changed, ...facts }, signal);
      };
      await change('accepted', { [labels.accepted]: 'forever' });
      await change('missing', { [labels.state]: 'missing' });
      await change('resolved', { [labels.state]: 'resolved' });
      await change('fallen', { [labels.severity]: 'LOW' }, 'LOW');
      await change('risen', { [labels.severity]: 'HIGH' }, 'HIGH');
      await under.store.delete((await storedOf('deleted')).ref, signal);
      const select = async (query: ObservationsQuery): Promise<StoredObservation[]> => {
        const all = await Array.fromAsync(under.store.observations(query, signal));
        return all.filter(({ observation }) => observation.spec.source === source);
      };
      const list = (...severities: Severity[]) => select({ severities, isOpen: true });
      const rules = (all: readonly StoredObservation[]) => all.map(({ observation }) => observation.spec.rule).sort();
      const both = await list('CRITICAL', 'HIGH');
      expect(rules(both)).toEqual(['accepted', 'critical', 'event', 'high', 'risen']);
      expect(both.map(({ ref }) => ref.namespace)).toEqual([first, first, first, first, second]);
      expect(both.at(-1)?.observation).toMatchObject(created.get('high') ?? {});
      expect(rules(await list('CRITICAL'))).toEqual(['critical']);
      expect(rules(await list('LOW'))).toEqual(['fallen', 'low']);
      expect(await list('UNKNOWN')).toEqual([]);
      expect(rules(await select({ isMarked: true }))).toEqual(['accepted']);
      const inSecond = { namespace: second, isMarked: false } as const;
      expect(rules(await select(inSecond))).toEqual(['high']);
      expect(rules(await select({ namespace: first, isMarked: false }))).toEqual([
        'critical',
        'event',
        'fallen',
        'low',
        'missing',
        'resolved',
        'risen',
      ]);
      const { name: named } = (await storedOf('missing')).ref;
      expect(rules(await select({ namespace: first, name: named }))).toEqual(['missing']);
      expect(await select({ namespace: second, name: named })).toEqual([]);
      const [one] = await select(inSecond);
      if (!one) throw new Error('not found');
      const { observation: _observation, ...stored } = one;
      expect(stored).toMatchObject({ ...(await storedOf('high')) });
    });

    it('lists what is to be told, until it has been', async () => {
      const source = 'outbox';
      const isMarked = (object: Observation): Observation => ({
        ...object,
        metadata: { ...object.metadata, labels: { ...object.metadata.labels, [outboxLabel]: due } },
      });
      const objects = [
        isMarked(anObservationOf(aFinding('1', second), { source })),
        isMarked(anObservationOf(aFinding('2', first), { source, hasState: false })),
        anObservationOf(aFinding('3', first), { source }),
      ];
      for (const object of objects) await under.store.create(object, signal);
      const [a = '', b = '', c = ''] = objects.map(({ metadata }) => metadata.name);
      const list = async (namespace?: string): Promise<string[]> => {
        const owed = await collect(under.store.names({ isDue: true, namespace }, signal));
        return owed.map(({ ref }) => ref.name).filter((name) => [a, b, c].includes(name));
      };
      expect(await list()).toEqual([b, a]);
      expect(await list(first)).toEqual([b]);
      expect(namesOf(await collect(under.store.names({ isDue: true, source }, signal)))).toEqual([a, b].sort());
      expect(await collect(under.store.names({ isDue: true, source: 'outbo' }, signal))).toEqual([]);
      const mark = async (namespace: string, name: string, value: string | null): Promise<void> => {
        const stored = await under.store.find(namespace, name, signal);
        if (stored) await under.store.patch(stored, { labels: { [outboxLabel]: value }, told: 'now' }, signal);
      };
      await mark(first, b, null);
      expect(await list()).toEqual([a]);
      expect((await under.store.find(first, b, signal))?.labels).not.toHaveProperty(outboxLabel);
      await mark(first, c, due);
      expect(await list()).toEqual([c, a]);
      await mark(first, c, null);
      await mark(second, a, null);
      expect(await list()).toEqual([]);
    });

    it('says by its spec when one expires whose label is no number', async () => {
      const source = 'labelled';
      const object = anObservationOf(aFinding('odd', first), { source, ttl: 7200 });
      const metadata = { ...object.metadata, labels: { ...object.metadata.labels, [labels.expires]: 'never' } };
      await under.store.create({ ...object, metadata }, signal);
      const [stored] = await collect(under.store.names({ source }, signal));
      if (!stored) throw new Error('not stored');
      expect(await under.store.endOf(stored.ref, signal)).toEqual({ source, endsAt: stored.createdAt + 7_200_000 });
      expect(await under.store.delete(stored.ref, signal)).toBe(true);
      expect(await under.store.endOf(stored.ref, signal)).toBeUndefined();
    });

    it('lists what has no state, with its rule', async () => {
      const source = 'events';
      for (const [rule, namespace] of [
        ['1', second],
        ['2', first],
      ] as const) {
        await under.store.create(anObservationOf(aFinding(rule, namespace), { source, hasState: false }), signal);
      }
      await under.store.create(anObservationOf(aFinding('3', first), { source }), signal);
      const events = (await Array.fromAsync(under.store.events(signal))).filter(
        ({ labels: found }) => found[labels.source] === source,
      );
      expect(events.map(({ ref, rule }) => [ref.namespace, rule])).toEqual([
        [first, '2'],
        [second, '1'],
      ]);
      const listed = await collect(under.store.names({ source }, signal));
      for (const { rule: _rule, ...stored } of events) {
        expect(listed.find(({ ref }) => ref.uid === stored.ref.uid)).toMatchObject({
          ref: stored.ref,
          labels: stored.labels,
          createdAt: stored.createdAt,
        });
      }
    });

    it('counts what there is at the moment, in a namespace and in all', async () => {
      const count = async (): Promise<readonly [number, number, number]> => [
        await under.store.count(undefined, signal),
        await under.store.count(first, signal),
        await under.store.count(second, signal),
      ];
      const [all, inFirst, inSecond] = await count();
      expect(all).toBe((await collect(under.store.names({}, signal))).length);
      const objects = Array.from({ length: 20 }, (_, index) =>
        anObservationOf(aFinding(`c${index}`, index < 15 ? first : second), { source: 'counted' }),
      );
      await Promise.all(objects.map((object) => under.store.create(object, signal)));
      expect(await count()).toEqual([all + 20, inFirst + 15, inSecond + 5]);
      for (const { ref } of await collect(under.store.names({ source: 'counted' }, signal))) {
        await under.store.delete(ref, signal);
      }
      expect(await count()).toEqual([all, inFirst, inSecond]);
      expect(await under.store.count('empty', signal)).toBe(0);
    });

    it('lists thousands, each once, while others are created and deleted', async () => {
      const source = 'many';
      const objects = Array.from({ length: 1200 }, (_, index) =>
        anObservationOf(aFinding(`m${index}`, index % 2 === 0 ? first : second), { source }),
      );
      await Promise.all(objects.map((object) => under.store.create(object, signal)));
      const seen: string[] = [];
      let extra = 0;
      for await (const { ref } of under.store.names({ source }, signal)) {
        seen.push(ref.name);
        if (seen.length % 400 === 0) {
          extra += 1;
          await under.store.create(anObservationOf(aFinding(`extra${extra}`, first), { source }), signal);
        }
      }
      const expected = new Set(objects.map(({ metadata }) => metadata.name));
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((one) => expected.has(one))).toHaveLength(1200);
    });
  });
}
