import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import * as z from 'zod';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { slotLabelOf } from '../../shared/pipeline/slot.ts';
import {
  type Change,
  type Facts,
  type Interruption,
  type Place,
  places,
  replicaSets,
  type Step,
  type Work,
} from './histories.ts';
import { createModel, type ModelReport, type ModelRow, type ModelStored, type Possible, spell } from './model.ts';
import { createWorld, kinds, type ReportOptions, scanner } from './slot-world.ts';

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
      facts: isOwn
        ? ownFacts(summary)
        : { severity, summary, remediation, references, details, workload: workloads.get(spelt) ?? '' },
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
    workload: '',
  };
}

/** Labels of slots under the model's names for them. */
function createSlotNames() {
  const names = new Map([['shared', 'shared']]);
  return {
    /** Learns the label of a slot. Each slot has one, and no two have the same. */
    learn(label: string, slot: string): void {
      const known = [...names].filter(([name, value]) => name === label || value === slot);
      for (const one of known) expect(one).toEqual([label, slot]);
      names.set(label, slot);
    },
    of: (label: string): string => names.get(label) ?? label,
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

function rowsAfter(change: Change, rows: readonly ModelRow[]): readonly ModelRow[] {
  switch (change.does) {
    case 'add': {
      const { id, namespace } = change.row;
      return [...rows.filter((row) => row.id !== id || row.namespace !== namespace), change.row];
    }
    case 'drop':
      return rows.toSpliced(change.row, 1);
    case 'edit':
      return rows.map((row, at) => (at === change.row ? edited(row, change.facts) : row));
    case 'empty':
      return [];
    default:
      return rows;
  }
}

/** The same row with other facts. */
function edited({ id, namespace, detectedAt }: ModelRow, facts: Facts): ModelRow {
  return { ...facts, id, ...(namespace && { namespace }), ...(detectedAt && { detectedAt }) };
}

function conditionAfter(change: Change, condition: ModelReport['condition']): ModelReport['condition'] {
  if (change.does === 'spoil') return change.how;
  return change.does === 'mend' ? 'good' : condition;
}

/** A report about one thing says things of its own namespace. */
function atHome(rows: readonly ModelRow[], namespace: string | undefined): readonly ModelRow[] {
  const home = rows.map((row): ModelRow => {
    const { namespace: there, ...rest } = row;
    return there === namespace ? row : rest;
  });
  return [...new Map(home.map((row) => [`${row.namespace} ${row.id}`, row])).values()];
}

function asPossible(stored: ReadonlyMap<string, ModelStored>): Possible {
  return new Map([...stored].map(([key, one]) => [key, [one]]));
}

/** A world and its model, to which the same happens. */
export function createTwins() {
  const model = createModel(Date.parse('2026-03-01T12:00:00Z'));
  const world = createWorld({
    context: { filter: (finding) => (model.dropped.has(finding.rule) ? 'exclude_rule' : finding) },
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
  function put(index: number, given: readonly ModelRow[], condition: ModelReport['condition'] = 'good', isNew = false) {
    const place = placeAt(index);
    const { at, namespace, about, name } = place;
    const rows = about ? atHome(given, namespace) : given;
    const before = isNew ? undefined : model.reports.get(at);
    if (!before) made += 1;
    const created = before?.created ?? new Date(model.now()).toISOString().replace('.000', '');
    model.reports.set(at, { at, name, slot: slotOf(place), namespace, about, created, rows, condition });
    const object = world.put(name, condition === 'bad row' ? [...rows, {}] : rows, {
      ...optionsOf(place),
      uid: `uid-${made}`,
      created,
    });
    slotNames.learn(slotLabelOf(scanner.source, object), slotOf(place));
    if (condition === 'unreadable') Object.assign(object, { rows: 'none' });
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

  async function read(): Promise<ReadonlyMap<string, ModelStored>> {
    const { items } = await world.store.read({ limit: 10_000 });
    const found = items.map(observed).map(([key, stored]) => {
      return [key, { ...stored, report: slotNames.of(stored.report) }] as const;
    });
    expect(new Set(found.map(([key]) => key)).size, 'stored twice').toBe(found.length);
    return new Map(found);
  }

  async function compare(possible: Possible): Promise<void> {
    const found = await read();
    const expected = [...possible].map(([key, all]) => {
      const one = found.get(key);
      return [key, all.find((candidate) => isDeepStrictEqual(candidate, one)) ?? all[0]] as const;
    });
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    model.take(found);
  }

  function referenceTo(index: number): KubernetesObject {
    const { kind, name, namespace } = placeAt(index);
    return { apiVersion: `${kinds[kind].group}/v1`, kind: kinds[kind].kind, metadata: { name, namespace } };
  }

  async function event(index: number): Promise<void> {
    const possible = model.afterEvent(placeAt(index).at);
    const answer = await world.event(referenceTo(index)).then(
      () => 204,
      (error) => Refusal.from(error).status,
    );
    expect(answer).toBe((reportAt(index)?.condition ?? 'good') === 'good' ? 204 : 422);
    await compare(possible);
  }

  async function pass(): Promise<void> {
    const possible = model.afterPass();
    await world.pass();
    await compare(possible);
  }

  function workOf(work: Work): { readonly does: () => Promise<unknown>; readonly expected: () => Possible } {
    if (work === 'pass') return { does: world.pass, expected: model.afterPass };
    const { at } = placeAt(work.place);
    return { does: () => world.event(referenceTo(work.place)), expected: () => model.afterEvent(at) };
  }

  /** Takes over what is stored, if each Observation is one of those that it may be. */
  async function choose(possible: readonly Possible[]): Promise<void> {
    const found = await read();
    const isSame = (one: ModelStored | undefined, other: ModelStored | undefined): boolean =>
      isDeepStrictEqual(one && { ...one, detectedAt: '' }, other && { ...other, detectedAt: '' });
    for (const key of new Set([...found.keys(), ...possible.flatMap((one) => [...one.keys()])])) {
      const all = possible.flatMap((one): readonly (ModelStored | undefined)[] => one.get(key) ?? [undefined]);
      // What several slots report takes more than one write.
      if (all.some((one) => one?.report === 'shared')) continue;
      const one = found.get(key);
      if (!all.some((candidate) => isSame(candidate, one))) expect({ [key]: one }).toEqual({ [key]: all });
    }
    model.take(found);
  }

  /** Lets a process die after some calls. Each Observation is then as it was or as it should become. */
  async function die({ work, calls }: Interruption): Promise<void> {
    const { does, expected } = workOf(work);
    const possible = [asPossible(model.stored()), expected()];
    let left = calls;
    world.beforeCalls(async () => {
      left -= 1;
      if (left < 0) throw new Refusal(503, 'the process has died');
    });
    await does().catch(() => undefined);
    world.beforeCalls(undefined);
    await choose(possible);
  }

  /** What is expected where the reports are still as they were. */
  function withReports(known: ReadonlyMap<string, ModelReport>, expected: () => Possible): Possible {
    const now = new Map(model.reports);
    const replace = (reports: ReadonlyMap<string, ModelReport>): void => {
      model.reports.clear();
      for (const [at, report] of reports) model.reports.set(at, report);
    };
    replace(known);
    const possible = expected();
    replace(now);
    return possible;
  }

  /** What may be stored after some work that one process does after another. */
  function inTurn(...all: readonly (() => Possible)[]): Possible {
    const before = model.stored();
    let possible = asPossible(before);
    for (const expected of all) {
      possible = expected();
      model.take(new Map([...possible].flatMap(([key, [one]]) => (one ? [[key, one] as const] : []))));
    }
    model.take(before);
    return possible;
  }

  /** Lets a report change, and an event about it be handled, while a process is at work. */
  async function race({ work, calls }: Interruption, change: Change): Promise<void> {
    const { does, expected } = workOf(work);
    const place = { place: change.place };
    const first = expected();
    let possible: readonly Possible[] = [first];
    let left = calls;
    world.beforeCalls(async () => {
      left -= 1;
      if (left >= 0) return;
      world.beforeCalls(undefined);
      const known = new Map(model.reports);
      mutate(change);
      const other = workOf(place);
      const early = () => first;
      const late = () => withReports(known, expected);
      const orders = [[other.expected], [other.expected, expected], [other.expected, late, expected]];
      // What was read before is written before the other has written, or after that, or is not written at all.
      possible = orders.flatMap((order) => [inTurn(...order), inTurn(early, ...order)]);
      await other.does().catch(() => undefined);
    });
    await does().catch(() => undefined);
    world.beforeCalls(undefined);
    await choose(possible);
  }

  function mutate(change: Change): void {
    const { place } = change;
    const report = reportAt(place);
    if (change.does === 'put') put(place, change.rows);
    else if (!report) return;
    else if (change.does === 'remove') remove(place);
    else if (change.does === 'remake') remake(place, report.name);
    else if (change.does === 'rename') remake(place, report.name.endsWith('-2') ? 'a' : `${report.name}-2`);
    else put(place, rowsAfter(change, report.rows), conditionAfter(change, report.condition));
  }

  /** What changes around the reports, without an event about any. */
  function turn(step: Step): void {
    if (step.does === 'scale') scale(step.replicaSet, step.replicas);
    if (step.does === 'filter' && !model.dropped.delete(step.rule)) model.dropped.add(step.rule);
    if (step.does !== 'later') return;
    model.later(step.minutes);
    world.later(step.minutes);
  }

  async function run(step: Step): Promise<void> {
    if (step.does === 'pass') await pass();
    else if (step.does === 'die') await die(step);
    else if (step.does === 'race') await race(step, step.change);
    else if (step.does === 'event') await event(step.place);
    else if ('place' in step) {
      mutate(step);
      if (step.event) await event(step.place);
    } else turn(step);
  }

  return { run, pass };
}
