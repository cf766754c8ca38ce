import { group } from './group.ts';

export const labels = {
  source: `${group}/source`,
  category: `${group}/category`,
  severity: `${group}/severity`,
  /**
   * The hour since 1970, rounded up, at which the TTL ends. An integer, so that the selector `expires<495000` works.
   */
  expires: `${group}/expires`,
  /** A hash of the source and the affected resource; on findings of state sources only. */
  subject: `${group}/subject`,
  /** `open`, `missing` or `resolved`; on findings of state sources only. */
  state: `${group}/state`,
  /** Seconds since 1970 at which the state last changed. */
  stateSince: `${group}/state-since`,
} as const;

export const correlationAnnotation = `${group}/correlation-id`;

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

/** The value of the label `state-since` for a time in milliseconds since 1970. */
export function stateSinceLabel(time: number): string {
  return String(Math.floor(time / 1000));
}

/** Text as a label value: at most 63 characters, with `-` for each that is not allowed. */
export function labelValue(text: string): string {
  const value = text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 63);
  return value.replace(/^[^A-Za-z0-9]+/, '').replace(/[^A-Za-z0-9]+$/, '');
}
