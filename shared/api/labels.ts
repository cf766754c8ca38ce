import { group } from './group.ts';

export const labels = {
  source: `${group}/source`,
  category: `${group}/category`,
  severity: `${group}/severity`,
  /**
   * The hour since 1970, rounded up, at which the TTL ends. An integer, so that the selector `expires<495000` works.
   */
  expires: `${group}/expires`,
  /** The namespace of the affected resource, where the Observation is in another one. */
  namespace: `${group}/namespace`,
  /** A hash of the affected workload: the same for its Pods, its ReplicaSets and itself, whatever the source. */
  workload: `${group}/workload`,
  /** A hash of the name of the user who did it. */
  actor: `${group}/actor`,
  /** A hash of what reports it, a slot; on findings of state sources only. */
  report: `${group}/report`,
  /** A hash of everything that may change; on findings of state sources only. */
  digest: `${group}/digest`,
  /** `open`, `missing` or `resolved`; on findings of state sources only. */
  state: `${group}/state`,
  /** Until when it is accepted, in seconds since 1970, or `forever`. */
  accepted: `${group}/accepted`,
  /** Milliseconds since 1970 at which the state, the acceptance or the severity last changed. */
  since: `${group}/since`,
} as const;

/** `due` while something about it is to be told to others. */
export const outboxLabel = `${group}/outbox`;

/** The one value of that label. */
export const due = 'due';

/** JSON: what others were told last: its state, acceptance, severity and since when (`told.ts`). */
export const toldAnnotation = `${group}/told`;

/** Who or what has accepted it: `<namespace>/<name>` of an ObservationException, or what its tool calls the exception. */
export const exceptionAnnotation = `${group}/exception`;

/** RFC 3339: until when an ObservationException accepts it; `forever` if that has no end. A tool's own exception sets none. */
export const acceptedUntilAnnotation = `${group}/accepted-until`;

/** Who has approved that ObservationException. */
export const acceptedByAnnotation = `${group}/accepted-by`;

/** The reason that it gives. */
export const acceptedReasonAnnotation = `${group}/accepted-reason`;

/** The value of the label `report` of a finding that more than one slot reports. */
export const sharedSlot = 'shared';

/** A label of findings of state sources that only version 0.1.0 wrote, whose names were other ones. */
export const oldSubjectLabel = `${group}/subject`;

export const correlationAnnotation = `${group}/correlation-id`;

/** Of findings of state sources: the kind of their reports, and the namespace of these (`formatReportedBy`). */
export const reportedByAnnotation = `${group}/reported-by`;

/** JSON: the last changes of state and severity, newest first. */
export const historyAnnotation = `${group}/history`;

const hour = 3_600_000;

/** The value of the label `expires` for a time in milliseconds since 1970. */
export function expiresLabel(time: number): string {
  return String(Math.ceil(time / hour));
}

/**
 * When the TTL ends according to a label `expires`, in milliseconds since 1970; `undefined` if the value is not valid.
 */
export function expiresAt(label: string | undefined): number | undefined {
  return label !== undefined && /^\d{1,12}$/.test(label) ? Number(label) * hour : undefined;
}

/** The label `expires` if it is later than another one, which may be missing or not valid. */
export function laterExpiry(label: string | undefined, than: string | undefined): string | undefined {
  return (expiresAt(label) ?? 0) > (expiresAt(than) ?? 0) ? label : undefined;
}

/** Text as a label value: at most 63 characters, with `-` for each that is not allowed. */
export function labelValue(text: string): string {
  const value = text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 63);
  return value.replace(/^[^A-Za-z0-9]+/, '').replace(/[^A-Za-z0-9]+$/, '');
}
