import fc from 'fast-check';
import type { ModelRow, Thing } from './model.ts';
import type { kinds } from './slot-world.ts';

/** Something that a report may be in: of each place there is at most one at a time. */
export interface Place {
  readonly kind: keyof typeof kinds;
  readonly namespace?: string;
  readonly name: string;
  readonly about?: Thing;
}

const old = 'web-7d9c5b6f4d';
const latest = 'web-6c8b4d5f9d';

function thing(kind: string, name: string, workload: string, namespace?: string): Thing {
  return { kind, name, workload, ...(namespace !== undefined && { namespace }) };
}

const web = (kind: string, name: string): Thing => thing(kind, name, 'rollout/web', 'shop');

export const places: readonly Place[] = [
  { kind: 'scans', namespace: 'shop', name: 'web', about: web('Deployment', 'web') },
  { kind: 'scans', namespace: 'shop', name: 'old', about: web('ReplicaSet', old) },
  { kind: 'scans', namespace: 'shop', name: 'latest', about: web('ReplicaSet', latest) },
  { kind: 'scans', namespace: 'shop', name: 'pod', about: web('Pod', `${latest}-x2xbz`) },
  { kind: 'checks', namespace: 'shop', name: 'web', about: web('Deployment', 'web') },
  { kind: 'oldChecks', namespace: 'shop', name: 'web', about: web('Deployment', 'web') },
  { kind: 'checks', namespace: 'shop', name: 'pod', about: web('Pod', `${old}-x2xbz`) },
  { kind: 'scans', namespace: 'shop', name: 'db', about: thing('StatefulSet', 'db', 'stateful/db', 'shop') },
  { kind: 'scans', namespace: 'one', name: 'wide' },
  { kind: 'scans', namespace: 'one', name: 'wider' },
  { kind: 'checks', namespace: 'one', name: 'wide' },
  { kind: 'scans', namespace: 'two', name: 'wide' },
  { kind: 'clusterScans', name: 'node', about: thing('Node', 'n', 'Node/n') },
];

export const replicaSets = [old, latest];

export type Facts = Omit<ModelRow, 'id' | 'namespace' | 'detectedAt'>;

/** Something that happens to a report. Numbers choose among what there is, so that a shorter history makes sense, too. */
export type Change =
  | { readonly does: 'put'; readonly place: number; readonly rows: readonly ModelRow[]; readonly event: boolean }
  | { readonly does: 'add'; readonly place: number; readonly row: ModelRow; readonly event: boolean }
  | { readonly does: 'drop'; readonly place: number; readonly row: number; readonly event: boolean }
  | {
      readonly does: 'edit';
      readonly place: number;
      readonly row: number;
      readonly facts: Facts;
      readonly event: boolean;
    }
  | { readonly does: 'spoil'; readonly place: number; readonly how: 'bad row' | 'unreadable'; readonly event: boolean }
  | {
      readonly does: 'empty' | 'mend' | 'remake' | 'rename' | 'remove';
      readonly place: number;
      readonly event: boolean;
    };

export type Work = 'pass' | { readonly place: number };

/** Something happens to a process at one of its calls. */
export interface Interruption {
  readonly work: Work;
  readonly calls: number;
}

export type Step =
  | Change
  | { readonly does: 'event'; readonly place: number }
  | { readonly does: 'scale'; readonly replicaSet: number; readonly replicas: number }
  | { readonly does: 'filter'; readonly rule: string }
  | { readonly does: 'pass' }
  | { readonly does: 'later'; readonly minutes: number }
  | ({ readonly does: 'die' } & Interruption)
  | ({ readonly does: 'race'; readonly change: Change } & Interruption);

const place = fc.nat(places.length - 1);
const event = fc.boolean();
const index = fc.nat(3);
const ids = ['a', 'b', 'c', 'd'];

const facts: fc.Arbitrary<Facts> = fc.record(
  {
    severity: fc.constantFrom('low', 'high', 'critical'),
    summary: fc.constantFrom('bad', 'worse'),
    remediation: fc.constantFrom('upgrade', 'downgrade'),
    references: fc.constantFrom(['https://one.example.com'], ['https://two.example.com']),
    fixedIn: fc.constantFrom('1', '2'),
  },
  { requiredKeys: ['severity', 'summary'] },
);

const row: fc.Arbitrary<ModelRow> = fc
  .record({
    facts,
    id: fc.constantFrom(...ids),
    namespace: fc.option(fc.constantFrom('shop', 'apps'), { nil: undefined, freq: 3 }),
    detectedAt: fc.option(fc.constantFrom('2026-03-01T09:00:00Z', '2026-03-01T11:00:00Z'), {
      nil: undefined,
      freq: 3,
    }),
  })
  .map(({ facts, id, namespace, detectedAt }) => ({
    ...facts,
    id,
    ...(namespace !== undefined && { namespace }),
    ...(detectedAt !== undefined && { detectedAt }),
  }));

const rows = fc.uniqueArray(row, { maxLength: 4, selector: ({ id, namespace }) => `${namespace} ${id}` });

const does = <const T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name);

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ does: does('put'), place, rows, event }) },
  { weight: 2, arbitrary: fc.record({ does: does('add'), place, row, event }) },
  { weight: 2, arbitrary: fc.record({ does: does('drop'), place, row: index, event }) },
  { weight: 2, arbitrary: fc.record({ does: does('edit'), place, row: index, facts, event }) },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constantFrom('empty', 'mend', 'remake', 'rename', 'remove'), place, event }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ does: does('spoil'), place, how: fc.constantFrom('bad row', 'unreadable'), event }),
  },
);

const interruption = { work: fc.oneof(does('pass'), fc.record({ place })), calls: fc.nat(20) };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 17, arbitrary: change },
  { weight: 4, arbitrary: fc.record({ does: does('event'), place }) },
  { weight: 2, arbitrary: fc.record({ does: does('scale'), replicaSet: fc.nat(1), replicas: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ does: does('filter'), rule: fc.constantFrom(...ids) }) },
  { weight: 4, arbitrary: fc.record({ does: does('pass') }) },
  { weight: 3, arbitrary: fc.record({ does: does('later'), minutes: fc.constantFrom(1, 29, 31, 61, 4000, 8000) }) },
  { weight: 2, arbitrary: fc.record({ does: does('die'), ...interruption }) },
  { weight: 2, arbitrary: fc.record({ does: does('race'), change, ...interruption }) },
);

export const history: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 3, maxLength: 30, size: 'max' });
