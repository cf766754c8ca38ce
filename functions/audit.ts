import { contentHash } from '../shared/finding/canonical-json.ts';
import { firstFault, Refusal, schemaRefusal } from '../shared/function/refusal.ts';
import type { RefusedItem, SplitBody } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';
import { deedOf } from './audit/deed.ts';
import { judge } from './audit/detections.ts';
import { type AuditEvent, auditEvent } from './audit/event.ts';
import { tooLong } from './audit/facts.ts';
import { findingOf } from './audit/finding.ts';
import { type AuditSettings, auditSettings, scopeOf } from './audit/settings.ts';
import { answerTo, isBrokenList, type Shipped, shippedIn } from './audit/shipping.ts';
import { at, isRecord, textAt } from './audit/values.ts';

const eventType = 'io.kube-zen.audit.v1';

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * The API server's audit events, from its webhook backend or as managed clusters ship them, judged by the table of
 * detections in audit/detections.ts. https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
export default defineSource<AuditEvent, (typeof auditSettings)['_output']>({
  name: 'audit',
  hasOngoingFindings: true,
  // The API server has something to say all the time.
  silentMinutes: 15,
  // Of what happens, even a little may be the first sign.
  announcedFrom: 'LOW',
  triggers: (settings) => [
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/audit/webhook',
      eventType,
      list: 'items',
      // Who did what is told all the same, and that the body could not be read.
      shortens: { members: ['requestObject', 'responseObject'], text: tooLong },
      tokenHeader: 'x-amz-firehose-access-key',
      split: (body) => split(body, settings),
      inFlight: settings.AUDIT_BUFFER_SIZE,
      senderRetries: true,
    },
  ],
  settings: auditSettings,
  schema: auditEvent,
  normalize(event, { time, settings }) {
    const deed = deedOf(event, scopeOf(settings));
    const judgement = judge(deed);
    if (!judgement.match) return { findings: [], skipped: { [judgement.reason]: 1 } };
    return { findings: [findingOf(deed, judgement.match, time)], skipped: {} };
  },
});

/** How many events of a body are forwarded or refused: what a body unpacks to could hold millions. */
const maxKept = 25_000;

/** Splits whatever holds events. A bad one among several does not hold up the others. */
function split(body: unknown, settings: AuditSettings): SplitBody {
  if (isBrokenList(body)) throw new Refusal(422, 'the data breaks the schema', { path: 'body.items' });
  const items: SplitBody['items'][number][] = [];
  const refused: RefusedItem[] = [];
  const reasons: Record<string, number> = {};
  let unwanted = 0;
  for (const one of shippedIn(body, 'body')) {
    if (items.length + refused.length >= maxKept)
      throw new Refusal(413, 'there are too many events', { path: one.path });
    if ('fault' in one) refused.push({ path: one.path, message: one.fault });
    else {
      const reason = addItem(one, { settings, isWrapped: one.path !== 'body', items, refused });
      if (reason === undefined) continue;
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      unwanted += 1;
    }
  }
  const answer = answerTo(body);
  return { items, refused, unwanted, reasons, ...(answer && { answer }) };
}

interface Split {
  readonly settings: AuditSettings;
  readonly isWrapped: boolean;
  readonly items: SplitBody['items'][number][];
  readonly refused: RefusedItem[];
}

/** Adds an event if a detection matches it: only then is it forwarded. Returns why not, if it was readable. */
function addItem(one: Shipped, { settings, isWrapped, items, refused }: Split): string | undefined {
  if (!('event' in one)) return 'other_log';
  if (isPlain(one.event, settings)) return 'no_rule';
  // Of a million numbers in a list, the schema would take its time for each.
  if (isWrapped && !isRecord(one.event)) {
    refused.push({ path: one.path, message: 'Invalid input: expected object' });
    return undefined;
  }
  const parsed = auditEvent.safeParse(one.event);
  if (!parsed.success) {
    if (!isWrapped) throw schemaRefusal(parsed.error, 'body');
    refused.push(firstFault(parsed.error, one.path));
    return undefined;
  }
  const judgement = judge(deedOf(parsed.data, scopeOf(settings)));
  if (!judgement.match) return judgement.reason;
  items.push(itemOf(parsed.data));
  return undefined;
}

const readVerbs: ReadonlySet<unknown> = new Set(['get', 'list', 'watch']);
const changeVerbs: ReadonlySet<unknown> = new Set(['create', 'update', 'patch']);
/** What machines write all the time, as `group/resource`. */
const chatter: ReadonlySet<string> = new Set([
  '/events',
  '/leases',
  'coordination.k8s.io/leases',
  'events.k8s.io/events',
]);

/** Whether somebody signed in as himself and was allowed: otherwise it matters who it was. */
function isOrdinary(item: unknown, username: string): boolean {
  const [code, groups] = [at(item, 'responseStatus', 'code'), at(item, 'user', 'groups')];
  if (username === 'system:anonymous' || at(item, 'impersonatedUser')) return false;
  if (Array.isArray(groups) && groups.includes('system:unauthenticated')) return false;
  return code === undefined || (typeof code === 'number' && code < 400);
}

/**
 * Whether an item is a read of something that no detection looks at, or what machines write all the time. Most items are,
 * and this spares them the schema.
 */
function isPlain(item: unknown, { AUDIT_CLUSTER_CIDRS: cidrs }: AuditSettings): boolean {
  const [verb, resource, username] = [
    at(item, 'verb'),
    textAt(item, 'objectRef', 'resource'),
    textAt(item, 'user', 'username'),
  ];
  if (cidrs.length > 0 || textAt(item, 'auditID') === undefined) return false;
  if (resource === undefined || username === undefined || !isOrdinary(item, username)) return false;
  if (at(item, 'objectRef', 'subresource')) return false;
  if (readVerbs.has(verb)) return resource !== 'secrets';
  if (!chatter.has(`${at(item, 'objectRef', 'apiGroup') ?? ''}/${resource}`)) return false;
  return changeVerbs.has(verb) && isMachine(username) && at(item, 'stage') === 'ResponseComplete';
}

function isMachine(username: string): boolean {
  return /^system:(?:node|serviceaccount|kube-|apiserver$)/.test(username);
}

/** The client chooses the auditID, of any length and unchecked, but a CloudEvent's id must be short. */
function itemOf(data: AuditEvent): { readonly id: string; readonly data: AuditEvent } {
  const id = uuid.test(data.auditID) ? data.auditID : contentHash(data.auditID);
  return { id: `${id}/${data.stage}`, data };
}
