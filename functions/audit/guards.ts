import { group as ownGroup } from '../../shared/api/group.ts';
import { type Deed, didTo, isChange, objectOf } from './deed.ts';
import { changes, type Detection, type Verdict, writes } from './detection.ts';

const admissionGroup = 'admissionregistration.k8s.io';
const engineGroups: ReadonlySet<string> = new Set([
  'kyverno.io',
  'policies.kyverno.io',
  'templates.gatekeeper.sh',
  'constraints.gatekeeper.sh',
  'config.gatekeeper.sh',
  'mutations.gatekeeper.sh',
  'expansion.gatekeeper.sh',
]);
/** What engines keep in their groups for themselves. */
const engineState: ReadonlySet<string> = new Set([
  'updaterequests',
  'admissionreports',
  'clusteradmissionreports',
  'backgroundscanreports',
  'clusterbackgroundscanreports',
  'ephemeralreports',
  'clusterephemeralreports',
  'globalcontextentries',
  'policyexceptions',
]);
const engines: ReadonlySet<string> = new Set(['kyverno', 'gatekeeper-system']);

function isDeployer({ who }: Deed): boolean {
  return who.presets.has('deployers');
}

function guardChange(deed: Deed, text = didTo(deed)): Verdict {
  return { severity: isDeployer(deed) ? 'LOW' : 'HIGH', text, parts: { powers: isDeployer(deed) ? text : undefined } };
}

export const admissionChange: Detection = {
  name: 'admission-change',
  matches:
    "a write of webhook configurations, admission policies and bindings, Kyverno's and Gatekeeper's policies; not by the engine's own account",
  severity: 'HIGH; deployer LOW',
  technique: 'T1562.001 Impair Defenses: Disable or Modify Tools',
  bodies: 'whether only a caBundle is patched',
  exempt: ['system'],
  by: 'act',
  logs: [
    { level: 'Request', verbs: ['patch'], group: admissionGroup },
    { level: 'Metadata', verbs: writes, group: admissionGroup },
    ...[...engineGroups].map((group) => ({ level: 'Metadata' as const, verbs: writes, group })),
  ],
  judge(deed) {
    const { group, resource, subresource, who } = deed;
    const isPolicy = group === admissionGroup || (engineGroups.has(group) && !engineState.has(resource));
    if (!isPolicy || !deed.isWrite || subresource !== '') return undefined;
    return who.account && engines.has(who.account.namespace) ? undefined : guardChange(deed);
  },
};

export const apiExtensionChange: Detection = {
  name: 'api-extension-change',
  matches: "a write of an APIService, or of a CustomResourceDefinition's conversion webhook",
  severity: 'HIGH; deployer LOW',
  technique: 'T1557 Adversary-in-the-Middle',
  bodies: "whether a CustomResourceDefinition's conversion is written",
  exempt: ['system'],
  by: 'act',
  logs: [
    { level: 'Request', verbs: changes, group: 'apiregistration.k8s.io' },
    { level: 'Metadata', verbs: writes, group: 'apiregistration.k8s.io' },
    { level: 'Request', verbs: changes, group: 'apiextensions.k8s.io', resources: ['customresourcedefinitions'] },
  ],
  judge(deed) {
    const { resource, group, subresource, facts } = deed;
    if (!deed.isWrite || subresource !== '') return undefined;
    if (resource === 'apiservices' && group === 'apiregistration.k8s.io') return guardChange(deed);
    return facts.isConversion ? guardChange(deed, `${didTo(deed)}, with a conversion webhook`) : undefined;
  },
};

const reportGroups: ReadonlySet<string> = new Set([
  'aquasecurity.github.io',
  'wgpolicyk8s.io',
  'openreports.io',
  'reports.x-k8s.io',
]);

/** Groups of reports, which their tools write all day. */
export function isReport({ group }: Deed): boolean {
  return reportGroups.has(group);
}

/** Groups of Kyverno's PolicyExceptions. */
const kyvernoGroups: readonly string[] = ['kyverno.io', 'policies.kyverno.io'];

function watcherConfig({ group, resource }: Deed): boolean {
  if (resource === 'policyexceptions') return kyvernoGroups.includes(group);
  return group === ownGroup;
}

/** Whether an account lives with the watchers: it writes its own reports. */
function isWatcher({ who, scope }: Deed): boolean {
  return scope.watcherNamespaces.has(who.account?.namespace) && !who.isAccused;
}

