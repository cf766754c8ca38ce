import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Context } from '../../shared/function/context.ts';

/** How long the Broker may take for one, in milliseconds: until a sink has started, and its receiver has answered. */
const patient = 15_000;

/** How long once it has taken longer for another: as long as a receiver may take. */
const impatient = 10_000;

/**
 * Publishes for one run. Where a Broker waits for its subscribers, one whose receiver is away keeps it from taking anything,
 * although the others are told; so from the first that it doesn't take in time on, the run waits less, and tells those sooner.
 */
export function createPublisher({ broker, clock, event }: Context) {
  let longest = patient;
  /** Resolves to whether the Broker has taken it. */
  return async (announcement: CloudEvent): Promise<boolean> => {
    const { signal, clear } = clock.deadline(longest, event.signal);
    try {
      await broker.publish(announcement, signal);
      event.tally.announced('told');
      return true;
    } catch {
      if (signal.aborted) longest = impatient;
      event.tally.announced('failed');
      return false;
    } finally {
      clear();
    }
  };
}
