import type { Observation } from '../api/observation.ts';

export interface ReadQuery {
  readonly source?: string | undefined;
  readonly severity?: string | undefined;
  readonly namespace?: string | undefined;
  readonly limit: number;
  /** From the page before. Throws a Refusal 400 where it is none of this store's. */
  readonly continue?: string | undefined;
}

export interface ObservationList {
  readonly items: readonly Observation[];
  readonly continue?: string | undefined;
}

/** Whole Observations, for people: what `GET /observations` and `npm run observations` show. */
export interface ObservationReader {
  read(query: ReadQuery): Promise<ObservationList>;
}
