import { type Deed, didTo, few, isChange, isDeletion, objectOf } from './deed.ts';
import { changes, type Detection, ofStrangers, type Verdict, writes } from './detection.ts';

function serviceVerdict(deed: Deed): Verdict | undefined {
  const { subresource, facts } = deed;
  if (subresource === 'status') {
    return { severity: 'HIGH', text: `wrote the status of ${objectOf(deed)}, which steers its traffic` };
  }
  if (subresource !== '') return undefined;
  const { externalIPs = [], serviceType } = facts;
  if (deed.isCut && !facts.isSeen) {
    return {
      severity: 'MEDIUM',
      text: `${didTo(deed)}, which may be exposed (its body was too long for the audit log)`,
    };
  }
  if (externalIPs.length > 0) return { severity: 'HIGH', text: `${didTo(deed)} with externalIPs ${few(externalIPs)}` };
  const isOpen = serviceType === 'NodePort' || serviceType === 'LoadBalancer';
  return isOpen ? { severity: 'LOW', text: `${didTo(deed)} of type ${serviceType}` } : undefined;
}

export const exposedService: Detection = {
  name: 'exposed-service',
  matches:
    "a Service of type NodePort or LoadBalancer, an Ingress without TLS; externalIPs; a Service's status by a stranger",
  severity: 'LOW; externalIPs, status HIGH; a body that was cut MEDIUM',
  technique: 'T1133 External Remote Services',
  bodies: "a Service's type and externalIPs, whether an Ingress has TLS",
  exempt: ['system'],
  by: 'object',
  logs: [
    { level: 'Request', verbs: changes, group: '', resources: ['services'] },
    { level: 'Metadata', verbs: ['update', 'patch'], group: '', resources: ['services/status'] },
    { level: 'Request', verbs: changes, group: 'networking.k8s.io', resources: ['ingresses'] },
  ],
  judge(deed) {
    const { resource, group, subresource, verb, facts } = deed;
    if (!isChange(verb)) return undefined;
    if (resource === 'services' && group === '') return serviceVerdict(deed);
    const isPlain = subresource === '' && verb !== 'patch' && facts.isWithoutTls === true;
    return isPlain ? { severity: 'LOW', text: `${didTo(deed)} without TLS` } : undefined;
  },
};

export const endpointChange: Detection = {
  name: 'endpoint-change',
  matches: 'a write of Endpoints or EndpointSlices by a stranger',
  severity: 'MEDIUM',
  technique: 'T1557 Adversary-in-the-Middle',
  bodies: 'none',
  exempt: ofStrangers,
  by: 'hour',
  logs: [
    { level: 'Metadata', verbs: writes, group: '', resources: ['endpoints'] },
    { level: 'Metadata', verbs: writes, group: 'discovery.k8s.io', resources: ['endpointslices'] },
  ],
  judge(deed) {
    const isEndpoint = deed.resource === 'endpoints' || deed.resource === 'endpointslices';
    return isEndpoint && deed.isWrite ? { severity: 'MEDIUM', text: didTo(deed) } : undefined;
  },
};

function nodeVerdict(deed: Deed): Verdict | undefined {
  const { verb, subresource } = deed;
  if (subresource === 'status') {
    return { severity: 'MEDIUM', text: `wrote the status of ${objectOf(deed)}` };
  }
  if (subresource !== '') return undefined;
  if (verb === 'create') return { severity: 'HIGH', text: didTo(deed) };
  if (isDeletion(verb)) return { severity: 'MEDIUM', text: didTo(deed) };
  return { severity: 'LOW', text: `${didTo(deed)} (labels, taints or cordon)` };
}

export const nodeChange: Detection = {
  name: 'node-change',
  matches:
    'a Node labelled, tainted, cordoned, deleted, its status written by a stranger; created by anyone but itself or an operator',
  severity: 'LOW; deleted, status MEDIUM; created HIGH',
  technique: 'T1578 Modify Cloud Compute Infrastructure',
  bodies: 'none',
  exempt: ofStrangers,
  by: 'hour',
  logs: [{ level: 'Metadata', verbs: writes, group: '', resources: ['nodes', 'nodes/status'] }],
  judge(deed) {
    return deed.resource === 'nodes' && deed.group === '' && deed.isWrite ? nodeVerdict(deed) : undefined;
  },
};