function isAtHome({ who, namespace }: Deed): boolean {
  return who.account?.namespace === namespace && !who.isAccused;
}

const workloadResources: ReadonlySet<string> = new Set([
  'pods',
  'deployments',
  'daemonsets',
  'statefulsets',
  'replicasets',
  'jobs',
  'cronjobs',
]);

/** A write in the namespace of a watcher, apart from leases, status and the creation of workloads. */
function isInWatchers(deed: Deed): boolean {
  const { namespace, scope, resource, subresource, verb } = deed;
  if (!scope.watcherNamespaces.has(namespace) || isAtHome(deed)) return false;
  if (subresource === 'eviction') return true;
  if (subresource !== '' && subresource !== 'scale') return false;
  if (resource === 'events') return false;
  return !(verb === 'create' && workloadResources.has(resource));
}

function watcherVerdict(deed: Deed): Verdict | undefined {
  const { group, resource, verb, subresource } = deed;
  const isEvidence = isReport(deed) || (group === ownGroup && resource === 'observations');
  if (isEvidence) {
    if (verb === 'create' || subresource === 'status' || isWatcher(deed)) return undefined;
    return { severity: 'HIGH', text: `${didTo(deed)}, which ${verb === 'deletecollection' ? 'are' : 'is'} evidence` };
  }
  if (watcherConfig(deed)) return subresource === 'status' ? undefined : { severity: 'MEDIUM', text: didTo(deed) };
  if (!isInWatchers(deed)) return undefined;
  return {
    severity: 'MEDIUM',
    text: subresource === 'eviction' ? `evicted ${objectOf(deed)}` : didTo(deed),
  };
}

export const watcherChange: Detection = {
  name: 'watcher-change',
  matches:
    'by a stranger: a write but leases, status and the creation of workloads in our namespace or those of AUDIT_WATCHER_NAMESPACES, Pods deleted or evicted there; our filters, exceptions, mappings, Ingesters and PolicyExceptions anywhere; Observations or reports changed or deleted by anyone but their writer',
  severity: 'MEDIUM; Observations, reports HIGH',
  technique: 'T1562.001 Impair Defenses: Disable or Modify Tools',
  bodies: 'none',
  exempt: ['system', 'deployers'],
  by: 'hour',
  logs: [
    {
      level: 'Metadata',
      verbs: writes,
      namespaces: ['zen-system', 'falco', 'kyverno', 'gatekeeper-system', 'trivy-system'],
    },
    { level: 'Metadata', verbs: writes, group: ownGroup },
    ...kyvernoGroups.map((group) => ({
      level: 'Metadata' as const,
      verbs: writes,
      group,
      resources: ['policyexceptions'],
    })),
    ...[...reportGroups].map((group) => ({
      level: 'Metadata' as const,
      verbs: ['update', 'patch', 'delete', 'deletecollection'],
      group,
    })),
  ],
  judge(deed) {
    return deed.isWrite ? watcherVerdict(deed) : undefined;
  },
};

export const podSecurityChange: Detection = {
  name: 'pod-security-change',
  matches:
    "a Namespace's pod-security label set to privileged, lowered or removed by a patch of any form, or its version pinned by one; Gatekeeper's ignore label set",
  severity: 'HIGH; deployer LOW; a body that was cut MEDIUM',
  technique: 'T1562.001 Impair Defenses: Disable or Modify Tools',
  bodies: "a Namespace's labels of Pod Security and Gatekeeper",
  exempt: ['system'],
  by: 'act',
  logs: [{ level: 'RequestResponse', verbs: changes, group: '', resources: ['namespaces'] }],
  judge(deed) {
    const { podSecurity = [], isSeen } = deed.facts;
    if (deed.resource !== 'namespaces' || deed.subresource !== '' || !isChange(deed.verb)) return undefined;
    if (deed.isCut && !isSeen)
      return {
        severity: 'MEDIUM',
        text: `${didTo(deed)}, perhaps its Pod Security (the body was too long for the audit log)`,
      };
    if (podSecurity.length === 0) return undefined;
    return guardChange(deed, `weakened Pod Security of ${objectOf(deed)}: ${podSecurity.join(', ')}`);
  },
};

