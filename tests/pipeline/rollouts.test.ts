import { describe, expect, it } from 'vitest';
import trivy from '../../functions/trivy.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { createWorld } from './slot-world.ts';

/** As the hashes of Pod templates are. */
const hashes = ['7d9c5b6f4d', '6c8b4d5f9d', '5b7f4d6c8b', '4d6c8b5f7c', '8f5d7c4b6d', 'bc6d4f8d5c'];
const moreHashes = ['d4c8f6b75b', 'f7b5d8c64c', '9d6b4c8f5d', 'c5f8d7b46b', '6b9d5f4c7d'];

function vulnerability(number: number, tag: string) {
  return {
    vulnerabilityID: `CVE-2099-${10_000 + number}`,
    resource: `package-${number}`,
    installedVersion: '1.0.1-1',
    fixedVersion: '1.0.2-1',
    severity: number % 3 === 0 ? 'CRITICAL' : 'HIGH',
    title: `package-${number}: example flaw`,
    primaryLink: `https://example.com/cve-2099-${10_000 + number}`,
    links: [],
    target: `registry.example.com/shop/web:${tag} (debian 13.1)`,
    score: 9.8,
  };
}

/** A report as Trivy Operator writes it about the ReplicaSet of a Deployment's version. */
function reportOf(hash: string, version: number, at: number, numbers: readonly number[]): KubernetesObject {
  const time = new Date(at).toISOString().replace('.000', '');
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `web-${hash}`, controller: true };
  const object: KubernetesObject = {
    apiVersion: 'aquasecurity.github.io/v1alpha1',
    kind: 'VulnerabilityReport',
    metadata: {
      name: `replicaset-web-${hash}-web`,
      namespace: 'shop',
      uid: `uid-of-${hash}`,
      resourceVersion: String(version + 1),
      creationTimestamp: time,
      labels: {
        'resource-spec-hash': hash,
        'trivy-operator.container.name': 'web',
        'trivy-operator.resource.kind': 'ReplicaSet',
        'trivy-operator.resource.name': `web-${hash}`,
        'trivy-operator.resource.namespace': 'shop',
      },
      ownerReferences: [owner],
    },
  };
  const report = {
    updateTimestamp: time,
    scanner: { name: 'Trivy', vendor: 'Aqua Security', version: '0.60.0' },
    registry: { server: 'registry.example.com' },
    artifact: { repository: 'shop/web', tag: `1.${version}.0`, digest: `sha256:${hash}` },
    os: { family: 'debian', name: '13.1' },
    summary: { criticalCount: 100, highCount: 200 },
    vulnerabilities: numbers.map((number) => vulnerability(number, `1.${version}.0`)),
  };
  return Object.assign(object, { report });
}

function replicaSet(hash: string, replicas: number): KubernetesObject {
  const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', controller: true };
  const metadata = { name: `web-${hash}`, namespace: 'shop', ownerReferences: [owner] };
  return Object.assign({ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata }, { spec: { replicas } });
}

/** A Deployment whose versions come one after another. */
function createDeployment() {
  const world = createWorld({}, trivy);
  const { objects, clock } = world;
  const isOf = (hash: string, { metadata }: KubernetesObject): boolean => metadata.name.includes(hash);

  function remove(kind: string, hash: string): void {
    objects.all.splice(0, Infinity, ...objects.all.filter((one) => one.kind !== kind || !isOf(hash, one)));
  }

  return {
    ...world,
    async release(version: number, hash: string, numbers: readonly number[]): Promise<void> {
      objects.all.push(replicaSet(hash, 1));
      const report = reportOf(hash, version, clock.now, numbers);
      objects.all.push(report);
      await world.event(report);
    },
    scaleDown(hash: string): void {
      remove('ReplicaSet', hash);
      objects.all.push(replicaSet(hash, 0));
    },
    removeReport: (hash: string): void => remove('VulnerabilityReport', hash),
    writes: (): readonly string[] => world.calls.filter((call) => ['create', 'patch', 'delete'].includes(call)),
    async count(): Promise<Readonly<Record<string, number>>> {
      const counts: Record<string, number> = {};
      for (const { state = '' } of await world.seen()) counts[state] = (counts[state] ?? 0) + 1;
      return counts;
    },
  };
}

const all = Array.from({ length: 300 }, (_, number) => number);

describe('rollouts of a Deployment', () => {
  it('write nothing as long as its vulnerabilities are the same', async () => {
    const [first = '', ...others] = [...hashes, ...moreHashes];
    const deployment = createDeployment();
    await deployment.release(0, first, all);
    await deployment.pass();
    expect(await deployment.count()).toEqual({ open: 300 });
    deployment.calls.length = 0;
    let before = first;
    for (const [index, hash] of others.entries()) {
      deployment.later(120);
      await deployment.release(index + 1, hash, all.toReversed());
      expect(await deployment.count()).toEqual({ open: 300 });
      deployment.later(30);
      await deployment.pass();
      deployment.scaleDown(before);
      await deployment.pass();
      deployment.removeReport(before);
      deployment.later(61);
      await deployment.pass();
      expect(await deployment.count()).toEqual({ open: 300 });
      before = hash;
    }
    expect(others).toHaveLength(10);
    expect(deployment.writes()).toEqual([]);
    expect((await deployment.seen()).every(({ details }) => !JSON.stringify(details).includes(first))).toBe(true);
  });

  it('close what the new image fixes once no old Pod runs', async () => {
    const [before = '', after = ''] = hashes;
    const deployment = createDeployment();
    await deployment.release(0, before, all);
    deployment.later(60);
    await deployment.release(1, after, all.slice(100));
    await deployment.pass();
    expect(await deployment.count()).toEqual({ open: 300 });
    deployment.scaleDown(before);
    deployment.calls.length = 0;
    await deployment.pass();
    expect(await deployment.count()).toEqual({ open: 200, missing: 100 });
    expect(deployment.writes()).toEqual(Array.from({ length: 100 }, () => 'patch'));
  });
});
