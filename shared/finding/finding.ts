import type { Severity } from './severity.ts';

/** The resource that a finding is about. `name` is absent if the tool gives none (an audit event with generateName). */
export interface ResourceRef {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
}

/** Who did it. What is not known is absent. */
export interface Actor {
  /** A user's name as the API server or the operating system knows it. */
  readonly username: string;
  readonly groups?: readonly string[] | undefined;
  /** The address that the request came from, as far as it can't be forged. */
  readonly sourceIP?: string | undefined;
  /** What the client calls itself: its own word. */
  readonly userAgent?: string | undefined;
  /** Through what the user acted: the credential, or the identity that was impersonated. */
  readonly via?: string | undefined;
}

/** How an event repeats, as far as its identity doesn't tell. Repeats are counted in the Observation's `status.series`. */
export interface Repeat {
  /**
   * A short name of what this one was about, such as `shop/web`, where events about several things have one identity.
   * Up to 20 of them are kept.
   */
  readonly about?: string | undefined;
  /**
   * Whether there is no time in the identity: then it is one finding for as long as it goes on, and each heartbeat
   * renews it. The source must declare `hasOngoingFindings`.
   */
  readonly isOngoing?: boolean | undefined;
}

/** One finding, as a source's `normalize` returns it: it has no name, no namespace and no TTL yet. */
export interface Finding {
  readonly category: string;
  readonly severity: Severity;
  /** Lower-case words joined by hyphens, such as `policy-violation`. */
  readonly eventType: string;
  /** What the tool calls it: a CVE, a check's ID, `policy/rule`. */
  readonly rule: string;
  /** One line that a person can act on: what, on what and, of an event, by whom. It is cut after 256 characters. */
  readonly summary: string;
  readonly resource?: ResourceRef | undefined;
  readonly actor?: Actor | undefined;
  /** What makes this the same finding tomorrow. It is hashed into the name, so it must not hold anything volatile. */
  readonly identity: Readonly<Record<string, string>>;
  /** What to do about it, if the tool says so. */
  readonly remediation?: string | undefined;
  /** URLs to read on, if the tool gives them. */
  readonly references?: readonly string[] | undefined;
  /** What else a person wants to read about it. Not hashed into the name, and nothing that changes with each scan. */
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339: when the tool detected it, by the tool's own clock. */
  readonly detectedAt: string;
  /** Of findings of events only. It is not part of the Observation. */
  readonly repeat?: Repeat | undefined;
}

/** How many items were dropped or skipped, by reason in snake_case. */
export type Counts = Readonly<Record<string, number>>;

/** A row of a report that breaks the schema. */
export interface BadRow {
  /** Where it is, such as `report.vulnerabilities[3].severity`. */
  readonly path: string;
  readonly message: string;
}

export interface AcceptedFinding {
  readonly finding: Finding;
  readonly exception: string;
}

export interface Normalized {
  readonly findings: readonly Finding[];
  readonly skipped: Counts;
  /**
   * What the tool itself has accepted, and what it calls the exception: an Observation of it stays, as accepted, and none
   * is created.
   */
  readonly accepted?: readonly AcceptedFinding[];
  /** Rows that could not be read. The others were. */
  readonly badRows?: readonly BadRow[];
  /** Whether there may be more in the data than could be made out: what is not among the findings is not over. */
  readonly isPartial?: boolean;
  /** What the source itself leaves out, by reason: what is stored of it already is resolved for that reason. */
  readonly leftOut?: Readonly<Record<string, readonly Finding[]>>;
}