/** The network of an address, as far as an identity needs it: /24 of IPv4, /48 of IPv6. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return `${address.split('.').slice(0, 3).join('.')}.0/24`;
  const [head = ''] = address.toLowerCase().split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const first = [...groups, '0', '0', '0'].slice(0, 3).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${first.join(':')}::/48`;
}

export const systemPrincipalOutside: Detection = {
  name: 'system-principal-outside',
  matches: 'a `system:` user from an address outside AUDIT_CLUSTER_CIDRS (off until they are set)',
  severity: 'HIGH; denied MEDIUM',
  technique: 'T1550.001 Use Alternate Authentication Material: Application Access Token',
  bodies: 'none',
  exempt: [],
  isAboutWho: true,
  by: 'user',
  judge({ who, scope, event, outcome }) {
    const address = who.actor?.sourceIP;
    const username = event.user?.username ?? '';
    if (!scope.isInside || address === undefined || !username.startsWith('system:') || who.isAnonymous)
      return undefined;
    if (scope.isInside(address)) return undefined;
    return {
      severity: outcome === 'denied' ? 'MEDIUM' : 'HIGH',
      text: `came from ${address}, which is outside the cluster`,
      parts: { network: networkOf(address) },
    };
  },
};

function probeSeverity({ who, subresource, resource }: Deed): Verdict['severity'] {
  if (!who.account) return 'LOW';
  const isGrave = subresource === 'exec' || resource === 'secrets' || resource.endsWith('rolebindings');
  return isGrave ? 'MEDIUM' : 'LOW';
}

const attempts: Readonly<Record<string, string>> = {
  create: 'create',
  update: 'change',
  patch: 'change',
  delete: 'delete',
  deletecollection: 'delete all',
  get: 'read',
  list: 'list',
  watch: 'watch',
};

const uses: Readonly<Record<string, string>> = {
  attach: 'attach to',
  exec: 'run a command in',
  portforward: 'forward a port to',
  proxy: 'reach the proxy of',
  scale: 'scale',
  token: 'make a token for',
};

function attempt(deed: Deed): string {
  if (deed.resource === '') return `reach ${deed.path === '' ? 'the API server' : deed.path}`;
  const verb = Object.hasOwn(attempts, deed.verb) ? attempts[deed.verb] : 'use';
  if (deed.subresource === '') return `${verb} ${objectOf(deed)}`;
  const use = Object.hasOwn(uses, deed.subresource) ? uses[deed.subresource] : `use ${deed.subresource} of`;
  return `${use} ${objectOf(deed)}`;
}

export const accessProbe: Detection = {
  name: 'access-probe',
  matches: "denied requests: a person's one an hour; a ServiceAccount's one; anonymous ones together",
  severity: "LOW; a ServiceAccount's for exec, bindings, Secrets MEDIUM",
  technique: 'T1613 Container and Resource Discovery',
  bodies: 'none',
  exempt: ['system'],
  isAboutWho: true,
  by: 'user-hour',
  judge(deed) {
    if (deed.outcome !== 'denied') return undefined;
    const isTogether = deed.who.isAnonymous || deed.who.actor === undefined;
    return {
      severity: probeSeverity(deed),
      text: `was not allowed to ${attempt(deed)}`,
      by: isTogether ? 'all' : deed.who.isPerson ? 'user-hour' : 'user',
    };
  },
};

/** Reviews and the like are created to ask something. */
function isQuestion({ resource }: Deed): boolean {
  return resource.endsWith('reviews');
}

export const mastersAccess: Detection = {
  name: 'masters-access',
  matches: 'any other write by a person in system:masters, which is a certificate for emergencies',
  severity: 'MEDIUM',
  technique: 'T1078 Valid Accounts',
  bodies: 'none',
  exempt: [],
  isAboutWho: true,
  by: 'user-hour',
  judge(deed) {
    const { who, isWrite, outcome } = deed;
    const isMaster = who.isPerson && who.groups.includes('system:masters');
    if (!isMaster || !isWrite || outcome !== 'allowed' || isQuestion(deed)) return undefined;
    return { severity: 'MEDIUM', text: `${didTo(deed)} with the rights of system:masters`, isLastResort: true };
  },
};
