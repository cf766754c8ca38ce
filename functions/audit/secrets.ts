import type { Severity } from '../../shared/finding/severity.ts';
import { type Deed, didTo, isChange, isKubeNamespace } from './deed.ts';
import { changes, type Detection, ofStrangers } from './detection.ts';

const reads: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

function isSecret({ resource, group, subresource }: Deed): boolean {
  return resource === 'secrets' && group === '' && subresource === '';
}

function isHelmRelease(name: string | undefined): boolean {
  return name?.startsWith('sh.helm.release.v1.') === true;
}

function readSeverity({ namespace, name, who }: Deed): Severity {
  if (namespace === undefined) return 'HIGH';
  if (name === undefined || isKubeNamespace(namespace)) return 'MEDIUM';
  return who.account && who.account.namespace !== namespace ? 'MEDIUM' : 'LOW';
}

export const secretRead: Detection = {
  name: 'secret-read',
  matches:
    "get, list, watch of Secrets by a stranger; lists of Helm's releases (labelSelector `owner=helm`) are eventType helm-release-read",
  severity:
    "over all namespaces HIGH, Helm's MEDIUM; list or watch of a namespace, get in kube-*, a ServiceAccount's get outside its own namespace MEDIUM; other get, Helm's LOW",
  technique: 'T1552.007 Unsecured Credentials: Container API',
  bodies: 'none: the selector is in the query',
  exempt: [...ofStrangers, 'secretReaders'],
  by: 'day',
  logs: [{ level: 'Metadata', verbs: [...reads], group: '', resources: ['secrets'] }],
  judge(deed) {
    if (!isSecret(deed) || !reads.has(deed.verb)) return undefined;
    if (!deed.facts.isHelm) return { severity: readSeverity(deed), text: didTo(deed) };
    const { namespace } = deed;
    return {
      severity: namespace === undefined ? 'MEDIUM' : 'LOW',
      eventType: 'helm-release-read',
      text: `listed Helm's releases ${namespace === undefined ? 'of the whole cluster' : `in ${namespace}`}`,
    };
  },
};

export const secretAccess: Detection = {
  name: 'secret-access',
  matches: 'create, update, patch of Secrets by a stranger',
  severity: 'MEDIUM; `sh.helm.release.v1.*` LOW',
  technique: 'T1552.007 Unsecured Credentials: Container API',
  bodies: 'none',
  exempt: [...ofStrangers, 'secretReaders'],
  by: 'hour',
  logs: [{ level: 'Metadata', verbs: changes, group: '', resources: ['secrets'] }],
  judge(deed) {
    if (!isSecret(deed) || !isChange(deed.verb)) return undefined;
    return { severity: isHelmRelease(deed.name) ? 'LOW' : 'MEDIUM', text: didTo(deed) };
  },
};

const core = ['namespaces', 'persistentvolumes', 'persistentvolumeclaims', 'secrets', 'events'];
const ofApps = ['statefulsets', 'deployments', 'daemonsets'];

/** What is told when it is deleted, by plural. */
const kept: ReadonlyMap<string, readonly string[]> = new Map([
  ['', core],
  ['apps', ofApps],
  ['events.k8s.io', ['events']],
  ['apiextensions.k8s.io', ['customresourcedefinitions']],
  ['networking.k8s.io', ['networkpolicies']],
  ['crd.projectcalico.org', ['networkpolicies', 'globalnetworkpolicies']],
  ['projectcalico.org', ['networkpolicies', 'globalnetworkpolicies']],
  ['cilium.io', ['ciliumnetworkpolicies', 'ciliumclusterwidenetworkpolicies']],
  ['snapshot.storage.k8s.io', ['volumesnapshots', 'volumesnapshotcontents']],
  ['velero.io', ['backups', 'schedules', 'backupstoragelocations', 'backuprepositories', 'deletebackuprequests']],
  ['longhorn.io', ['backups', 'backupvolumes', 'recurringjobs', 'snapshots']],
  ['k8up.io', ['backups', 'schedules', 'snapshots']],
  ['postgresql.cnpg.io', ['backups', 'scheduledbackups', 'clusters']],
  ['config.kio.kasten.io', ['policies', 'profiles']],
]);

const backupGroups: ReadonlySet<string> = new Set([
  'velero.io',
  'longhorn.io',
  'k8up.io',
  'postgresql.cnpg.io',
  'config.kio.kasten.io',
]);

function isGrave({ resource, group }: Deed): boolean {
  if (group === 'snapshot.storage.k8s.io') return resource === 'volumesnapshotcontents';
  if (backupGroups.has(group)) return true;
  return resource === 'namespaces' || resource === 'persistentvolumes' || resource === 'customresourcedefinitions';
}

function deletionSeverity(deed: Deed): Severity {
  if (deed.resource === 'secrets' && isHelmRelease(deed.name)) return 'LOW';
  const isSweep = deed.verb === 'deletecollection' && deed.who.isPerson;
  return isSweep || isGrave(deed) ? 'HIGH' : 'MEDIUM';
}

/** Velero deletes a backup when it is asked to by an object. */
function isDeleteRequest({ resource, verb }: Deed): boolean {
  return resource === 'deletebackuprequests' && verb === 'create';
}

export const resourceDeletion: Detection = {
  name: 'resource-deletion',
  matches:
    'by a stranger: deletion of a Namespace, PersistentVolume, PersistentVolumeClaim, StatefulSet, Deployment, DaemonSet, CustomResourceDefinition, network policy, Secret, Event, VolumeSnapshot, or a backup; deletecollection of anything',
  severity:
    "MEDIUM; Namespace, PersistentVolume, CustomResourceDefinition, backups, a person's deletecollection HIGH; `sh.helm.release.v1.*` LOW",
  technique: 'T1485 Data Destruction',
  bodies: 'none',
  exempt: ofStrangers,
  by: 'hour',
  logs: [
    // The body of a deletion says whether it is a dry run.
    ...[...kept].map(([group, resources]) => ({
      level: 'Request' as const,
      verbs: ['delete'],
      group,
      resources: resources.filter((resource) => resource !== 'secrets'),
    })),
    { level: 'Metadata', verbs: ['delete'], group: '', resources: ['secrets'] },
    { level: 'Metadata', verbs: ['create'], group: 'velero.io', resources: ['deletebackuprequests'] },
    { level: 'Metadata', verbs: ['deletecollection'] },
  ],
  judge(deed) {
    const { verb, resource, group, subresource } = deed;
    if (subresource !== '') return undefined;
    const isTold =
      verb === 'deletecollection' ||
      (verb === 'delete' && kept.get(group)?.includes(resource) === true) ||
      (group === 'velero.io' && isDeleteRequest(deed));
    return isTold ? { severity: deletionSeverity(deed), text: didTo(deed) } : undefined;
  },
};
