import * as z from 'zod';
import { ownMark } from '../shared/api/own-mark.ts';
import { contentHash } from '../shared/finding/canonical-json.ts';
import { descriptiveText } from '../shared/finding/object-schema.ts';
import { parseSeverity, type Severity } from '../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, timeOf } from '../shared/finding/values.ts';
import { firstFault, Refusal } from '../shared/function/refusal.ts';
import { integer } from '../shared/function/settings.ts';
import type { SplitBody } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';
import { type Facts, factsOf, storedText } from './falco/facts.ts';
import { type Fields, fieldOf, fieldsHash, flatten, hasMoreFields } from './falco/fields.ts';
import { summaryOf } from './falco/summary.ts';
import { type Priority, priorities, ruleSeverities } from './falco/tables.ts';

function priorityIndex(word: string): number {
  const lowerCase = word.trim().toLowerCase();
  return priorities.findIndex(
    (priority) => priority.toLowerCase() === (lowerCase === 'info' ? 'informational' : lowerCase),
  );
}

function parsePriority(value: string | number, context: z.RefinementCtx) {
  const index = typeof value === 'number' ? value : priorityIndex(value);
  const priority = priorities[index];
  if (priority !== undefined) return priority;
  context.addIssue(`must be one of ${priorities.join(', ')}`);
  return z.NEVER;
}

/** `rule=SEVERITY`, separated by commas; what stands later counts. A `+` in front adds them to the preset. */
function parseRuleSeverities(list: string, context: z.RefinementCtx): readonly string[] {
  const items = list.replace(/^\s*\+/, '').split(',');
  const entries = items.map((item) => item.trim()).filter((item) => item !== '');
  for (const entry of entries) {
    if (!/\S\s*=\s*(?:critical|high|medium|low|unknown)$/i.test(entry))
      context.addIssue('must be a list of rule=SEVERITY, with CRITICAL, HIGH, MEDIUM, LOW or UNKNOWN');
  }
  return list.trim().startsWith('+') ? [...ruleSeverities, ...entries] : entries;
}

const settingsSchema = z.object({
  FALCO_MINIMUM_PRIORITY: z.string().transform(parsePriority).default('Notice'),
  FALCO_RULE_SEVERITY: z
    .string()
    .transform(parseRuleSeverities)
    .default([...ruleSeverities]),
  DEDUP_WINDOW_SECONDS: integer(1, 31_536_000).default(300),
  FALCO_BUFFER_SIZE: integer(1, 100_000).default(100),
});

const protobufTime = z
  .object({ seconds: z.coerce.number(), nanos: z.number().nullish() })
  .transform(({ seconds }) => new Date(seconds * 1000))
  .refine((date) => !Number.isNaN(date.getTime()))
  .transform((date) => date.toISOString());

/** Falco has about 300, of which a rule shows some. Each is read, compared and searched for secrets. */
const maxFields = 1000;
const maxTags = 64;

const schema = z.object({
  rule: z.string().refine((rule) => rule.trim() !== '', { error: 'must not be empty' }),
  priority: z.union([z.string(), z.number()]).transform(parsePriority),
  output: descriptiveText,
  message: descriptiveText,
  source: descriptiveText,
  hostname: descriptiveText,
  time: z.union([z.string(), protobufTime]).nullish().catch(undefined),
  tags: z
    .array(z.string())
    .transform((tags) => tags.slice(0, maxTags))
    .nullish()
    .catch(undefined),
  // Counted before they are looked at: of 30,000 that takes a tenth of a second, in which nobody else is served.
  output_fields: z
    .unknown()
    .refine((fields) => !hasMoreFields(fields, maxFields), {
      error: `must have at most ${maxFields} fields`,
      abort: true,
    })
    .pipe(z.record(z.string(), z.unknown()).nullish().catch(undefined))
    .optional(),
});

type Alert = z.infer<typeof schema>;
type Settings = z.infer<typeof settingsSchema>;

