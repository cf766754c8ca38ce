import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { until } from '../host/program.ts';
import type { Cluster } from './cluster.ts';

export interface WatchedObservation {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface ObservationWatch {
  /** Everything that is stored, by uid, as far as it has been seen. */
  readonly stored: ReadonlyMap<string, WatchedObservation>;
  /** Resolves when it has seen everything that has happened until now. */
  caughtUp(): Promise<void>;
  stop(): void;
}

const path = '/apis/zen.kube-zen.io/v1/observations';

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'ERROR' | 'BOOKMARK';
  readonly object: WatchedObservation;
}

/**
 * Sees every change of every Observation, in order, and calls `onChange` after each. When the API server ends the watch,
 * as it does when the CRD changes, everything is listed again, and `onChange` is called for all of it.
 */
export function watchObservations(
  cluster: Cluster,
  token: string,
  onChange: (changed: WatchedObservation, stored: ReadonlyMap<string, WatchedObservation>) => void,
): ObservationWatch {
  const stored = new Map<string, WatchedObservation>();
  let isStopped = false;
  let call: ReturnType<typeof request> | undefined;

  function apply({ type, object }: WatchEvent): void {
    if (type === 'DELETED') stored.delete(object.metadata.uid);
    else stored.set(object.metadata.uid, object);
    onChange(object, stored);
  }

  async function list(): Promise<string> {
    const { status, body } = await cluster.request('GET', path, undefined, { token });
    if (status !== 200) throw new Error(`listing: ${status}`);
    const before = [...stored.values()];
    stored.clear();
    const items: WatchedObservation[] = body.items;
    for (const item of items) stored.set(item.metadata.uid, item);
    for (const item of [...items, ...before]) onChange(item, stored);
    return body.metadata.resourceVersion;
  }

  /** Resolves when the watch has ended. */
  function watch(resourceVersion: string): Promise<void> {
    const [host, port] = cluster.server.split(':');
    const query = `watch=true&resourceVersion=${resourceVersion}`;
    const headers = { authorization: `Bearer ${token}` };
    return new Promise((resolve) => {
      call = request(
        { host, port, path: `${path}?${query}`, headers, rejectUnauthorized: false, agent: false },
        (response) => {
          const lines = createInterface(response);
          lines.on('line', (line) => {
            const event: WatchEvent = JSON.parse(line);
            if (event.type === 'ERROR') response.destroy();
            else apply(event);
          });
          for (const stream of [lines, response]) stream.on('error', () => undefined);
          response.on('close', resolve);
        },
      );
      call.on('error', () => resolve());
      call.end();
    });
  }

  async function run(): Promise<void> {
    while (!isStopped) {
      const version = await list().catch(() => undefined);
      if (version !== undefined && !isStopped) await watch(version);
    }
  }

  void run();
  const versionsOf = (items: Iterable<WatchedObservation>): string =>
    JSON.stringify([...items].map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`).sort());
  return {
    stored,
    caughtUp: () =>
      until('the watch has caught up', async () => {
        const { body } = await cluster.request('GET', path);
        return versionsOf(body.items ?? []) === versionsOf(stored.values());
      }),
    stop() {
      isStopped = true;
      call?.destroy();
    },
  };
}
