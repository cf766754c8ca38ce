import { group as ownGroup } from '../../shared/api/group.ts';
import type { Deed } from './deed.ts';
import { isReport } from './guards.ts';
import { knativeNamespaces } from './presets.ts';
import { isSession } from './sessions.ts';
import { isOfTemplate } from './workloads.ts';

function isLongRunning(deed: Deed): boolean {
  return isSession(deed) || deed.subresource === 'proxy';
}

/** Whether a stage says what came of a request: what may never complete counts from its start. */
export function isTellingStage(deed: Deed): boolean {
  const { stage } = deed.event;
  if (stage === 'ResponseComplete') return true;
  if (stage !== 'ResponseStarted') return false;
  return isLongRunning(deed) || (deed.verb === 'watch' && deed.resource === 'secrets');
}

/** Of a machine's findings, which have no namespace, nobody could tell later whether they belong to a tenant. */
function isElsewhere({ namespace, scope: { watchNamespace } }: Deed): boolean {
  return watchNamespace !== undefined && namespace !== undefined && namespace !== watchNamespace;
}

/** A dry run changes nothing; on a read or a session the parameter means nothing. */
function isDryRun(deed: Deed): boolean {
  return deed.isWrite && deed.facts.isDryRun === true && !isLongRunning(deed);
}

/** zen-watcher itself, on its own kinds. */
function isOurOwn({ event, group, scope }: Deed): boolean {
  const username = event.user?.username;
  if (group !== ownGroup || typeof username !== 'string') return false;
  return (
    username.startsWith(`system:serviceaccount:${scope.systemNamespace}:`) ||
    scope.ownUsers.some((pattern) =>
      pattern.endsWith('*') ? username.startsWith(pattern.slice(0, -1)) : pattern === username,
    )
  );
}

const openPaths =
  /^(?:\/(?:healthz|livez|readyz)(?:\/.*)?|\/version|\/api|\/apis(?:\/[^/]+(?:\/[^/]+)?)?|\/api\/v1|\/openapi(?:\/.*)?|\/swagger.*|\/\.well-known\/openid-configuration|\/openid\/v1\/jwks|\/metrics\/slis)?\/?$/;

/** What anybody may ask, signed in or not. */
function isOpen({ resource, namespace, name, path, verb }: Deed): boolean {
  if (resource === '') return openPaths.test(path);
  return resource === 'configmaps' && namespace === 'kube-public' && name === 'cluster-info' && verb === 'get';
}

const noisyConfigs: ReadonlySet<string | undefined> = new Set([
  'cluster-autoscaler-status',
  'kube-root-ca.crt',
  'openshift-service-ca.crt',
]);

/** What goes on all the time, whoever does it. */
function isEverydayObject(deed: Deed): boolean {
  const { resource, name, group } = deed;
  if (resource === 'leases' && group === 'coordination.k8s.io') return true;
  if (resource === 'configmaps' && noisyConfigs.has(name)) return true;
  // Who takes reports away is told; who writes them is not.
  return isReport(deed) && (deed.verb === 'create' || !deed.isWrite);
}

const everydaySubresources: ReadonlySet<string> = new Set(['status', 'scale', 'finalize']);

/** What accounts that are known do all the time. */
function isEverydayDeed({ who, resource, subresource, facts }: Deed): boolean {
  if (who.presets.size === 0) return false;
  return resource === 'endpointslices' || everydaySubresources.has(subresource) || facts.isOnlyCaBundle === true;
}

/** Knative runs our functions: it changes their Services and Deployments whenever they wake. */
function isKnativeAtOurs({ who, namespace, scope }: Deed): boolean {
  return (
    namespace === scope.systemNamespace && !who.isAccused && knativeNamespaces.includes(who.account?.namespace ?? '')
  );
}

/** Why nobody needs to be told of a request; `undefined` if its detections decide. */
export function noiseOf(deed: Deed): string | undefined {
  if (!isTellingStage(deed)) return 'stage';
  if (isElsewhere(deed)) return 'outside_namespace';
  if (isDryRun(deed)) return 'dry_run';
  if (isOurOwn(deed)) return 'own_write';
  if (deed.outcome === 'failed') return 'failed';
  if (isOpen(deed) && !deed.isWrite) return 'open_to_all';
  return undefined;
}

/** The same for the rows that don't look at who did it. */
export function everydayReason(deed: Deed): string | undefined {
  if (isEverydayObject(deed)) return 'everyday_object';
  if (isEverydayDeed(deed) || isOfTemplate(deed)) return 'everyday_deed';
  return isKnativeAtOurs(deed) ? 'knative' : undefined;
}