const severities: Readonly<Record<Priority, Severity>> = {
  Emergency: 'CRITICAL',
  Alert: 'CRITICAL',
  Critical: 'CRITICAL',
  Error: 'HIGH',
  Warning: 'MEDIUM',
  Notice: 'LOW',
  Informational: 'LOW',
  Debug: 'LOW',
};

const eventType = 'falco.rule.output.v1';

/**
 * Falco's alerts, raw from `http_output` or as CloudEvents from falcosidekick: one Observation per rule, place, act and
 * time window. https://falco.org/docs/concepts/outputs/
 */
export default defineSource<Alert, Settings>({
  name: 'falco',
  // Of what happens, even a little may be the first sign.
  announcedFrom: 'LOW',
  triggers: ({ FALCO_MINIMUM_PRIORITY: minimum, FALCO_BUFFER_SIZE: inFlight }) => [
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/falco/webhook',
      eventType,
      example: '{"rule":"Mine","priority":"Error"}',
      // Its http_output has no option for headers, but its URL may hold a user and a password.
      takesBasic: true,
      // Log shippers send them so.
      takesLists: true,
      split: (body) => split(body, minimum),
      inFlight,
      senderRetries: false,
    },
  ],
  settings: settingsSchema,
  schema,
  normalize(alert, { time, settings }) {
    const fields = flatten(alert.output_fields ?? {});
    const reason = skipReason(alert, fields, settings.FALCO_MINIMUM_PRIORITY);
    if (reason !== undefined) return { findings: [], skipped: { [reason]: 1 } };
    const facts = factsOf(alert, fields);
    const severity = ruleSeverity(facts.rule, settings.FALCO_RULE_SEVERITY) ?? severities[alert.priority];
    const detectedAt = detectionTime(alert.time, time);
    const period = periodOf(facts, severity, Date.parse(detectedAt), settings.DEDUP_WINDOW_SECONDS);
    const finding = {
      category: 'security',
      severity,
      eventType: 'runtime-security',
      rule: facts.rule,
      summary: summaryOf(facts),
      resource: facts.resource,
      actor: facts.actor,
      identity: identityParts(facts, period),
      details: describe(alert, facts, fields, period),
      detectedAt,
      ...(period.isDay && { repeat: { about: placeOf(facts) } }),
    };
    return { findings: [finding], skipped: {} };
  },
});

/** Reduces an alert to what is told of it, unless it is not to be told. */
function split(alert: unknown, minimum: Priority): SplitBody {
  const { data, error } = parseAlert(alert);
  if (data === undefined) {
    const { path, message } = error ? firstFault(error, 'body') : { path: 'body', message: 'is nested too deeply' };
    throw new Refusal(422, 'the data breaks the schema', { path, cause: message });
  }
  const reason = skipReason(data, flatten(data.output_fields ?? {}), minimum);
  if (reason !== undefined) return { items: [], refused: [], unwanted: 1, reasons: { [reason]: 1 } };
  return { items: [{ id: contentHash(alert), data }], refused: [], unwanted: 0 };
}

function parseAlert(alert: unknown): { readonly data?: Alert | undefined; readonly error?: z.ZodError | undefined } {
  return isTooDeep(alert) ? {} : schema.safeParse(alert);
}

/** No alert is nested like that; it could not be hashed. */
function isTooDeep(value: unknown, depth = 64): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isTooDeep(member, depth - 1));
}

/** Why an alert is none: we told Falco's side of it ourselves, Falco speaks of itself, or it is not urgent enough. */
function skipReason({ source, rule, priority }: Alert, fields: Fields, minimum: Priority): string | undefined {
  if ([...fields.keys()].some((name) => name.startsWith(ownMark))) return 'self';
  if (source === 'internal' || /^\s*falco internal:/i.test(rule)) return 'internal';
  return priorities.indexOf(priority) > priorities.indexOf(minimum) ? 'below_minimum_priority' : undefined;
}

