import * as z from 'zod';
import { canonicalJson, contentHash } from '../shared/finding/canonical-json.ts';
import type { ResourceRef } from '../shared/finding/finding.ts';
import { isClusterScoped, kindOf } from '../shared/finding/kubernetes-kinds.ts';
import { descriptiveText } from '../shared/finding/object-schema.ts';
import type { Severity } from '../shared/finding/severity.ts';
import { detailsOf, identityOf, text, timeOf } from '../shared/finding/values.ts';
import { schemaRefusal } from '../shared/function/refusal.ts';
import { integer } from '../shared/function/settings.ts';
import type { SplitBody } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

/** Indexed by syslog severity, which Falco's gRPC clients send. */
const priorities = ['Emergency', 'Alert', 'Critical', 'Error', 'Warning', 'Notice', 'Informational', 'Debug'] as const;

function parsePriority(value: string | number, context: z.RefinementCtx) {
  const index = typeof value === 'number' ? value : priorityIndex(value);
  const priority = priorities[index];
  if (priority !== undefined) return priority;
  context.addIssue(`must be one of ${priorities.join(', ')}`);
  return z.NEVER;
}

const settingsSchema = z.object({
  FALCO_MINIMUM_PRIORITY: z.string().transform(parsePriority).default('Warning'),
  DEDUP_WINDOW_SECONDS: integer(1, 31_536_000).default(300),
  FALCO_BUFFER_SIZE: integer(1, 100_000).default(100),
});

const protobufTime = z
  .object({ seconds: z.number(), nanos: z.number().nullish() })
  .transform(({ seconds }) => new Date(seconds * 1000))
  .refine((date) => !Number.isNaN(date.getTime()))
  .transform((date) => date.toISOString());

const schema = z.object({
  rule: z.string().min(1),
  priority: z.union([z.string(), z.number()]).transform(parsePriority),
  output: descriptiveText,
  source: descriptiveText,
  hostname: descriptiveText,
  time: z.union([z.string(), protobufTime]).nullish().catch(undefined),
  tags: z.array(z.string()).nullish().catch(undefined),
  output_fields: z.record(z.string(), z.unknown()).nullish().catch(undefined),
});

type Alert = z.infer<typeof schema>;
type Settings = z.infer<typeof settingsSchema>;

const severities: Readonly<Record<Alert['priority'], Severity>> = {
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

/** Fields that differ between repeats of the same alert. */
const volatileField = /^evt\.(time(\..*)?|num)$/;

/** Log shippers may turn `k8s.ns.name` into nested objects. No field of Falco has more parts than this. */
const maxFieldDepth = 6;

/**
 * Falco's alerts, raw from `http_output` or as CloudEvents from falcosidekick: one Observation per rule, location and
 * time window. https://falco.org/docs/concepts/outputs/
 */
export default defineSource<Alert, Settings>({
  name: 'falco',
  triggers: ({ FALCO_MINIMUM_PRIORITY: minimum, FALCO_BUFFER_SIZE: inFlight }) => [
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/falco/webhook',
      eventType,
      example: '{"rule":"Mine","priority":"Error"}',
      split: (body) => split(body, minimum),
      inFlight,
      senderRetries: false,
    },
  ],
  settings: settingsSchema,
  schema,
  normalize(alert, { time, settings: { FALCO_MINIMUM_PRIORITY: minimum, DEDUP_WINDOW_SECONDS: window } }) {
    const reason = skipReason(alert, minimum);
    if (reason !== undefined) return { findings: [], skipped: { [reason]: 1 } };
    const fields = flatten(alert.output_fields ?? {});
    const detectedAt = timeOf(alert.time, time);
    const finding = {
      category: 'security',
      severity: severities[alert.priority],
      eventType: 'runtime-security',
      rule: alert.rule,
      summary: alert.output ?? alert.rule,
      resource: affectedResource(alert, fields),
      identity: identityOf({
        ...locationAndActor(alert, fields),
        window: Math.floor(Date.parse(detectedAt) / 1000 / window),
      }),
      details: describe(alert, fields),
      detectedAt,
    };
    return { findings: [finding], skipped: {} };
  },
});

