import * as z from 'zod';
import { group } from '../shared/api/group.ts';
import { contentHash } from '../shared/finding/canonical-json.ts';
import type { ResourceRef } from '../shared/finding/finding.ts';
import { kindOf } from '../shared/finding/kubernetes-kinds.ts';
import { descriptiveText } from '../shared/finding/object-schema.ts';
import { detailsOf, identityOf, text, timeOf } from '../shared/finding/values.ts';
import { firstFault, Refusal, schemaRefusal } from '../shared/function/refusal.ts';
import { type CommonSettings, commaList, integer } from '../shared/function/settings.ts';
import type { RefusedItem, SplitBody } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

const container = z.object({
  name: descriptiveText,
  securityContext: z
    .object({ privileged: z.boolean().nullish().catch(undefined) })
    .nullish()
    .catch(undefined),
});

const containers = z.array(container).nullish().catch(undefined);

const podSpec = z.object({ containers, initContainers: containers, ephemeralContainers: containers });

/** A JSON patch (RFC 6902), which can add ephemeral containers one by one or all at once. */
const jsonPatch = z
  .array(z.object({ path: z.string(), value: z.unknown() }))
  .transform((operations) => operations.filter(({ path }) => path.startsWith('/spec/ephemeralContainers')))
  .transform((operations) => z.array(container).safeParse(operations.flatMap(({ value }) => value)).data)
  .transform((added) => ({ spec: { ephemeralContainers: added } }));

/** Keeps only the containers' names and whether they are privileged, since the bodies of requests hold secrets. */
const requestObject = z
  .union([z.object({ spec: podSpec }), jsonPatch])
  .nullish()
  .catch(undefined);

const schema = z
  .object({
    kind: z.literal('Event').nullish(),
    apiVersion: z.enum(['audit.k8s.io/v1', 'audit.k8s.io/v1beta1']).nullish(),
    auditID: z.string().min(1),
    stage: z.string().min(1),
    verb: descriptiveText,
    user: z.object({ username: descriptiveText, groups: z.array(z.string()).nullish().catch(undefined) }).nullish(),
    impersonatedUser: z.object({ username: descriptiveText }).nullish().catch(undefined),
    sourceIPs: z.array(z.string()).nullish().catch(undefined),
    userAgent: descriptiveText,
    objectRef: z
      .object({
        resource: descriptiveText,
        subresource: descriptiveText,
        apiGroup: descriptiveText,
        apiVersion: descriptiveText,
        namespace: descriptiveText,
        name: descriptiveText,
      })
      .nullish(),
    responseStatus: z.object({ code: z.number().nullish() }).nullish(),
    requestReceivedTimestamp: descriptiveText,
    stageTimestamp: descriptiveText,
    requestObject,
  })
  .transform((event) => {
    const { resource } = event.objectRef ?? {};
    return resource === 'pods' ? event : { ...event, requestObject: undefined };
  });

const eventList = z.object({ kind: z.literal('EventList'), items: z.array(z.unknown()) });

type AuditEvent = z.infer<typeof schema>;

/** The `objectRef` of an event that may match a rule: it names a resource. */
type About = NonNullable<AuditEvent['objectRef']> & { readonly resource: string };

const settingsSchema = z.object({
  AUDIT_IGNORE_USERS: commaList.default(['system:node:*', 'system:serviceaccount:kube-system:*']),
  AUDIT_BUFFER_SIZE: integer(1, 100_000).default(200),
});

type Settings = z.infer<typeof settingsSchema> & CommonSettings;

const rbacGroup = 'rbac.authorization.k8s.io';

const rbacVerbs: ReadonlySet<unknown> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
const writeVerbs: ReadonlySet<unknown> = new Set(['create', 'update', 'patch']);
const deleteVerbs: ReadonlySet<unknown> = new Set(['delete', 'deletecollection']);
const secretResources: ReadonlySet<unknown> = new Set(['secrets', 'configmaps']);
const sessionSubresources: ReadonlySet<unknown> = new Set(['exec', 'attach', 'portforward']);

