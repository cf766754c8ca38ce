import * as z from 'zod';
import { Refusal } from '../function/refusal.ts';

/**
 * How the API server reports a fault: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
const statusSchema = z.object({
  kind: z.literal('Status'),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({
      kind: z.string().optional(),
      causes: z.array(z.object({ reason: z.string().optional() })).optional(),
    })
    .optional(),
  metadata: z.object({ continue: z.string().optional() }).optional(),
});

export type Status = z.infer<typeof statusSchema>;

/** The Status in the body of an answer; `undefined` if there is none. */
export function statusOf(body: unknown): Status | undefined {
  return statusSchema.safeParse(body).data;
}

/** What the API server says about a refused object, short enough for a log line. */
export function statusMessage(status: Status | undefined): string | undefined {
  return status?.message?.slice(0, 1024);
}

/**
 * How admission says no. Anchored, since the rest of a message may quote what was refused, which anybody may have written:
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */
const denials = [
  /^(admission webhook "[^"]*") denied the request/,
  /^Internal error occurred: failed calling (webhook "[^"]*")/,
  /^\S+ "[^"]*" is forbidden: ((?:ValidatingAdmissionPolicy|policy) (?:'[^']*'|"[^"]*"))(?: with binding '[^']*')? denied request/,
];

/**
 * The webhook or policy that has denied a request, or could not be asked; `undefined` if none has. It is known by the
 * message alone, since a webhook may choose any status from 400 up, and any reason.
 */
export function deniedBy({ status, body }: { readonly status: number; readonly body: unknown }): string | undefined {
  const message = status >= 400 ? statusOf(body)?.message : undefined;
  if (message === undefined) return undefined;
  return denials.map((denial) => denial.exec(message)?.[1]).find((name) => name !== undefined);
}

/**
 * A fault in the set-up, such as a missing CRD or Role: somebody must mend it, and then the sender's next try succeeds.
 */
export function setUpFault(
  what: string,
  { status, body }: { readonly status: number; readonly body: unknown },
): Refusal {
  const reason = statusOf(body)?.reason ?? String(status);
  const hint = status === 404 ? 'is not served: is its CRD installed?' : `was refused (${reason}): check the Role`;
  return new Refusal(503, `${what} ${hint}`, { retryAfter: 5 });
}

/**
 * Whether an answer is the API server's last word. A retry may mend the others; one of them is the conflict of two
 * creates that are counted against a quota at the same time. A denial is, whatever its status.
 */
export function isFinal(status: number, body: unknown): boolean {
  if (deniedBy({ status, body }) !== undefined) return true;
  if (status === 409) return statusOf(body)?.details?.kind !== 'resourcequotas';
  return status !== 401 && status !== 408 && status !== 429 && status < 500;
}
