import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { type WorkloadKey, withoutPodNames, workloadKey, workloadName } from '../../shared/finding/workload.ts';

/** A name of exactly so many characters. */
function long(length: number): string {
  return 'abcdefgh1-'
    .repeat(30)
    .slice(0, length - 1)
    .concat('x');
}

/** Kind and name as reported in the namespace `shop`, and what they are filed under there. */
const inShop: [kind: string, name: string, key: string, of: string][] = [
  // A rollout
  ['Deployment', 'api', 'rollout', 'api'],
  ['Rollout', 'api', 'rollout', 'api'],
  ['ReplicaSet', 'api-7d9c5b6f4d', 'rollout', 'api'],
  ['Pod', 'api-7d9c5b6f4d-x2x9z', 'rollout', 'api'],
  ['Deployment', 'web-2', 'rollout', 'web-2'],
  ['ReplicaSet', 'web-2-7d9c5b6f4d', 'rollout', 'web-2'],
  ['ReplicaSet', 'my.app-7d9c5b6f4d', 'rollout', 'my.app'],
  ['Deployment', 'api-7d9c5b6f4d', 'rollout', 'api-7d9c5b6f4d'],
  ['ReplicaSet', 'api-4567894567', 'rollout', 'api'],
  ['ReplicaSet', 'api-bcdf45', 'rollout', 'api'],
  ['ReplicaSet', 'api-bcdf4', 'set', 'api-bcdf4'],
  ['ReplicaSet', 'api-bcdf456789b', 'set', 'api-bcdf456789b'],
  ['ReplicaSet', '7d9c5b6f4d', 'set', '7d9c5b6f4d'],
  ['ReplicaSet', '-7d9c5b6f4d', 'set', '-7d9c5b6f4d'],
  ['ReplicaSet', 'web-abcdef', 'set', 'web-abcdef'],
  ['ReplicaSet', 'web-7D9C5B6F4D', 'set', 'web-7D9C5B6F4D'],
  ['DaemonSet', 'agent-7d9c5b6f4d', 'rollout', 'agent'],
  // A Revision of Knative's
  ['Deployment', 'api-00007-deployment', 'rollout', 'api'],
  ['ReplicaSet', 'api-00007-deployment-7d9c5b6f4d', 'rollout', 'api'],
  ['Pod', 'api-00007-deployment-7d9c5b6f4d-x2x9z', 'rollout', 'api'],
  ['Deployment', 'api-0007-deployment', 'rollout', 'api-0007-deployment'],
  ['Deployment', 'api-000007-deployment', 'rollout', 'api-000007-deployment'],
  ['Deployment', 'api-deployment', 'rollout', 'api-deployment'],
  ['Deployment', '-00007-deployment', 'rollout', '-00007-deployment'],
  ['Deployment', '00007-deployment', 'rollout', '00007-deployment'],
  ['Deployment', 'deployment', 'rollout', 'deployment'],
  ['ReplicaSet', 'api-00007-deployment', 'set', 'api-00007-deployment'],
  // A set
  ['ReplicaSet', 'api-v2', 'set', 'api-v2'],
  ['Pod', 'api-v2-bcdfg', 'set', 'api-v2'],
  ['DaemonSet', 'fluentd', 'set', 'fluentd'],
  ['Pod', 'fluentd-x2x9z', 'set', 'fluentd'],
  ['Job', 'migrate', 'set', 'migrate'],
  ['Pod', 'migrate-vw2lk', 'set', 'migrate'],
  ['DeploymentConfig', 'web', 'set', 'web'],
  ['DeploymentConfig', 'web-2', 'set', 'web-2'],
  ['ReplicationController', 'web-2', 'set', 'web'],
  ['Pod', 'web-2-x2x9z', 'set', 'web'],
  ['Pod', 'web-2-deploy', 'Pod', 'web-2-deploy'],
  ['Job', 'train', 'set', 'train'],
  ['Pod', 'train-0-kq7bt', 'set', 'train'],
  ['Pod', 'train-9999-kq7bt', 'set', 'train'],
  ['Pod', 'train-10000-kq7bt', 'set', 'train-10000'],
  ['Pod', 'train-00-kq7bt', 'set', 'train-00'],
  ['Pod', 'train--0-kq7bt', 'set', 'train'],
  ['Job', '--0', 'set', '-'],
  ['Job', '-0', 'set', '-0'],
  // A CronJob and its Jobs
  ['CronJob', 'backup', 'cron', 'backup'],
  ['CronJob', 'backup-29400000', 'cron', 'backup-29400000'],
  ['Job', 'backup-29400000', 'cron', 'backup'],
  ['Pod', 'backup-29400000-kq7bt', 'cron', 'backup'],
  ['Job', 'backup-27000000', 'cron', 'backup'],
  ['Job', 'backup-26999999', 'set', 'backup-26999999'],
  ['Job', 'backup-40000000', 'cron', 'backup'],
  ['Job', 'backup-40000001', 'set', 'backup-40000001'],
  ['Job', 'backup-1600000000', 'cron', 'backup'],
  ['Job', 'backup-1599999999', 'set', 'backup-1599999999'],
  ['Job', 'backup-294000000', 'set', 'backup-294000000'],
  ['Job', 'backup-20250101', 'set', 'backup-20250101'],
  ['Job', '29400000', 'set', '29400000'],
  // A StatefulSet
  ['StatefulSet', 'db', 'stateful', 'db'],
  ['StatefulSet', 'db-1', 'stateful', 'db-1'],
  ['Pod', 'db-0', 'stateful', 'db'],
  ['Pod', 'db-1', 'stateful', 'db'],
  ['Pod', 'db-9999', 'stateful', 'db'],
  ['Pod', 'db-01', 'Pod', 'db-01'],
  ['Pod', 'db-10000', 'Pod', 'db-10000'],
  ['Pod', 'web-2', 'stateful', 'web'],
  // A Pod of its own
  ['Pod', 'debug', 'Pod', 'debug'],
  ['Pod', 'mysql', 'Pod', 'mysql'],
  ['Pod', '-x2x9z', 'Pod', '-x2x9z'],
  ['Pod', 'web-x2x9z0', 'Pod', 'web-x2x9z0'],
  ['Pod', 'web-x2x9a', 'Pod', 'web-x2x9a'],
  ['Pod', 'web-', 'Pod', 'web-'],
  ['Pod', '-', 'Pod', '-'],
  ['Pod', 'etcd-cp-1', 'stateful', 'etcd-cp'],
  // Pods of 63 characters, whose names may be cut
  ['Pod', `${long(51)}-7d9c5bx2x9z`, 'rollout', long(51)],
  ['Pod', `${long(47)}-7d9c5b6f4dx2x9z`, 'rollout', long(47)],
  ['Pod', `${long(56)}-7x2x9z`, 'rollout', long(56)],
  ['Pod', `${long(39)}-00007-deployment-7x2x9z`, 'rollout', long(39)],
  ['Pod', `${long(57)}-x2x9z`, 'set', long(57)],
  ['Pod', `${long(46)}-7d9c5b6f4d-x2x9z`, 'rollout', long(46)],
  ['Pod', `${long(50)}-7d9c5bx2x9z`, 'Pod', `${long(50)}-7d9c5bx2x9z`],
  ['Pod', `${long(52)}-7d9c5bx2x9z`, 'Pod', `${long(52)}-7d9c5bx2x9z`],
  ['Pod', `${long(46)}-7d9c5b6f4d4x2x9z`, 'Pod', `${long(46)}-7d9c5b6f4d4x2x9z`],
  ['Pod', `${long(51)}-7d9a5bx2x9z`, 'Pod', `${long(51)}-7d9a5bx2x9z`],
  ['Pod', `${long(51)}-7d9c5bx2xaz`, 'Pod', `${long(51)}-7d9c5bx2xaz`],
  ['Pod', `${long(52)}-29400kq7bt`, 'cron', long(52)],
  ['Pod', `${long(49)}-29400000kq7bt`, 'cron', long(49)],
  ['Pod', `${long(56)}-3kq7bt`, 'cron', long(56)],
  ['Pod', `${long(48)}-294000000kq7bt`, 'cron', long(48)],
  ['Pod', `${long(47)}-2940000000kq7bt`, 'Pod', `${long(47)}-2940000000kq7bt`],
  ['Pod', `${long(56)}-1kq7bt`, 'Pod', `${long(56)}-1kq7bt`],
  ['Pod', `${long(61)}-0`, 'stateful', long(61)],
  // Anything else, and whatever a hostile tool may say
  ['Service', 'api-7d9c5b6f4d', 'Service', 'api-7d9c5b6f4d'],
  ['replicaset', 'api-7d9c5b6f4d', 'replicaset', 'api-7d9c5b6f4d'],
  ['constructor', 'x', 'constructor', 'x'],
  ['__proto__', 'x', '__proto__', 'x'],
  ['Pod', `${'-'.repeat(253)}x2x9z`, 'set', '-'.repeat(252)],
  ['ReplicaSet', `${'4'.repeat(253)}`, 'set', '4'.repeat(253)],
  ['Pod', 'api-7d9c5b6f4d-x2x9z\n', 'Pod', 'api-7d9c5b6f4d-x2x9z\n'],
  ['ReplicaSet', 'ä-7d9c5b6f4d', 'rollout', 'ä'],
  ['ReplicaSet', 'web-7d9c5b6f4d\u0000', 'set', 'web-7d9c5b6f4d\u0000'],
];

