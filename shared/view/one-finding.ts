import * as z from 'zod';
import { forever } from '../api/acceptance.ts';
import { historyAnnotation, labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import type { Actor, ResourceRef } from '../finding/finding.ts';
import { escapeUnprintable } from '../finding/printable.ts';
import { wrapLine } from './cells.ts';
import { acceptanceOf, acceptedUntilText, ageOf, printable, timeText } from './columns.ts';
import { stateSince } from './state-since.ts';

export interface OneFindingOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** How many cells a line may take; `undefined`: any number. */
  readonly width: number | undefined;
}

const change = z.object({
  time: z.union([z.string(), z.number()]),
  state: z.string().default(''),
  severity: z.string().default(''),
  reason: z.string().default(''),
});

/** The changes that the annotation lists, newest first; none if it can't be read. */
function historyOf({ metadata }: Observation): readonly z.output<typeof change>[] {
  try {
    return z.array(change).parse(JSON.parse(metadata.annotations[historyAnnotation] ?? '[]'));
  } catch {
    return [];
  }
}

/** `2026-03-01T10:00:00Z (5d ago)` */
function timeAndAge(time: string, now: number): string {
  const age = ageOf(Date.parse(time), now);
  return age === '' ? time : `${timeText(time)} (${age} ago)`;
}

function stateText(observation: Observation, now: number): string {
  const { metadata } = observation;
  const { [labels.state]: state = '', [labels.since]: since } = metadata.labels;
  const created = Date.parse(metadata.creationTimestamp ?? '');
  const date = new Date(stateSince(state, historyOf(observation), { created, since: Number(since) }));
  const isKnown = state !== '' && !Number.isNaN(date.getTime());
  return isKnown ? `${state} since ${timeAndAge(date.toISOString(), now)}` : state;
}

/** `until 2026-04-01T00:00:00Z, approved by alice, by shop/old-openssl: there is no fix yet` */
function acceptedText(observation: Observation, now: number): string {
  const acceptance = acceptanceOf(observation, now);
  if (!acceptance) return '';
  const { exception, by = '', reason = '' } = acceptance;
  const until = acceptedUntilText(observation, now);
  const parts = [
    until === forever ? until : `until ${until}`,
    ...(by === '' ? [] : [`approved by ${by}`]),
    ...(exception === '' ? [] : [`by ${exception}`]),
  ];
  return reason === '' ? parts.join(', ') : `${parts.join(', ')}: ${reason}`;
}

function resourceText({ kind, name, namespace, apiVersion }: ResourceRef): string {
  return [
    name ? `${kind}/${name}` : `any ${kind}`,
    namespace === undefined ? '' : `in ${namespace}`,
    apiVersion === undefined ? '' : `(${apiVersion})`,
  ]
    .filter(Boolean)
    .join(' ');
}

function actorText({ username, groups = [], sourceIP, userAgent, via }: Actor): string {
  return [
    username,
    groups.length > 0 ? `(${groups.join(', ')})` : '',
    sourceIP === undefined ? '' : `from ${sourceIP}`,
    via === undefined ? '' : `by way of ${via}`,
    userAgent === undefined ? '' : `with ${userAgent}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** `12 times, last at 2026-03-01T10:00:00Z (5d ago)` */
function seriesText({ status }: Observation, now: number): string {
  const series = status?.series;
  return series ? `${series.count} times, last at ${timeAndAge(series.lastObservedTime, now)}` : '';
}

function factsOf(observation: Observation, now: number): readonly (readonly [name: string, value: string])[] {
  const { metadata, spec } = observation;
  const facts = [
    ['Severity', spec.severity],
    ['State', stateText(observation, now)],
    ['Accepted', acceptedText(observation, now)],
    ['Resource', spec.resource ? resourceText(spec.resource) : ''],
    ['Actor', spec.actor ? actorText(spec.actor) : ''],
    ['Rule', spec.rule ?? ''],
    ['Source', `${spec.source} (${spec.category}, ${spec.eventType})`],
    ['Detected', spec.detectedAt === '' ? '' : timeAndAge(spec.detectedAt, now)],
    ['Happened', seriesText(observation, now)],
    ['Stored', metadata.creationTimestamp === undefined ? '' : timeAndAge(metadata.creationTimestamp, now)],
    ['Name', `${metadata.namespace}/${metadata.name}`],
  ] as const;
  return facts.filter(([, value]) => value !== '');
}

/** Text of several lines, without control characters. */
function linesOf(text: string): string[] {
  return text
    .trim()
    .split(/\r?\n/)
    .map((line) => escapeUnprintable(line.replaceAll('\t', '  ')).trimEnd());
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

/** A value after what introduces it: in the same line if it is short, else in lines of its own, indented. */
function valueLines(intro: string, value: unknown): string[] {
  if (typeof value === 'object' && value !== null) {
    const lines = detailLines(value);
    return lines.length === 0 ? [] : [intro, ...indented(lines)];
  }
  const [first = '', ...more] = linesOf(String(value));
  return more.length === 0 ? [`${intro} ${first}`.trimEnd()] : [intro, ...indented([first, ...more])];
}

/** Details as lines, much as YAML has them. */
function detailLines(value: object): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => valueLines('-', item));
  return Object.entries(value).flatMap(([key, item]) => valueLines(`${printable(key)}:`, item));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...indented(lines)];
}

const nameWidth = 10;

/** One Observation as a person reads it, in lines: what it is, what to do about it, and everything else that is known. */
export function describeFinding(observation: Observation, { now, width }: OneFindingOptions): string[] {
  const { spec } = observation;
  const wrap = (line: string): string[] => (width === undefined ? [line] : wrapLine(line, width));
  const facts = factsOf(observation, now).flatMap(([name, value]) => {
    const room = width === undefined ? undefined : width - nameWidth;
    const lines = room === undefined ? [printable(value)] : wrapLine(printable(value), room);
    return lines.map((line, index) => (index === 0 ? name : '').padEnd(nameWidth) + line);
  });
  const history = historyOf(observation).map(({ time, state, severity, reason }) =>
    [timeText(time), state, severity, reason].map(printable).filter(Boolean).join('  '),
  );
  return [
    ...wrap(printable(spec.summary ?? spec.eventType)),
    '',
    ...facts,
    ...section('What to do', spec.remediation ? linesOf(spec.remediation) : []).flatMap(wrap),
    // Not wrapped: a URL in two lines can't be followed.
    ...section('References', (spec.references ?? []).map(printable)),
    ...section('Details', detailLines(spec.details)).flatMap(wrap),
    ...section('Repeats were about', (observation.status?.series?.seen ?? []).map(printable)).flatMap(wrap),
    ...section('History', history).flatMap(wrap),
  ];
}
