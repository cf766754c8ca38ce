import { type Deed, didTo, isGuarded, objectOf } from './deed.ts';
import type { Detection, Grouping, Verdict } from './detection.ts';

const subresources: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);
const consoles: ReadonlySet<string> = new Set(['console', 'vnc', 'portforward', 'usbredir']);

/** Whether a request opens a session: create over SPDY, get over WebSocket. */
export function isSession({ verb, resource, subresource, group }: Deed): boolean {
  if (verb !== 'get' && verb !== 'create' && verb !== '') return false;
  if (resource === 'pods') return subresources.has(subresource);
  return group === 'subresources.kubevirt.io' && consoles.has(subresource);
}

function target(deed: Deed): string {
  const { container } = deed.facts;
  return `${objectOf(deed)}${container === undefined ? '' : ` (container ${container})`}`;
}

const sessionLogs: Detection['logs'] = [
  {
    level: 'Metadata',
    verbs: ['get', 'create'],
    group: '',
    resources: ['pods/exec', 'pods/attach', 'pods/portforward'],
  },
  {
    level: 'Metadata',
    verbs: ['get', 'create'],
    group: 'subresources.kubevirt.io',
    resources: [...consoles].map((name) => `virtualmachineinstances/${name}`),
  },
];

export const podExecSuspicious: Detection = {
  name: 'pod-exec-suspicious',
  matches:
    'exec whose command reads tokens or credentials, asks a metadata address, opens a shell outwards, runs what it downloads, takes files out, or leaves the container',
  severity: 'HIGH',
  technique: 'T1609 Container Administration Command',
  bodies: 'none: the command is in the query',
  exempt: [],
  by: 'act',
  logs: sessionLogs,
  judge(deed) {
    const { suspicion, command, program } = deed.facts;
    if (!isSession(deed) || suspicion === undefined) return undefined;
    return {
      severity: 'HIGH',
      text: `ran in ${target(deed)} a command that ${suspicion}: ${command ?? ''}`,
      parts: { program },
      details: { suspicion },
    };
  },
};

function severityOfSession(deed: Deed): Verdict['severity'] {
  if (deed.subresource === 'portforward') return 'LOW';
  if (isGuarded(deed)) return 'HIGH';
  return deed.who.account === undefined ? 'MEDIUM' : 'LOW';
}

/** A machine's are one for each program, wherever. */
function sessionGrouping({ who, subresource }: Deed): Grouping {
  if (!who.isPerson) return 'user';
  return subresource === 'portforward' ? 'day' : 'act';
}

function sessionText(deed: Deed): string {
  const { command } = deed.facts;
  if (deed.subresource === 'exec') {
    return command === undefined ? `ran an unlogged command in ${target(deed)}` : `ran in ${target(deed)}: ${command}`;
  }
  if (deed.subresource === 'attach') return `attached to ${target(deed)}`;
  return deed.subresource === 'portforward'
    ? `forwarded a port to ${target(deed)}`
    : `opened the console of ${target(deed)}`;
}

export const podExec: Detection = {
  name: 'pod-exec',
  matches: "exec, attach and port-forward, and KubeVirt's consoles, with container and command",
  severity:
    'person MEDIUM, in kube-* and our namespace HIGH; port-forward LOW; ServiceAccount LOW, in kube-* and ours HIGH',
  technique: 'T1609 Container Administration Command',
  bodies: 'none: the command is in the query',
  exempt: [],
  by: 'act',
  logs: sessionLogs,
  judge(deed) {
    if (!isSession(deed)) return undefined;
    return {
      severity: severityOfSession(deed),
      text: sessionText(deed),
      by: sessionGrouping(deed),
      parts: { session: deed.subresource, program: deed.who.isPerson ? undefined : deed.facts.program },
    };
  },
};

const metrics: ReadonlySet<string> = new Set([
  '/metrics',
  '/metrics/cadvisor',
  '/metrics/probes',
  '/metrics/resource',
  '/stats/summary',
  '/healthz',
]);

/** What follows `/proxy` in a path. */
function proxied(path: string): string {
  const at = path.indexOf('/proxy');
  return at < 0 ? path : path.slice(at + '/proxy'.length).replace(/\/$/, '');
}

function isInNoPreset({ scope }: Deed, user: string): boolean {
  const { system, operators, deployers, secretReaders } = scope.tests;
  return ![system, operators, deployers, secretReaders].some((test) => test(user));
}

function proxyVerdict(deed: Deed): Verdict | undefined {
  const { resource, subresource, verb, path, facts, who } = deed;
  if (who.isNode && facts.review?.about === 'nodes/proxy') {
    const { user } = facts.review;
    return isInNoPreset(deed, user)
      ? { severity: 'HIGH', text: `was asked by ${user} for what nodes/proxy gives`, parts: { asked: user } }
      : undefined;
  }
  if (subresource !== 'proxy') return undefined;
  const through = proxied(path);
  const text = `reached ${through === '' ? '/' : through} through the proxy of ${objectOf(deed)}`;
  if (resource === 'nodes') return verb === 'get' && metrics.has(through) ? undefined : { severity: 'HIGH', text };
  if (resource !== 'pods' && resource !== 'services') return undefined;
  const isQuery = verb === 'get' && /^\/api\/v1\/query(?:_range)?$/.test(through);
  return { severity: isQuery ? 'LOW' : 'MEDIUM', text };
}

export const proxyAccess: Detection = {
  name: 'proxy-access',
  matches:
    "nodes/proxy but GET of a kubelet's metrics and health; a node's SubjectAccessReview about nodes/proxy for somebody in no preset (the kubelet was asked directly); pods/proxy and services/proxy by a stranger",
  severity: "HIGH; Pods and Services MEDIUM, GET of Prometheus' /api/v1/query LOW",
  technique: 'T1609 Container Administration Command',
  bodies: 'SubjectAccessReviews of nodes',
  exempt: [],
  by: 'day',
  logs: [
    { level: 'Metadata', group: '', resources: ['nodes/proxy', 'pods/proxy', 'services/proxy'] },
    {
      level: 'Request',
      verbs: ['create'],
      group: 'authorization.k8s.io',
      resources: ['subjectaccessreviews'],
      userGroups: ['system:nodes'],
    },
  ],
  judge(deed) {
    return deed.who.presets.has('system') && deed.resource !== 'subjectaccessreviews' ? undefined : proxyVerdict(deed);
  },
};

export const anonymousAccess: Detection = {
  name: 'anonymous-access',
  matches:
    'system:anonymous or system:unauthenticated, allowed on anything but health, version, discovery, kube-public/cluster-info and OIDC discovery',
  severity: 'HIGH',
  technique: 'T1078.001 Valid Accounts: Default Accounts',
  bodies: 'none',
  exempt: [],
  isAboutWho: true,
  by: 'user',
  judge(deed) {
    if (!deed.who.isAnonymous || deed.outcome !== 'allowed') return undefined;
    const what = deed.resource === '' ? `reached ${deed.path}` : didTo(deed);
    return {
      severity: 'HIGH',
      text: `${what} without signing in`,
      parts: { path: deed.resource === '' ? deed.path.slice(0, 128) : undefined },
    };
  },
};
