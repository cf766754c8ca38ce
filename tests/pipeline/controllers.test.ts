import { describe, expect, it } from 'vitest';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject, Owners } from '../../shared/function/stores.ts';
import { type ControllersOptions, createControllers } from '../../shared/pipeline/controllers.ts';
import { createTestContext, createTestObjects, handled, ping, type TestContextOptions } from './test-context.ts';
import { aFinding, anObject, boxes, events, found } from './test-sources.ts';

const minute = 60_000;

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
}

/** An object with the owner `apiVersion/kind name` as its controller, or with these owners. */
function owned(apiVersion: string, kind: string, name: string, owners: string | readonly Owner[] = []) {
  const [, ownerVersion = '', ownerKind = '', ownerName = ''] = /^(\S+)\/(\S+) (\S+)$/.exec(String(owners)) ?? [];
  const controller = { apiVersion: ownerVersion, kind: ownerKind, name: ownerName, controller: true };
  const ownerReferences = typeof owners === 'string' ? [controller] : owners;
  return { apiVersion, kind, metadata: { name, namespace: 'shop', ownerReferences } };
}

const cluster: readonly KubernetesObject[] = [
  owned('v1', 'Pod', 'web-7d9c5b6f4d-x2x9z', 'apps/v1/ReplicaSet web-7d9c5b6f4d'),
  owned('v1', 'Pod', 'web-7d9c5b6f4d-kq7bt', 'apps/v1/ReplicaSet web-7d9c5b6f4d'),
  owned('apps/v1', 'ReplicaSet', 'web-7d9c5b6f4d', 'apps/v1/Deployment web'),
  owned('apps/v1', 'ReplicaSet', 'canary-85b9d4c7f6', 'argoproj.io/v1alpha1/Rollout canary'),
  owned('apps/v1', 'ReplicaSet', 'bare'),
  owned('v1', 'Pod', 'bare-x2x9z', 'apps/v1/ReplicaSet bare'),
  owned('v1', 'Pod', 'db-0', 'apps/v1/StatefulSet db'),
  owned('v1', 'Pod', 'fluentd-x2x9z', 'apps/v1/DaemonSet fluentd'),
  owned('batch/v1', 'Job', 'backup-29400000', 'batch/v1/CronJob backup'),
  owned('v1', 'Pod', 'backup-29400000-kq7bt', 'batch/v1/Job backup-29400000'),
  owned('v1', 'Pod', 'migrate-vw2lk', 'batch/v1/Job migrate'),
  owned('batch/v1', 'Job', 'migrate'),
  owned('v1', 'ReplicationController', 'cart-2', 'apps.openshift.io/v1/DeploymentConfig cart'),
  owned('v1', 'Pod', 'cart-2-x2x9z', 'v1/ReplicationController cart-2'),
  owned('v1', 'Pod', 'static-node-1', 'v1/Node node-1'),
  owned('v1', 'Pod', 'debug'),
  owned('v1', 'Pod', 'broker-0', 'core.strimzi.io/v1beta2/StrimziPodSet broker'),
  owned('v1', 'Pod', 'other-x2x9z', 'example.com/v1/ReplicaSet other'),
  owned('apps/v1', 'ReplicaSet', 'of-a-tool', 'example.com/v1/Deployment tool'),
  owned('v1', 'Pod', 'orphan-x2x9z', 'apps/v1/ReplicaSet gone'),
  owned('v1', 'Pod', 'two-owners', [
    { apiVersion: 'example.com/v1', kind: 'Backup', name: 'b' },
    { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'no', controller: false },
    { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'yes', controller: true },
  ]),
  owned('v1', 'Pod', 'no-controller', [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'no' }]),
  owned('apps/v1', 'ReplicaSet', 'circle', 'batch/v1/Job circle'),
  owned('batch/v1', 'Job', 'circle', 'apps/v1/ReplicaSet circle'),
];

const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };

function inShop(kind: string, name: string): ResourceRef {
  return { kind, namespace: 'shop', name };
}

/** Controllers of the objects above, and what was asked for. */
function createWorld(options: Partial<ControllersOptions> = {}) {
  const objects = createTestObjects();
  objects.all.push(...cluster);
  const clock = { now: 0 };
  const asked: string[] = [];
  const { owners = objects } = options;
  const controllers = createControllers({
    elapsed: () => clock.now,
    limited: (work) => work(new AbortController().signal),
    ...options,
    owners: {
      controllerOf(resource, namespace, name, signal) {
        asked.push(`${resource.plural} ${name}`);
        return owners.controllerOf(resource, namespace, name, signal);
      },
    },
  });
  return { ...controllers, objects, clock, asked };
}

