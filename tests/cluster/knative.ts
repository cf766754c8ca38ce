import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { atEnd } from '../host/at-end.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { applyManifest, pathOf } from '../knative/apply.ts';
import { findKnative, knativeUnavailable } from './binaries.ts';
import { type Cluster, freePort, skipWithoutCluster } from './cluster.ts';

/** Whether to skip a suite because Knative's webhooks can't run here; says so in one line. In CI it throws instead. */
export function skipWithoutKnative(): boolean {
  if (skipWithoutCluster()) return true;
  const reason = knativeUnavailable();
  if (reason === undefined) return false;
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}

/** The manifests in a folder of Knative's source. */
function manifestsIn(folder: string): Manifest[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith('.yaml'))
    .flatMap(({ name }) => parseAllDocuments(readFileSync(join(folder, name), 'utf8')))
    .map((document) => document.toJS())
    .filter((manifest) => manifest?.kind !== undefined);
}

/** Has webhooks of a Service be called at this port, wherever they are named. */
function atPort(value: unknown, port: number): unknown {
  if (Array.isArray(value)) return value.map((item) => atPort(item, port));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]): [string, unknown] =>
    key === 'clientConfig' ? [key, { ...member, service: { ...member.service, port } }] : [key, atPort(member, port)],
  );
  return Object.fromEntries(entries);
}

interface Part {
  readonly namespace: string;
  readonly webhook: string;
  readonly binary: string;
  readonly manifests: readonly Manifest[];
}

function partsOf(): Part[] {
  const { eventing, serving, eventingWebhook, servingWebhook } = findKnative();
  const from = (source: string, folders: readonly string[]): Manifest[] =>
    folders.flatMap((folder) => manifestsIn(join(source, 'config', 'core', folder)));
  return [
    {
      namespace: 'knative-eventing',
      webhook: 'eventing-webhook',
      binary: eventingWebhook,
      manifests: from(eventing, ['resources', 'configmaps', 'webhooks']),
    },
    {
      namespace: 'knative-serving',
      webhook: 'webhook',
      binary: servingWebhook,
      manifests: from(serving, ['300-resources', 'configmaps', 'webhooks']),
    },
  ];
}

/**
 * The real webhooks of Knative Eventing and Serving, with Knative's CRDs: they judge, complete and bind what is applied.
 * Without Knative's controllers nothing else becomes of it, so the status of a Broker is the test's to write.
 */
export async function startKnative(cluster: Cluster): Promise<{ stop(): Promise<void> }> {
  const running = new Set<ChildProcess>();
  const hasEnded = atEnd(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  for (const part of partsOf()) running.add(await startPart(cluster, part));
  return {
    async stop() {
      const exits = [...running].map((child) => once(child, 'exit'));
      for (const child of running) child.kill('SIGKILL');
      await Promise.all(exits);
      hasEnded();
    },
  };
}

async function startPart(cluster: Cluster, { namespace, webhook, binary, manifests }: Part): Promise<ChildProcess> {
  const port = await freePort();
  await cluster.namespace(namespace);
  // There is no network of Pods here: the API server finds the webhook by a name of this machine.
  const service = { type: 'ExternalName', externalName: 'localhost' };
  await applyManifest(cluster, {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: webhook, namespace }, spec: service },
  });
  for (const manifest of manifests)
    await applyManifest(cluster, Object.assign({}, atPort(manifest, port) as Manifest), false);
  const log = openSync(join(temporaryFolder(), `${webhook}.log`), 'a');
  const environment = {
    ...{ SYSTEM_NAMESPACE: namespace, POD_NAME: webhook, WEBHOOK_NAME: webhook, WEBHOOK_PORT: String(port) },
    ...{ CONFIG_LOGGING_NAME: 'config-logging', CONFIG_OBSERVABILITY_NAME: 'config-observability' },
    ...{ PROFILING_PORT: String(await freePort()), METRICS_PROMETHEUS_PORT: String(await freePort()) },
    KNATIVE_HEALTH_PROBES_PORT: String(await freePort()),
  };
  const child = spawn(binary, ['--kubeconfig', cluster.kubeconfig()], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...environment },
  });
  const configurations = manifests.filter(({ kind }) => kind.endsWith('WebhookConfiguration'));
  for (const configuration of configurations) {
    const path = pathOf(configuration);
    await until(`${configuration.metadata.name} knows its certificate`, async () => {
      const { body } = await cluster.request('GET', path);
      return body.webhooks.every(({ clientConfig }: { clientConfig: { caBundle?: string } }) => clientConfig.caBundle);
    });
  }
  return child;
}
