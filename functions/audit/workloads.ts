import { type Deed, didTo, few, isChange, isGuarded, objectOf } from './deed.ts';
import { changes, type Detection, ofStrangers, type Verdict } from './detection.ts';
import { powerfulCapabilities, sensitive } from './pod-facts.ts';
import { templateControllers } from './presets.ts';
import { recordsIn, textAt } from './values.ts';
import { foreignWorkloads, workloads } from './workload-kinds.ts';

function isWorkload({ resource, group }: Deed): boolean {
  return workloads.get(resource) === group || foreignWorkloads.get(resource) === group;
}

/** Whether the controller of a template makes what the template says. */
export function isOfTemplate(deed: Deed): boolean {
  const { event, facts, verb, resource } = deed;
  if (!isWorkload(deed) || !templateControllers.includes(event.user?.username ?? '')) return false;
  return verb !== 'create' || resource !== 'pods' || facts.owner !== undefined || facts.generateName !== undefined;
}

const debuggingLogs: Detection['logs'] = [
  { level: 'Request', verbs: changes, group: '', resources: ['pods/ephemeralcontainers'] },
];

const workloadLogs: Detection['logs'] = [
  { level: 'Request', verbs: changes, group: '', resources: ['pods', 'replicationcontrollers', 'podtemplates'] },
  {
    level: 'Request',
    verbs: changes,
    group: 'apps',
    resources: ['deployments', 'daemonsets', 'statefulsets', 'replicasets'],
  },
  ...debuggingLogs,
  { level: 'Request', verbs: changes, group: 'batch', resources: ['jobs', 'cronjobs'] },
  ...[...foreignWorkloads].map(([resource, group]) => ({
    level: 'Request' as const,
    verbs: changes,
    group,
    resources: [resource],
  })),
];

const isDebugging = ({ resource, subresource, verb }: Deed): boolean =>
  resource === 'pods' && subresource === 'ephemeralcontainers' && (verb === 'update' || verb === 'patch');

function isPrivileged(deed: Deed): boolean {
  return (deed.facts.powers ?? []).length > 0;
}

export const ephemeralContainer: Detection = {
  name: 'ephemeral-container',
  matches: 'a container added to a running Pod (a privileged one is the next row)',
  severity: 'MEDIUM',
  technique: 'T1609 Container Administration Command',
  bodies: "the containers' names and rights",
  exempt: ['system'],
  by: 'act',
  logs: debuggingLogs,
  judge(deed) {
    if (!isDebugging(deed) || isPrivileged(deed)) return undefined;
    const { containers = [] } = deed.facts;
    const added = containers.length > 0 ? `the debug container ${few(containers)}` : 'a debug container';
    return { severity: 'MEDIUM', text: `added ${added} to ${objectOf(deed)}` };
  },
};

/** Whether a request can give a Pod rights: those of a running Pod can't change but by an ephemeral container. */
function makesPods(deed: Deed): boolean {
  const { verb, resource, subresource } = deed;
  if (isDebugging(deed)) return true;
  if (subresource !== '' || !isChange(verb)) return false;
  return isWorkload(deed) && (resource !== 'pods' || verb === 'create');
}

function unseenPod(deed: Deed): Verdict | undefined {
  const { isCut, facts, resource } = deed;
  if (facts.isSeen || isDebugging(deed)) return undefined;
  const unknown = `${didTo(deed)}, which may be privileged`;
  if (isCut) return { severity: 'MEDIUM', text: `${unknown} (its body was too long for the audit log)` };
  if (resource !== 'pods') return undefined;
  return { severity: 'LOW', text: `${unknown} (its body is not logged)`, isLastResort: true };
}

function isHostVolume({ resource, verb }: Deed): boolean {
  return resource === 'persistentvolumes' && isChange(verb);
}

export const privilegedPod: Detection = {
  name: 'privileged-pod-creation',
  matches:
    "a Pod, or a workload's template, with rights on its node, created or changed by anyone but the controllers that make Pods of templates: privileged, hostPID, hostIPC, hostNetwork; " +
    `a hostPath or local volume that is, contains or lies in ${sensitive.join(', ')}; ` +
    `${[...powerfulCapabilities].join(', ')}; Windows' hostProcess`,
  severity:
    "HIGH; privileged or the host's root CRITICAL; a body that was cut MEDIUM; a Pod whose body isn't logged, and no other row, LOW",
  technique: 'T1611 Escape to Host',
  bodies: "the containers' names and rights, the Pod's host namespaces and directories",
  exempt: ['system'],
  by: 'act',
  logs: [...workloadLogs, { level: 'Request', verbs: changes, group: '', resources: ['persistentvolumes'] }],
  judge(deed) {
    if (!makesPods(deed) && !isHostVolume(deed)) return undefined;
    const { powers = [], isRoot } = deed.facts;
    if (powers.length === 0) return unseenPod(deed);
    const ending = deed.facts.owner === undefined ? '' : ` of ${deed.facts.owner}`;
    const did = isDebugging(deed) ? `added a debug container to ${objectOf(deed)}` : didTo(deed);
    return {
      severity: isRoot ? 'CRITICAL' : 'HIGH',
      text: `${did}${ending}: ${few(powers, 5)}`,
      parts: { powers: powers.toSorted().join(', ') },
    };
  },
};

function isScaledToZero({ subresource, facts, verb }: Deed): boolean {
  return (
    (verb === 'patch' || verb === 'update') && subresource === 'scale' && facts.changes?.includes('replicas 0') === true
  );
}

