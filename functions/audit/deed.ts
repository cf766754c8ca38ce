import { isClusterScoped, kindOf } from '../../shared/finding/kubernetes-kinds.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import { severities } from '../../shared/finding/severity.ts';
import { text } from '../../shared/finding/values.ts';
import type { AuditEvent } from './event.ts';
import type { Facts } from './facts.ts';
import type { NameTests } from './names.ts';
import { type Who, whoOf } from './who.ts';

/** What the settings say, compiled. */
export interface Scope {
  readonly tests: NameTests;
  readonly systemNamespace: string;
  /** The only namespace that is looked at, if there is one. */
  readonly watchNamespace: string | undefined;
  readonly ownUsers: readonly string[];
  readonly watcherNamespaces: ReadonlySet<string | undefined>;
  /** Whether an address is the cluster's own; `undefined` if that is not known. */
  readonly isInside: ((address: string) => boolean) | undefined;
}

/** `refused`: authorized, but an admission plugin said no. `failed`: it was no question of rights. */
export type Outcome = 'allowed' | 'denied' | 'refused' | 'failed';

/** A request, as the detections look at it. */
export interface Deed {
  readonly event: AuditEvent;
  readonly facts: Facts;
  readonly scope: Scope;
  readonly who: Who;
  readonly outcome: Outcome;
  readonly verb: string;
  /** The plural, such as `pods`; empty if the request is about no object. */
  readonly resource: string;
  readonly subresource: string;
  readonly group: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** The path without the query. */
  readonly path: string;
  readonly isWrite: boolean;
  /** Whether the API server cut the body out of the event, since it was too long. */
  readonly isCut: boolean;
}

