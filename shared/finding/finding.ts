import type { Severity } from './severity.ts';

/** What a finding is about. `name` is absent where the tool gives none (an audit event with generateName). */
export interface ResourceRef {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
}

/** One finding, as a source's `normalize` returns it: not yet named, placed or stored. */
export interface Finding {
  readonly category: string;
  readonly severity: Severity;
  /** Lower-case words joined by hyphens, such as `policy-violation`. */
  readonly eventType: string;
  readonly resource?: ResourceRef | undefined;
  /** What makes this finding the same one tomorrow. Part of the name; nothing volatile may be in it. */
  readonly identity: Readonly<Record<string, string>>;
  /** What a person wants to read about it. Not part of the name. */
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339: when the tool saw it, by the tool's own clock. */
  readonly detectedAt: string;
}

/** Why data gave no finding, counted by a short reason in snake_case. */
export type Counts = Readonly<Record<string, number>>;

export interface Normalized {
  readonly findings: readonly Finding[];
  readonly skipped: Counts;
}
