import * as z from 'zod';
import { isAccepted } from '../api/acceptance.ts';
import type { Observation } from '../api/observation.ts';
import { readObservation, readObservationList } from '../api/read-observation.ts';
import { Refusal } from '../function/refusal.ts';
import { createCountTally, groupValueOf } from '../view/counts.ts';
import type { ObservationList, ObservationReader, ReadQuery } from '../view/observation-reader.ts';
import { sortObservations } from '../view/order.ts';
import { comparableOf, partsOf, type Selection } from '../view/selection.ts';
import { setUpFault } from './api-status.ts';
import { listNames, type ObservationListsOptions } from './observation-lists.ts';
import { observationPath } from './observation-path.ts';
import { selectorsOf } from './observation-selectors.ts';

const readMilliseconds = 30_000;

const itemsPerPage = 500;

/** How many pages of the API server one read looks through for what only we can compare. */
const pagesPerRead = 10;
const itemsPerRead = pagesPerRead * itemsPerPage;

/** Where a read continues: at a page of the API server, after the item with this key. */
const startSchema = z.strictObject({
  page: z.string().optional(),
  after: z.string().optional(),
});

type Start = z.infer<typeof startSchema>;

function encodeStart(start: Start): string {
  return Buffer.from(JSON.stringify(start)).toString('base64url');
}

function badContinue(cause?: unknown): Refusal {
  return new Refusal(400, 'a bad query', { path: 'continue', cause });
}

function decodeStart(token: string | undefined): Start {
  if (token === undefined) return {};
  try {
    return startSchema.parse(JSON.parse(Buffer.from(token, 'base64url').toString()));
  } catch (cause) {
    throw badContinue(cause);
  }
}

/** The order of these keys is the API server's. */
function keyOf({ metadata }: Observation): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** What a person is told who may not read; of any other fault, what an operator is. */
export function readFault(what: string, response: { readonly status: number; readonly body: unknown }): Refusal {
  if (response.status !== 403) return setUpFault(what, response);
  return new Refusal(403, `${what} is not allowed here: name a namespace where it is`, { path: 'namespace' });
}

/** One page of the API server. */
async function listPage(
  { client, watchNamespace }: ObservationListsOptions,
  selection: Selection,
  limit: number,
  page: string | undefined,
) {
  const response = await client.request({
    method: 'GET',
    path: observationPath(typeof selection.namespace === 'string' ? selection.namespace : watchNamespace),
    query: { ...selectorsOf(selection), limit: String(limit), continue: page },
    signal: AbortSignal.timeout(readMilliseconds),
  });
  // A page that is asked for late is no longer there: 410.
  if (page !== undefined && (response.status === 400 || response.status === 410)) throw badContinue();
  if (response.status !== 200) throw readFault('listing Observations', response);
  return readObservationList(response.body);
}

type Test = (item: Observation) => boolean;

/** Whether it has, of each list of values, one. */
function testsOfLists(selection: Selection): Test[] {
  const { exact } = partsOf(selection);
  return (['source', 'severity', 'category', 'namespace', 'eventType', 'rule', 'actor'] as const).flatMap(
    (by): Test[] => {
      const wanted = exact[by];
      if (wanted === undefined || typeof wanted === 'string') return [];
      const values = new Set<string>(wanted);
      return [(item) => values.has(groupValueOf(item, by))];
    },
  );
}

/** Whether an Observation has the part of a selection that the API server can't select by; `undefined` if there is none. */
function testOf(selection: Selection): Test | undefined {
  const { exact, test } = partsOf(selection);
  const { acceptance } = exact;
  const tests = [
    ...testsOfLists(selection),
    ...(acceptance
      ? [(item: Observation) => isAccepted(item.metadata.labels, acceptance.at) === acceptance.isAccepted]
      : []),
    ...(test ? [(item: Observation) => test(comparableOf(item))] : []),
  ];
  return tests.length === 0 ? undefined : (item) => tests.every((one) => one(item));
}

/** Up to `limit` of what is selected, in the API server's order. */
async function readPage(options: ObservationListsOptions, query: ReadQuery): Promise<ObservationList> {
  const { limit } = query;
  const test = testOf(query);
  const items: Observation[] = [];
  let { page, after } = decodeStart(query.continue);
  for (let pages = 0; pages < pagesPerRead && items.length < limit; pages += 1) {
    const size = test ? itemsPerPage : Math.min(itemsPerPage, limit - items.length);
    const list = await listPage(options, query, size, page);
    const begin = after;
    const rest = begin === undefined ? list.items : list.items.filter((item) => keyOf(item) > begin);
    const selected = test ? rest.filter(test) : rest;
    const fitting = selected.slice(0, limit - items.length);
    items.push(...fitting);
    const last = fitting.at(-1);
    if (last && fitting.length < selected.length) return { items, continue: encodeStart({ page, after: keyOf(last) }) };
    if (list.continue === '') return { items };
    page = list.continue;
    after = undefined;
  }
  return { items, continue: encodeStart({ page }) };
}

/** One Observation; `undefined` if there is none of that name. */
async function getOne({ client }: ObservationListsOptions, namespace: string, name: string) {
  const path = observationPath(namespace, name);
  const response = await client.request({ method: 'GET', path, signal: AbortSignal.timeout(readMilliseconds) });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw readFault('reading Observations', response);
  return readObservation(response.body);
}

/** Where the Observations with this text in their names are; if it is the whole name of any, only those. */
async function placesOf(options: ObservationListsOptions, text: string, namespace: string | undefined, limit: number) {
  const found: { readonly namespace: string; readonly name: string }[] = [];
  for await (const { ref } of listNames(options, { namespace }, AbortSignal.timeout(readMilliseconds))) {
    if (ref.name === text || (ref.name.includes(text) && found.length < limit)) found.push(ref);
  }
  const exact = found.filter(({ name }) => name === text);
  return exact.length > 0 ? exact : found;
}

/** Reads whole Observations, in `watchNamespace` unless the query names another. */
export function createObservationReads(options: ObservationListsOptions): ObservationReader {
  return {
    sortsAcrossPages: false,

    async read(query) {
      const { items, continue: next } = await readPage(options, query);
      const sorted = query.sort ? sortObservations(items, query.sort) : items;
      return next === undefined ? { items: sorted } : { items: sorted, continue: next };
    },

    get: (namespace, name) => getOne(options, namespace, name),

    async counts(selection, by) {
      const tally = createCountTally();
      let next: string | undefined;
      do {
        const list = await readPage(options, { ...selection, limit: itemsPerRead, continue: next });
        for (const item of list.items) tally.add(groupValueOf(item, by), item.spec.severity);
        next = list.continue;
      } while (next !== undefined);
      return tally.counts();
    },

    async findByName(text, namespace, limit) {
      const places = await placesOf(options, text, namespace, limit);
      const found = await Promise.all(places.map((place) => getOne(options, place.namespace, place.name)));
      return found.filter((one) => one !== undefined);
    },
  };
}
