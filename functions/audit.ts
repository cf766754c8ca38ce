import * as z from 'zod';
import { group } from '../shared/api/group.ts';
import { contentHash } from '../shared/finding/canonical-json.ts';
import type { ResourceRef } from '../shared/finding/finding.ts';
import { kindOf } from '../shared/finding/kubernetes-kinds.ts';
import { descriptiveText } from '../shared/finding/object-schema.ts';
import { detailsOf, identityOf, isPresent, timeOf } from '../shared/finding/values.ts';
import { formatPath, Refusal, schemaRefusal } from '../shared/function/refusal.ts';
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
  .transform((operations) => z.array(container).safeParse(operations.flatMap(({ value }) => value)).data ?? [])
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

const settingsSchema = z.object({
  AUDIT_IGNORE_USERS: commaList.default(['system:node:*', 'system:serviceaccount:kube-system:*']),
  AUDIT_BUFFER_SIZE: integer(1, 100_000).default(200),
});

type Settings = z.infer<typeof settingsSchema> & CommonSettings;

const rbacGroup = 'rbac.authorization.k8s.io';

const rbacVerbs: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
const writeVerbs: ReadonlySet<string> = new Set(['create', 'update', 'patch']);
const deleteVerbs: ReadonlySet<string> = new Set(['delete', 'deletecollection']);
const secretResources: ReadonlySet<string> = new Set(['secrets', 'configmaps']);
const sessionSubresources: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);

/** Tools and controllers delete these all the time, which means nothing. */
const noisyGroups: ReadonlySet<string> = new Set([
  'aquasecurity.github.io',
  'wgpolicyk8s.io',
  'openreports.io',
  'reports.x-k8s.io',
]);
const noisyResources: ReadonlySet<string> = new Set(['events', 'leases', 'endpointslices']);

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
    const rule = ruleOf(event, settings);
    if (rule === undefined) return { findings: [], skipped: { no_rule: 1 } };
    const isDenied = (event.responseStatus?.code ?? 0) >= 400;
    const finding = {
      category: 'compliance',
      severity: isDenied ? ('MEDIUM' as const) : ('HIGH' as const),
      eventType: rule,
      resource: affectedResource(event),
      identity: identityOf({
        auditID: event.auditID,
        verb: event.verb,
        user: userOf(event),
        requestReceivedTimestamp: event.requestReceivedTimestamp,
      }),
      details: describe(event, isDenied),
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
  const isWanted = ruleOf(parsed.data, settings) !== undefined;
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
    if (!parsed.success) refused.push(refusedItem(parsed.error, index));
    else if (ruleOf(parsed.data, settings) !== undefined) items.push(itemOf(parsed.data));
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

function refusedItem(error: z.ZodError, index: number): RefusedItem {
  const issue = error.issues[0];
  return { path: formatPath(issue?.path ?? [], `items[${index}]`), message: issue?.message ?? 'is not an audit event' };
}

function matches(patterns: readonly string[], user: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? user.startsWith(pattern.slice(0, -1)) : user === pattern));
}

function isOurs({ user, objectRef }: AuditEvent, { SYSTEM_NAMESPACE, ownUsers }: Settings): boolean {
  const ours = [`system:serviceaccount:${SYSTEM_NAMESPACE}:*`, ...ownUsers];
  return objectRef?.apiGroup === group && matches(ours, user?.username ?? '');
}

/** The first rule that an event matches, if any. */
function ruleOf(event: AuditEvent, settings: Settings): string | undefined {
  const { verb, objectRef } = event;
  if (!verb || !objectRef?.resource || !isRelevantStage(event) || isOurs(event, settings)) return undefined;
  const { resource, apiGroup } = objectRef;
  if (isPrivilegedPod(event)) return 'privileged-pod-creation';
  if (apiGroup === rbacGroup && rbacVerbs.has(verb)) return 'rbac-change';
  if (secretResources.has(resource) && !apiGroup && writeVerbs.has(verb)) return 'secret-access';
  if (isSession(event)) return 'pod-exec';
  return deleteVerbs.has(verb) && !isNoise(event, settings) ? 'resource-deletion' : undefined;
}

function isSession({ verb, objectRef }: AuditEvent): boolean {
  return (
    objectRef?.resource === 'pods' &&
    sessionSubresources.has(objectRef.subresource ?? '') &&
    (verb === 'get' || verb === 'create')
  );
}

/**
 * Whether a stage says what came of a request. A session is complete only when it ends, maybe tomorrow, so its start
 * counts.
 */
function isRelevantStage(event: AuditEvent): boolean {
  return event.stage === 'ResponseComplete' || (event.stage === 'ResponseStarted' && isSession(event));
}

function isPrivilegedPod({ verb, objectRef, requestObject: body }: AuditEvent): boolean {
  if (objectRef?.resource !== 'pods' || !body) return false;
  const {
    containers: main,
    initContainers,
    ephemeralContainers,
  } = { containers: [], initContainers: [], ...body.spec };
  const isCreated = verb === 'create' && !objectRef.subresource;
  const isDebugged = (verb === 'update' || verb === 'patch') && objectRef.subresource === 'ephemeralcontainers';
  const started = isCreated ? [main, initContainers] : isDebugged ? [ephemeralContainers] : [];
  return started.some((list) => list?.some(({ securityContext }) => securityContext?.privileged === true));
}

function isNoise({ user, objectRef }: AuditEvent, { AUDIT_IGNORE_USERS: ignored }: Settings): boolean {
  return (
    matches(ignored, user?.username ?? '') ||
    noisyGroups.has(objectRef?.apiGroup ?? '') ||
    noisyResources.has(objectRef?.resource ?? '')
  );
}

function userOf({ user, impersonatedUser }: AuditEvent): string | undefined {
  return impersonatedUser?.username ?? user?.username ?? undefined;
}

function affectedResource({ objectRef }: AuditEvent): ResourceRef | undefined {
  if (!objectRef?.resource) return undefined;
  const { resource, apiGroup, apiVersion, namespace, name } = objectRef;
  const version = apiVersion ? (apiGroup ? `${apiGroup}/${apiVersion}` : apiVersion) : undefined;
  return {
    apiVersion: version,
    kind: kindOf(resource),
    namespace: isPresent(namespace) ? (namespace ?? undefined) : undefined,
    name: isPresent(name) ? (name ?? undefined) : undefined,
  };
}

function describe(event: AuditEvent, isDenied: boolean): Record<string, unknown> {
  const { verb, auditID, user, sourceIPs, userAgent, objectRef, responseStatus } = event;
  return detailsOf({
    verb,
    auditID,
    username: userOf(event),
    groups: user?.groups,
    sourceIPs,
    userAgent,
    statusCode: responseStatus?.code,
    apiGroup: objectRef?.apiGroup,
    subresource: objectRef?.subresource,
    outcome: isDenied ? 'denied' : 'allowed',
  });
}
