import { group } from './group.ts';

export const labels = {
  source: `${group}/source`,
  category: `${group}/category`,
  severity: `${group}/severity`,
  /** Hour since 1970, rounded up, at which the TTL ends; an integer, so that `expires<495000` selects. */
  expires: `${group}/expires`,
  /** Hash of source and affected resource; from Kubernetes sources. */
  subject: `${group}/subject`,
  /** `open`, `missing` or `resolved`; of state sources. */
  state: `${group}/state`,
  /** Seconds since 1970. */
  stateSince: `${group}/state-since`,
} as const;

export const correlationAnnotation = `${group}/correlation-id`;

const hour = 3_600_000;

/** The value of the label `expires` for a time in milliseconds since 1970. */
export function expiresLabel(time: number): string {
  return String(Math.ceil(time / hour));
}

/** Milliseconds since 1970 at which a label `expires` says that the TTL ends; `undefined` if it is no such label. */
export function expiresAt(label: string | undefined): number | undefined {
  return label !== undefined && /^\d{1,12}$/.test(label) ? Number(label) * hour : undefined;
}

/** The value of the label `state-since` for a time in milliseconds since 1970. */
export function stateSinceLabel(time: number): string {
  return String(Math.floor(time / 1000));
}

/** Text as a label value: at most 63 of the allowed characters, the others replaced by `-`. */
export function labelValue(text: string): string {
  const value = text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 63);
  return value.replace(/^[^A-Za-z0-9]+/, '').replace(/[^A-Za-z0-9]+$/, '');
}
