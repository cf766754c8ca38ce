import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import ingest from '../../functions/ingest.ts';
import { announcementType, changes, dueEventType } from '../../shared/api/announcement.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { startAlertmanager } from '../host/alertmanager.ts';
import { planted, temporaryFolder } from '../host/program.ts';
import type { createRandom } from '../host/random.ts';
import { createReceiver } from '../pipeline/tellings.ts';
import { installAccounts } from './accounts.ts';
import { applyCrds, type Cluster, startCluster } from './cluster.ts';
import { ownIngester } from './everything-sensors.ts';
import { ownMapping } from './everything-tools.ts';
import { type Fate, startReceiver } from './faulty-receiver.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { startFunction } from './functions.ts';
import { faults, postTo, startProxy } from './proxy.ts';
import { applyTriggers, crd, reportCrds } from './report-crds.ts';
import { startBroker } from './senders.ts';

/** All but `sources`, whose ApiServerSources nobody plays here, and the sinks that no receiver is there for. */
const functionNames = [
  ...['webhook', 'falco', 'audit', 'trivy', 'kyverno', 'checkov', 'kube-bench', 'ingest', 'deadletter'],
  ...['filters', 'exceptions', 'gc', 'announce', 'alertmanager', 'sender', 'page'],
];

/** An API server with everything that is there before anything of ours runs. */
export async function installCluster() {
  const cluster = await startCluster({ durable: true });
  await applyCrds(cluster);
  await cluster.apply(reportCrds);
  await cluster.apply(crd('example.com', 'v1', 'Finding'));
  for (const name of ['zen-system', 'shop', 'pay']) await cluster.namespace(name);
  const tokens = await installAccounts(cluster, await loadFunctions(), functionNames);
  await applyTriggers(cluster, [falco, audit, ingest]);
  for (const one of [ownMapping, ownIngester]) await cluster.apply(JSON.stringify(one));
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const metadata = { name: 'findings' };
  const rules = [{ apiGroups: ['example.com'], resources: ['findings'], verbs: ['get', 'list', 'watch'] }];
  await cluster.request('POST', `${rbac}/clusterroles`, { metadata, rules });
  await cluster.request('POST', `${rbac}/clusterrolebindings`, {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: 'ingest', namespace: 'zen-system' }],
  });
  const reads = [{ apiGroups: ['zen.kube-zen.io'], resources: ['observations'], verbs: ['get', 'list', 'watch'] }];
  const viewer = await cluster.serviceAccount('viewer', reads);
  return { cluster, tokens, viewer };
}

/** What is switched on and off for all that goes wrong. */
export interface Weather {
  isStormy: boolean;
}

type Random = ReturnType<typeof createRandom>;

/** The receivers of the sinks: a real Alertmanager, and one that drops the ids that it has seen. Posts to both may fail. */
async function startReceivers(weather: Weather, random: Random) {
  const fate = (): Fate =>
    weather.isStormy && random.random() < 0.1
      ? random.pick(['refused', 'taken, but the answer is lost', 'lost'])
      : 'taken';
  const alertmanager = await startAlertmanager();
  const receiver = createReceiver();
  const toAlertmanager = await startReceiver({
    fate,
    take: (body) => postTo(`${alertmanager.url}/api/v2/alerts`, { 'content-type': 'application/json' }, body, 5000),
  });
  const toReceiver = await startReceiver({
    fate,
    async take(body) {
      receiver.take(body);
      return 200;
    },
  });
  return { alertmanager, receiver, toAlertmanager, toReceiver };
}

/** A Broker that can be killed and comes back at the same address. */
async function startLastingBroker(weather: Weather, fleetOf: () => Fleet) {
  const subscribers = new Map<string, string | readonly string[]>();
  const options = { subscribers, isCalm: () => !weather.isStormy };
  const start = (port: number) => startBroker({ ...options, port, deadLetterSink: fleetOf().urlOf('deadletter') });
  let broker = await start(0);
  const { url } = broker;
  return {
    url,
    subscribe(): void {
      const { urlOf } = fleetOf();
      subscribers.set('falco.rule.output.v1', urlOf('falco'));
      subscribers.set('io.kube-zen.audit.v1', urlOf('audit'));
      subscribers.set('io.kube-zen.ingest.v1', urlOf('ingest'));
      subscribers.set(dueEventType, urlOf('announce'));
      const sinks = [urlOf('alertmanager'), urlOf('sender')];
      for (const kind of changes) subscribers.set(announcementType(kind), sinks);
    },
    kill: () => broker.kill(),
    async restart(): Promise<void> {
      broker = await start(Number(new URL(url).port));
    },
    stop: () => broker.stop(),
  };
}

/** Everything between the tools and people, none of it started yet, and what may go wrong between them. */
export async function createWorld(
  { cluster, tokens }: { readonly cluster: Cluster; readonly tokens: ReadonlyMap<string, string> },
  { weather, random }: { readonly weather: Weather; readonly random: Random },
) {
  const fault = () => (weather.isStormy && random.random() < 0.05 ? random.pick(faults) : undefined);
  const proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault });
  const receivers = await startReceivers(weather, random);
  const tokenFile = join(temporaryFolder(), 'token');
  writeFileSync(tokenFile, planted);
  const folders = new Map([...tokens].map(([name, token]) => [name, cluster.mount(name, token)]));
  const common = {
    ...{ LOG_LEVEL: 'ERROR', API_TIMEOUT_SECONDS: '3', RESYNC_INTERVAL_MINUTES: '1' },
    ...{ ANNOUNCE: 'true', ANNOUNCE_INTERVAL_MINUTES: '1' },
    ...{ ALERTMANAGER_URL: receivers.toAlertmanager.url, SINK_URL: receivers.toReceiver.url },
  };
  const start = (name: string) =>
    startFunction(name, {
      server: proxy.server,
      folder: folders.get(name) ?? '',
      environment: { ...common, K_SINK: broker.url, ...(name === 'sender' && { SINK_TOKEN_FILE: tokenFile }) },
    });
  const fleet: Fleet = await createFleet(functionNames, start);
  const broker = await startLastingBroker(weather, () => fleet);
  broker.subscribe();
  return {
    proxy,
    fleet,
    broker,
    receivers,
    async stop(): Promise<void> {
      await fleet.close();
      broker.stop();
      for (const one of [receivers.toAlertmanager, receivers.toReceiver]) await one.close();
      await receivers.alertmanager.kill();
      await proxy.stop();
    },
  };
}
