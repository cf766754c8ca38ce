import type { Observation } from '../api/observation.ts';

export interface ReadQuery {
  readonly source?: string | undefined;
  readonly severity?: string | undefined;
  readonly namespace?: string | undefined;
  readonly limit: number;
  /** From the page before; one that this store did not give is refused with 400. */
  readonly continue?: string | undefined;
}

export interface ObservationList {
  readonly items: readonly Observation[];
  readonly continue?: string | undefined;
}

/** Reads whole Observations for people, as `GET /observations` and `npm run observations` show them. */
export interface ObservationReader {
  read(query: ReadQuery): Promise<ObservationList>;
}
