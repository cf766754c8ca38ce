import { at, isRecord, recordsIn, textAt, textsIn } from './values.ts';

/** What the body of a request says about Pods, in words; never a value of an env, an argument or an annotation. */
export interface PodFacts {
  /** What its containers may do on the node, such as `container web is privileged`. */
  readonly powers: string[];
  /** Whether one of the powers is the whole node: a privileged container, or the host's root directory. */
  readonly isRoot: boolean;
  /** What of the running containers the request writes: `containers`, `env`, `hooks`, `account`, `replicas 0`. */
  readonly changes: string[];
  readonly containers: string[];
}

/** Directories of a node that give away the node, or what else runs on it. */
export const sensitive: readonly string[] = [
  '/etc',
  '/root',
  '/proc',
  '/dev',
  '/var/lib/kubelet',
  '/var/log',
  '/opt/cni',
  '/var/lib/docker',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/rancher',
  '/var/lib/etcd',
  '/run/containerd',
  '/run/crio',
  '/run/k3s',
  '/run/docker.sock',
  '/run/dockershim.sock',
  '/run/podman',
  '/run/cri-dockerd.sock',
];

export const powerfulCapabilities: ReadonlySet<string> = new Set([
  'SYS_ADMIN',
  'SYS_PTRACE',
  'SYS_MODULE',
  'SYS_RAWIO',
  'NET_ADMIN',
  'DAC_READ_SEARCH',
  'BPF',
  'ALL',
]);

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'] as const;

/** A path of a node without dots, double slashes and links that every distribution has. */
function normalPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`
    .replace(/^\/var\/run(?=\/|$)/, '/run')
    .replace(/^\/proc\/(?:1|self)\/root(?=\/|$)/, '');
}

/** Whether a directory is, contains or lies in a sensitive one. */
function isSensitive(path: string): boolean {
  const prefix = path.endsWith('/') ? path : `${path}/`;
  return sensitive.some((one) => one === path || one.startsWith(prefix) || path.startsWith(`${one}/`));
}

function volumePowers(spec: unknown): { readonly powers: string[]; readonly isRoot: boolean } {
  const paths = recordsIn(at(spec, 'volumes')).flatMap((volume) => textAt(volume, 'hostPath', 'path') ?? []);
  const normal = paths.map((path) => normalPath(path) || '/');
  const found = [...new Set(normal.filter(isSensitive))].sort();
  return { powers: found.map((path) => `host directory ${path}`), isRoot: found.includes('/') };
}

function containerPowers(container: Readonly<Record<string, unknown>>): string[] {
  const who = `container ${textAt(container, 'name') ?? 'without a name'}`;
  const context = at(container, 'securityContext');
  const added = textsIn(at(context, 'capabilities', 'add')).map((name) => name.toUpperCase().replace(/^CAP_/, ''));
  const capabilities = [...new Set(added.filter((name) => powerfulCapabilities.has(name)))].sort();
  return [
    ...(at(context, 'privileged') === true ? [`${who} is privileged`] : []),
    ...capabilities.map((name) => `${who} has ${name}`),
    ...(at(context, 'windowsOptions', 'hostProcess') === true ? [`${who} is a host process`] : []),
  ];
}

function specPowers(spec: unknown): string[] {
  const isHostProcess = at(spec, 'securityContext', 'windowsOptions', 'hostProcess') === true;
  return [
    ...['hostPID', 'hostIPC', 'hostNetwork'].filter((name) => at(spec, name) === true),
    ...(isHostProcess ? ['host process'] : []),
  ];
}

function containersOf(spec: unknown): Readonly<Record<string, unknown>>[] {
  return containerLists.flatMap((list) => recordsIn(at(spec, list)));
}

const changedFields: readonly (readonly [field: string, change: string])[] = [
  ['env', 'env'],
  ['envFrom', 'env'],
  ['lifecycle', 'hooks'],
  ['image', 'image'],
  ['command', 'command'],
  ['args', 'command'],
  ['livenessProbe', 'hooks'],
  ['readinessProbe', 'hooks'],
  ['startupProbe', 'hooks'],
  ['volumeMounts', 'mounts'],
  ['securityContext', 'security context'],
];

function changesOf(spec: unknown, object: unknown): string[] {
  const containers = containersOf(spec);
  const fields = changedFields.filter(([field]) => containers.some((container) => container[field] !== undefined));
  const changes = fields.map(([, change]) => change);
  if (at(spec, 'serviceAccountName') !== undefined || at(spec, 'serviceAccount') !== undefined) changes.push('account');
  if (containers.length > 0 && changes.length === 0) changes.push('containers');
  if (at(object, 'spec', 'replicas') === 0) changes.push('replicas 0');
  return [...new Set(changes)].sort();
}

/** The Pod's spec in an object: its own, or that of its template. */
function podSpecOf(object: unknown): unknown {
  const candidates = [
    at(object, 'spec', 'jobTemplate', 'spec', 'template', 'spec'),
    at(object, 'spec', 'template', 'spec'),
    at(object, 'template', 'spec'),
    at(object, 'spec'),
  ];
  return candidates.find(isRecord);
}

export function podFactsOf(object: unknown): PodFacts {
  const spec = podSpecOf(object);
  const volumes = volumePowers(spec);
  const containers = containersOf(spec);
  const ofContainers = containers.flatMap(containerPowers);
  return {
    powers: [...ofContainers, ...specPowers(spec), ...volumes.powers].slice(0, 20),
    isRoot:
      volumes.isRoot || ofContainers.some((power) => power.endsWith(' is privileged') || power.endsWith('process')),
    changes: changesOf(spec, object),
    containers: containers.flatMap((container) => textAt(container, 'name') ?? []).slice(0, 20),
  };
}

/** Whether a PersistentVolume is a directory of a node, and which. */
export function localVolumeOf(object: unknown): string | undefined {
  const path = textAt(object, 'spec', 'hostPath', 'path') ?? textAt(object, 'spec', 'local', 'path');
  const normal = path === undefined ? undefined : normalPath(path) || '/';
  return normal !== undefined && isSensitive(normal) ? normal : undefined;
}