/** Where the ConfigMaps that steer the cluster are; argocd's may be anywhere. */
const criticalConfigs: ReadonlyMap<string, string | undefined> = new Map([
  ['aws-auth', 'kube-system'],
  ['coredns', 'kube-system'],
  ['coredns-custom', 'kube-system'],
  ['node-local-dns', 'kube-system'],
  ['kube-proxy', 'kube-system'],
  ['kubelet-config', 'kube-system'],
  ['kubeadm-config', 'kube-system'],
  ['extension-apiserver-authentication', 'kube-system'],
  ['cluster-info', 'kube-public'],
  ['argocd-cm', undefined],
  ['argocd-rbac-cm', undefined],
]);

function isCritical({ name = '', namespace }: Deed): boolean {
  const key = /^kubelet-config-\d/.test(name) ? 'kubelet-config' : name;
  if (!criticalConfigs.has(key)) return false;
  const home = criticalConfigs.get(key);
  return home === undefined || namespace === undefined || home === namespace;
}

export const criticalConfigChange: Detection = {
  name: 'critical-config-change',
  matches: `a write of the ConfigMaps ${[...criticalConfigs.keys()].join(', ')}; of other ConfigMaps nothing`,
  severity: 'HIGH; deployer LOW',
  technique: 'T1098 Account Manipulation',
  bodies: 'none',
  exempt: ['system'],
  by: 'hour',
  logs: [
    {
      level: 'Metadata',
      verbs: ['update', 'patch', 'delete'],
      group: '',
      resources: ['configmaps'],
      resourceNames: [...criticalConfigs.keys()],
    },
    // Whoever creates an object hasn't named it in the path, which is all that a Policy sees.
    {
      level: 'Metadata',
      verbs: ['create', 'deletecollection'],
      group: '',
      resources: ['configmaps'],
      namespaces: ['kube-system', 'kube-public', 'argocd'],
    },
  ],
  judge(deed) {
    const isConfig = deed.resource === 'configmaps' && deed.group === '' && deed.isWrite;
    return isConfig && isCritical(deed) ? guardChange(deed) : undefined;
  },
};

const deploySources: ReadonlyMap<string, ReadonlySet<string> | undefined> = new Map([
  ['argoproj.io', new Set(['applications', 'applicationsets', 'appprojects'])],
  ['source.toolkit.fluxcd.io', undefined],
  ['kustomize.toolkit.fluxcd.io', undefined],
  ['helm.toolkit.fluxcd.io', undefined],
  ['helm.cattle.io', undefined],
  ['fleet.cattle.io', new Set(['gitrepos', 'bundles'])],
]);

export const deploySourceChange: Detection = {
  name: 'deploy-source-change',
  matches:
    "a write of Argo CD's Applications, ApplicationSets and AppProjects, Flux's sources, Kustomizations and HelmReleases, by a stranger",
  severity: 'MEDIUM',
  technique: 'T1072 Software Deployment Tools',
  bodies: 'none',
  exempt: ['system', 'deployers'],
  by: 'hour',
  logs: [...deploySources].map(([group, resources]) => ({
    level: 'Metadata' as const,
    verbs: writes,
    group,
    ...(resources && { resources: [...resources] }),
  })),
  judge(deed) {
    const { group, resource, subresource } = deed;
    if (!deploySources.has(group) || !deed.isWrite || subresource !== '') return undefined;
    const resources = deploySources.get(group);
    return resources === undefined || resources.has(resource) ? { severity: 'MEDIUM', text: didTo(deed) } : undefined;
  },
};

export const cloudIdentityChange: Detection = {
  name: 'cloud-identity-change',
  matches: "a ServiceAccount's annotation for a role of AWS, GCP or Azure, by a stranger",
  severity: 'MEDIUM',
  technique: 'T1078.004 Valid Accounts: Cloud Accounts',
  bodies: "a ServiceAccount's annotation for a cloud role",
  exempt: ['system', 'deployers'],
  by: 'hour',
  logs: [{ level: 'Request', verbs: changes, group: '', resources: ['serviceaccounts'] }],
  judge(deed) {
    const { cloudRole } = deed.facts;
    if (deed.subresource !== '' || cloudRole === undefined) return undefined;
    return {
      severity: 'MEDIUM',
      text: `${didTo(deed)}, which has the cloud role ${cloudRole}`,
      details: { cloudRole },
    };
  },
};
