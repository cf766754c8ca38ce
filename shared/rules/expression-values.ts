import type { Actor, Finding, ResourceRef } from '../finding/finding.ts';
import { maskSecrets, maskText } from '../finding/mask-secrets.ts';
import { cutText, fitDetails } from '../finding/size-limits.ts';
import { detailsOf } from '../finding/values.ts';
import { workloadKey } from '../finding/workload.ts';

/** What an expression is asked about: a finding, or what an Observation's `spec` says. Nothing of the object's state. */
export type Judged = Pick<
  Finding,
  'category' | 'severity' | 'eventType' | 'rule' | 'summary' | 'resource' | 'actor' | 'details' | 'detectedAt'
> & { readonly source: string };

/** What a mapping's expression is asked about besides. */
export interface Mapped {
  readonly object: unknown;
  readonly item: unknown;
}

/** As many as an Observation keeps. */
const maxDetailsBytes = 4096;
const maxListItems = 64;
const maxMembers = 256;
const maxTextBytes = 4096;
const maxDepth = 10;
/** How many characters and values are looked at before they are made to fit. */
const maxTrimmed = 16_384;
/** How many values an object of a mapping may have; the others are left out. */
const maxValues = 4096;

/** A value of an expression: maps are Maps, so that they are not made anew at each access. */
export type Value = null | boolean | number | bigint | string | readonly Value[] | ReadonlyMap<string, Value>;

function scalarOf(value: unknown): Value | undefined {
  if (typeof value === 'string') return value.length * 6 > maxTextBytes ? cutText(value, maxTextBytes) : value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  return typeof value === 'boolean' ? value : undefined;
}

/** JSON as values of an expression: whole numbers are `int`; lists, members, texts and depth are cut. */
function celValue(given: unknown): Value {
  let left = maxValues;
  function convert(value: unknown, depth: number): Value {
    left--;
    if (typeof value !== 'object' || value === null) return scalarOf(value) ?? null;
    if (depth === 0 || left <= 0) return null;
    if (Array.isArray(value)) return value.slice(0, maxListItems).map((item) => convert(item, depth - 1));
    const members = Object.entries(value).slice(0, maxMembers);
    return new Map(
      members.flatMap(([key, member]) => (member === undefined ? [] : [[key, convert(member, depth - 1)]])),
    );
  }
  return convert(given, maxDepth);
}

/** What an Observation would not keep anyway: it is left out first, so that what is huge costs no more than what is large. */
function trimmed(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  let left = maxTrimmed;
  function trim(value: unknown, depth: number): unknown {
    left--;
    if (typeof value === 'string') {
      const text = value.slice(0, Math.max(0, Math.min(left, 2 * maxTextBytes)));
      left -= text.length;
      return text;
    }
    if (typeof value !== 'object' || value === null) return value;
    if (depth === 0 || left <= 0) return null;
    if (Array.isArray(value)) return value.slice(0, maxListItems).map((item) => trim(item, depth - 1));
    return members(value, maxListItems, (member) => trim(member, depth - 1));
  }
  return members(given, maxListItems, (member) => trim(member, maxDepth));
}

function storedDetails(details: Judged['details']): Record<string, unknown> {
  return fitDetails(Object.assign({}, maskSecrets(detailsOf(trimmed(details)))), maxDetailsBytes);
}

/** The first members of an object, each made into something. */
function members(given: object, max: number, make: (member: unknown) => unknown): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const [key, member] of Object.entries(given).slice(0, max)) entries.push([key, make(member)]);
  return Object.fromEntries(entries);
}

function resourceOf({ apiVersion = '', kind = '', name = '', namespace = '' }: Partial<ResourceRef> = {}): Value {
  return new Map(Object.entries({ apiVersion, kind, name, namespace }));
}

function workloadOf(resource: ResourceRef | undefined): Value {
  const { kind, name = '' } = resource ? workloadKey(resource) : { kind: '' };
  return new Map(Object.entries({ kind, name }));
}

function actorOf({ username = '', groups = [], sourceIP = '', userAgent = '' }: Partial<Actor> = {}): Value {
  const texts = { username, sourceIP, userAgent };
  return new Map<string, Value>([
    ...Object.entries(texts).map(([key, text]) => [key, maskText(text)] as const),
    ['groups', groups.slice(0, maxListItems).map(maskText)],
  ]);
}

/** How each variable is made. What an expression sees is what is stored: without secrets, and no longer than that. */
const makers = {
  source: ({ source }: Judged): Value => source,
  category: ({ category }: Judged): Value => category,
  severity: ({ severity }: Judged): Value => severity,
  eventType: ({ eventType }: Judged): Value => eventType,
  rule: ({ rule }: Judged): Value => maskText(rule),
  summary: ({ summary }: Judged): Value => maskText(summary),
  resource: ({ resource }: Judged): Value => resourceOf(resource),
  namespace: ({ resource }: Judged): Value => resource?.namespace ?? '',
  workload: ({ resource }: Judged): Value => workloadOf(resource),
  actor: ({ actor }: Judged): Value => actorOf(actor),
  details: ({ details }: Judged): Value => celValue(storedDetails(details)),
  detectedAt: ({ detectedAt }: Judged): Value => detectedAt,
};

export type VariableName = keyof typeof makers;

export const variableNames = Object.keys(makers) as readonly string[];

function isVariable(name: string): name is VariableName {
  return Object.hasOwn(makers, name);
}

const known = new WeakMap<object, Map<string, Value>>();

/** What was made of an object, made once: many expressions ask about one finding, and many items come from one object. */
function remembered(about: object, name: string, make: () => Value): Value {
  const values = known.get(about) ?? new Map<string, Value>();
  known.set(about, values);
  const made = values.get(name);
  if (made !== undefined) return made;
  const value = make();
  values.set(name, value);
  return value;
}

/** The value of a variable. */
export function variable(name: string, judged: Judged, mapped: Mapped | undefined): Value {
  // Its details are the same object for all who ask about a finding.
  if (name === 'details') return remembered(judged.details, name, () => makers.details(judged));
  if (isVariable(name)) return remembered(judged, name, () => makers[name](judged));
  const given = name === 'object' ? mapped?.object : mapped?.item;
  if (typeof given !== 'object' || given === null) return celValue(given);
  return remembered(given, 'value', () => celValue(given));
}
