import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Observation, observationOf } from '../../shared/api/observation.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { observationName } from '../../shared/finding/name.ts';
import type { Store } from '../../shared/function/stores.ts';
import { type Count, type Grouping, groupings } from '../../shared/view/counts.ts';
import type { ObservationReader, ReadQuery } from '../../shared/view/observation-reader.ts';
import { type Sort, sortObservations, sorts } from '../../shared/view/order.ts';
import type { Selection, State } from '../../shared/view/selection.ts';

export interface ReaderUnderTest {
  readonly store: Pick<Store, 'create'> & ObservationReader;
  /** Two namespaces that exist, of which the first sorts before the second. */
  readonly namespaces: readonly [string, string];
  close(): Promise<void>;
}

const signal = AbortSignal.timeout(600_000);

/** No other Observations in the store have it. */
const source = 'reader';

interface Row
  extends Partial<Pick<Finding, 'severity' | 'rule' | 'eventType' | 'category' | 'detectedAt' | 'remediation'>> {
  readonly key: string;
  readonly place: 0 | 1;
  readonly state?: State;
  readonly resource?: readonly [kind: string, name: string];
  readonly actor?: string;
  /** The value of the label `accepted`. */
  readonly accepted?: string;
  readonly image?: string;
  readonly since?: number;
}

const now = Date.parse('2026-03-05T12:00:00Z');

const rows: readonly Row[] = [
  {
    key: 'a',
    place: 0,
    severity: 'LOW',
    state: 'open',
    rule: 'CVE-2024-1',
    resource: ['Deployment', 'web'],
    accepted: 'forever',
  },
  {
    key: 'b',
    place: 0,
    image: 'registry.example/web',
    remediation: 'upgrade openssl to 3.0.15',
    since: 1_772_355_600_000,
    severity: 'CRITICAL',
    state: 'missing',
    accepted: String(now / 1000 + 1),
    rule: 'CVE-2024-1',
    resource: ['Pod', 'web-7d9c5b6f4d-x2x9z'],
  },
  { key: 'c', place: 1, severity: 'CRITICAL', state: 'resolved', rule: 'CVE-2024-2', resource: ['Deployment', 'web'] },
  {
    key: 'd',
    place: 1,
    severity: 'HIGH',
    rule: 'a, b=c\\d',
    resource: ['Secret', 'db-password'],
    actor: 'eve',
    accepted: String(now / 1000),
  },
  {
    key: 'e',
    place: 0,
    severity: 'HIGH',
    rule: 'exec',
    actor: 'system:serviceaccount:ci:deployer',
    category: 'compliance',
    accepted: 'yes',
  },
  {
    key: 'f',
    place: 1,
    severity: 'UNKNOWN',
    eventType: 'secret-access',
    actor: 'eve',
    detectedAt: '2026-03-02T10:00:00+01:00',
  },
];

const summaries: Readonly<Record<string, string>> = { a: 'OpenSSL is old', f: 'eve read a secret' };

function rowObject(
  { key, place, state, resource, actor, accepted, image, since, ...given }: Row,
  namespaces: readonly string[],
): Observation {
  const namespace = namespaces[place] ?? '';
  const [kind, name] = resource ?? [];
  const finding: Finding = {
    category: 'security',
    severity: 'MEDIUM',
    eventType: 'vulnerability',
    rule: 'none',
    detectedAt: '2026-03-01T10:00:00Z',
    ...given,
    summary: summaries[key] ?? `summary of ${key}`,
    ...(kind !== undefined && { resource: { apiVersion: 'v1', kind, namespace, ...(name !== undefined && { name }) } }),
    ...(actor !== undefined && { actor: { username: actor } }),
    identity: { key },
    details: { key, ...(image !== undefined && { image }) },
  };
  const object = observationOf(finding, {
    ...{ name: observationName(source, finding), namespace, source, correlationId: 'reader-contract' },
    ...{ state: undefined, ttl: 3600, expiresAt: Date.now() + 3_600_000, now: Date.now() },
  });
  const { labels } = object.metadata;
  const more = {
    ...(state !== undefined && { 'zen.kube-zen.io/state': state }),
    ...(accepted !== undefined && { 'zen.kube-zen.io/accepted': accepted }),
    ...(since !== undefined && { 'zen.kube-zen.io/since': String(since) }),
  };
  return { ...object, metadata: { ...object.metadata, labels: { ...labels, ...more } } };
}

