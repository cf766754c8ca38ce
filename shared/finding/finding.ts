import type { Severity } from './severity.ts';

/** The resource that a finding is about. `name` is absent if the tool gives none (an audit event with generateName). */
export interface ResourceRef {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
}

/** One finding, as a source's `normalize` returns it: it has no name, no namespace and no TTL yet. */
export interface Finding {
  readonly category: string;
  readonly severity: Severity;
  /** Lower-case words joined by hyphens, such as `policy-violation`. */
  readonly eventType: string;
  readonly resource?: ResourceRef | undefined;
  /** What makes this the same finding tomorrow. It is hashed into the name, so it must not hold anything volatile. */
  readonly identity: Readonly<Record<string, string>>;
  /** What a person wants to read about it. Not hashed into the name. */
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339: when the tool detected it, by the tool's own clock. */
  readonly detectedAt: string;
}

/** How many items were dropped or skipped, by reason in snake_case. */
export type Counts = Readonly<Record<string, number>>;

export interface Normalized {
  readonly findings: readonly Finding[];
  readonly skipped: Counts;
}
