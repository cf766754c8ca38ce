import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { findControllers, findKnative } from './binaries.ts';
import { type Cluster, hasKubectl, startCluster } from './cluster.ts';
import { controlPlaneUsers, skipWithoutControlPlane, startControlPlane } from './control-plane.ts';
import { startReadyFunction } from './functions.ts';
import { skipWithoutKnative, startKnative } from './knative.ts';
import { reportCrds } from './report-crds.ts';
import { oldManifests } from './version-0.1.0-manifests.ts';

const overlays = join(import.meta.dirname, '..', '..', 'knative', 'overlays');
const services = '/apis/serving.knative.dev/v1/namespaces/zen-system/services';
const sources = (namespace: string): string => `/apis/sources.knative.dev/v1/namespaces/${namespace}/apiserversources`;

/** The name of an overlay, or manifests. */
type Applied = string | readonly Manifest[];

/** The flags by which kubectl finds them. */
function flagsOf(applied: Applied): string[] {
  if (typeof applied === 'string') return ['-k', join(overlays, applied)];
  const file = join(temporaryFolder(), 'manifests.yaml');
  writeFileSync(file, applied.map((manifest) => stringify(manifest)).join('---\n'));
  return ['-f', file];
}

function built(overlay: string): string {
  return execFileSync('kubectl', ['kustomize', join(overlays, overlay)], { encoding: 'utf8' });
}

/** From each of these to each other one. */
const rounds = [
  ...['default', 'production', 'default', 'kafka', 'production', 'constrained', 'kafka'],
  ...['default', 'constrained', 'production', 'kafka', 'constrained', 'default'],
];

/**
 * What kubectl, the API server, its controllers and Knative's webhooks make of what an operator types. Who owns which field
 * is decided there: nothing may need --force-conflicts, but what is said to.
 */
const isSkipped = skipWithoutControlPlane() || skipWithoutKnative() || !hasKubectl();

