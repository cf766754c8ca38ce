import * as z from 'zod';
import { labels } from './labels.ts';

type Labels = Readonly<Record<string, string>>;

/** The four values that others are told of. While they stay as they are, there is nothing new to tell. */
const toldSchema = z.object({
  /** What has no state, an event, is open until it expires. */
  state: z.string(),
  /** The label `accepted`; empty without one. */
  accepted: z.string(),
  /** The label `since`, or when it was created. */
  since: z.string(),
  severity: z.string(),
});

export type Told = z.infer<typeof toldSchema>;

/** What there is to tell of an Observation with these labels. `createdAt` is in milliseconds since 1970. */
export function toldOf(found: Labels, createdAt: number): Told {
  return {
    state: found[labels.state] ?? 'open',
    accepted: found[labels.accepted] ?? '',
    since: found[labels.since] ?? String(createdAt),
    severity: found[labels.severity] ?? 'UNKNOWN',
  };
}

export function isSameTold(a: Told, b: Told): boolean {
  return a.state === b.state && a.accepted === b.accepted && a.since === b.since && a.severity === b.severity;
}

/** As the annotation `told` has it. */
export function formatTold({ state, accepted, since, severity }: Told): string {
  return JSON.stringify({ state, accepted, since, severity });
}

/** What the annotation says; `undefined` if it says nothing, or somebody has edited it. */
export function parseTold(text: string | undefined): Told | undefined {
  if (text === undefined) return undefined;
  try {
    return toldSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
