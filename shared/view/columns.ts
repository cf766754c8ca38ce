import { type Acceptance, acceptanceIn, acceptedUntil, forever, isAccepted } from '../api/acceptance.ts';
import { labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { oneLine } from '../finding/one-line.ts';

export interface Column {
  readonly header: string;
  /** Whether only `-o wide` shows it. */
  readonly isExtra?: boolean;
  readonly cell: (object: Observation, now: number) => string;
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

/** How long ago a time is, as kubectl prints ages: `45s`, `12m`, `3h`, `5d`. Empty if it can't be told. */
export function ageOf(time: number, now: number): string {
  if (Number.isNaN(time)) return '';
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  const unit = units.find(([, length]) => seconds >= 2 * length);
  return unit ? `${Math.floor(seconds / unit[1])}${unit[0]}` : `${seconds}s`;
}

/** To the second; a text that is no time is left as it is. */
export function timeText(time: string | number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : `${date.toISOString().slice(0, 19)}Z`;
}

const maxCell = 1024;

/** Text as one line without control characters: a tool's text must not give orders to the terminal. */
export function printable(text: string): string {
  return oneLine(text, maxCell);
}

/** By what it is accepted at this time, if it is. */
export function acceptanceOf({ metadata }: Observation, now: number): Acceptance | undefined {
  if (!isAccepted(metadata.labels, now)) return undefined;
  return acceptanceIn(metadata.annotations) ?? { exception: '' };
}

/** Until when it is accepted, RFC 3339 or `forever`; empty if it isn't. */
export function acceptedUntilText({ metadata }: Observation, now: number): string {
  if (!isAccepted(metadata.labels, now)) return '';
  const until = acceptedUntil(metadata.labels[labels.accepted]) ?? 0;
  return Number.isFinite(until) ? timeText(until) : forever;
}

/** As kubectl prints them with `-o wide`: see the printer columns in crds/observations.yaml. */
export const columns: readonly Column[] = [
  { header: 'NAMESPACE', cell: ({ metadata }) => metadata.namespace },
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'SOURCE', cell: ({ spec }) => spec.source },
  { header: 'SEVERITY', cell: ({ spec }) => spec.severity },
  { header: 'KIND', cell: ({ spec }) => spec.resource?.kind ?? '' },
  { header: 'RESOURCE', cell: ({ spec }) => spec.resource?.name ?? '' },
  { header: 'STATE', cell: ({ metadata }) => metadata.labels[labels.state] ?? '' },
  { header: 'AGE', cell: ({ metadata }, now) => ageOf(Date.parse(metadata.creationTimestamp ?? ''), now) },
  { header: 'CATEGORY', isExtra: true, cell: ({ spec }) => spec.category },
  { header: 'TYPE', isExtra: true, cell: ({ spec }) => spec.eventType },
  { header: 'RULE', isExtra: true, cell: ({ spec }) => spec.rule ?? '' },
  { header: 'ACTOR', isExtra: true, cell: ({ spec }) => spec.actor?.username ?? '' },
  { header: 'COUNT', isExtra: true, cell: ({ status }) => String(status?.series?.count ?? '') },
  { header: 'EXCEPTION', isExtra: true, cell: (object, now) => acceptanceOf(object, now)?.exception ?? '' },
  { header: 'SUMMARY', cell: ({ spec }) => spec.summary ?? '' },
];
