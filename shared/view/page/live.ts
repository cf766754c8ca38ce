import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { type Address, changed, queryOf, start, valuesOf } from './address.ts';
import { ask, Fault, followChanges, type Table } from './answers.ts';

export interface Live {
  readonly table: Table | undefined;
  /** What the table was read for: for a moment after a click, that is not yet what the address says. */
  readonly tableAddress: Address;
  /** Whether the table is not what the address asks for, and won't be in a moment either: it may not be shown as that. */
  readonly isAwaited: boolean;
  readonly fault: Fault | undefined;
  /** Whether changes show by themselves. */
  readonly isLive: boolean;
  /** Changes whenever the table has been read. */
  readonly generation: number;
  readonly refresh: () => void;
}

/** Changes that come together are shown together. */
const pauseMilliseconds = 100;
const rereadMilliseconds = 30_000;
const firstRetry = 500;
const longestRetry = 10_000;

const awayRetry = 2000;

/** So long, the last answer may stand in for the next one. */
const longestBridge = 1000;

/** Follows changes while somebody looks, so that the server may sleep when nobody does. */
function useChanges(namespaces: readonly string[], onChange: () => void): boolean {
  const [isLive, setIsLive] = useState(false);
  // Changes can be had of one namespace, or of all that one may see.
  const namespace = namespaces.length === 1 ? namespaces[0] : undefined;
  useEffect(() => {
    let stopping = new AbortController();
    let retry = firstRetry;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const begin = (): void => {
      clearTimeout(timer);
      stopping.abort();
      stopping = new AbortController();
      if (document.hidden) return setIsLive(false);
      const { signal } = stopping;
      const query = new URLSearchParams({ watch: '1', brief: '1', ...(namespace !== undefined && { namespace }) });
      followChanges(query, signal, (isOpen) => {
        retry = firstRetry;
        if (isOpen) setIsLive(true);
        // What changed before is not told: so everything is read once more.
        onChange();
      })
        .catch(() => undefined)
        .then(() => {
          if (signal.aborted) return;
          setIsLive(false);
          // Says whether the server is there at all.
          onChange();
          timer = setTimeout(begin, retry);
          retry = Math.min(longestRetry, retry * 2);
        });
    };
    begin();
    document.addEventListener('visibilitychange', begin);
    return () => {
      document.removeEventListener('visibilitychange', begin);
      clearTimeout(timer);
      stopping.abort();
    };
  }, [namespace, onChange]);
  return isLive;
}

/** Whether it has been so for a while. */
function useLasting(is: boolean, key: string): boolean {
  const [lasting, setLasting] = useState('');
  useEffect(() => {
    if (!is) return;
    const timer = setTimeout(() => setLasting(key), longestBridge);
    return () => clearTimeout(timer);
  }, [is, key]);
  return is && lasting === key;
}

interface Read {
  readonly table?: Table;
  /** What the table was read for. */
  readonly address?: Address;
  readonly fault?: Fault;
  readonly generation: number;
}

/** Whether the server can't be had, whatever it would answer. */
export function isAway(fault: Fault | undefined): boolean {
  return fault !== undefined && (fault.status === 0 || fault.status >= 500);
}

/** What the address asks for, kept as it is now. */
export function useTable(address: Address, top: number): Live {
  const [state, setState] = useState<Read>({ generation: 0 });
  const query = String(queryOf(address, { limit: '100', top: String(top) }));
  const latest = useRef({ query, address });
  latest.current = { query, address };
  const reading = useRef<AbortController>(undefined);

  const read = useCallback(async (): Promise<void> => {
    reading.current?.abort();
    const stopping = new AbortController();
    reading.current = stopping;
    const { query, address } = latest.current;
    try {
      const table = await ask<Table>('/observations/table', new URLSearchParams(query), stopping.signal);
      setState(({ generation }) => ({ table, address, generation: generation + 1 }));
      if (!table.isComplete) setTimeout(() => refresh(), pauseMilliseconds);
    } catch (error) {
      if (stopping.signal.aborted) return;
      const fault = error instanceof Fault ? error : new Fault(0, String(error));
      // What was read last stays on the screen while the server is away, but not when it may no longer be seen.
      setState(({ table, address, generation }) => ({
        generation,
        fault,
        ...(table && address && isAway(fault) && { table, address }),
      }));
      // The stream of changes may be open all the same, so that it never says when the server is back.
      if (isAway(fault)) setTimeout(() => document.hidden || refresh(), awayRetry);
    }
  }, []);

  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined);
  const refresh = useCallback((): void => {
    if (waiting.current !== undefined) return;
    waiting.current = setTimeout(() => {
      waiting.current = undefined;
      void read();
    }, pauseMilliseconds);
  }, []);

  useEffect(() => void read(), [query]);
  useEffect(() => {
    // What was new grows old, and what is accepted opens again, without any change.
    const timer = setInterval(() => document.hidden || refresh(), rereadMilliseconds);
    return () => clearInterval(timer);
  }, [refresh]);
  const isLive = useChanges(valuesOf(address, 'namespace'), refresh);
  const { table, fault, generation } = state;
  const tableAddress = changed(state.address ?? start, { finding: address.finding });
  const isOld = table !== undefined && String(queryOf(tableAddress)) !== String(queryOf(address));
  const isLate = useLasting(isOld, query);
  const isAwaited = isOld && (isLate || !isLive || fault !== undefined);
  return { table, tableAddress, isAwaited, fault, generation, isLive, refresh };
}
