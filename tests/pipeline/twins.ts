import { expect } from 'vitest';
import * as z from 'zod';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { type Facts, type Place, places, replicaSets, type Step } from './histories.ts';
import { createModel, type ModelReport, type ModelRow, type ModelStored, spell } from './model.ts';
import { createWorld, kinds, type ReportOptions } from './slot-world.ts';

const entries = z.array(z.object({ state: z.string(), severity: z.string() }));

function historyOf(annotation: string | undefined): readonly string[] {
  if (annotation === undefined) return [];
  return entries.parse(JSON.parse(annotation)).map(({ state, severity }) => `${state} ${severity}`);
}

const workloads = new Map([
  ...places.flatMap(({ about }) => (about ? [[spell(about), about.workload] as const] : [])),
  ...['shop', 'apps'].map((namespace) => [`Thing/${namespace}/elsewhere`, 'Thing/elsewhere'] as const),
]);

/** An Observation in the model's words, under its key. Which label a slot has is not the model's to know. */
function observed({ metadata, spec }: Observation): readonly [string, ModelStored] {
  const { resource, rule = '', severity, summary = '', remediation, references, details } = spec;
  const spelt = resource ? spell({ ...resource, name: resource.name ?? '' }) : '';
  const isOwn = rule === 'unreadable-object';
  const state = z.enum(['open', 'missing', 'resolved']).parse(metadata.labels[labels.state]);
  expect(metadata.labels[labels.severity]).toBe(severity);
  return [
    isOwn
      ? `unreadable|${resource?.apiVersion}/${spelt}`
      : [resource?.namespace ?? '', workloads.get(spelt) ?? '', rule].join('|'),
    {
      namespace: metadata.namespace,
      rule,
      state,
      since: Number(metadata.labels[labels.since]),
      expires: Number(metadata.labels[labels.expires]),
      report: metadata.labels[labels.report] ?? '',
      facts: isOwn ? ownFacts(summary) : { severity, summary, remediation, references, details, resource: spelt },
      detectedAt: isOwn ? '' : spec.detectedAt,
      history: historyOf(metadata.annotations[historyAnnotation]),
    },
  ];
}

/** The time of what a process has done itself is its own, and its words are tested elsewhere. */
function ownFacts(summary: string) {
  return {
    severity: 'HIGH',
    summary: summary.includes('rows[') ? 'bad row' : 'unreadable',
    remediation: undefined,
    references: undefined,
    details: {},
    resource: '',
  };
}

/** Labels of slots under the model's names for them. Each slot has one label, and no two have the same. */
function createSlotNames() {
  const names = new Map([['shared', 'shared']]);
  return {
    /** The name of a label; if it is new, the one that is expected. */
    of(label: string, expected: string | undefined): string {
      const known = names.get(label);
      if (known !== undefined || expected === undefined || [...names.values()].includes(expected))
        return known ?? label;
      names.set(label, expected);
      return expected;
    },
  };
}

function optionsOf({ kind, namespace, about }: Place): ReportOptions {
  return {
    kind: kinds[kind],
    ...(namespace !== undefined && { namespace }),
    about: about && `${about.kind}/${about.name}`,
  };
}

function slotOf({ kind, namespace = '', about }: Place): string {
  if (!about) return namespace;
  return [namespace, about.workload, kind.endsWith('hecks') ? '' : kind].join('|');
}

