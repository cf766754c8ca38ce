import type { Severity } from '../../shared/finding/severity.ts';
import { type Deed, didTo, few, isChange, isDeletion, isKubeNamespace, milder, objectOf, worst } from './deed.ts';
import { changes, type Detection, deletions, type Verdict } from './detection.ts';
import type { RbacFacts, RbacRule, RbacSubject } from './rbac-facts.ts';
import { accountOf } from './who.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

const dangerousVerbs: ReadonlySet<string> = new Set(['escalate', 'bind', 'impersonate', 'approve', 'sign']);
const dangerousResources: ReadonlySet<string> = new Set([
  'nodes/proxy',
  'pods/exec',
  'pods/attach',
  'pods/ephemeralcontainers',
  'pods/*',
  '*/*',
  'serviceaccounts/token',
  'certificatesigningrequests/approval',
]);
const webhookResources: ReadonlySet<string> = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
]);
const writeVerbs: ReadonlySet<string> = new Set(['*', ...changes]);
const readVerbs: ReadonlySet<string> = new Set(['*', 'get', 'list', 'watch']);

/** What a rule gives that nobody should have by accident, in words. */
function dangerOf(rule: RbacRule, isWide: boolean): string[] {
  const hasVerb = (set: ReadonlySet<string>): boolean => rule.verbs.some((verb) => set.has(verb));
  const isOfAll = rule.resourceNames.length === 0;
  return [
    ...(isWide && rule.verbs.includes('*') ? ['all verbs'] : []),
    ...(isWide && rule.resources.includes('*') ? ['all resources'] : []),
    ...(isWide && isOfAll && rule.resources.includes('secrets') && hasVerb(readVerbs) ? ['secrets'] : []),
    ...rule.resources.filter((resource) => dangerousResources.has(resource)),
    ...(hasVerb(writeVerbs) ? rule.resources.filter((resource) => webhookResources.has(resource)) : []),
    ...rule.verbs.filter((verb) => dangerousVerbs.has(verb)),
  ];
}

function dangers({ resource, namespace }: Deed, rules: readonly RbacRule[]): string[] {
  const isWide = resource === 'clusterroles' || isKubeNamespace(namespace);
  return [...new Set(rules.flatMap((rule) => dangerOf(rule, isWide)))];
}

function isEverybody({ kind, name }: RbacSubject): boolean {
  if (kind === 'User') return name === 'system:anonymous';
  if (kind !== 'Group') return false;
  return (
    name === 'system:unauthenticated' || name === 'system:authenticated' || /^system:serviceaccounts(?::|$)/.test(name)
  );
}

function isSelf({ who }: Deed, { kind, name, namespace }: RbacSubject): boolean {
  if (kind === 'Group') return who.groups.includes(name) && !/^system:(?:authenticated|serviceaccounts)/.test(name);
  if (kind === 'ServiceAccount') return who.account?.name === name && who.account.namespace === namespace;
  return who.impersonated?.username === name || who.actor?.username === name;
}

/** Where the body wasn't logged, the binding's name has to do. */
function roleOf({ name }: Deed, facts: RbacFacts | undefined): string | undefined {
  if (facts?.roleRef) return facts.roleRef.name;
  if (facts && facts.subjects.length > 0) return undefined;
  return name?.includes('cluster-admin') === true ? 'cluster-admin' : name;
}

function clusterGrant(role: string | undefined, subjects: readonly RbacSubject[]): Severity {
  if (role === 'cluster-admin' || subjects.some(isEverybody)) return 'CRITICAL';
  return role === 'admin' || role === 'edit' || role?.startsWith('system:') === true ? 'HIGH' : 'MEDIUM';
}

function bindingSeverity(deed: Deed): Severity {
  const facts = deed.facts.rbac;
  const subjects = facts?.subjects ?? [];
  const role = roleOf(deed, facts);
  const isCluster = deed.resource === 'clusterrolebindings';
  const ofRole = isCluster ? clusterGrant(role, subjects) : role === 'cluster-admin' ? 'HIGH' : 'MEDIUM';
  return worst([ofRole, subjects.some((subject) => isSelf(deed, subject)) ? 'HIGH' : 'MEDIUM']);
}

function rbacSeverity(deed: Deed): Severity {
  const { resource, name, facts } = deed;
  const isRole = resource === 'roles' || resource === 'clusterroles';
  if (isRole && name?.startsWith('system:') === true) return 'HIGH';
  if (!isChange(deed.verb)) return 'MEDIUM';
  if (!isRole) return bindingSeverity(deed);
  return dangers(deed, facts.rbac?.rules ?? []).length > 0 ? 'HIGH' : 'MEDIUM';
}

