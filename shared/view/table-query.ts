import { severities } from '../finding/severity.ts';
import { type Facet, facets } from './facets.ts';
import type { ColumnName, ObservationIndex } from './observation-index.ts';
import { resourceOf } from './observation-index.ts';
import type { Sort } from './order.ts';
import { allBits, wordBits, wordsOf } from './search.ts';
import { type AnyOf, anyGlobTest, anyOf, type Selection } from './selection.ts';
import { passing } from './text-column.ts';
import { day, type View, views } from './view-query.ts';
import type { ViewRow } from './view-row.ts';
import { anyWorkloadTest } from './workload-word.ts';

export interface TableQuery {
  /** In addition to what the view selects. */
  readonly selection: Selection;
  readonly view: View;
  readonly sort: Sort;
  readonly offset: number;
  readonly limit: number;
  /** How many values of each facet are told. */
  readonly top: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How many have it, by severity: in the order of `severities`. */
type BySeverity = readonly number[];

export interface FacetCounts {
  /** How many values there are. */
  readonly distinct: number;
  /** The worst first. */
  readonly items: readonly { readonly value: string; readonly severities: BySeverity }[];
}

/** What a query finds. */
export interface Table {
  readonly total: number;
  /** Of each view, had it been chosen. */
  readonly views: Readonly<Record<View, BySeverity>>;
  /** Of each facet, what would be found without what is chosen of it. */
  readonly facets: Readonly<Record<Facet, FacetCounts>>;
  readonly items: readonly (ViewRow & { readonly workload: string })[];
}

/** Lets pass the rows whose text of a column is one of some: each different text has been tried once. */
interface Condition {
  /** The facet whose counts do without it. */
  readonly facet: Facet | undefined;
  readonly codes: Int32Array;
  readonly passes: Uint8Array;
}

/** Lets pass the rows with a time that is not earlier. */
interface TimeCondition {
  readonly times: Float64Array;
  readonly since: number;
}

function byText(index: ObservationIndex, name: ColumnName, test: (text: string) => boolean, facet?: Facet): Condition {
  const column = index.column(name);
  return { facet, codes: column.codes, passes: passing(column, test) };
}

/** A test of the texts of a column, made of what is wanted of it; none if that is empty. */
interface TextCondition {
  readonly column: ColumnName;
  readonly facet?: Facet;
  readonly test: ((text: string) => boolean) | undefined;
}

function equalTo(wanted: AnyOf | undefined): TextCondition['test'] {
  if (wanted === undefined) return undefined;
  const all = new Set(anyOf(wanted));
  return (text) => all.has(text);
}

function imageTest(patterns: AnyOf | undefined): TextCondition['test'] {
  if (patterns === undefined) return undefined;
  const matches = anyGlobTest(patterns);
  return (images) => images !== '' && images.split('\n').some(matches);
}

function kindTest(kinds: AnyOf | undefined): TextCondition['test'] {
  if (kinds === undefined) return undefined;
  const wanted = new Set(anyOf(kinds).map((kind) => kind.toLowerCase()));
  return (text) => wanted.has(text.toLowerCase());
}

function workloadCondition(words: AnyOf | undefined): TextCondition['test'] {
  if (words === undefined) return undefined;
  const matches = anyWorkloadTest(words);
  return (text) => {
    const resource = resourceOf(text);
    return resource !== undefined && matches(resource);
  };
}

function ruleOrActor(patterns: AnyOf | undefined): TextCondition['test'] {
  if (patterns === undefined) return undefined;
  const matches = anyGlobTest(patterns);
  return (text) => text !== '' && matches(text);
}

/** The texts of a row that are searched, apart from its namespace and name. */
const searchedColumns = [
  'summary',
  'rule',
  'source',
  'severity',
  'kind',
  'resourceName',
  'actor',
  'image',
  'fix',
] as const;

/** Whether each word is in one of several texts of a row: as a column of its own. */
function searchCondition(index: ObservationIndex, search: string): Condition {
  const words = wordsOf(search);
  const columns = searchedColumns.map((name) => {
    const { values, codes } = index.column(name);
    return { codes, bits: Int32Array.from(values, (text) => wordBits(words, text)) };
  });
  const all = allBits(words);
  const codes = new Int32Array(columns[0]?.codes.length ?? 0);
  index.eachKey((row, key) => {
    let bits = wordBits(words, key);
    for (const column of columns) bits |= column.bits[column.codes[row] ?? 0] ?? 0;
    codes[row] = bits === all ? 1 : 0;
  });
  return { facet: undefined, codes, passes: Uint8Array.of(0, 1) };
}

function textConditions(selection: Selection): TextCondition[] {
  const { isFixable } = selection;
  return [
    { column: 'source', facet: 'source', test: equalTo(selection.source) },
    { column: 'severity', facet: 'severity', test: equalTo(selection.severity) },
    { column: 'namespace', facet: 'namespace', test: equalTo(selection.namespace) },
    { column: 'category', facet: 'category', test: equalTo(selection.category) },
    { column: 'eventType', facet: 'eventType', test: equalTo(selection.eventType) },
    { column: 'rule', facet: 'rule', test: ruleOrActor(selection.rule) },
    { column: 'actor', facet: 'actor', test: ruleOrActor(selection.actor) },
    { column: 'kind', facet: 'kind', test: kindTest(selection.kind) },
    { column: 'image', facet: 'image', test: imageTest(selection.image) },
    { column: 'resource', facet: 'workload', test: workloadCondition(selection.workload) },
    { column: 'fix', facet: 'fix', test: equalTo(selection.fix) },
    { column: 'fix', test: isFixable === undefined ? undefined : (text) => (text !== '') === isFixable },
  ];
}

function conditionsOf(index: ObservationIndex, { selection }: TableQuery): Condition[] {
  const { states, search } = selection;
  const ofTexts = textConditions(selection).flatMap(({ column, facet, test }) =>
    test === undefined ? [] : [byText(index, column, test, facet)],
  );
  return [
    ...ofTexts,
    ...(states ? [byText(index, 'state', (text) => states.some((state) => state === text))] : []),
    ...(search === undefined ? [] : [searchCondition(index, search)]),
  ];
}

function timeConditionsOf(index: ObservationIndex, { createdSince, changedSince, since }: Selection): TimeCondition[] {
  const wanted = [
    { times: index.times('createdAt'), since: createdSince },
    { times: index.times('changedAt'), since: changedSince },
    { times: index.times('detectedAt'), since },
  ];
  return wanted.flatMap((one) => (one.since === undefined ? [] : [{ times: one.times, since: one.since }]));
}

/** The views that a row is in: a bit for each, in the order of `views`. */
function viewBits(index: ObservationIndex, now: number): (row: number) => number {
  const { values, codes } = index.column('state');
  const isGone = Uint8Array.from(values, (state) => (state === 'missing' || state === 'resolved' ? 1 : 0));
  const [created, changed, accepted] = [
    index.times('createdAt'),
    index.times('changedAt'),
    index.times('acceptedUntil'),
  ];
  const yesterday = now - day;
  const bitOf = recordOf(views, (view) => 1 << views.indexOf(view));
  return (row) => {
    const isAccepted = now < (accepted[row] ?? 0);
    if (isGone[codes[row] ?? 0]) return (changed[row] ?? 0) >= yesterday ? bitOf.all | bitOf.gone : bitOf.all;
    if (isAccepted) return bitOf.all | bitOf.accepted;
    return bitOf.all | bitOf.open | ((created[row] ?? 0) >= yesterday ? bitOf.new : 0);
  };
}

const steps = severities.length;

/** Negative if the counts that begin at `a` are worse: more of the worst severity in which the two differ. */
function compareAt(counts: Int32Array, a: number, b: number): number {
  for (let step = 0; step < steps; step += 1) {
    const difference = (counts[b + step] ?? 0) - (counts[a + step] ?? 0);
    if (difference !== 0) return difference;
  }
  return a - b;
}

/** The places of the worst few, without sorting the rest. */
function worstOf(counts: Int32Array, places: readonly number[], top: number): number[] {
  const worst: number[] = [];
  for (const place of places) {
    const last = worst[top - 1];
    if (last !== undefined && compareAt(counts, place, last) > 0) continue;
    const at = worst.findIndex((other) => compareAt(counts, place, other) < 0);
    worst.splice(at === -1 ? worst.length : at, 0, place);
    if (worst.length > top) worst.pop();
  }
  return worst;
}

/** Counts by value and severity: those of a value stand beside one another. */
interface FacetTally {
  readonly values: readonly string[];
  readonly codes: Int32Array;
  readonly counts: Int32Array;
}

function createTally(index: ObservationIndex, facet: Facet): FacetTally {
  const { values, codes } = index.column(facet);
  return { values, codes, counts: new Int32Array(values.length * steps) };
}

function addTo({ codes, counts }: FacetTally, row: number, step: number): void {
  const place = (codes[row] ?? 0) * steps + step;
  counts[place] = (counts[place] ?? 0) + 1;
}

function countsOf({ values, counts }: FacetTally, top: number): FacetCounts {
  const places: number[] = [];
  for (let number = 0; number < values.length; number += 1) {
    if (values[number] === '') continue;
    for (let place = number * steps; place < (number + 1) * steps; place += 1) {
      if (counts[place] === 0) continue;
      places.push(number * steps);
      break;
    }
  }
  const items = worstOf(counts, places, top).map((place) => ({
    value: values[place / steps] ?? '',
    severities: [...counts.subarray(place, place + steps)],
  }));
  return { distinct: places.length, items };
}

const stepsByName: ReadonlyMap<string, number> = new Map(severities.map((severity, step) => [severity, step]));

/** Where in `severities` a row's severity is. */
function severitySteps(index: ObservationIndex): (row: number) => number {
  const { values, codes } = index.column('severity');
  const stepOf = Uint8Array.from(values, (text) => stepsByName.get(text) ?? 0);
  return (row) => stepOf[codes[row] ?? 0] ?? 0;
}

function recordOf<Key extends string, Value>(keys: readonly Key[], valueFor: (key: Key) => Value): Record<Key, Value> {
  return Object.assign({}, ...keys.map((key) => ({ [key]: valueFor(key) })));
}

const passed = -1;
const refused = -2;

/** Where in the list the only condition is that a row fails; `passed` if it fails none, `refused` if it fails several. */
function failedBy(conditions: readonly Condition[], row: number): number {
  let failed = passed;
  for (let at = 0; at < conditions.length; at += 1) {
    const condition = conditions[at];
    if (condition === undefined || condition.passes[condition.codes[row] ?? 0] === 1) continue;
    if (failed !== passed) return refused;
    failed = at;
  }
  return failed;
}

function isInTime(conditions: readonly TimeCondition[], row: number): boolean {
  return conditions.every(({ times, since }) => (times[row] ?? Number.NaN) >= since);
}

/** A test for what a selection says of acceptance, apart from the view. */
function acceptanceTest(index: ObservationIndex, { selection: { acceptance }, now }: TableQuery) {
  const until = index.times('acceptedUntil');
  return (row: number): boolean => acceptance === undefined || now < (until[row] ?? 0) === acceptance.isAccepted;
}

/** What is counted while the rows are looked through. */
interface Tally {
  /** By the set of views that a row is in. */
  readonly byViews: Int32Array;
  readonly facets: Readonly<Record<Facet, FacetTally>>;
  /** The rows to show. */
  readonly found: number[];
  total: number;
}

/** Of a row that fails the condition for a facet alone, that facet counts it. */
function countFailed(tally: Tally, facet: Facet | undefined, row: number, step: number): void {
  if (facet !== undefined) addTo(tally.facets[facet], row, step);
}

function countPassed(tally: Tally, { offset, limit }: TableQuery, row: number, step: number): void {
  for (const facet of facets) addTo(tally.facets[facet], row, step);
  if (tally.total >= offset && tally.found.length < limit) tally.found.push(row);
  tally.total += 1;
}

function countRows(index: ObservationIndex, query: TableQuery, tally: Tally): void {
  const conditions = conditionsOf(index, query);
  const timeConditions = timeConditionsOf(index, query.selection);
  const isWanted = acceptanceTest(index, query);
  const [bitsOf, stepOf] = [viewBits(index, query.now), severitySteps(index)];
  const viewBit = 1 << views.indexOf(query.view);
  for (const row of index.order(query.sort)) {
    const failed = failedBy(conditions, row);
    if (failed === refused || !isInTime(timeConditions, row) || !isWanted(row)) continue;
    const [step, bits] = [stepOf(row), bitsOf(row)];
    const isInView = (bits & viewBit) !== 0;
    if (failed === passed) {
      const place = bits * steps + step;
      tally.byViews[place] = (tally.byViews[place] ?? 0) + 1;
      if (isInView) countPassed(tally, query, row, step);
    } else if (isInView) countFailed(tally, conditions[failed]?.facet, row, step);
  }
}

/** Looks through all rows once. */
export function queryTable(index: ObservationIndex, query: TableQuery): Table {
  const tally: Tally = {
    byViews: new Int32Array((1 << views.length) * steps),
    facets: recordOf(facets, (facet) => createTally(index, facet)),
    found: [],
    total: 0,
  };
  countRows(index, query, tally);
  return {
    total: tally.total,
    views: recordOf(views, (name) => sumOfView(tally.byViews, views.indexOf(name))),
    facets: recordOf(facets, (facet) => countsOf(tally.facets[facet], query.top)),
    items: tally.found.map((row) => ({ ...index.row(row), workload: workloadAt(index, row) })),
  };
}

function workloadAt(index: ObservationIndex, row: number): string {
  const { values, codes } = index.column('workload');
  return values[codes[row] ?? 0] ?? '';
}

/** The counts by severity of a view, from those of each set of views. */
function sumOfView(byBits: Int32Array, view: number): number[] {
  const sums = new Array<number>(steps).fill(0);
  for (let bits = 0; bits < 1 << views.length; bits += 1) {
    if ((bits & (1 << view)) === 0) continue;
    for (let step = 0; step < steps; step += 1) sums[step] = (sums[step] ?? 0) + (byBits[bits * steps + step] ?? 0);
  }
  return sums;
}
