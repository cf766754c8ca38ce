import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { standaloneManifests } from '../../knative/generator/standalone.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import type { ControlGroup } from '../host/container.ts';
import { type Program, temporaryFolder, until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { applyCrds, type Cluster } from './cluster.ts';
import { startFunction } from './functions.ts';

/** The token that senders must have. */
export const senderToken = 'a-token-of-senders';

/** What `kubectl apply` makes of the manifests, but for what needs a controller; and the mounted folder of the ServiceAccount. */
export async function installStandalone(cluster: Cluster): Promise<string> {
  await applyCrds(cluster);
  for (const manifest of standaloneManifests(await loadFunctions())) await applyManifest(cluster, manifest);
  return signIn(cluster, 'zen-system');
}

/** The mounted folder of the ServiceAccount, once its role acts. */
export async function signIn(cluster: Cluster, namespace: string): Promise<string> {
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/zen-watcher/token`;
  const { body } = await cluster.request('POST', account, { spec: { expirationSeconds: 7200 } });
  const token = z.string().parse(body.status.token);
  const observations = `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`;
  await until('the role acts', async () => {
    return (await cluster.request('GET', observations, undefined, { token })).status === 200;
  });
  return cluster.mount('standalone', token);
}

export interface StandaloneOptions {
  /** `127.0.0.1:<port>` of the API server. */
  readonly server: string;
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly contained?: ControlGroup | undefined;
}

const tokenFile = join(temporaryFolder(), 'token');

/** Starts the image's program as the Deployment's Pod does. */
export function startStandalone({ environment = {}, ...options }: StandaloneOptions): Promise<Program> {
  writeFileSync(tokenFile, senderToken);
  return startFunction('standalone', {
    ...options,
    environment: { SYSTEM_NAMESPACE: 'zen-system', WEBHOOK_AUTH_TOKEN_FILE: tokenFile, ...environment },
  });
}

export async function startReadyStandalone(options: StandaloneOptions): Promise<Program> {
  const program = await startStandalone(options);
  await until('it is ready', async () => (await fetch(`${program.url}/ready`)).ok);
  return program;
}

const sampleSchema = z.object({
  type: z.string(),
  data: z.looseObject({
    apiVersion: z.string().optional(),
    kind: z.string().optional(),
    metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }).optional(),
  }),
});

export interface Sample {
  readonly source: string;
  readonly type: string;
  readonly data: z.infer<typeof sampleSchema>['data'];
}

const samples = join(import.meta.dirname, '..', '..', 'functions', 'samples');

/** One event of each sort, of every source: what `npm start -- --samples` plays. */
export function allSamples(): Sample[] {
  return readdirSync(samples).flatMap((source) =>
    readdirSync(join(samples, source)).map((file) => {
      const text = readFileSync(join(samples, source, file), 'utf8');
      const { type, data } = sampleSchema.parse(JSON.parse(text));
      if (!data.metadata) return { source, type, data };
      // What the API server sets itself.
      const { resourceVersion: _version, uid: _uid, ownerReferences: _owners, ...metadata } = data.metadata;
      return { source, type, data: { ...data, metadata } };
    }),
  );
}

export const signedIn = { authorization: `Bearer ${senderToken}`, 'content-type': 'application/json' };

/** Where the Observations are: `<namespace>/<name>`, sorted. */
export async function namesIn(cluster: Cluster, selector = ''): Promise<string[]> {
  const query = selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
  const { body } = await cluster.request('GET', `/apis/zen.kube-zen.io/v1/observations${query}`);
  const items: { metadata: { namespace: string; name: string } }[] = body.items ?? [];
  return items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
}

/** The functions of which a pass has run. */
export async function passesOf({ url }: Program): Promise<ReadonlySet<string>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = [...text.matchAll(/^zen_watcher_passes_total\{source="([^"]+)"\} (\d+)/gm)];
  return new Set(counts.filter(([, , count]) => Number(count) > 0).map(([, source = '']) => source));
}