describe('the controller', () => {
  it.each<[kind: string, name: string, apiVersion: string, controller: string, of: string]>([
    ['Pod', 'web-7d9c5b6f4d-x2x9z', 'apps/v1', 'Deployment', 'web'],
    ['ReplicaSet', 'web-7d9c5b6f4d', 'apps/v1', 'Deployment', 'web'],
    ['ReplicaSet', 'canary-85b9d4c7f6', 'argoproj.io/v1alpha1', 'Rollout', 'canary'],
    ['Pod', 'bare-x2x9z', 'apps/v1', 'ReplicaSet', 'bare'],
    ['Pod', 'db-0', 'apps/v1', 'StatefulSet', 'db'],
    ['Pod', 'fluentd-x2x9z', 'apps/v1', 'DaemonSet', 'fluentd'],
    ['Job', 'backup-29400000', 'batch/v1', 'CronJob', 'backup'],
    ['Pod', 'backup-29400000-kq7bt', 'batch/v1', 'CronJob', 'backup'],
    ['Pod', 'migrate-vw2lk', 'batch/v1', 'Job', 'migrate'],
    ['ReplicationController', 'cart-2', 'apps.openshift.io/v1', 'DeploymentConfig', 'cart'],
    ['Pod', 'cart-2-x2x9z', 'apps.openshift.io/v1', 'DeploymentConfig', 'cart'],
    ['Pod', 'two-owners', 'apps/v1', 'DaemonSet', 'yes'],
  ])('of %s %s is %s %s %s', async (kind, name, apiVersion, controller, of) => {
    expect(await createWorld().of(inShop(kind, name))).toEqual({ ...inShop(controller, of), apiVersion });
  });

  it.each([
    ['ReplicaSet', 'bare'],
    ['Job', 'migrate'],
    ['Pod', 'static-node-1'],
    ['Pod', 'debug'],
    ['Pod', 'broker-0'],
    ['Pod', 'other-x2x9z'],
    ['ReplicaSet', 'of-a-tool'],
    ['Pod', 'no-controller'],
    ['ReplicaSet', 'circle'],
  ])('of %s %s is itself', async (kind, name) => {
    const world = createWorld();
    expect(await world.of(inShop(kind, name))).toEqual(inShop(kind, name));
    const known = {
      ...inShop(kind, name),
      apiVersion: kind === 'ReplicaSet' ? 'apps/v1' : kind === 'Job' ? 'batch/v1' : 'v1',
    };
    expect(await world.of(known)).toEqual(known);
    expect(world.asked).toHaveLength(1);
  });

  it.each([
    ['there is no such Pod', inShop('Pod', 'web-7d9c5b6f4d-zzzzz')],
    ['its ReplicaSet is gone', inShop('Pod', 'orphan-x2x9z')],
    ['it is another one of that name', { ...inShop('Pod', 'debug'), namespace: 'pay' }],
  ])('is not known if %s', async (_case, resource) => {
    expect(await createWorld().of(resource)).toBeUndefined();
  });

  it.each<[string, ResourceRef]>([
    ['no name', { kind: 'Pod', namespace: 'shop' }],
    ['no namespace', { kind: 'Pod', name: 'debug' }],
    ['a name that leads elsewhere', inShop('Pod', '..')],
    ['a name that leads further', inShop('Pod', 'debug/log')],
    ['a name with a query', inShop('Pod', 'debug?x')],
    ['a name that is too long', inShop('Pod', 'a'.repeat(254))],
    ['a namespace that leads elsewhere', { ...inShop('Pod', 'debug'), namespace: '..' }],
    ['a namespace that ends elsewhere', { ...inShop('Pod', 'debug'), namespace: 'shop/..' }],
    ['a namespace that begins elsewhere', { ...inShop('Pod', 'debug'), namespace: '../shop' }],
  ])('is not asked for with %s', async (_case, resource) => {
    const world = createWorld();
    expect(await world.of(resource)).toBeUndefined();
    expect(world.asked).toEqual([]);
  });

  it('is asked for however short the names are', async () => {
    const world = createWorld();
    await world.of({ kind: 'Pod', namespace: 's', name: 'p' });
    expect(world.asked).toEqual(['pods p']);
  });

  it.each<ResourceRef>([
    deployment,
    inShop('StatefulSet', 'db'),
    inShop('Service', 'web'),
    { kind: 'Node', name: 'node-1' },
    { ...inShop('Job', 'migrate'), apiVersion: 'batch.volcano.sh/v1alpha1' },
    { apiVersion: 'v1', kind: 'ReplicaSet', namespace: 'shop', name: 'web-7d9c5b6f4d' },
  ])('of a resource that has none is itself, and not asked for: %j', async (resource) => {
    const world = createWorld();
    expect(await world.of(resource)).toBe(resource);
    expect(world.asked).toEqual([]);
  });
});