/** The groups of resources, for logs that leave them out. */
const groupsOf: ReadonlyMap<string, string> = new Map(
  Object.entries({
    apps: ['deployments', 'daemonsets', 'statefulsets', 'replicasets', 'controllerrevisions'],
    batch: ['jobs', 'cronjobs'],
    'rbac.authorization.k8s.io': ['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'],
    'admissionregistration.k8s.io': [
      'mutatingwebhookconfigurations',
      'validatingwebhookconfigurations',
      'validatingadmissionpolicies',
      'validatingadmissionpolicybindings',
      'mutatingadmissionpolicies',
      'mutatingadmissionpolicybindings',
    ],
    'apiregistration.k8s.io': ['apiservices'],
    'apiextensions.k8s.io': ['customresourcedefinitions'],
    'certificates.k8s.io': ['certificatesigningrequests'],
    'networking.k8s.io': ['ingresses', 'networkpolicies'],
    'discovery.k8s.io': ['endpointslices'],
    'coordination.k8s.io': ['leases'],
    'authorization.k8s.io': ['subjectaccessreviews', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  }).flatMap(([group, resources]) => resources.map((resource) => [resource, group] as const)),
);

/** Old homes of kinds that moved. */
const movedGroups: ReadonlySet<string> = new Set(['extensions']);

export function isChange(verb: string): boolean {
  return verb === 'create' || verb === 'update' || verb === 'patch';
}

export function isDeletion(verb: string): boolean {
  return verb === 'delete' || verb === 'deletecollection';
}

function outcomeOf({ responseStatus, annotations, facts }: AuditEvent): Outcome {
  const code = responseStatus?.code ?? 200;
  if (code < 400) return 'allowed';
  if (facts.refusedBy !== undefined) return 'refused';
  if (code === 401) return 'denied';
  if (code !== 403) return 'failed';
  return annotations?.['authorization.k8s.io/decision'] === 'allow' ? 'refused' : 'denied';
}

function groupOf(event: AuditEvent, resource: string): string {
  const group = text(event.objectRef?.apiGroup) ?? '';
  return group === '' || movedGroups.has(group) ? (groupsOf.get(resource) ?? group) : group;
}

export function deedOf(event: AuditEvent, scope: Scope): Deed {
  const { objectRef, facts } = event;
  const resource = text(objectRef?.resource) ?? '';
  const kind = kindOf(resource);
  const namespace = isClusterScoped(kind) ? undefined : text(objectRef?.namespace);
  const verb = text(event.verb) ?? '';
  return {
    event,
    facts,
    scope,
    who: whoOf(event, scope.tests),
    outcome: outcomeOf(event),
    verb,
    resource,
    subresource: text(objectRef?.subresource) ?? '',
    group: groupOf(event, resource),
    kind,
    namespace,
    // Whoever creates an object names it in the body alone.
    name: text(objectRef?.name) ?? facts.name,
    path: event.requestURI ?? '',
    isWrite: isChange(verb) || isDeletion(verb),
    isCut: facts.isCut === true || event.annotations?.['audit.k8s.io/truncated'] === 'true',
  };
}

export function isKubeNamespace(namespace: string | undefined): boolean {
  return namespace?.startsWith('kube-') === true;
}

/** kube-system and the like, and zen-watcher's own. */
export function isGuarded({ namespace, scope }: Deed): boolean {
  return isKubeNamespace(namespace) || namespace === scope.systemNamespace;
}

/** Several of a kind; one that isn't known is called by its plural anyway. */
function pluralOf(kind: string, resource: string): string {
  if (kind === resource || kind === 'Endpoints') return kind;
  if (kind.endsWith('y')) return `${kind.slice(0, -1)}ies`;
  return kind.endsWith('s') ? `${kind}es` : `${kind}s`;
}

/** One of a kind; of one that isn't known, its plural without the ending, where that is sure to be one. */
function singularOf(kind: string, resource: string): string {
  if (kind !== resource) return kind;
  if (kind.endsWith('ies')) return `${kind.slice(0, -3)}y`;
  if (/(?:s|x|z|ch|sh)es$/.test(kind)) return kind.slice(0, -2);
  return /[^su]s$/.test(kind) ? kind.slice(0, -1) : kind;
}

function withArticle(word: string): string {
  return `${/^[aeiou]/i.test(word) ? 'an' : 'a'} ${word}`;
}

/** The object, as a summary names it: `Secret payments/db`, `all Secrets in payments`. */
export function objectOf({ kind, namespace, name, verb, facts, resource }: Deed): string {
  if (verb === 'deletecollection' || verb === 'list' || verb === 'watch') {
    const all = pluralOf(kind, resource);
    if (name === undefined) return `${all} ${namespace === undefined ? 'of the whole cluster' : `in ${namespace}`}`;
  }
  const shown = name ?? (facts.generateName === undefined ? undefined : `${facts.generateName}*`);
  if (resource === '') return 'no object';
  const one = singularOf(kind, resource);
  if (shown === undefined) return `${withArticle(one)}${namespace === undefined ? '' : ` in ${namespace}`}`;
  return `${one} ${namespace === undefined ? '' : `${namespace}/`}${shown}`;
}

const past: Readonly<Record<string, string>> = {
  create: 'created',
  update: 'changed',
  patch: 'changed',
  delete: 'deleted',
  deletecollection: 'deleted all',
  get: 'read',
  list: 'listed',
  watch: 'watched',
};

export function didTo(deed: Deed): string {
  const verb = deed.verb === 'deletecollection' && deed.name !== undefined ? 'delete' : deed.verb;
  return `${Object.hasOwn(past, verb) ? past[verb] : 'used'} ${objectOf(deed)}`;
}

/** One step milder, LOW at least. */
export function milder(severity: Severity): Severity {
  if (severity === 'CRITICAL') return 'HIGH';
  return severity === 'HIGH' ? 'MEDIUM' : 'LOW';
}

export function worst(list: readonly Severity[]): Severity {
  return severities.find((severity) => list.includes(severity)) ?? 'UNKNOWN';
}

/** A list for a summary: the first few, and how many more. */
export function few(items: readonly string[], max = 3): string {
  const shown = items.slice(0, max).join(', ');
  return items.length > max ? `${shown} and ${items.length - max} more` : shown;
}