/** What can change of a Pod that is there. */
const ofPods: ReadonlySet<string> = new Set(['image', 'command']);

/** What somebody does to workloads by hand, in words; `undefined` if nothing that counts. */
function handiwork(deed: Deed): string | undefined {
  const { verb, resource, subresource, facts } = deed;
  if (isScaledToZero(deed)) return `scaled ${objectOf(deed)} to 0`;
  if (subresource !== '' || !isChange(verb)) return undefined;
  if (resource === 'serviceaccounts' && deed.group === '') return verb === 'create' ? didTo(deed) : undefined;
  if (!isWorkload(deed)) return undefined;
  if (verb === 'create') return didTo(deed);
  if (!facts.isSeen) return `${didTo(deed)} (how is not logged)`;
  const changed = (facts.changes ?? []).filter((change) => resource !== 'pods' || ofPods.has(change));
  return changed.length > 0 ? `${didTo(deed)}: ${changed.join(', ')}` : undefined;
}

const handLogs: Detection['logs'] = [
  ...workloadLogs,
  { level: 'Request', verbs: changes, group: '', resources: ['serviceaccounts'] },
  {
    level: 'Request',
    verbs: ['update', 'patch'],
    group: 'apps',
    resources: ['deployments/scale', 'statefulsets/scale', 'replicasets/scale'],
  },
];

/** An operator makes Pods where it lives. */
function isOperatorAtHome({ who, namespace }: Deed): boolean {
  return who.presets.has('operators') && who.account?.namespace === namespace;
}

export const kubeSystemWorkload: Detection = {
  name: 'kube-system-workload',
  matches:
    "in kube-* or our namespace, by a stranger: a Pod, workload, CronJob or ServiceAccount created; a workload's containers, env, hooks or account changed, or it is scaled to 0; what isn't logged counts",
  severity: 'HIGH',
  technique: 'T1036.005 Masquerading: Match Legitimate Resource Name or Location',
  bodies: 'which fields of the containers are written',
  exempt: ['system', 'deployers'],
  by: 'hour',
  logs: handLogs,
  judge(deed) {
    if (!isGuarded(deed) || isOperatorAtHome(deed)) return undefined;
    const text = handiwork(deed);
    return text === undefined ? undefined : { severity: 'HIGH', text };
  },
};

export const workloadByHand: Detection = {
  name: 'workload-by-hand',
  matches: 'the same in other namespaces, by a stranger',
  severity: 'LOW; CronJob, DaemonSet MEDIUM',
  technique: 'T1610 Deploy Container',
  bodies: 'which fields of the containers are written',
  exempt: ofStrangers,
  by: 'hour',
  logs: handLogs,
  judge(deed) {
    if (isGuarded(deed)) return undefined;
    const text = handiwork(deed);
    if (text === undefined) return undefined;
    const isLasting = deed.resource === 'cronjobs' || deed.resource === 'daemonsets';
    return { severity: isLasting ? 'MEDIUM' : 'LOW', text };
  },
};

/** What the annotation of ValidatingAdmissionPolicies says, which may have been cut. */
function failuresIn(annotation: string): Readonly<Record<string, unknown>>[] {
  try {
    return recordsIn(JSON.parse(annotation));
  } catch {
    const field = (key: string): string | undefined => new RegExp(`"${key}":"([^"]{1,253})"`).exec(annotation)?.[1];
    return [{ policy: field('policy'), binding: field('binding'), message: field('message') }];
  }
}

function policyText(failure: Readonly<Record<string, unknown>>): string {
  const binding = textAt(failure, 'binding');
  const policy = textAt(failure, 'policy') ?? 'a policy';
  return binding === undefined ? policy : `${policy} (binding ${binding})`;
}

function violationOf({ event }: Deed): { readonly policies: string; readonly message: string } | undefined {
  const { annotations } = event;
  const security = annotations?.['pod-security.kubernetes.io/audit-violations'];
  if (security !== undefined) {
    const policy = /PodSecurity "([^":]{1,64})/.exec(security)?.[1];
    return {
      policies: `PodSecurity ${policy ?? ''}`.trim(),
      message: security.replace(/^would violate PodSecurity "[^"]{1,64}": /, ''),
    };
  }
  const failure = annotations?.['validation.policy.admission.k8s.io/validation_failure'];
  if (failure === undefined) return undefined;
  const failures = failuresIn(failure);
  const messages = failures.flatMap((one) => textAt(one, 'message') ?? []);
  return { policies: failures.map(policyText).sort().join(', '), message: messages.sort().join('; ') };
}

export const podSecurityViolation: Detection = {
  name: 'pod-security-violation',
  matches:
    'what Pod Security or a ValidatingAdmissionPolicy let pass and noted: the annotations audit-violations and validation_failure',
  severity: 'MEDIUM',
  technique: 'T1610 Deploy Container',
  bodies: 'none: it is in annotations',
  exempt: ['system'],
  by: 'object',
  logs: [...workloadLogs],
  judge(deed) {
    const violation = violationOf(deed);
    if (violation === undefined || deed.outcome !== 'allowed') return undefined;
    const { policies, message } = violation;
    const ending = message === '' ? '' : `: ${message}`;
    return {
      severity: 'MEDIUM',
      text: `${didTo(deed)} against ${policies}${ending}`,
      parts: { policies },
      details: { message },
    };
  },
};
