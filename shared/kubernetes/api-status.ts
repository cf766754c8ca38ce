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
 * creates that are counted against a quota at the same time.
 */
export function isFinal(status: number, body: unknown): boolean {
  if (status === 409) return statusOf(body)?.details?.kind !== 'resourcequotas';
  return status !== 401 && status !== 408 && status !== 429 && status < 500;
}
