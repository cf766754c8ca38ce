import type { Finding, Repeat, ResourceRef } from '../../shared/finding/finding.ts';
import { detailsOf, identityOf, text, timeOf } from '../../shared/finding/values.ts';
import { type Deed, objectOf } from './deed.ts';
import type { Grouping } from './detection.ts';
import type { Match } from './detections.ts';

/** Where a machine acts: a fact of its identity, in place of the namespaces. */
function reachOf({ who, namespace }: Deed): string {
  if (namespace === undefined) return 'cluster-wide';
  return who.account?.namespace === namespace ? 'own namespace' : 'other namespaces';
}

/** How a finding is told from others of its detection, its time and namespace among it or not. */
interface Group {
  readonly identity: Readonly<Record<string, string | undefined>>;
  readonly resource: ResourceRef | undefined;
}

function receivedAt({ event }: Deed, time: string): string {
  const given = event.requestReceivedTimestamp ?? event.timestamp ?? event.stageTimestamp;
  return new Date(Date.parse(timeOf(given, time))).toISOString();
}

function resourceOf({ event, group, kind, namespace, name, resource, facts }: Deed): ResourceRef | undefined {
  if (resource === '') return undefined;
  const version = text(event.objectRef?.apiVersion);
  const apiVersion = version === undefined || group === '' ? version : `${group}/${version}`;
  return { apiVersion, kind, namespace, name: name ?? ownerName(facts.owner, facts.generateName) };
}

/** The name that an object without one yet will begin with, so that it is filed under its workload. */
function ownerName(owner: string | undefined, generateName: string | undefined): string | undefined {
  return owner === undefined ? undefined : generateName?.replace(/-$/, '');
}

/** The acts of persons that are told one by one; whoever writes in another's name, each write. */
function isAct({ who, isWrite, outcome }: Deed, by: Grouping): boolean {
  if (!who.isPerson || outcome === 'denied') return false;
  return by === 'act' || (who.impersonated !== undefined && isWrite && by !== 'object' && by !== 'user');
}

function personGroup(deed: Deed, by: Grouping, time: string): Group {
  const { namespace } = deed;
  const received = receivedAt(deed, time);
  const when = by === 'day' ? { day: received.slice(0, 10) } : { hour: `${received.slice(0, 13)}:00Z` };
  if (by === 'user-hour') return { identity: when, resource: undefined };
  const resource = resourceOf(deed);
  return { identity: { namespace, ...when }, resource: resource && { ...resource, name: undefined } };
}

function machineGroup(deed: Deed): Group {
  const resource = resourceOf(deed);
  const reach = reachOf(deed);
  if (deed.who.presets.has('deployers')) return { identity: { object: objectOf(deed) }, resource };
  const { kind, apiVersion } = resource ?? {};
  return { identity: { reach }, resource: kind === undefined ? undefined : { kind, apiVersion } };
}

function groupOf(deed: Deed, by: Grouping, time: string): Group {
  if (by === 'object') return { identity: {}, resource: resourceOf(deed) };
  if (by === 'all' || by === 'user') return { identity: {}, resource: undefined };
  if (deed.who.isPerson) return personGroup(deed, by, time);
  return by === 'user-hour' ? { identity: {}, resource: undefined } : machineGroup(deed);
}

function actIdentity({ event, who, verb }: Deed): Record<string, string | undefined> {
  return {
    auditID: event.auditID,
    verb,
    user: who.identity,
    requestReceivedTimestamp: event.requestReceivedTimestamp ?? event.timestamp ?? undefined,
  };
}

function summaryOf({ who, outcome, facts }: Deed, words: string): string {
  const refused = outcome === 'refused' ? ` (refused${facts.refusedBy ? ` by ${facts.refusedBy}` : ''})` : '';
  // What refused it stands before the end, where a long text is cut.
  const colon = words.indexOf(':');
  const whole = colon < 0 ? `${words}${refused}` : `${words.slice(0, colon)}${refused}${words.slice(colon)}`;
  return `${who.label} ${whole}`.replaceAll(/\s+/g, ' ').trim();
}

/** What a person wants to know of a request besides what it was about and who made it. */
function describe(deed: Deed, { detection, matched }: Match): Record<string, unknown> {
  const { event, facts, who, outcome } = deed;
  return {
    verb: deed.verb,
    auditID: event.auditID,
    object: deed.resource === '' ? undefined : objectOf(deed),
    path: deed.resource === '' ? deed.path : undefined,
    groups: who.actor?.groups,
    impersonated: who.impersonated && detailsOf({ ...who.impersonated }),
    statusCode: event.responseStatus?.code,
    apiGroup: deed.group,
    subresource: deed.subresource,
    outcome,
    refusedBy: facts.refusedBy,
    command: facts.command,
    container: facts.container,
    containers: facts.containers,
    powers: facts.powers,
    owner: facts.owner,
    isTruncated: deed.isCut || undefined,
    reason: event.annotations?.['authorization.k8s.io/reason'],
    technique: detection.technique,
    matched,
  };
}

/** What one finding stands for is told act by act in its series; without a time in its identity it never ends by itself. */
function repeatOf(deed: Deed, { identity }: Group): Repeat {
  return {
    about: deed.resource === '' ? undefined : objectOf(deed),
    isOngoing: identity.hour === undefined && identity.day === undefined,
  };
}

export function findingOf(deed: Deed, match: Match, time: string): Finding {
  const { detection, verdict, severity } = match;
  const { event, who, outcome } = deed;
  const by = verdict.by ?? detection.by;
  const act = isAct(deed, by);
  const group = act ? { identity: actIdentity(deed), resource: resourceOf(deed) } : groupOf(deed, by, time);
  const user = by === 'all' || by === 'object' ? undefined : who.identity;
  const shared = { outcome, user, ...verdict.parts, ...group.identity };
  const eventType = verdict.eventType ?? detection.name;
  return {
    category: 'compliance',
    severity,
    eventType,
    rule: eventType,
    summary: summaryOf(deed, verdict.text),
    resource: group.resource,
    actor: who.actor,
    identity: identityOf(act ? { ...group.identity, severity } : { ...shared, severity }),
    details: detailsOf({
      ...describe(deed, match),
      ...verdict.parts,
      ...verdict.details,
      ...(act ? {} : group.identity),
    }),
    detectedAt: timeOf(event.stageTimestamp, timeOf(event.requestReceivedTimestamp ?? event.timestamp, time)),
    ...(!act && { repeat: repeatOf(deed, group) }),
  };
}
