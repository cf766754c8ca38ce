import * as z from 'zod';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { Refusal } from '../function/refusal.ts';
import { csvOf } from './csv.ts';
import {
  countsSchema,
  createObservationAnswers,
  listSchema,
  type ObservationAnswers,
  parseQuery,
  selectionOf,
} from './list.ts';
import type { LiveView, ViewChange } from './live-view.ts';
import type { ObservationReader } from './observation-reader.ts';
import { sorts } from './order.ts';
import { oneOf, queryParameters, upTo, word } from './parameters.ts';
import { views } from './view-query.ts';

/** What a person may do with ObservationExceptions. */
export interface ExceptionWriter {
  may(namespace: string): Promise<boolean>;
  /** Throws a Refusal. */
  create(namespace: string, object: unknown): Promise<void>;
}

export interface ViewerOptions {
  readonly reader: ObservationReader;
  readonly live: LiveView;
  readonly now: () => number;
  /** Absent where exceptions are files. */
  readonly exceptions?: ExceptionWriter | undefined;
  /** What whoever looks should mend: files that can't be read. */
  readonly problems?: (() => readonly string[]) | undefined;
  /** What the page says of where it looks. */
  readonly place: ViewPlace;
}

export interface ViewPlace {
  /** `local`: a store on this machine; `cluster`: an API server. */
  readonly kind: 'local' | 'cluster';
  /** The only namespace that is looked at. */
  readonly namespace?: string | undefined;
  /** Where exceptions for the whole cluster, and filters, are. */
  readonly systemNamespace: string;
  /** The folder whose files exceptions are in, where they are files. */
  readonly config?: string | undefined;
}

type Query = Readonly<Record<string, unknown>>;

/** Everything that the page and whoever scripts it may ask, on behalf of one person. All throw a Refusal 400 for a bad query. */
export interface Viewer extends ObservationAnswers {
  /** The answer to `GET /observations/table`. */
  table(query: Query): unknown;
  /** The answer to `GET /observations/one`. Throws a Refusal 404. */
  one(query: Query): Promise<Observation>;
  /** The answer to `GET /observations/session`. */
  session(query: Query): Promise<unknown>;
  /** The answer to `GET /observations/export`, bit by bit. */
  export(query: Query): ExportAnswer;
  /** The answer to `GET /observations?watch=1`: lines of JSON. */
  watch(query: Query, signal: AbortSignal): AsyncGenerator<string>;
  /** Does what `POST /observations/exceptions` asks for. Throws a Refusal. */
  accept(body: unknown): Promise<void>;
}

export interface ExportAnswer {
  readonly type: 'application/json' | 'text/csv';
  readonly file: string;
  readonly parts: AsyncGenerator<string>;
}

const { state: _state, ...tableParameters } = queryParameters;

const tableSchema = z.strictObject({
  ...tableParameters,
  view: oneOf(views).default('open'),
  sort: oneOf(sorts).default('severity'),
  offset: z.coerce.number().int().min(0).default(0),
  limit: upTo(1000).default(100),
  top: upTo(500).default(8),
});

const oneSchema = z.strictObject({ namespace: word, name: word });
const sessionSchema = z.strictObject({ namespace: word.optional() });
const exportSchema = z.strictObject({
  ...queryParameters,
  view: oneOf(views).optional(),
  sort: oneOf(sorts).default('severity'),
  format: oneOf(['json', 'csv']).default('json'),
});
const watchSchema = z.strictObject({ watch: oneOf(['1']), brief: oneOf(['1']).optional(), namespace: word.optional() });
/** What each path may be asked, as shared/view/openapi.yaml says it. */
export const querySchemas = {
  '/observations': z.strictObject({ ...watchSchema.partial().shape, ...listSchema.shape }),
  '/observations/counts': countsSchema,
  '/observations/table': tableSchema,
  '/observations/one': oneSchema,
  '/observations/session': sessionSchema,
  '/observations/export': exportSchema,
} as const;

const exceptionSchema = z.looseObject({
  kind: z.literal('ObservationException'),
  metadata: z.looseObject({ namespace: z.string().min(1) }),
});

const exportPage = 500;

/** The pages of an export. */
async function* pagesOf(reader: ObservationReader, query: z.output<typeof exportSchema>, now: number) {
  const { format: _format, sort, ...selection } = query;
  let next: string | undefined;
  do {
    const page = await reader.read({ ...selectionOf(selection, now), sort, limit: exportPage, continue: next });
    yield page.items;
    next = page.continue;
  } while (next !== undefined);
}