/** Those for which more than kind and name counts. */
const others: [ResourceRef, WorkloadKey][] = [
  ...['kube-apiserver', 'etcd', 'kube-scheduler', 'kube-controller-manager', 'kube-vip'].flatMap(
    (component): [ResourceRef, WorkloadKey][] => {
      const namespace = 'kube-system';
      const itself = { kind: 'Pod', namespace, name: `${component}-cp-1` };
      return [
        [itself, itself],
        [
          { kind: 'Pod', namespace, name: `${component}s-1` },
          { kind: 'stateful', namespace, name: `${component}s` },
        ],
      ];
    },
  ),
  [
    { kind: 'Pod', namespace: 'kube-system', name: 'etcd-cp-x2x9z' },
    { kind: 'Pod', namespace: 'kube-system', name: 'etcd-cp-x2x9z' },
  ],
  [
    { kind: 'Pod', namespace: 'kube-system', name: `etcd-${long(46)}-7d9c5bx2x9z` },
    { kind: 'Pod', namespace: 'kube-system', name: `etcd-${long(46)}-7d9c5bx2x9z` },
  ],
  [
    { kind: 'Pod', namespace: 'openshift-etcd', name: 'etcd-master-0' },
    { kind: 'Pod', namespace: 'openshift-etcd', name: 'etcd-master-0' },
  ],
  [
    { kind: 'Pod', namespace: 'openshift', name: 'etcd-0' },
    { kind: 'stateful', namespace: 'openshift', name: 'etcd' },
  ],
  [
    { kind: 'Pod', namespace: 'kube-system', name: 'kube-proxy-x2x9z' },
    { kind: 'set', namespace: 'kube-system', name: 'kube-proxy' },
  ],
  [
    { kind: 'StatefulSet', namespace: 'kube-system', name: 'etcd-main' },
    { kind: 'stateful', namespace: 'kube-system', name: 'etcd-main' },
  ],
  [
    { kind: 'Pod', name: 'etcd-0' },
    { kind: 'stateful', name: 'etcd' },
  ],
  // The API group
  [
    { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'api' },
    { kind: 'rollout', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', namespace: 'shop', name: 'api' },
    { kind: 'rollout', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'api' },
    { kind: 'Service', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'serving.knative.dev/v1', kind: 'Service', namespace: 'shop', name: 'api' },
    { kind: 'Service', group: 'serving.knative.dev', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'extensions/v1beta1', kind: 'Ingress', namespace: 'shop', name: 'api' },
    { kind: 'Ingress', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', namespace: 'shop', name: 'api' },
    { kind: 'Ingress', namespace: 'shop', name: 'api' },
  ],
  [
    { apiVersion: 'cert-manager.io/v1', kind: 'Certificate', namespace: 'shop', name: 'api-2' },
    { kind: 'Certificate', group: 'cert-manager.io', namespace: 'shop', name: 'api-2' },
  ],
  [
    { apiVersion: 'cert-manager.io/v1alpha2', kind: 'Certificate', namespace: 'shop', name: 'api-2' },
    { kind: 'Certificate', group: 'cert-manager.io', namespace: 'shop', name: 'api-2' },
  ],
  [
    { kind: 'Certificate', namespace: 'shop', name: 'api-2' },
    { kind: 'Certificate', namespace: 'shop', name: 'api-2' },
  ],
  // Kinds whose objects are in no namespace
  [
    { apiVersion: 'v1', kind: 'Namespace', namespace: 'shop', name: 'shop' },
    { kind: 'Namespace', name: 'shop' },
  ],
  [
    { kind: 'ClusterRole', name: 'admin' },
    { kind: 'ClusterRole', name: 'admin' },
  ],
  [
    { kind: 'ClusterRole', namespace: 'default', name: 'admin' },
    { kind: 'ClusterRole', name: 'admin' },
  ],
  [
    { apiVersion: 'example.com/v1', kind: 'Node', namespace: 'shop', name: 'a' },
    { kind: 'Node', group: 'example.com', namespace: 'shop', name: 'a' },
  ],
  // What is not known
  [
    { kind: 'Pod', namespace: 'shop' },
    { kind: 'Pod', namespace: 'shop' },
  ],
  [{ kind: 'ReplicaSet', namespace: '', name: '' }, { kind: 'ReplicaSet' }],
  [
    { kind: 'Deployment', namespace: '', name: 'api' },
    { kind: 'rollout', name: 'api' },
  ],
  [{ apiVersion: '', kind: '' }, { kind: '' }],
  [
    { apiVersion: 'a/b/v1', kind: 'X' },
    { kind: 'X', group: 'a/b' },
  ],
];

describe('workloadKey', () => {
  it.each(inShop)('files the %s %s under %s %s', (kind, name, key, of) => {
    expect(workloadKey({ kind, namespace: 'shop', name })).toStrictEqual({ kind: key, namespace: 'shop', name: of });
  });

  it.each(others)('of %j is %j', (resource, key) => {
    expect(workloadKey(resource)).toStrictEqual(key);
  });
});

/** What the API server makes of a `generateName`. */
function generated(base: string, end: string): string {
  return base.slice(0, 58) + end;
}

const randomEnd = fc.string({ unit: fc.constantFrom(...'bcdfghjklmnpqrstvwxz2456789'), minLength: 5, maxLength: 5 });

/** A number as Kubernetes writes it into the names of ReplicaSets. */
const templateHash = fc
  .integer({ min: 100_000, max: 4_294_967_295 })
  .map((number) => String(number).replace(/\d/g, (digit) => '456789bcdf'[Number(digit)] ?? ''));

/** Names that end like generated ones are likely. */
function nameUpTo(maxLength: number) {
  const part = fc.oneof(
    fc.constantFrom(
      'web',
      'api',
      'v2',
      '2',
      '00007',
      'deployment',
      'bcdf45',
      '29400000',
      'x2x9z',
      '20250101',
      'my.app',
    ),
    fc.string({ unit: fc.constantFrom(...'abcdef0123456789xyz'), minLength: 1, maxLength: 40 }),
  );
  return fc
    .array(part, { minLength: 1, maxLength: 8 })
    .map((parts) =>
      parts
        .join('-')
        .slice(0, maxLength)
        .replace(/[-.]+$/, ''),
    )
    .filter((name) => name !== '');
}

/** Nothing is left of the hash of a Deployment with a longer name in the names of its Pods. */
const longestDeployment = 56;
/** The names of longer ones are cut in those of their Pods, with nothing that says so. */
const longestGenerator = 57;

function key(kind: string, name: string): WorkloadKey {
  return workloadKey({ kind, namespace: 'shop', name });
}

describe('a controller and its Pods', () => {
  it.each(['Deployment', 'Rollout'])('have one key: of a %s, its ReplicaSets and their Pods', (kind) => {
    fc.assert(
      fc.property(nameUpTo(longestDeployment), templateHash, randomEnd, (name, hash, end) => {
        const replicaSet = `${name}-${hash}`;
        expect(key('ReplicaSet', replicaSet)).toEqual(key(kind, name));
        expect(key('Pod', generated(`${replicaSet}-`, end))).toEqual(key(kind, name));
      }),
    );
  });

  it.each(['ReplicaSet', 'ReplicationController', 'DaemonSet', 'Job'])('have one key: of a %s', (kind) => {
    fc.assert(
      fc.property(nameUpTo(longestGenerator), randomEnd, (name, end) => {
        expect(key('Pod', generated(`${name}-`, end))).toEqual(key(kind, name));
      }),
    );
  });

  it('have one key: of a DeploymentConfig and its ReplicationControllers', () => {
    fc.assert(
      fc.property(nameUpTo(52), fc.integer({ min: 1, max: 9999 }), randomEnd, (name, version, end) => {
        expect(key('ReplicationController', `${name}-${version}`)).toEqual(key('DeploymentConfig', name));
        expect(key('Pod', generated(`${name}-${version}-`, end))).toEqual(key('DeploymentConfig', name));
      }),
    );
  });

  it('have one key: of a StatefulSet', () => {
    fc.assert(
      fc.property(nameUpTo(58), fc.integer({ min: 0, max: 9999 }), (name, ordinal) => {
        expect(key('Pod', `${name}-${ordinal}`)).toEqual(key('StatefulSet', name));
      }),
    );
  });

  it('have one key: of a CronJob and its Jobs', () => {
    fc.assert(
      fc.property(nameUpTo(52), fc.integer({ min: 27_000_000, max: 39_999_999 }), randomEnd, (name, minutes, end) => {
        expect(key('Job', `${name}-${minutes}`)).toEqual(key('CronJob', name));
        expect(key('Pod', generated(`${name}-${minutes}-`, end))).toEqual(key('CronJob', name));
      }),
    );
  });

  it('have one key: of an indexed Job whose name does not end like a generated one', () => {
    fc.assert(
      fc.property(nameUpTo(48), fc.integer({ min: 0, max: 9999 }), randomEnd, (start, at, end) => {
        const job = `${start}-run`;
        const pod = generated(`${job}-${at}-`, end);
        expect(key('Pod', pod)).toEqual(key('Job', job));
      }),
    );
  });
});

describe('workloadName', () => {
  it.each<[ResourceRef, string | undefined]>([
    [{ kind: 'ReplicaSet', namespace: 'shop', name: 'web-7d9c5b6f4d' }, 'web'],
    [{ kind: 'Pod', namespace: 'shop', name: 'api-7d9c5b6f4d-x2x9z' }, 'api'],
    [{ kind: 'Service', namespace: 'shop', name: 'api' }, 'api'],
    [{ kind: 'Pod', namespace: 'shop' }, undefined],
  ])('of %j is %s', (resource, name) => {
    expect(workloadName(resource)).toBe(name);
  });
});

describe('withoutPodNames', () => {
  it.each<[kind: string, name: string, text: string, result: string]>([
    ['ReplicaSet', 'web-7d9c5b6f4d', 'web-7d9c5b6f4d', 'web'],
    [
      'ReplicaSet',
      'web-7d9c5b6f4d',
      "ReplicaSet/web-7d9c5b6f4d: container 'web-7d9c5b6f4d'.",
      "ReplicaSet/web: container 'web'.",
    ],
    ['ReplicaSet', 'web-7d9c5b6f4d', 'shop/replicaset-web-7d9c5b6f4d.yaml', 'shop/web.yaml'],
    ['ReplicaSet', 'web-7d9c5b6f4d', 'web-7d9c5b6f4d-x2x9z and web-7d9c5b6f4d-kq7bt', 'web and web'],
    [
      'ReplicaSet',
      'web-7d9c5b6f4d',
      'web-7d9c5b6f4d-tls my-web-7d9c5b6f4d web-7d9c5b6f4dx',
      'web-7d9c5b6f4d-tls my-web-7d9c5b6f4d web-7d9c5b6f4dx',
    ],
    ['ReplicaSet', 'web-7d9c5b6f4d', 'web-85b9d4c7f6', 'web-85b9d4c7f6'],
    ['ReplicaSet', 'web-7d9c5b6f4d', '', ''],
    ['ReplicaSet', 'replicaset-7d9c5b6f4d', 'replicaset-7d9c5b6f4d', 'replicaset'],
    [
      'ReplicaSet',
      'my.app-7d9c5b6f4d',
      'is my.app-7d9c5b6f4d. Not a.my.app-7d9c5b6f4d',
      'is my.app. Not a.my.app-7d9c5b6f4d',
    ],
    ['ReplicaSet', 'myxapp-7d9c5b6f4d', 'my.app-7d9c5b6f4d', 'my.app-7d9c5b6f4d'],
    ['ReplicaSet', 'web-v2', 'replicaset-web-v2 web-v2-x2x9z', 'replicaset-web-v2 web-v2-x2x9z'],
    ['Pod', 'api-7d9c5b6f4d-x2x9z', 'pod/api-7d9c5b6f4d-x2x9z of api-7d9c5b6f4d', 'pod/api of api'],
    ['Pod', 'api-7d9c5b6f4d-x2x9z', 'pod-api-7d9c5b6f4d-x2x9z, api-7d9c5b6f4d-kq7bt', 'api, api'],
    ['Pod', 'api-00007-deployment-7d9c5b6f4d-x2x9z', 'api-00007-deployment-7d9c5b6f4d-x2x9z', 'api'],
    [
      'Pod',
      'fluentd-x2x9z',
      'pod-fluentd fluentd fluentd-x2x9z pod-fluentd-kq7bt',
      'pod-fluentd fluentd fluentd fluentd',
    ],
    ['Pod', 'db-0', 'db-0 db-1 db-0-tls pod-db-0', 'db db-1 db-0-tls db'],
    ['Pod', 'train-0-kq7bt', 'train-0-kq7bt', 'train'],
    ['Pod', 'debug', 'pod-debug debug-x2x9z', 'pod-debug debug-x2x9z'],
    ['Pod', `${long(51)}-7d9c5bx2x9z`, `in ${long(51)}-7d9c5bx2x9z`, `in ${long(51)}`],
    ['Job', 'backup-29400000', 'job-backup-29400000 backup-29400000-kq7bt', 'backup backup'],
    ['Pod', 'api-7d9c5b6f4d-x2x9z', '$& ä-api-7d9c5b6f4d-x2x9z', '$& ä-api-7d9c5b6f4d-x2x9z'],
  ])('of %s %s makes %j %j', (kind, name, text, result) => {
    expect(withoutPodNames(text, { kind, namespace: 'shop', name })).toBe(result);
  });

  it.each([undefined, { kind: 'Pod', namespace: 'shop' }])(
    'leaves a text as it is if the name is not known: %j',
    (resource) => {
      expect(withoutPodNames('web-7d9c5b6f4d-x2x9z', resource)).toBe('web-7d9c5b6f4d-x2x9z');
    },
  );

  it('gives a text about two rollouts of one Deployment one form, whatever stands around the names', () => {
    const around = fc.string({ unit: fc.constantFrom(...' /:,\'"()[]\n'), minLength: 1, maxLength: 5 });
    const templates = fc.tuple(templateHash, templateHash);
    fc.assert(
      fc.property(
        nameUpTo(40),
        templates,
        randomEnd,
        fc.array(around, { minLength: 2 }),
        (name, [one, two], end, marks) => {
          const texts = [one, two].map((hash) => {
            const text = marks.map((mark) => `${mark}${name}-${hash}${mark}${name}-${hash}-${end}${mark}`).join('');
            return withoutPodNames(text, { kind: 'ReplicaSet', namespace: 'shop', name: `${name}-${hash}` });
          });
          expect(texts[0]).toBe(texts[1]);
        },
      ),
    );
  });
});