describe('a look-up', () => {
  const one = inShop('Pod', 'web-7d9c5b6f4d-x2x9z');
  const other = inShop('Pod', 'web-7d9c5b6f4d-kq7bt');

  it('is made once for each object, even if many ask at once', async () => {
    const world = createWorld();
    const answers = await Promise.all([one, other, one, other, inShop('ReplicaSet', 'web-7d9c5b6f4d')].map(world.of));
    expect(answers).toEqual(answers.map(() => deployment));
    expect(world.asked.toSorted()).toEqual([
      'pods web-7d9c5b6f4d-kq7bt',
      'pods web-7d9c5b6f4d-x2x9z',
      'replicasets web-7d9c5b6f4d',
    ]);
  });

  it.each([
    ['is known', 'bare', 5],
    ['is not known', 'unknown', 1],
  ])('is made again after some minutes: what %s', async (_case, name, minutes) => {
    const world = createWorld();
    const ask = async () => {
      await world.of(inShop('ReplicaSet', name));
      return world.asked.length;
    };
    expect(await ask()).toBe(1);
    world.clock.now += minutes * minute - 1;
    expect(await ask()).toBe(1);
    world.clock.now += 1;
    expect(await ask()).toBe(2);
  });

  it('is forgotten when there are too many others', async () => {
    const world = createWorld();
    const ask = (name: string) => world.of(inShop('ReplicaSet', name));
    await ask('bare');
    for (let index = 1; index < 2000; index += 1) await ask(`r${index}`);
    await ask('bare');
    expect(world.asked).toHaveLength(2000);
    await ask('one-more');
    await ask('r1999');
    expect(world.asked).toHaveLength(2001);
    await ask('bare');
    expect(world.asked).toHaveLength(2002);
  });

  it('that was made again is not the first to be forgotten', async () => {
    const world = createWorld();
    const ask = (name: string) => world.of(inShop('ReplicaSet', name));
    await ask('bare');
    for (let index = 1; index < 2000; index += 1) await ask(`r${index}`);
    world.clock.now += 5 * minute;
    for (const name of ['bare', 'one-more', 'bare']) await ask(name);
    expect(world.asked).toHaveLength(2002);
  });

  it('that gets no answer leaves what is known, and is not repeated by all others for half a minute', async () => {
    let isAway = false;
    const objects = createTestObjects();
    objects.all.push(...cluster);
    const owners: Owners = {
      async controllerOf(...args) {
        if (isAway) throw new Refusal(503, 'the API server can not be reached');
        return objects.controllerOf(...args);
      },
    };
    const world = createWorld({ owners });
    expect(await world.of(one)).toEqual(deployment);
    isAway = true;
    expect(await world.of(inShop('Pod', 'db-0'))).toBeUndefined();
    isAway = false;
    world.clock.now += 29_999;
    expect(await world.of(inShop('Pod', 'db-0'))).toBeUndefined();
    expect(await world.of(inShop('Pod', 'debug'))).toBeUndefined();
    expect(await world.of(one)).toEqual(deployment);
    expect(world.asked).toHaveLength(3);
    world.clock.now += 1;
    expect(await world.of(inShop('Pod', 'db-0'))).toMatchObject({ kind: 'StatefulSet', name: 'db' });
    expect(await world.of(inShop('Pod', 'debug'))).toEqual(inShop('Pod', 'debug'));
  });

  it('has a time limit, whatever it waits for', async () => {
    const world = createWorld({
      owners: { controllerOf: () => new Promise(() => undefined) },
      limited: (work) => Promise.race([work(new AbortController().signal), Promise.reject(new Error('too late'))]),
    });
    expect(await world.of(one)).toBeUndefined();
    expect(await world.of(other)).toBeUndefined();
    expect(world.asked).toHaveLength(1);
  });
});

