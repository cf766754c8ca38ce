import {
  acceptedByAnnotation,
  acceptedReasonAnnotation,
  acceptedUntilAnnotation,
  exceptionAnnotation,
  labels,
} from './labels.ts';

/** The value of the label `accepted` of what is accepted without an end. */
export const forever = 'forever';

/**
 * Until when something is accepted by its label `accepted`, in milliseconds since 1970: `Infinity` for `forever`,
 * `undefined` without a label, or with one that says nothing valid.
 */
export function acceptedUntil(label: string | undefined): number | undefined {
  if (label === forever) return Number.POSITIVE_INFINITY;
  return label !== undefined && /^\d{1,12}$/.test(label) ? Number(label) * 1000 : undefined;
}

/**
 * Whether an Observation with these labels is accepted at `now` (milliseconds since 1970). Whoever reads Observations must
 * ask: the label stays for a while after the time in it, so that it is there says nothing.
 */
export function isAccepted(found: Readonly<Record<string, string>>, now: number): boolean {
  return now < (acceptedUntil(found[labels.accepted]) ?? Number.NEGATIVE_INFINITY);
}

/** What is said about an Observation's acceptance, for people. */
export interface Acceptance {
  /** `<namespace>/<name>` of an ObservationException, or what the tool calls the exception. */
  readonly exception: string;
  /** RFC 3339, or `forever`; `undefined` if it is its tool that has accepted it. */
  readonly until?: string | undefined;
  /** Who has approved that. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** What an Observation's annotations say about its acceptance, whether that is over or not. */
export function acceptanceIn(annotations: Readonly<Record<string, string>>): Acceptance | undefined {
  const { [exceptionAnnotation]: exception, [acceptedUntilAnnotation]: until } = annotations;
  const { [acceptedByAnnotation]: by, [acceptedReasonAnnotation]: reason } = annotations;
  return exception === undefined ? undefined : { exception, until, by, reason };
}

/** The annotations that say so; what isn't known, or is over, is null. */
export function acceptanceAnnotations(acceptance: Acceptance | null): Readonly<Record<string, string | null>> {
  return {
    [exceptionAnnotation]: acceptance?.exception ?? null,
    [acceptedUntilAnnotation]: acceptance?.until ?? null,
    [acceptedByAnnotation]: acceptance?.by ?? null,
    [acceptedReasonAnnotation]: acceptance?.reason ?? null,
  };
}

/** Whether an annotation says something about an acceptance. */
export function isOfAcceptance(annotation: string): boolean {
  return Object.hasOwn(acceptanceAnnotations(null), annotation);
}

/** Whether it is its tool that has accepted an Observation, and no ObservationException. */
export function isAcceptedByTool(found: Readonly<Record<string, string>>, acceptance: Acceptance | undefined): boolean {
  return found[labels.accepted] === forever && acceptance?.until === undefined;
}
