import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../function/context.ts';
import type { GatewayDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { Store } from '../function/stores.ts';

type Receive = GatewayDefinition['receive'];

/** The message of a store's Refusal if the disk is full. */
export const diskIsFull = 'the disk is full';

const probeMilliseconds = 1000;
/** A disk with less free space than this is as good as full. */
const probeBytes = 1_048_576;

export interface StoreHealth<Observed extends Store> {
  /** The same store, except that its faults are noticed. */
  readonly store: Observed;
  /** Why nothing can be stored now; `undefined` if it can. */
  reason(): string | undefined;
  /**
   * Refuses requests at once while nothing can be stored: it may take long until the disk has space again, and each
   * waiting request takes memory.
   */
  guard(receive: Receive): Receive;
  stop(): void;
}

export interface StoreHealthOptions<Observed extends Store> {
  readonly store: Observed;
  /** The store's folder on the disk. */
  readonly folder: string;
  readonly onFault: (reason: string) => void;
  /** Called when the store can be written again. */
  readonly onRecovery: () => void;
}

/** Whether the disk has space to write to. */
function isWritable(folder: string): boolean {
  const file = join(folder, '.probe');
  try {
    writeFileSync(file, Buffer.alloc(probeBytes));
    return true;
  } catch {
    return false;
  } finally {
    rmSync(file, { force: true });
  }
}

/** Notices that the disk is full, and that it no longer is. */
export function createStoreHealth<Observed extends Store>(
  options: StoreHealthOptions<Observed>,
): StoreHealth<Observed> {
  const { store, folder, onFault, onRecovery } = options;
  let fault: Refusal | undefined;
  let broken = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  function probe(): void {
    if (!isWritable(folder)) return;
    clearInterval(timer);
    fault = undefined;
    broken = new AbortController();
    onRecovery();
  }

  function note(error: unknown): void {
    if (fault || !(error instanceof Refusal) || error.status !== 503) return;
    if (error.message !== diskIsFull && isWritable(folder)) return;
    fault = error;
    onFault(error.message);
    broken.abort();
    timer = setInterval(probe, probeMilliseconds).unref();
  }

  const reason = (): string | undefined => fault?.message;

  async function noticing<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      note(error);
      throw error;
    }
  }

  return {
    store: Object.assign({}, store, {
      create: (...given: Parameters<Store['create']>) => noticing(() => store.create(...given)),
      patch: (...given: Parameters<Store['patch']>) => noticing(() => store.patch(...given)),
      delete: (...given: Parameters<Store['delete']>) => noticing(() => store.delete(...given)),
      addSeries: (...given: Parameters<Store['addSeries']>) => noticing(() => store.addSeries(...given)),
    }),
    reason,
    guard: (receive) => async (request, context: Context) => {
      if (fault) throw new Refusal(503, fault.message, { retryAfter: 5 });
      const { signal } = broken;
      try {
        const event = { ...context.event, signal: AbortSignal.any([context.event.signal, signal]) };
        return await receive(request, { ...context, event });
      } catch (error) {
        if (!signal.aborted) throw error;
        throw new Refusal(503, reason() ?? 'the store was unavailable for a moment', { retryAfter: 5, cause: error });
      }
    },
    stop: () => clearInterval(timer),
  };
}
