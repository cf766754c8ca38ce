import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import * as z from 'zod';
import { acceptedReasonAnnotation, exceptionAnnotation, labels as labelNames } from '../api/labels.ts';
import { severities } from '../finding/severity.ts';
import type { Store } from '../function/stores.ts';
import type { ObservationFeed } from '../view/live-view.ts';
import { type ViewRow, viewRow } from '../view/view-row.ts';
import { resourceSchema } from './embedded-objects.ts';
import { guarded, placeOf } from './embedded-rows.ts';

/** Reads rows for a list of many. */
export interface ViewRows {
  /** A page of rows after the one with this key, in the order of keys. */
  viewRows(after: readonly [namespace: string, name: string] | undefined, limit: number): ViewRow[];
  viewRow(namespace: string, name: string): ViewRow | undefined;
}

const label = (name: string): string => `json_extract(labels, '$."${name}"')`;

const members = ['category', 'eventType', 'rule', 'summary', 'resource', 'actor.username', 'remediation', 'detectedAt'];

const annotations = [exceptionAnnotation, acceptedReasonAnnotation]
  .map((name) => `'$.metadata.annotations."${name}"'`)
  .join(', ');

const columns = `place, name, source, severity, created_at, ${label(labelNames.state)} AS state,
  ${label(labelNames.since)} AS since, ${label(labelNames.accepted)} AS accepted,
  json_extract(object, ${members.map((path) => `'$.spec.${path}'`).join(', ')}, '$.spec.details.image', ${annotations}) AS members`;

const text = z.string().nullable();

const rowSchema = z.object({
  place: z.string(),
  name: z.string(),
  source: z.string(),
  severity: z.enum(severities),
  created_at: z.number(),
  state: text,
  since: text,
  accepted: text,
  members: z.string(),
});

const membersSchema = z.tuple([
  z.string(),
  z.string(),
  text,
  text,
  resourceSchema.nullable(),
  text,
  text,
  z.string(),
  z.unknown(),
  text,
  text,
]);

function rowOf(found: unknown): ViewRow {
  const { place, created_at: createdAt, state, since, accepted, members, ...row } = rowSchema.parse(found);
  const given = membersSchema.parse(JSON.parse(members));
  const [category, eventType, rule, summary, resource, actor, remediation, detectedAt, image, exception, reason] =
    given;
  return viewRow({
    ...row,
    namespace: place.slice(0, -1),
    createdAt,
    category,
    eventType,
    detectedAt,
    image,
    rule: rule ?? undefined,
    summary: summary ?? undefined,
    resource: resource ?? undefined,
    actor: actor ?? undefined,
    remediation: remediation ?? undefined,
    state: state ?? undefined,
    since: since ?? undefined,
    accepted: accepted ?? undefined,
    exception: exception ?? undefined,
    reason: reason ?? undefined,
  });
}

export function viewRowsOf(database: DatabaseSync): ViewRows {
  const select = (where: string, values: readonly SQLInputValue[]): ViewRow[] =>
    guarded(() =>
      database
        .prepare(`SELECT ${columns} FROM observations WHERE ${where}`)
        .all(...values)
        .map(rowOf),
    );
  return {
    viewRows(after, limit) {
      const key = after ? [placeOf(after[0]), after[1]] : ['', ''];
      return select('(place, name) > (?, ?) ORDER BY place, name LIMIT ?', [...key, limit]);
    },
    viewRow: (namespace, name) => select('place = ? AND name = ?', [placeOf(namespace), name])[0],
  };
}

type OnChange = (namespace: string, name: string) => void;

/** A store that tells whoever listens what has been written to it. */
export function createChangeTeller<Written extends Store>(store: Written) {
  const listeners = new Set<OnChange>();
  const listen = (listener: OnChange): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const onChange: OnChange = (namespace, name) => {
    for (const listener of listeners) listener(namespace, name);
  };
  return { store: tellingChanges(store, onChange), listen };
}

function tellingChanges<Written extends Store>(store: Written, onChange: OnChange): Written {
  return {
    ...store,
    async create(object, signal) {
      const result = await store.create(object, signal);
      if (result === 'created') onChange(object.metadata.namespace, object.metadata.name);
      return result;
    },
    async patch(stored, patch, signal) {
      const isDone = await store.patch(stored, patch, signal);
      if (isDone) onChange(stored.ref.namespace, stored.ref.name);
      return isDone;
    },
    async addSeries(ref, addition, signal) {
      const result = await store.addSeries(ref, addition, signal);
      if (result === 'added') onChange(ref.namespace, ref.name);
      return result;
    },
    async delete(ref, signal) {
      const isDone = await store.delete(ref, signal);
      if (isDone) onChange(ref.namespace, ref.name);
      return isDone;
    },
  };
}

const rowsPerTurn = 200;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** The rows of an embedded store, and its changes as they are told. Events have their turn in between. */
export function createEmbeddedFeed(rows: ViewRows, listen: (onChange: OnChange) => () => void): ObservationFeed {
  return {
    async follow(sink, signal) {
      const stop = listen((namespace, name) => {
        const row = rows.viewRow(namespace, name);
        if (row) sink.put(row, true);
        else sink.delete(namespace, name);
      });
      signal.addEventListener('abort', stop, { once: true });
      sink.begin();
      let after: [string, string] | undefined;
      for (;;) {
        const page = rows.viewRows(after, rowsPerTurn);
        for (const row of page) sink.put(row, false);
        const last = page.at(-1);
        if (!last || page.length < rowsPerTurn || signal.aborted) break;
        after = [last.namespace, last.name];
        await nextTurn();
      }
      sink.end();
    },
  };
}
