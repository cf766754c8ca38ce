import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configMaps } from '../../shared/api/kind-selector.ts';
import { sleep } from '../../shared/host/sleep.ts';
import { type ApiClient, createApiClient } from '../../shared/kubernetes/api-client.ts';
import { serviceAccountCredentials } from '../../shared/kubernetes/credentials.ts';
import { followChanges } from '../../shared/kubernetes/follow-changes.ts';
import { until } from '../host/program.ts';
import { type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';

/** The API server's connection, and how often everything was listed over it. */
function counting(client: ApiClient) {
  let lists = 0;
  const counted: ApiClient = {
    ...client,
    open(...call) {
      lists += 1;
      return client.open(...call);
    },
  };
  return { client: counted, lists: () => lists };
}

describe.skipIf(skipWithoutCluster())('followChanges on a real API server', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let folder: string;
  let close: () => void = () => undefined;
  const stop = new AbortController();
  const changes: string[] = [];
  const faults: string[] = [];
  let lists: () => number;
  const path = '/api/v1/namespaces/shop/configmaps';
  const create = async (name: string): Promise<void> =>
    void expect((await cluster.request('POST', path, { metadata: { name } })).status).toBe(201);
  const sees = (change: string) => until(change, () => changes.includes(change));

  beforeAll(async () => {
    cluster = await startCluster();
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }];
    ({ folder } = await cluster.serviceAccount('follower', rules));
    await create('before');
    const client = createApiClient({
      credentials: serviceAccountCredentials({ server: cluster.server, folder, elapsed: () => performance.now() }),
      ...{ sleep, random: Math.random, attemptMilliseconds: 2000, streams: 10 },
    });
    ({ close } = client);
    const counted = counting(client);
    ({ lists } = counted);
    followChanges(
      {
        client: counted.client,
        resource: { ...configMaps, namespace: 'shop' },
        ...{ sleep, random: Math.random },
        onStart: () => changes.push('started'),
        onChange: ({ type, ref }) => changes.push(`${type} ${ref.name}`),
        onFault: (reason) => faults.push(reason),
        limits: { watch: 600_000, silence: 3000 },
      },
      stop.signal,
    );
    await sees('started');
  }, 900_000);

  afterAll(async () => {
    stop.abort();
    close();
    await cluster.stop();
  });

  it('sees what happens, and neither asks for nor gets more than metadata', async () => {
    await create('a');
    await sees('add a');
    await cluster.request('PATCH', `${path}/a`, { data: { x: 'y' } }, { contentType: 'application/merge-patch+json' });
    await sees('update a');
    await cluster.request('DELETE', `${path}/a`);
    await sees('delete a');
    expect(changes.filter((change) => change.endsWith('before'))).toEqual([]);
  });

  it('notices that the API server is silent, and goes on where it was without a list', async () => {
    const pid = cluster.apiServerPid();
    process.kill(pid, 'SIGSTOP');
    await until('it says so', () => faults.some((reason) => reason.includes('no answer in time')));
    process.kill(pid, 'SIGCONT');
    await create('after-silence');
    await sees('add after-silence');
    expect(lists()).toBe(1);
  });

  it('lists again when the API server no longer knows what happened, and tells what has changed meanwhile', async () => {
    await create('short-lived');
    await sees('add short-lived');
    // What others write moves the version on, of which a new API server knows the last one alone.
    for (let index = 0; index < 20; index += 1) await cluster.namespace(`other-${index}`);
    await cluster.kill();
    await cluster.restart();
    await cluster.request('DELETE', `${path}/short-lived`);
    await create('new');
    await sees('delete short-lived');
    await sees('add new');
    expect(lists()).toBe(2);
    expect(changes.filter((change) => change === 'add new')).toHaveLength(1);
  });
});