function subjectText({ kind, name, namespace }: RbacSubject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function ruleText({ verbs, resources, urls }: RbacRule): string {
  return `${few(verbs, 6)} ${few([...resources, ...urls], 6)}`.trim();
}

function bindingText({ resource, namespace, name }: Deed, role: string, subjects: readonly RbacSubject[]): string {
  const isLocal = resource === 'rolebindings';
  const where = isLocal ? `in ${namespace ?? 'a namespace'}` : 'in the whole cluster';
  const to = subjects.length > 0 ? few(subjects.map(subjectText)) : 'nobody';
  const binding = `${isLocal ? 'RoleBinding' : 'ClusterRoleBinding'} ${name ?? ''}`.trim();
  return `bound ${role} to ${to} ${where} (${binding})`;
}

function roleText(deed: Deed, rules: readonly RbacRule[]): string {
  const found = dangers(deed, rules);
  const given = found.length > 0 ? `, which gives ${few(found, 4)}` : '';
  return `${didTo(deed)}${given}: ${few(rules.map(ruleText))}`;
}

function rbacText(deed: Deed): string {
  const { roleRef, subjects = [], rules = [] } = deed.facts.rbac ?? {};
  if (roleRef) return bindingText(deed, roleRef.name, subjects);
  if (subjects.length > 0) return `${didTo(deed)}: now for ${few(subjects.map(subjectText))}`;
  return rules.length > 0 ? roleText(deed, rules) : didTo(deed);
}

/** The API server's own roles at its start. */
function isBootstrap({ who }: Deed): boolean {
  return who.actor?.username === 'system:apiserver';
}

export const rbacChange: Detection = {
  name: 'rbac-change',
  matches: 'any write in rbac.authorization.k8s.io',
  severity:
    `MEDIUM; HIGH for \`*\` in verbs or resources of a ClusterRole or of a Role in kube-*, Secrets of all, ${[...dangerousResources].map((name) => `\`${name}\``).join(', ')}, writes of ${[...webhookResources].join(', ')}, ${[...dangerousVerbs].join(', ')}, ` +
    'a grant to the actor itself, a ClusterRoleBinding to `admin`, `edit` or `system:*`, a change of a `system:*` role, a RoleBinding to cluster-admin; CRITICAL for a ClusterRoleBinding to cluster-admin and any cluster-wide grant to everybody; of a deployer one step lower',
  technique: 'T1098.006 Account Manipulation: Additional Container Cluster Roles',
  bodies: 'roleRef, subjects and rules of the result',
  exempt: [],
  by: 'act',
  logs: [
    { level: 'RequestResponse', verbs: changes, group: rbacGroup },
    { level: 'Request', verbs: deletions, group: rbacGroup },
  ],
  judge(deed) {
    if (deed.group !== rbacGroup || !deed.isWrite || isBootstrap(deed)) return undefined;
    // Of what belongs to the control plane only that it binds roles is news.
    const isBinding = deed.resource.endsWith('bindings');
    if (deed.who.presets.has('system') && (!isBinding || isDeletion(deed.verb))) return undefined;
    const severity = rbacSeverity(deed);
    return {
      severity: deed.who.presets.has('deployers') ? milder(severity) : severity,
      text: rbacText(deed),
      details: {
        roleRef: deed.facts.rbac?.roleRef?.name,
        subjects: deed.facts.rbac?.subjects.map(subjectText),
        rules: deed.facts.rbac?.rules.map(ruleText),
      },
      parts: { powers: deed.who.presets.has('deployers') ? rbacText(deed) : undefined },
    };
  },
};

const controlPlane = /^system:(?:kube-|apiserver$|admin$|master$|cloud-controller-manager$|k3s-|rke2-)/;

/** Whose names nobody should take, whoever serves whom; in words. */
function controlIdentity(username: string): string | undefined {
  if (username.startsWith('system:node:')) return 'a node';
  if (controlPlane.test(username)) return 'the control plane';
  return accountOf(username)?.namespace === 'kube-system' ? "kube-system's account" : undefined;
}

/** Whom nobody should pretend to be, in words. */
function privilegedIdentity({ who, scope }: Deed): string | undefined {
  // Who is served by an impersonator is judged by the name that is impersonated.
  if (who.isServed) return controlIdentity(who.actor?.username ?? '');
  const { username, groups = [] } = who.impersonated ?? {};
  if (username === undefined) return undefined;
  if (groups.includes('system:masters')) return 'group system:masters';
  if (groups.includes('system:nodes')) return 'a node';
  if (username === 'system:anonymous') return 'the anonymous user';
  return controlIdentity(username) ?? (scope.tests.deployers(username) ? 'a deployer' : undefined);
}

export const impersonation: Detection = {
  name: 'impersonation',
  matches:
    "impersonation of group system:masters, a node, a control-plane user, kube-system's ServiceAccounts, a deployer's, system:anonymous; by an impersonator (AUDIT_IMPERSONATORS) only of nodes, control-plane users and kube-system's accounts",
  severity: 'HIGH',
  technique: 'T1134 Access Token Manipulation',
  bodies: 'none',
  exempt: [],
  isAboutWho: true,
  by: 'act',
  judge(deed) {
    const identity = deed.outcome === 'denied' ? undefined : privilegedIdentity(deed);
    if (identity === undefined) return undefined;
    const what = deed.resource === '' ? `asked for ${deed.path}` : didTo(deed);
    return { severity: 'HIGH', text: `${what} (impersonates ${identity})`, by: deed.isWrite ? 'act' : 'user-hour' };
  },
};

const csrGroup = 'certificates.k8s.io';
const daySeconds = 86_400;

function isStranger({ who }: Deed): boolean {
  return !who.presets.has('system');
}

const handTool = /^(?:kubectl|curl)\b/i;

function signingVerdict(deed: Deed): Verdict | undefined {
  const { facts, who, event } = deed;
  const { signer } = facts;
  if (signer === 'kubernetes.io/kubelet-serving') return undefined;
  if (signer === undefined && who.isNode && who.presets.has('system')) return undefined;
  const text = `asked for a certificate of ${signer ?? 'a signer that is not logged'} (${didTo(deed)})`;
  if (signer !== 'kubernetes.io/kube-apiserver-client-kubelet') return { severity: 'MEDIUM', text };
  if (!isStranger(deed)) return undefined;
  return { severity: handTool.test(event.userAgent ?? '') ? 'HIGH' : 'LOW', text };
}

function csrVerdict(deed: Deed): Verdict | undefined {
  if (deed.subresource === 'approval' && (deed.verb === 'update' || deed.verb === 'patch')) {
    return isStranger(deed) ? { severity: 'HIGH', text: `approved ${objectOf(deed)}` } : undefined;
  }
  return deed.verb === 'create' && deed.subresource === '' ? signingVerdict(deed) : undefined;
}

/** Tokens that are a matter of course: a node asks for its Pods', kube-controller-manager for its controllers'. */
function isOrdinaryToken({ who, event, namespace }: Deed): boolean {
  if (who.isNode && who.presets.has('system')) return true;
  return event.user?.username === 'system:kube-controller-manager' && namespace === 'kube-system';
}

function tokenVerdict(deed: Deed): Verdict | undefined {
  if (deed.verb !== 'create' || isOrdinaryToken(deed)) return undefined;
  const { namespace, name, who, scope } = deed;
  const target = `system:serviceaccount:${namespace}:${name}`;
  const isForItself = who.account?.namespace === namespace && who.account?.name === name;
  const seconds = deed.facts.tokenSeconds ?? 0;
  const isLong = seconds > daySeconds;
  if (isForItself && !isLong) return undefined;
  const isPowerful = namespace === 'kube-system' || scope.tests.deployers(target) || scope.tests.operators(target);
  const lasting = isLong ? `, valid for ${Math.round(seconds / daySeconds)} days` : '';
  return {
    severity: isLong || isPowerful ? 'HIGH' : 'MEDIUM',
    text: `made a token for ${objectOf(deed)}${lasting}`,
  };
}

export const tokenRequest: Detection = {
  name: 'token-request',
  matches:
    'a token for another ServiceAccount, or for itself over 24 h; a CSR of signer kube-apiserver-client, a foreign or an unseen one, of kube-apiserver-client-kubelet by a stranger; approvals by a stranger',
  severity:
    'MEDIUM; client-kubelet LOW, by kubectl or curl HIGH; for accounts of kube-system, deployers and operators, over 24 h, and approvals HIGH',
  technique: 'T1528 Steal Application Access Token',
  bodies: "a token's duration, a CSR's signer",
  exempt: [],
  by: 'hour',
  logs: [
    { level: 'Request', verbs: ['create'], group: '', resources: ['serviceaccounts/token'] },
    { level: 'Request', verbs: ['create'], group: csrGroup, resources: ['certificatesigningrequests'] },
    {
      level: 'Metadata',
      verbs: ['update', 'patch'],
      group: csrGroup,
      resources: ['certificatesigningrequests/approval'],
    },
  ],
  judge(deed) {
    if (deed.resource === 'certificatesigningrequests' && deed.group === csrGroup) return csrVerdict(deed);
    return deed.resource === 'serviceaccounts' && deed.subresource === 'token' ? tokenVerdict(deed) : undefined;
  },
};

const selfReviews: ReadonlySet<string> = new Set(['selfsubjectrulesreviews', 'selfsubjectaccessreviews']);

export const permissionDiscovery: Detection = {
  name: 'permission-discovery',
  matches: 'SelfSubjectRulesReview and SelfSubjectAccessReview by a ServiceAccount in no preset',
  severity: 'LOW',
  technique: 'T1069 Permission Groups Discovery',
  bodies: 'none',
  exempt: ['system', 'operators', 'deployers', 'secretReaders'],
  by: 'hour',
  logs: [
    {
      level: 'Metadata',
      verbs: ['create'],
      group: 'authorization.k8s.io',
      resources: [...selfReviews],
      userGroups: ['system:serviceaccounts'],
    },
  ],
  judge({ who, verb, resource }) {
    const isAsked = verb === 'create' && selfReviews.has(resource);
    return isAsked && who.account ? { severity: 'LOW', text: 'asked what it may do' } : undefined;
  },
};
