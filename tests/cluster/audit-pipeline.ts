import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import audit from '../../functions/audit.ts';
import { type Program, type ShownObservation, temporaryFolder } from '../host/program.ts';
import { applyCrds, type Cluster, type ClusterUser, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { applyTriggers } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { startBroker } from './senders.ts';

export type AuditObservation = ShownObservation & {
  readonly spec: {
    readonly severity: string;
    readonly summary: string;
    readonly actor?: { readonly username: string };
    readonly details: Readonly<Record<string, unknown>>;
  };
};

/** A real API server whose audit webhook leads, as on Knative, to `webhook`, a Broker and `audit`, which stores there. */
export interface AuditPipeline {
  readonly cluster: Cluster;
  /** The bodies that the API server has posted. */
  readonly posted: readonly string[];
  /** The events that `webhook` has published. */
  readonly published: readonly string[];
  readonly programs: readonly Program[];
  /** What `audit` has stored. */
  findings(): Promise<AuditObservation[]>;
  stop(): Promise<void>;
}

/** Passes on what is posted to it, once it knows where to; until then it answers 503, and the sender tries again. */
async function startForwarder(keep: string[]) {
  let target: string | undefined;
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      const headers = { 'content-type': incoming.headers['content-type'] ?? 'application/json' };
      if (target === undefined) return void outgoing.writeHead(503).end();
      keep.push(body);
      outgoing.writeHead((await postTo(target + incoming.url, headers, body)) || 503).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    leadTo(url: string) {
      target = url;
    },
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The flags for an audit Policy and the webhook that events are posted to. */
export function auditFlags(policyFile: string, url: string): string[] {
  const file = join(temporaryFolder(), 'webhook.json');
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'zen-watcher' },
    clusters: [{ name: 'zen-watcher', cluster: { server: `${url}/audit/webhook` } }],
    contexts: [{ name: 'zen-watcher', context: { cluster: 'zen-watcher', user: '' } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return [
    ...[`--audit-policy-file=${policyFile}`, `--audit-webhook-config-file=${file}`],
    ...['--audit-webhook-batch-max-wait=200ms', '--audit-webhook-initial-backoff=500ms'],
  ];
}

export async function startAuditPipeline(options: {
  readonly policyFile: string;
  readonly users: readonly ClusterUser[];
  readonly environment?: Readonly<Record<string, string>>;
}): Promise<AuditPipeline> {
  const { policyFile, users, environment = {} } = options;
  const [posted, published]: [string[], string[]] = [[], []];
  const toWebhook = await startForwarder(posted);
  const cluster = await startCluster({ apiServerFlags: auditFlags(policyFile, toWebhook.url), users });
  await applyCrds(cluster);
  for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
  await applyTriggers(cluster, [audit]);
  const { folder } = await cluster.serviceAccount('functions', writerRules);
  const start = (name: string, more = {}): Promise<Program> =>
    startReadyFunction(name, { server: cluster.server, folder, environment: { ...environment, ...more } });
  const auditor = await start('audit');
  const subscribers = new Map([['io.kube-zen.audit.v1', auditor.url]]);
  const broker = await startBroker({ subscribers, deadLetterSink: '' });
  const toBroker = await startForwarder(published);
  toBroker.leadTo(broker.url);
  const webhook = await start('webhook', { K_SINK: toBroker.url });
  toWebhook.leadTo(webhook.url);
  return {
    ...{ cluster, posted, published, programs: [webhook, auditor] },
    async findings() {
      const path = '/apis/zen.kube-zen.io/v1/observations?labelSelector=zen.kube-zen.io%2Fsource%3Daudit';
      return (await cluster.request('GET', path)).body.items;
    },
    async stop() {
      toWebhook.stop();
      await Promise.all([webhook.stop(), auditor.stop()]);
      toBroker.stop();
      broker.stop();
      await cluster.stop();
    },
  };
}
