import type { Decoded } from '../edge/cloud-event-http.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import { Refusal, type RefusalStatus } from '../function/refusal.ts';
import { callsInFlight, forEachConcurrently } from '../pipeline/concurrency.ts';

/** From the least to the most important: a batch is retried if any of its members should be. */
const statusesByImportance: readonly RefusalStatus[] = [400, 415, 413, 422, 404, 405, 401, 403, 429, 503];

function mostImportant(refusals: readonly Refusal[]): Refusal | undefined {
  const rank = ({ status }: Refusal): number => statusesByImportance.indexOf(status);
  return refusals.reduce<Refusal | undefined>((a, b) => (a && rank(a) >= rank(b) ? a : b), undefined);
}

function atIndex(refusal: Refusal, index: number): Refusal {
  const { status, message, path, retryAfter, cause } = refusal;
  const at = path === undefined ? `[${index}]` : path.startsWith('[') ? path : `[${index}].${path}`;
  return new Refusal(status, message, { path: at, retryAfter, cause });
}

/**
 * Delivers every readable member of a batch. Throws the most important Refusal, with its member's index in the path.
 */
export async function deliverBatch(
  members: readonly Decoded[],
  deliver: (event: CloudEvent) => Promise<void>,
): Promise<void> {
  // By index, so that the answer does not depend on which member is done first.
  const refusals: Refusal[] = [];
  await forEachConcurrently(members.entries(), callsInFlight, async ([index, member]) => {
    try {
      if (member instanceof Refusal) throw member;
      await deliver(member);
    } catch (error) {
      refusals[index] = atIndex(Refusal.from(error), index);
    }
  });
  const refusal = mostImportant(Object.values(refusals));
  if (refusal) throw refusal;
}