/** Tools and controllers delete these all the time, which means nothing. */
const noisyGroups: ReadonlySet<unknown> = new Set([
  'aquasecurity.github.io',
  'wgpolicyk8s.io',
  'openreports.io',
  'reports.x-k8s.io',
]);
const noisyResources: ReadonlySet<unknown> = new Set(['events', 'leases', 'endpointslices']);

const eventType = 'io.kube-zen.audit.v1';

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * The API server's audit events, from its webhook backend: one Observation per request that matches a rule.
 * https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
export default defineSource<AuditEvent, z.infer<typeof settingsSchema>>({
  name: 'audit',
  triggers: (settings) => [
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/audit/webhook',
      eventType,
      list: 'items',
      split: (body) => split(body, settings),
      inFlight: settings.AUDIT_BUFFER_SIZE,
      senderRetries: true,
    },
  ],
  settings: settingsSchema,
  schema,
  normalize(event, { time, settings }) {
    const match = matchOf(event, settings);
    if (!match) return { findings: [], skipped: { no_rule: 1 } };
    const { eventType: rule, about } = match;
    const isDenied = (event.responseStatus?.code ?? 0) >= 400;
    const finding = {
      category: 'compliance',
      severity: isDenied ? ('MEDIUM' as const) : ('HIGH' as const),
      eventType: rule,
      rule,
      summary: `${rule} by ${userOf(event) ?? 'nobody'}`,
      resource: affectedResource(about),
      identity: identityOf({
        auditID: event.auditID,
        verb: event.verb,
        user: userOf(event),
        requestReceivedTimestamp: event.requestReceivedTimestamp,
      }),
      details: describe(event, about, isDenied),
      detectedAt: timeOf(event.stageTimestamp, timeOf(event.requestReceivedTimestamp, time)),
    };
    return { findings: [finding], skipped: {} };
  },
});

/** Splits an Event or an EventList. A bad item in a list does not hold up the others. */
function split(body: unknown, settings: Settings): SplitBody {
  const isList = typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'EventList';
  if (isList) return splitList(body, settings);
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw schemaRefusal(parsed.error, 'body');
  const isWanted = matchOf(parsed.data, settings) !== undefined;
  return { items: isWanted ? [itemOf(parsed.data)] : [], refused: [], unwanted: isWanted ? 0 : 1 };
}

function splitList(body: object, settings: Settings): SplitBody {
  const list = eventList.safeParse(body);
  if (!list.success) throw new Refusal(422, 'the data breaks the schema', { path: 'body.items' });
  const items: ReturnType<typeof itemOf>[] = [];
  const refused: RefusedItem[] = [];
  for (const [index, item] of list.data.items.entries()) {
    if (isPlainRead(item)) continue;
    const parsed = schema.safeParse(item);
    if (!parsed.success) refused.push(firstFault(parsed.error, `items[${index}]`));
    else if (matchOf(parsed.data, settings) !== undefined) items.push(itemOf(parsed.data));
  }
  return { items, refused, unwanted: list.data.items.length - items.length - refused.length };
}

const readVerbs: ReadonlySet<unknown> = new Set(['get', 'list', 'watch']);

/**
 * Whether an item is a read of something other than a subresource, which matches no rule. Most items are, and this
 * spares them the schema.
 */
function isPlainRead(item: unknown): boolean {
  if (typeof item !== 'object' || item === null || !('verb' in item) || !readVerbs.has(item.verb)) return false;
  if (!('auditID' in item && item.auditID && 'stage' in item && item.stage)) return false;
  const ref = 'objectRef' in item ? (item.objectRef ?? {}) : {};
  return typeof ref === 'object' && !('subresource' in ref);
}

/** The client chooses the auditID, of any length and unchecked, but a CloudEvent's id must be short. */
function itemOf(data: AuditEvent): { readonly id: string; readonly data: AuditEvent } {
  const id = uuid.test(data.auditID) ? data.auditID : contentHash(data.auditID);
  return { id: `${id}/${data.stage.slice(0, 32)}`, data };
}

