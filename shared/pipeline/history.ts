import * as z from 'zod';

const maxEntries = 10;

const entries = z.array(z.unknown());

export interface HistoryEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly state: 'open' | 'missing' | 'resolved';
  readonly severity: string;
  /** Why it changed. */
  readonly reason: string;
}

function parsed(history: string | undefined): readonly unknown[] {
  try {
    return entries.parse(JSON.parse(String(history)));
  } catch {
    // There is none yet, or somebody has edited it: what comes now is worth more than what can't be read.
    return [];
  }
}

/** The annotation `history` with one more change, newest first; the oldest of more than ten is dropped. */
export function historyWith(history: string | undefined, { time, ...entry }: HistoryEntry): string {
  const latest = { time: new Date(time).toISOString(), ...entry };
  return JSON.stringify([latest, ...parsed(history)].slice(0, maxEntries));
}

const severe = z.object({ severity: z.string() });

/** The severities that the changes in an annotation `history` tell of. */
export function severitiesIn(history: string | undefined): string[] {
  return parsed(history).flatMap((entry) => {
    const { data } = severe.safeParse(entry);
    return data ? [data.severity] : [];
  });
}