/** A world and its model, to which the same happens. */
export function createTwins() {
  const model = createModel(Date.parse('2026-03-01T12:00:00Z'));
  const world = createWorld({
    context: { filter: (_source, { rule = '' }) => (model.dropped.has(rule) ? 'exclude_rule' : undefined) },
  });
  const names = new Map<number, string>();
  const slotNames = createSlotNames();
  let made = 0;

  function placeAt(index: number): Place & { readonly at: string } {
    const place = places[index];
    if (!place) throw new Error(`no place ${index}`);
    const { kind, namespace = '' } = place;
    const name = names.get(index) ?? place.name;
    return { ...place, name, at: [kinds[kind].group, 'v1', kinds[kind].kind, namespace, name].join('/') };
  }

  function reportAt(index: number): ModelReport | undefined {
    return model.reports.get(placeAt(index).at);
  }

  function remove(index: number): void {
    const place = placeAt(index);
    model.reports.delete(place.at);
    world.remove(place.name, optionsOf(place));
  }

  /** Makes or replaces a report. One that is new has another uid and another creation time. */
  function put(index: number, rows: readonly ModelRow[], condition: ModelReport['condition'] = 'good', isNew = false) {
    const place = placeAt(index);
    const { at, namespace, about, name } = place;
    const before = isNew ? undefined : model.reports.get(at);
    if (!before) made += 1;
    const created = before?.created ?? new Date(model.now()).toISOString().replace('.000', '');
    model.reports.set(at, { at, name, slot: slotOf(place), namespace, about, created, rows, condition });
    const object = world.put(name, condition === 'bad row' ? [...rows, {}] : rows, {
      ...optionsOf(place),
      uid: `uid-${made}`,
      created,
    });
    if (condition === 'unreadable') Object.assign(object, { rows: 'none' });
  }

  function change(index: number, rowsOf: (rows: readonly ModelRow[]) => readonly ModelRow[]): void {
    const report = reportAt(index);
    if (report) put(index, rowsOf(report.rows), report.condition);
  }

  function editRow(index: number, at: number, facts: Facts): void {
    change(index, (rows) =>
      rows.map((row, number) => {
        if (number !== at) return row;
        const { id, namespace, detectedAt } = row;
        return { ...facts, id, ...(namespace && { namespace }), ...(detectedAt && { detectedAt }) };
      }),
    );
  }

  function remake(index: number, name: string): void {
    const report = reportAt(index);
    if (!report) return;
    remove(index);
    names.set(index, name);
    put(index, report.rows.toReversed(), report.condition, true);
  }

  function scale(index: number, replicas: number): void {
    const name = replicaSets[index] ?? '';
    model.replicas.set(`ReplicaSet/shop/${name}`, replicas);
    const others = world.objects.all.filter((object) => object.kind !== 'ReplicaSet' || object.metadata.name !== name);
    const object: KubernetesObject = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name, namespace: 'shop' },
    };
    world.objects.all.splice(0, Infinity, ...others, Object.assign(object, { spec: { replicas } }));
  }

  async function read(expected: ReadonlyMap<string, ModelStored>): Promise<ReadonlyMap<string, ModelStored>> {
    const { items } = await world.store.read({ limit: 10_000 });
    const found = items.map(observed).map(([key, stored]) => {
      return [key, { ...stored, report: slotNames.of(stored.report, expected.get(key)?.report) }] as const;
    });
    expect(new Set(found.map(([key]) => key)).size, 'stored twice').toBe(found.length);
    return new Map(found);
  }

  async function compare(expected: ReadonlyMap<string, ModelStored>): Promise<void> {
    model.restore(expected);
    expect(Object.fromEntries(await read(expected))).toEqual(Object.fromEntries(expected));
  }

  async function event(index: number): Promise<void> {
    const { at, kind, name, namespace } = placeAt(index);
    const expected = model.afterEvent(at);
    const { group, kind: kindName } = kinds[kind];
    const answer = await world.event({ apiVersion: `${group}/v1`, kind: kindName, metadata: { name, namespace } }).then(
      () => 204,
      (error) => Refusal.from(error).status,
    );
    expect(answer).toBe((reportAt(index)?.condition ?? 'good') === 'good' ? 204 : 422);
    await compare(expected);
  }

  async function pass(): Promise<void> {
    const expected = model.afterPass();
    await world.pass();
    await compare(expected);
  }

  /** Lets a process die after some calls. Each Observation is then as it was or as it should become. */
  async function die(work: number | 'pass', calls: number): Promise<void> {
    const before = model.stored();
    const after = work === 'pass' ? model.afterPass() : model.afterEvent(placeAt(work).at);
    let left = calls;
    world.beforeCalls(async () => {
      left -= 1;
      if (left < 0) throw new Refusal(503, 'the process has died');
    });
    const { kind, name, namespace } = placeAt(work === 'pass' ? 0 : work);
    const { group, kind: kindName } = kinds[kind];
    const reference = { apiVersion: `${group}/v1`, kind: kindName, metadata: { name, namespace } };
    await (work === 'pass' ? world.pass() : world.event(reference)).catch(() => undefined);
    world.beforeCalls(undefined);
    const found = await read(after);
    for (const key of new Set([...before.keys(), ...after.keys(), ...found.keys()])) {
      expect([before.get(key), after.get(key)], key).toContainEqual(found.get(key));
    }
    model.restore(found);
  }

  function mutate(step: Step & { readonly place: number }): void {
    const { place } = step;
    const report = reportAt(place);
    if (step.does === 'put') put(place, step.rows);
    if (step.does === 'add')
      change(place, (rows) => [
        ...rows.filter((row) => row.id !== step.row.id || row.namespace !== step.row.namespace),
        step.row,
      ]);
    if (step.does === 'drop') change(place, (rows) => rows.filter((_row, number) => number !== step.row));
    if (step.does === 'edit') editRow(place, step.row, step.facts);
    if (step.does === 'empty') change(place, () => []);
    if (step.does === 'mend' && report) put(place, report.rows);
    if (step.does === 'spoil' && report) put(place, report.rows, step.how);
    if (step.does === 'remake') remake(place, placeAt(place).name);
    if (step.does === 'rename') remake(place, placeAt(place).name.endsWith('-2') ? 'a' : `${placeAt(place).name}-2`);
    if (step.does === 'remove') remove(place);
  }

  async function run(step: Step): Promise<void> {
    if (step.does === 'pass') await pass();
    else if (step.does === 'die') await die(step.work === 'pass' ? 'pass' : step.work.place, step.calls);
    else if (step.does === 'scale') scale(step.replicaSet, step.replicas);
    else if (step.does === 'later') {
      model.later(step.minutes);
      world.later(step.minutes);
    } else if (step.does === 'filter') {
      if (!model.dropped.delete(step.rule)) model.dropped.add(step.rule);
    } else {
      mutate(step);
      if (step.does === 'event' || step.event) await event(step.place);
    }
  }

  return { run, pass, world, model };
}
