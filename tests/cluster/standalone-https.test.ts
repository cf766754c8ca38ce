import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../bench/measure.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { selfSigned } from '../transport/certificate.ts';
import { type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { installStandalone, namesIn, senderToken, startReadyStandalone } from './standalone.ts';

const policyFile = join(import.meta.dirname, '..', '..', 'knative', 'audit-policy.yaml');

/** The kubeconfig of knative/STANDALONE.md, for a Service at this address, with its files in this folder. */
function webhookConfig(port: number, files: string): string {
  const name = 'zen-watcher';
  const cluster = {
    server: `https://127.0.0.1:${port}/audit/webhook`,
    'tls-server-name': 'localhost',
    'certificate-authority': join(files, 'cert.pem'),
  };
  return JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': name },
    clusters: [{ name, cluster }],
    users: [{ name, user: { tokenFile: join(files, 'token') } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}

describe.skipIf(skipWithoutCluster())('standalone mode, over https', { timeout: 600_000 }, () => {
  let cluster: Cluster | undefined;

  afterAll(() => cluster?.stop());

  it('takes what a real kube-apiserver posts, which signs in with its token', async () => {
    const [files, port] = [temporaryFolder(), await freePort()];
    selfSigned(files);
    writeFileSync(join(files, 'token'), senderToken);
    writeFileSync(join(files, 'webhook.json'), webhookConfig(port, files));
    cluster = await startCluster({
      apiServerFlags: [
        ...[`--audit-policy-file=${policyFile}`, `--audit-webhook-config-file=${join(files, 'webhook.json')}`],
        ...['--audit-webhook-batch-max-wait=200ms', '--audit-webhook-initial-backoff=500ms'],
      ],
      users: [{ name: 'mallory' }],
    });
    const here = cluster;
    const folder = await installStandalone(here);
    await here.namespace('shop');
    const environment = {
      TLS_CERT_FILE: join(files, 'cert.pem'),
      TLS_KEY_FILE: join(files, 'key.pem'),
      TLS_PORT: String(port),
    };
    const program = await startReadyStandalone({ server: here.server, folder, environment });
    const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const { status } = await here.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'far-too-much' },
      roleRef: role,
      subjects: [{ apiGroup: role.apiGroup, kind: 'User', name: 'mallory' }],
    });
    expect(status).toBe(201);
    await until('it is stored', async () => (await namesIn(here, 'zen.kube-zen.io/source=audit')).length > 0);
    expect(await program.stop()).toBe(0);
  });
});