/** Whether a pattern matches the user. `*` matches everybody, even a user without a name. */
function isOneOf(patterns: readonly string[], { user }: AuditEvent): boolean {
  const name = user?.username;
  const matches = (pattern: string) =>
    pattern.endsWith('*') ? name?.startsWith(pattern.slice(0, -1)) : name === pattern;
  return patterns.some((pattern) => pattern === '*' || matches(pattern));
}

function isOurs(event: AuditEvent, { apiGroup }: About, { SYSTEM_NAMESPACE, ownUsers }: Settings): boolean {
  const ours = [`system:serviceaccount:${SYSTEM_NAMESPACE}:*`, ...ownUsers];
  return apiGroup === group && isOneOf(ours, event);
}

interface Match {
  readonly eventType: string;
  readonly about: About;
}

/** The first rule that an event matches, and what the event is about; `undefined` if no rule matches. */
function matchOf(event: AuditEvent, settings: Settings): Match | undefined {
  const { resource } = event.objectRef ?? {};
  if (!resource) return undefined;
  const about = { ...event.objectRef, resource };
  const eventType =
    isRelevantStage(event, about) && !isOurs(event, about, settings) ? ruleOf(event, about, settings) : undefined;
  return eventType === undefined ? undefined : { eventType, about };
}

function ruleOf(event: AuditEvent, about: About, settings: Settings): string | undefined {
  const { verb } = event;
  const { resource, apiGroup } = about;
  if (isPrivilegedPod(event, about)) return 'privileged-pod-creation';
  if (apiGroup === rbacGroup && rbacVerbs.has(verb)) return 'rbac-change';
  if (secretResources.has(resource) && !apiGroup && writeVerbs.has(verb)) return 'secret-access';
  if (isSession(event, about)) return 'pod-exec';
  return deleteVerbs.has(verb) && !isNoise(event, about, settings) ? 'resource-deletion' : undefined;
}

function isSession({ verb }: AuditEvent, { resource, subresource }: About): boolean {
  return resource === 'pods' && sessionSubresources.has(subresource) && (verb === 'get' || verb === 'create');
}

/**
 * Whether a stage says what came of a request. A session is complete only when it ends, maybe tomorrow, so its start
 * counts.
 */
function isRelevantStage(event: AuditEvent, about: About): boolean {
  return event.stage === 'ResponseComplete' || (event.stage === 'ResponseStarted' && isSession(event, about));
}

/** Whether an event starts a privileged container. Only events about Pods have a body, since the schema drops others. */
function isPrivilegedPod({ verb, requestObject }: AuditEvent, { subresource }: About): boolean {
  const spec: z.infer<typeof podSpec> = { ...requestObject?.spec };
  const isCreated = verb === 'create' && !subresource;
  const isDebugged = (verb === 'update' || verb === 'patch') && subresource === 'ephemeralcontainers';
  const started = isCreated ? [spec.containers, spec.initContainers] : isDebugged ? [spec.ephemeralContainers] : [];
  return started.some((list) => list?.some(({ securityContext }) => securityContext?.privileged === true));
}

function isNoise(event: AuditEvent, { apiGroup, resource }: About, { AUDIT_IGNORE_USERS: ignored }: Settings): boolean {
  return isOneOf(ignored, event) || noisyGroups.has(apiGroup) || noisyResources.has(resource);
}

function userOf({ user, impersonatedUser }: AuditEvent): string | undefined {
  return impersonatedUser?.username ?? user?.username ?? undefined;
}

function affectedResource({ resource, apiGroup, apiVersion, namespace, name }: About): ResourceRef {
  const version = apiVersion ? (apiGroup ? `${apiGroup}/${apiVersion}` : apiVersion) : undefined;
  return { apiVersion: version, kind: kindOf(resource), namespace: text(namespace), name: text(name) };
}

function describe(event: AuditEvent, { apiGroup, subresource }: About, isDenied: boolean): Record<string, unknown> {
  const { verb, auditID, user, sourceIPs, userAgent, responseStatus } = event;
  return detailsOf({
    verb,
    auditID,
    username: userOf(event),
    groups: user?.groups,
    sourceIPs,
    userAgent,
    statusCode: responseStatus?.code,
    apiGroup,
    subresource,
    outcome: isDenied ? 'denied' : 'allowed',
  });
}
