import type { Acceptance } from '../api/acceptance.ts';
import type { Observation } from '../api/observation.ts';

/** What an exception is compared with: an Observation as it is stored. */
export interface Acceptable {
  readonly spec: Observation['spec'];
  /** The namespace of what it is about; the system namespace if that is in none. */
  readonly namespace: string;
  /** Whether it is open until no report has it. If not, an event tells of it once. */
  readonly hasState: boolean;
}

/** An exception that accepts something. */
export interface Accepting {
  /** The value of the label `accepted`. */
  readonly label: string;
  readonly acceptance: Acceptance;
}

/**
 * Finds the exception that accepts an Observation at a time (milliseconds since 1970): of several, the one that lasts
 * longest. `undefined` if none does. Throws a Refusal 503 if exceptions have not been read yet.
 */
export type Exceptions = (what: Acceptable, now: number) => Accepting | undefined;