const aboutPod = { resource: { apiVersion: 'v1', ...inShop('Pod', 'web-7d9c5b6f4d-x2x9z') } };

/** A context with the objects above, which counts look-ups. */
function createContext(options: TestContextOptions = {}, definition = boxes) {
  const test = createTestContext(definition, options);
  test.objects.all.push(...cluster);
  const { controllerOf } = test.objects;
  const asked: string[] = [];
  test.objects.controllerOf = (resource, namespace, name, signal) => {
    asked.push(`${resource.plural} ${name}`);
    return controllerOf(resource, namespace, name, signal);
  };
  return { ...test, asked };
}

async function stored({ store }: Pick<ReturnType<typeof createContext>, 'store'>) {
  return (await store.read({ limit: 100 })).items;
}

describe('what is written', () => {
  it('shows the controller, and is found by the workload that was reported', async () => {
    const test = createContext();
    test.objects.all.push(
      anObject('a', { findings: [aFinding('a', aboutPod), aFinding('b', { resource: deployment })] }),
      anObject('b', { findings: [aFinding('c', { resource: inShop('Pod', 'unknown') })] }),
    );
    await handled(boxes, ping, test.context);
    const items = await stored(test);
    const shown = Object.fromEntries(items.map(({ spec }) => [spec.details.id, spec.resource]));
    expect(shown).toEqual({ a: deployment, b: deployment, c: inShop('Pod', 'unknown') });
    const workloads = items
      .filter(({ spec }) => spec.details.id !== 'c')
      .map(({ metadata }) => metadata.labels['zen.kube-zen.io/workload']);
    expect(new Set(workloads).size).toBe(1);
  });

  it('is asked for once a resource, and not again for what is stored', async () => {
    const test = createContext();
    const findings = Array.from({ length: 50 }, (_, index) => aFinding(`f${index}`, aboutPod));
    test.objects.all.push(anObject('a', { findings }));
    await handled(boxes, ping, test.context);
    expect(test.asked).toEqual(['pods web-7d9c5b6f4d-x2x9z', 'replicasets web-7d9c5b6f4d']);
    test.clock.now += 30 * minute;
    await handled(boxes, ping, test.context);
    expect(test.asked).toHaveLength(2);
  });

  it('shows the Pod of an event, and asks for nothing', async () => {
    const test = createContext({}, events);
    await handled(events, found([aFinding('a', aboutPod)]), test.context);
    expect((await stored(test)).map(({ spec }) => spec.resource)).toEqual([aboutPod.resource]);
    expect(test.asked).toEqual([]);
  });

  it('shows what was reported if the look-up fails, and nothing else does', async () => {
    const test = createContext();
    test.objects.controllerOf = async () => {
      throw new Refusal(503, 'the API server can not be reached');
    };
    test.objects.all.push(anObject('a', { findings: [aFinding('a', aboutPod)] }));
    expect(await handled(boxes, ping, test.context)).toMatchObject({ created: [{ count: 1 }] });
    expect((await stored(test)).map(({ spec }) => spec.resource)).toEqual([aboutPod.resource]);
  });

  it('keeps a controller that is known when what it says changes and the look-up fails', async () => {
    const test = createContext();
    const { controllerOf } = test.objects;
    const report = (message: string, isAway: boolean) => {
      test.clock.now += 6 * minute;
      test.objects.controllerOf = isAway
        ? async () => {
            throw new Refusal(503, 'the API server can not be reached');
          }
        : controllerOf;
      const object = anObject('a', { findings: [aFinding('a', { ...aboutPod, details: { message } })] });
      test.objects.all.splice(cluster.length, 1, object);
      return handled(boxes, ping, test.context);
    };
    const says = async () => (await stored(test)).map(({ spec: { resource, details } }) => [details.message, resource]);
    await report('first', true);
    expect(await says()).toEqual([['first', aboutPod.resource]]);
    await report('second', false);
    expect(await says()).toEqual([['second', deployment]]);
    await report('third', true);
    expect(await says()).toEqual([['third', deployment]]);
  });
});