/** A body holds one alert. */
function split(body: unknown, minimum: Alert['priority']): SplitBody {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw schemaRefusal(parsed.error, 'body');
  const isWanted = skipReason(parsed.data, minimum) === undefined;
  return {
    items: isWanted ? [{ id: contentHash(body), data: parsed.data }] : [],
    refused: [],
    unwanted: isWanted ? 0 : 1,
  };
}

function priorityIndex(word: string): number {
  const lowerCase = word.trim().toLowerCase();
  return priorities.findIndex(
    (priority) => priority.toLowerCase() === (lowerCase === 'info' ? 'informational' : lowerCase),
  );
}

/** Falco reports about itself with the source `internal`. */
function skipReason({ source, priority }: Alert, minimum: Alert['priority']): string | undefined {
  if (source === 'internal') return 'internal';
  return priorities.indexOf(priority) > priorities.indexOf(minimum) ? 'below_minimum_priority' : undefined;
}

type Fields = ReadonlyMap<string, unknown>;

function flatten(value: object, prefix = '', depth = maxFieldDepth): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [key, member] of Object.entries(value)) {
    const name = prefix + key;
    if (typeof member === 'object' && member !== null && !Array.isArray(member) && depth > 1) {
      for (const [inner, leaf] of flatten(member, `${name}.`, depth - 1)) fields.set(inner, leaf);
    } else fields.set(name, member);
  }
  return fields;
}

/**
 * What repeats of an alert have in common. Alerts from plugins (audit, cloud) name no process, so all their fields
 * count.
 */
function locationAndActor({ rule, source, hostname }: Alert, fields: Fields): Record<string, unknown> {
  const id = text(fields.get('container.id'));
  const location = id !== undefined && id !== 'host' ? { container: id } : { hostname };
  if (source && !source.startsWith('syscall')) return { rule, ...location, fields: stableFields(fields) };
  return {
    rule,
    ...location,
    process: fields.get('proc.name'),
    user: fields.get('user.name'),
    file: fields.get('fd.name'),
  };
}

/** Leaves out integers above 2^53: they have been rounded by now, differently for each sender. */
function stableFields(fields: Fields): string {
  const isStable = ([name, value]: readonly [string, unknown]): boolean =>
    !volatileField.test(name) && !(Number.isInteger(value) && !Number.isSafeInteger(value));
  return canonicalJson(Object.fromEntries([...fields].filter(isStable)));
}

function affectedResource({ hostname }: Alert, fields: Fields): ResourceRef | undefined {
  const field = (name: string): string | undefined => text(fields.get(name));
  const pod = field('k8s.pod.name');
  if (pod !== undefined) return { apiVersion: 'v1', kind: 'Pod', namespace: field('k8s.ns.name'), name: pod };
  const plural = field('ka.target.resource');
  const target = field('ka.target.name');
  if (plural !== undefined && target !== undefined) {
    const kind = kindOf(plural);
    return { kind, namespace: isClusterScoped(kind) ? undefined : field('ka.target.namespace'), name: target };
  }
  const node = text(hostname);
  return node === undefined ? undefined : { apiVersion: 'v1', kind: 'Node', name: node };
}

function describe({ rule, priority, output, tags, hostname }: Alert, fields: Fields): Record<string, unknown> {
  const repository = text(fields.get('container.image.repository'));
  const tag = text(fields.get('container.image.tag'));
  return detailsOf({
    rule,
    priority,
    output,
    tags,
    hostname,
    containerId: text(fields.get('container.id')),
    image: repository !== undefined && tag !== undefined ? `${repository}:${tag}` : repository,
    process: text(fields.get('proc.name')),
    commandLine: text(fields.get('proc.cmdline')),
  });
}
