/** Syslog's severities; the index is the number that Falco's gRPC clients send. */
export const priorities = [
  'Emergency',
  'Alert',
  'Critical',
  'Error',
  'Warning',
  'Notice',
  'Informational',
  'Debug',
] as const;

export type Priority = (typeof priorities)[number];

/**
 * Rules whose priority doesn't fit: a shell or a reverse shell in a container is more than a Notice, and every operator
 * in a cluster contacts the API server.
 */
export const ruleSeverities = [
  'Terminal shell in container=MEDIUM',
  'Redirect STDOUT/STDIN to Network Connection in Container=HIGH',
  'Contact K8S API Server From Container=LOW',
] as const;

// Fields, the most telling first. https://falco.org/docs/reference/rules/supported-fields/ has those of system calls; the
// plugins' are in their READMEs: https://github.com/falcosecurity/plugins

export const userFields = [
  'user.name',
  'ka.user.name',
  'ct.user',
  'ct.user.arn',
  'ct.user.principalid',
  'gcp.user',
  'okta.actor.alternateid',
  'okta.actor.name',
  'github.user',
] as const;

/** How a plugin that isn't in the table may call its user. */
export const otherUserField = /^[a-z0-9_]+\.(?:user|user\.name|username|actor|actor\.name|principal)$/;

/** The file, link or connection that an event is about. */
export const objectFields = [
  'fd.name',
  'evt.arg.path',
  'evt.arg.name',
  'evt.arg.newpath',
  'evt.arg.linkpath',
  'ka.uri',
  'ct.request',
] as const;

export const linkTargetFields = ['evt.arg.target', 'evt.arg.oldpath'] as const;

/** What was asked of an API. */
export const actionFields = ['ka.verb', 'ct.name', 'gcp.methodName', 'okta.evt.type', 'github.type'] as const;

export const addressFields = ['ct.srcip', 'gcp.callerIP', 'okta.client.ip'] as const;

export const agentFields = ['ka.useragent', 'ct.useragent', 'gcp.userAgent', 'okta.useragent.raw'] as const;

/** The metadata of a Pod come from Falco's container engines or from its plugin k8smeta. */
export const kubernetesPrefixes = ['k8s', 'k8smeta'] as const;

/** What a Pod may belong to, as its metadata name it. */
export const workloadFields = [
  { field: 'deployment.name', apiVersion: 'apps/v1', kind: 'Deployment' },
  { field: 'statefulset.name', apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { field: 'daemonset.name', apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { field: 'cronjob.name', apiVersion: 'batch/v1', kind: 'CronJob' },
  { field: 'job.name', apiVersion: 'batch/v1', kind: 'Job' },
  { field: 'rs.name', apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  { field: 'rc.name', apiVersion: 'v1', kind: 'ReplicationController' },
] as const;

/** A field that only a plugin has. Without `source`, as old versions of Falco send it, this tells a plugin's alert. */
export const pluginField = /^(?:ka|jevt|json|ct|gcp|okta|github)\./;

/** Words in the name of a field whose value differs between repeats of one event. */
export const volatileWords: ReadonlySet<string> = new Set([
  ...['time', 'rawtime', 'reltime', 'datetime', 'abstime', 'deltatime', 'ctime', 'mtime', 'atime', 'exectime'],
  ...['totexectime', 'timestamp', 'ts', 'published', 'duration', 'latency'],
  ...['pid', 'ppid', 'vpid', 'apid', 'pvpid', 'tid', 'vtid', 'ptid', 'sid', 'pgid', 'vpgid', 'loginshellid', 'tty'],
  ...['sport', 'lport', 'rport', 'cport', 'dport'],
  ...['uuid', 'auditid', 'requestid', 'eventid', 'sharedeventid', 'sessionid'],
  ...['ino', 'vmsize', 'vmrss', 'vmswap', 'fdopencount', 'fdusage', 'cpu', 'pcpu', 'cgroups', 'countlast'],
]);

/** Further fields of that kind: counters, descriptors, and what a new Pod, container or image has anew. */
export const volatileFields: readonly RegExp[] = [
  /^evt\.(?:num|count|rawres|arg\.(?:fd|res|port))$/,
  /^fd\.(?:num|dev|port)$/,
  /^(?:ct|okta\.transaction)\.id$/,
  /^container\.(?:full_id|ip|image\.(?:tag|digest|id))$/,
  /^k8s(?:meta)?\.[a-z]+\.(?:id|uid|ip|(?:full_)?sandbox_id)$/,
  /^(?:container|k8s(?:meta)?\.[a-z]+)\.(?:labels?|cni)(?![a-z])/,
];