function keyOf({ spec }: Observation): string {
  return String(spec.details.key);
}

/** What every implementation of ObservationReader must do. */
export function readerContract(what: string, open: () => Promise<ReaderUnderTest>): void {
  describe(`reader contract: ${what}`, () => {
    let under: ReaderUnderTest;
    let objects: readonly Observation[];

    beforeAll(async () => {
      under = await open();
      objects = rows.map((row) => rowObject(row, under.namespaces));
      for (const object of objects) expect(await under.store.create(object, signal)).toBe('created');
    });

    afterAll(() => under.close());

    async function readAll(query: Omit<ReadQuery, 'limit' | 'continue'>, limit: number): Promise<Observation[]> {
      const all: Observation[] = [];
      let next: string | undefined;
      do {
        const page = await under.store.read({ source, ...query, limit, continue: next });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        all.push(...page.items);
        // Else pages that begin anew would go on for ever.
        expect(all.length).toBeLessThanOrEqual(100);
        next = page.continue;
      } while (next !== undefined);
      return all;
    }

    const selections: readonly (readonly [selection: Selection, keys: string])[] = [
      [{}, 'abcdef'],
      [{ source: 'reade' }, ''],
      [{ severity: 'CRITICAL' }, 'bc'],
      [{ category: 'compliance' }, 'e'],
      [{ eventType: 'secret-access' }, 'f'],
      [{ states: ['open'] }, 'adef'],
      [{ states: ['missing'] }, 'b'],
      [{ states: ['resolved'] }, 'c'],
      [{ states: ['open', 'missing'] }, 'abdef'],
      [{ states: ['missing', 'resolved'] }, 'bc'],
      [{ states: ['open', 'missing', 'resolved'] }, 'abcdef'],
      [{ acceptance: { isAccepted: true, at: now } }, 'ab'],
      [{ acceptance: { isAccepted: true, at: now - 1 } }, 'abd'],
      [{ acceptance: { isAccepted: true, at: now + 1000 } }, 'a'],
      [{ acceptance: { isAccepted: false, at: now } }, 'cdef'],
      [{ acceptance: { isAccepted: false, at: now - 1 }, search: 'secret' }, 'f'],
      [{ acceptance: { isAccepted: true, at: now }, states: ['missing'], workload: 'web' }, 'b'],
      [{ rule: 'CVE-2024-1' }, 'ab'],
      [{ rule: 'CVE-2024-*' }, 'abc'],
      [{ rule: 'cve-2024-1' }, ''],
      [{ rule: 'a, b=c\\d' }, 'd'],
      [{ actor: 'eve' }, 'df'],
      [{ actor: 'system:*' }, 'e'],
      [{ workload: 'web' }, 'abc'],
      [{ workload: 'deployment/web' }, 'abc'],
      [{ workload: 'pod/web-7d9c5b6f4d-x2x9z' }, 'abc'],
      [{ workload: 'secret/db-password' }, 'd'],
      [{ since: Date.parse('2026-03-02T09:00:00Z') }, 'f'],
      [{ since: Date.parse('2026-03-02T09:00:01Z') }, ''],
      [{ kind: 'deployment' }, 'ac'],
      [{ image: 'registry.example/web' }, 'b'],
      [{ image: '*' }, 'b'],
      [{ fix: 'upgrade openssl to 3.0.15' }, 'b'],
      [{ isFixable: true }, 'b'],
      [{ isFixable: false }, 'acdef'],
      [{ createdSince: Date.now() - 600_000 }, 'abcdef'],
      [{ createdSince: Date.now() + 600_000 }, ''],
      [{ changedSince: 1_772_355_600_000 }, 'b'],
      [{ changedSince: 1_772_355_600_001 }, ''],
      [{ search: 'openssl' }, 'ab'],
      [{ search: 'SECRET' }, 'df'],
      [{ search: 'db-pass' }, 'd'],
      [{ search: 'deployment summary' }, 'c'],
      [{ search: 'eve secret reader' }, 'df'],
      [{ severity: ['CRITICAL', 'HIGH'] }, 'bcde'],
      [{ source: [source, 'nobody'] }, 'abcdef'],
      [{ category: ['compliance', 'none'], eventType: ['vulnerability', 'secret-access'] }, 'e'],
      [{ rule: ['CVE-2024-2', 'exec'] }, 'ce'],
      [{ rule: ['CVE-2024-2', 'ex*'] }, 'ce'],
      [{ actor: ['eve', 'nobody'], severity: ['HIGH', 'LOW'] }, 'd'],
      [{ workload: ['deployment/web', 'secret/db-password'] }, 'abcd'],
      [{ severity: 'CRITICAL', states: ['missing'], rule: 'CVE-*', workload: 'web' }, 'b'],
    ];

    it.each(selections)('selects %j: %s', async (selection, keys) => {
      for (const limit of [2, 100]) {
        const found = await readAll(selection, limit);
        expect(found.map(keyOf).sort().join('')).toBe(keys);
      }
      const counts = await under.store.counts({ source, ...selection }, 'severity');
      expect(counts.reduce((sum, { total }) => sum + total, 0)).toBe(keys.length);
    });

    it.each<[selection: Selection, keys: string]>([
      [{}, 'cdf'],
      [{ workload: 'deployment/web' }, 'c'],
      [{ workload: 'web', states: ['resolved'] }, 'c'],
      [{ actor: 'eve', severity: 'HIGH' }, 'd'],
    ])('selects %j in one namespace: %s', async (selection, keys) => {
      const [, namespace] = under.namespaces;
      expect((await readAll({ ...selection, namespace }, 2)).map(keyOf).sort().join('')).toBe(keys);
    });

    it.each(sorts)('selects several namespaces, sorted by %s', async (sort) => {
      const [first, second] = under.namespaces;
      const keysIn = async (namespace: readonly string[]) => (await readAll({ sort, namespace }, 2)).map(keyOf).sort();
      expect((await keysIn([first, second])).join('')).toBe('abcdef');
      expect((await keysIn([second, 'nowhere'])).join('')).toBe('cdf');
    });

    it('gives whole Observations', async () => {
      for (const object of objects) {
        const [found] = await readAll({ search: object.metadata.name }, 100);
        expect(found).toMatchObject(object);
        expect(found?.metadata.uid).toMatch(/./);
        expect(Date.parse(found?.metadata.creationTimestamp ?? '')).toBeGreaterThan(0);
      }
    });

    it.each(sorts)('sorts by %s', async (sort: Sort) => {
      const found = await readAll({ sort }, 100);
      // Those that were created at the same time may be in any order.
      const ages = found.map(({ metadata }) => -Date.parse(metadata.creationTimestamp ?? ''));
      if (sort === 'age') expect(ages).toEqual(ages.toSorted((a, b) => a - b));
      else expect(found.map(keyOf)).toEqual(sortObservations(found, sort).map(keyOf));
      const paged = await readAll({ sort }, 1);
      expect(paged.map(keyOf).sort()).toEqual(found.map(keyOf).sort());
      if (under.store.sortsAcrossPages) expect(paged).toEqual(found);
    });

    it.each<[by: Grouping, expected: Readonly<Record<string, string>>]>([
      ['source', { reader: 'abcdef' }],
      ['severity', { CRITICAL: 'bc', HIGH: 'de', LOW: 'a', UNKNOWN: 'f' }],
      ['category', { security: 'abcdf', compliance: 'e' }],
      ['namespace', { '<first>': 'abe', '<second>': 'cdf' }],
      ['state', { open: 'adef', missing: 'b', resolved: 'c' }],
      ['eventType', { vulnerability: 'abcde', 'secret-access': 'f' }],
      ['rule', { 'CVE-2024-1': 'ab', 'CVE-2024-2': 'c', 'a, b=c\\d': 'd', exec: 'e', none: 'f' }],
      ['workload', { '<first>/web': 'ab', '<second>/web': 'c', '<second>/Secret/db-password': 'd', '': 'ef' }],
      ['actor', { '': 'abc', eve: 'df', 'system:serviceaccount:ci:deployer': 'e' }],
      ['kind', { '': 'ef', Deployment: 'ac', Pod: 'b', Secret: 'd' }],
      ['image', { '': 'acdef', 'registry.example/web': 'b' }],
      ['fix', { '': 'acdef', 'upgrade openssl to 3.0.15': 'b' }],
    ])('counts by %s', async (by, expected) => {
      const [first, second] = under.namespaces;
      const severityOf = (key: string) => rows.find((row) => row.key === key)?.severity ?? 'MEDIUM';
      const counts = await under.store.counts({ source }, by);
      const shown = (value: string) => value.replace('<first>', first).replace('<second>', second);
      const none = { CRITICAL: 0, HIGH: 0, MEDIUM: 0, LOW: 0, UNKNOWN: 0 };
      const wanted = Object.entries(expected).map(([value, keys]): Count => {
        const severities = { ...none };
        for (const key of keys) severities[severityOf(key)] += 1;
        return { value: shown(value), total: keys.length, severities };
      });
      expect(counts.toSorted((a, b) => (a.value < b.value ? -1 : 1))).toEqual(
        wanted.toSorted((a, b) => (a.value < b.value ? -1 : 1)),
      );
      const worst = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] as const;
      const firsts = counts.map(({ severities }) => worst.findIndex((severity) => severities[severity] > 0));
      expect(firsts).toEqual(firsts.toSorted());
    });

    it('counts by everything that can be counted by', async () => {
      for (const by of groupings) {
        expect((await under.store.counts({ source, states: ['open'] }, by)).map(({ total }) => total)).toSatisfy(
          (totals: number[]) => totals.reduce((sum, total) => sum + total, 0) === 4,
        );
      }
    });

    it('finds by a part of the name, and by the whole of it that one alone', async () => {
      const names = objects.map(({ metadata }) => metadata.name);
      const [name = ''] = names;
      expect((await under.store.findByName(name, undefined, 9)).map(keyOf)).toEqual(['a']);
      expect((await under.store.findByName(name.slice(3, 20), undefined, 9)).map(keyOf)).toEqual(['a']);
      expect(await under.store.findByName('READER-', undefined, 9)).toEqual([]);
      const all = await under.store.findByName('reader-', undefined, 9);
      expect(all.map(keyOf).sort().join('')).toBe('abcdef');
      expect(await under.store.findByName('reader-', undefined, 2)).toHaveLength(2);
      const [, second] = under.namespaces;
      expect((await under.store.findByName('reader-', second, 9)).map(keyOf).sort().join('')).toBe('cdf');
      expect(await under.store.findByName(name, second, 9)).toEqual([]);
    });

    it('goes on where it was when others come and go', async () => {
      const before = await under.store.read({ source, search: 'summary', limit: 2 });
      const late = { key: 'late', place: 0, rule: 'late' } as const;
      const [first] = under.namespaces;
      await under.store.create(rowObject(late, [first]), signal);
      const seen = [...before.items];
      let next = before.continue;
      while (next !== undefined) {
        const page = await under.store.read({ source, search: 'summary', limit: 2, continue: next });
        seen.push(...page.items);
        expect(seen.length).toBeLessThanOrEqual(100);
        next = page.continue;
      }
      const keys = seen.map(keyOf).filter((key) => key !== 'late');
      expect(keys.sort().join('')).toBe('bcde');
    });

    it.each(['nonsense', '', 'e30x', Buffer.from('{"sort":"age"}').toString('base64url')])(
      'refuses to go on from %j',
      async (token) => {
        for (const query of [{}, { search: 'x' }, { sort: 'severity' as const }]) {
          const read = under.store.read({ source, ...query, limit: 2, continue: token });
          await expect(read).rejects.toMatchObject({ status: 400, path: 'continue' });
        }
      },
    );
  });
}