async function* csvParts(pages: AsyncIterable<readonly Observation[]>, now: number): AsyncGenerator<string> {
  const [header = ''] = csvOf([], now);
  yield `${header}\r\n`;
  for await (const items of pages) for (const line of csvOf(items, now).slice(1)) yield `${line}\r\n`;
}

async function* jsonParts(pages: AsyncIterable<readonly Observation[]>): AsyncGenerator<string> {
  yield '{"apiVersion":"v1","kind":"List","items":[';
  let comma = '';
  for await (const items of pages) {
    for (const item of items) {
      yield comma + JSON.stringify(item);
      comma = ',\n';
    }
  }
  yield ']}\n';
}

/** A change as the API server would tell it; of what is gone, only where it was. */
async function lineOf({ type, namespace, name }: ViewChange, reader: ObservationReader, isBrief: boolean) {
  const place = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata: { namespace, name } };
  const object = isBrief || type === 'DELETED' ? place : await reader.get(namespace, name);
  return object && `${JSON.stringify({ type, object })}\n`;
}

async function* changeLines(
  reader: ObservationReader,
  all: AsyncIterable<readonly ViewChange[]>,
  { brief, namespace }: z.output<typeof watchSchema>,
): AsyncGenerator<string> {
  for await (const changes of all) {
    for (const change of changes) {
      if (namespace !== undefined && change.namespace !== namespace) continue;
      const line = await lineOf(change, reader, brief !== undefined);
      if (line !== undefined) yield line;
    }
  }
}

const problemsInterval = 1000;

/** The lines, and between them, whenever what should be mended has changed, one that says so. */
async function* withProblems(
  lines: AsyncGenerator<string>,
  problems: () => readonly string[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  let told = problems().join('\n');
  let next = lines.next();
  while (!signal.aborted) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), problemsInterval);
    });
    const line = await Promise.race([next, pause]);
    clearTimeout(timer);
    const now = problems();
    if (now.join('\n') !== told) {
      told = now.join('\n');
      yield `${JSON.stringify({ type: 'PROBLEMS', problems: now })}\n`;
    }
    if (line?.done) return;
    if (line) {
      yield line.value;
      next = lines.next();
    }
  }
}

export function createViewer({ reader, live, now, exceptions, problems, place }: ViewerOptions): Viewer {
  function throwFault(): void {
    const fault = live.fault();
    if (fault !== undefined) throw Refusal.from(fault, 503, 'the Observations can not be read');
  }

  return {
    ...createObservationAnswers(reader, now),

    table(query) {
      throwFault();
      const { view, sort, offset, limit, top, ...selection } = parseQuery(querySchemas['/observations/table'], query);
      const table = live.query({
        selection: selectionOf(selection, now()),
        view,
        sort,
        offset,
        limit,
        top,
        now: now(),
      });
      return { severities, problems: problems?.() ?? [], ...table };
    },

    async one(query) {
      const { namespace, name } = parseQuery(querySchemas['/observations/one'], query);
      const found = await reader.get(namespace, name);
      if (!found) throw new Refusal(404, 'there is no Observation of this name', { path: 'name' });
      return found;
    },

    async session(query) {
      const { namespace } = parseQuery(querySchemas['/observations/session'], query);
      const mayAccept = exceptions && namespace !== undefined ? await exceptions.may(namespace) : false;
      return { ...place, mayAccept, isRefused: live.fault() !== undefined };
    },

    export(query) {
      const parsed = parseQuery(querySchemas['/observations/export'], query);
      const pages = pagesOf(reader, parsed, now());
      return parsed.format === 'csv'
        ? { type: 'text/csv', file: 'observations.csv', parts: csvParts(pages, now()) }
        : { type: 'application/json', file: 'observations.json', parts: jsonParts(pages) };
    },

    watch(query, signal) {
      const parsed = parseQuery(watchSchema, query);
      throwFault();
      const lines = changeLines(reader, live.changes(signal), parsed);
      // A script that follows Observations need not know of anything else.
      return problems && parsed.brief !== undefined ? withProblems(lines, problems, signal) : lines;
    },

    async accept(body) {
      if (!exceptions) throw new Refusal(405, 'exceptions are files here: save it in the folder of --config');
      const parsed = exceptionSchema.safeParse(body);
      if (!parsed.success) throw new Refusal(422, 'this is no ObservationException');
      await exceptions.create(parsed.data.metadata.namespace, parsed.data);
    },
  };
}
