import type { Observation } from '../api/observation.ts';
import type { Count, Grouping } from './counts.ts';
import type { Sort } from './order.ts';
import type { Selection } from './selection.ts';

export interface ReadQuery extends Selection {
  /** Without it, the order of `<namespace>/<name>`. */
  readonly sort?: Sort | undefined;
  readonly limit: number;
  /** From the page before, of the same query; one that this store did not give is refused with 400. */
  readonly continue?: string | undefined;
}

export interface ObservationList {
  /** May be fewer than the limit, even none, while there is more. */
  readonly items: readonly Observation[];
  readonly continue?: string | undefined;
}

/** Reads whole Observations for people, as `GET /observations` and `npm run observations` show them. */
export interface ObservationReader {
  /** Whether `sort` holds from page to page. If not, each page is sorted by itself. */
  readonly sortsAcrossPages: boolean;
  read(query: ReadQuery): Promise<ObservationList>;
  /** One Observation; `undefined` if there is none of that name. */
  get(namespace: string, name: string): Promise<Observation | undefined>;
  /** How many of the selected ones there are, the worst group first. */
  counts(selection: Selection, by: Grouping): Promise<readonly Count[]>;
  /**
   * The Observations with this text in their names, at most `limit`; if it is the whole name of any, only those.
   */
  findByName(text: string, namespace: string | undefined, limit: number): Promise<readonly Observation[]>;
}