describe.skipIf(isSkipped)("with Knative's webhooks", { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let kubeconfig = '';
  let knative: Awaited<ReturnType<typeof startKnative>>;
  let controlPlane: ReturnType<typeof startControlPlane>;

  /** Throws with what kubectl says of each object that it could not deal with. */
  async function run(...args: string[]): Promise<string> {
    const flags = ['--kubeconfig', kubeconfig, ...args];
    const { promise, resolve } = Promise.withResolvers<{ stdout: string; stderr: string }>();
    execFile('kubectl', flags, { maxBuffer: 67_108_864 }, (_error, stdout, stderr) => resolve({ stdout, stderr }));
    const { stdout, stderr } = await promise;
    const faults = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Warning: '));
    if (faults.length > 0) throw new Error(faults.join('\n'));
    return stdout;
  }

  const apply = (applied: Applied, ...flags: string[]): Promise<string> =>
    run('apply', '--server-side', ...flagsOf(applied), ...flags);

  /** What another apply would change. */
  const diff = (applied: Applied): Promise<string> => run('diff', '--server-side', ...flagsOf(applied));

  /** What there is of ours, in the whole cluster or in one namespace. */
  async function left(namespace?: string): Promise<string[]> {
    const [kindFlag, place] = namespace === undefined ? [[], ['-A']] : [['--namespaced'], ['-n', namespace]];
    const kinds = (await run('api-resources', '--verbs=list', '-o', 'name', ...kindFlag)).trim().split('\n');
    const selected = ['-l', 'app.kubernetes.io/part-of=zen-watcher', '-o', 'name', '--ignore-not-found'];
    return (await run('get', kinds.join(','), ...place, ...selected)).split('\n').filter((line) => line !== '');
  }

  async function webhook(): Promise<string> {
    return JSON.stringify((await cluster.request('GET', `${services}/webhook`)).body);
  }

  /** As Eventing does once the Broker is ready. */
  async function setBrokerAddress(): Promise<void> {
    const path = '/apis/eventing.knative.dev/v1/namespaces/zen-system/brokers/zen-watcher/status';
    const address = { url: 'http://broker-ingress.knative-eventing.svc.cluster.local/zen-system/zen-watcher' };
    const contentType = 'application/merge-patch+json';
    expect((await cluster.request('PATCH', path, { status: { address } }, { contentType })).status).toBe(200);
  }

  beforeAll(async () => {
    // Builds them, if need be, before anything runs beside that.
    findControllers();
    findKnative();
    cluster = await startCluster({ users: controlPlaneUsers.map((name) => ({ name })) });
    kubeconfig = cluster.kubeconfig();
    controlPlane = startControlPlane(cluster);
    knative = await startKnative(cluster);
    await cluster.apply(reportCrds);
    await cluster.namespace('tenant-a');
  }, 1_800_000);

  afterAll(async () => {
    await knative.stop();
    await controlPlane.stop();
    await cluster.stop();
  });

  describe('version 0.1.0', () => {
    const manifests = isSkipped ? [] : parseAllDocuments(built('default')).map((document) => document.toJS());
    const old = oldManifests(manifests);

    it('is installed, and its SinkBinding writes into the Service', async () => {
      await apply(old);
      await setBrokerAddress();
      await until('webhook is bound', async () => (await webhook()).includes('K_SINK'));
      await expect(apply(old)).rejects.toThrow('conflict with "eventing-webhook"');
    });

    const takeOver = async (): Promise<void> => {
      await apply('default', '--force-conflicts');
      expect(await webhook()).toContain('K_SINK');
      await run('delete', 'sinkbinding', 'webhook', '-n', 'zen-system', '--timeout=60s');
      expect(await webhook()).not.toContain('K_SINK');
      await apply('default', '--force-conflicts');
    };

    it('is taken over, and from then on nothing conflicts', async () => {
      await takeOver();
      await apply('default');
      expect(await diff('default')).toBe('');
    });

    it("is gone back to, once each Service has an annotation that is nobody else's", async () => {
      await expect(apply(old)).rejects.toThrow('annotation value is immutable');
      await run('annotate', 'ksvc', '--all', '-n', 'zen-system', '--overwrite', 'zen.kube-zen.io/rollback=0.1.0');
      await apply(old, '--force-conflicts');
      await until('webhook is bound', async () => (await webhook()).includes('K_SINK'));
      expect(await webhook()).toContain('zen-watcher:old');
      await takeOver();
      await apply('default');
      expect(await diff('default')).toBe('');
    });
  });

  it('every overlay follows every other', async () => {
    for (const overlay of rounds) {
      await apply(overlay);
      expect(await diff(overlay), overlay).toBe('');
    }
  });

  it('whoever may view a namespace may read our kinds there, and change none', async () => {
    await run('create', 'rolebinding', 'viewer', '-n', 'tenant-a', '--clusterrole=view', '--user=viewer');
    const may = async (verb: string, plural: string): Promise<boolean> => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: 'viewer',
          resourceAttributes: { namespace: 'tenant-a', verb, group: 'zen.kube-zen.io', resource: plural },
        },
      };
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
      return (await cluster.request('POST', path, review)).body.status.allowed;
    };
    for (const plural of ['observations', 'observationfilters', 'observationmappings', 'ingesters']) {
      await until(`view covers ${plural}`, async () => may('list', plural));
      expect([await may('get', plural), await may('delete', plural)]).toEqual([true, false]);
    }
    await run('delete', 'rolebinding', 'viewer', '-n', 'tenant-a');
  });

  it('what an overlay leaves behind is found by its label', async () => {
    await apply('production');
    await apply('default');
    const before = (await left()).length;
    await run('delete', 'pdb', '-n', 'zen-system', '-l', 'app.kubernetes.io/part-of=zen-watcher');
    await run('delete', 'flowschema,prioritylevelconfiguration', '-l', 'app.kubernetes.io/part-of=zen-watcher');
    expect(before - (await left()).length).toBe(5);
    await apply('default');
    expect(await diff('default')).toBe('');
  });

  it('nothing of default, production and kafka is left once they are deleted, and production comes again', async () => {
    await apply('kafka');
    await apply('production');
    await run('delete', '-k', join(overlays, 'kafka'), '--ignore-not-found', '--timeout=120s');
    await run('delete', '-k', join(overlays, 'production'), '--ignore-not-found', '--timeout=120s');
    expect(await left()).toEqual([]);
    await run('create', 'namespace', 'zen-system');
    await run('create', 'secret', 'generic', 'zen-watcher-webhook', '-n', 'zen-system', '--from-literal=token=t');
    await apply('production');
    await apply('production');
    expect(await diff('production')).toBe('');
  });

  it("nothing of a tenant's is left once it is deleted, neither what its sources has made", async () => {
    await run('apply', '--server-side', '-k', join(overlays, '..', '..', 'crds'));
    await apply('namespaced');
    await apply('namespaced');
    expect(await diff('namespaced')).toBe('');
    const account = '/api/v1/namespaces/tenant-a/serviceaccounts/sources/token';
    const { body } = await cluster.request('POST', account, { spec: { expirationSeconds: 3600 } });
    const program = await startReadyFunction('sources', {
      server: cluster.server,
      folder: cluster.mount('sources', body.status.token),
      environment: { WATCH_NAMESPACE: 'tenant-a' },
    });
    const namesOf = async (): Promise<string[]> =>
      (await cluster.request('GET', sources('tenant-a'))).body.items.map(
        ({ metadata }: { metadata: { name: string } }) => metadata.name,
      );
    const made = ['kyverno-wgpolicyk8s-io', 'trivy-aquasecurity-github-io'];
    await until('sources has made some', async () => {
      const names = await namesOf();
      return made.every((name) => names.includes(name));
    });
    await program.stop();
    await run('delete', '-k', join(overlays, 'namespaced'), '--timeout=120s');
    await until('they are gone, too', async () => (await namesOf()).length === 0);
    expect(await left('tenant-a')).toEqual([]);
  });
});