function ruleSeverity(rule: string, entries: readonly string[]): Severity | undefined {
  const wanted = rule.toLowerCase();
  const entry = entries.findLast((one) => one.slice(0, one.lastIndexOf('=')).trim().toLowerCase() === wanted);
  return entry === undefined ? undefined : parseSeverity(entry.slice(entry.lastIndexOf('=') + 1));
}

const fiveMinutes = 300_000;

/** The alert's own time, unless that is ahead of its receipt: then a clock is wrong, and one would lead to any window. */
function detectionTime(time: Alert['time'], receipt: string): string {
  const own = timeOf(time, receipt);
  return Date.parse(own) > Date.parse(receipt) + fiveMinutes ? receipt : own;
}

/** The time within which repeats are one finding. */
interface Period {
  readonly isDay: boolean;
  /** How many such periods have passed since 1970. */
  readonly number: number;
  readonly text: string;
}

const secondsPerDay = 86_400;

/** What is LOW and done by somebody repeats all day long. */
function periodOf({ process, user }: Facts, severity: Severity, time: number, window: number): Period {
  const isDay = severity === 'LOW' && (process ?? user) !== undefined;
  const seconds = isDay ? secondsPerDay : window;
  const number = Math.floor(time / 1000 / seconds);
  const start = new Date(number * seconds * 1000).toISOString().replace('.000Z', 'Z');
  return { isDay, number, text: isDay ? start.slice(0, 10) : `${start}/PT${seconds}S` };
}

/** What repeats of an event have in common. Texts are as they are stored, so nothing in it is a secret. */
function identityParts(facts: Facts, { isDay, number }: Period): Record<string, string> {
  const { rule, fields } = facts;
  const process = storedText(facts.process);
  const user = storedText(facts.user ?? (facts.userId && `uid ${facts.userId}`));
  if (isDay) return identityOf({ rule, process, user, day: number });
  const commandLine = storedText(facts.commandLine);
  const object = storedText(facts.object ?? facts.executable);
  const hasFields = Object.keys(fields).length > 0;
  const isSilent = (process ?? user ?? object ?? commandLine) === undefined && !hasFields;
  return identityOf({
    rule,
    pod: facts.pod,
    container: facts.container,
    host: facts.pod === undefined && facts.container === undefined ? facts.host : undefined,
    process,
    user,
    file: object,
    commandLine: commandLine && contentHash(commandLine),
    fields: hasFields ? fieldsHash(fields) : undefined,
    output: isSilent ? facts.output && contentHash(facts.output) : undefined,
    window: number,
  });
}

/** Where it happened this time: the identity of what repeats all day has the workload alone. */
function placeOf({ pod, containerName, container, host }: Facts): string | undefined {
  return pod ?? containerName ?? container ?? host;
}

function describe(alert: Alert, facts: Facts, fields: Fields, period: Period): Record<string, unknown> {
  const { hostname, priority, source, tags } = alert;
  const loginId = fieldOf(fields, ['user.loginuid']);
  const id = fieldOf(fields, ['container.id']);
  return detailsOf({
    priority,
    output: isPresent(alert.output) ? alert.output : alert.message,
    tags: [...new Set(tags)].sort(),
    eventSource: source,
    hostname,
    workload: facts.workload,
    container: facts.containerName,
    containerId: id === 'host' ? undefined : id,
    image: facts.image,
    process: facts.process,
    commandLine: facts.commandLine,
    executable: facts.executable,
    parent: facts.parent,
    parentCommandLine: fieldOf(fields, ['proc.pcmdline']),
    file: facts.object,
    linkTarget: facts.target,
    userId: fieldOf(fields, ['user.uid']),
    loginUser: fieldOf(fields, ['user.loginname']),
    loginUserId: loginId === '-1' ? undefined : loginId,
    [period.isDay ? 'day' : 'window']: period.text,
    ...(Object.keys(facts.fields).length > 0 && { fields: facts.fields }),
  });
}
