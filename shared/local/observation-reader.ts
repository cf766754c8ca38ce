import type { ObservationObject } from '../function/stores.ts';

export interface ReadQuery {
  readonly source?: string | undefined;
  readonly severity?: string | undefined;
  readonly namespace?: string | undefined;
  readonly limit: number;
  /** The last one of the page before. */
  readonly after?: { readonly namespace: string; readonly name: string } | undefined;
}

export interface ObservationList {
  readonly items: readonly ObservationObject[];
  readonly next?: { readonly namespace: string; readonly name: string };
}

/** Whole Observations, for people: what `GET /observations` and `npm run observations` show. */
export interface ObservationReader {
  read(query: ReadQuery): Promise<ObservationList>;
}
