import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { atEnd } from '../host/at-end.ts';
import { temporaryFolder, until } from '../host/program.ts';
import { clusterUnavailable, findBinaries } from './binaries.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the API server answers.
  readonly body: any;
}

/** A real etcd and kube-apiserver on 127.0.0.1, with RBAC on. */
export interface Cluster {
  /** `127.0.0.1:<port>` */
  readonly server: string;
  readonly caFile: string;
  /** The folder of the API server's certificate and key. */
  readonly certificates: string;
  /** The key that signs the tokens of ServiceAccounts. */
  readonly accountKeyFile: string;
  /** A kubeconfig with this bearer token, or the administrator's. */
  kubeconfig(token?: string): string;
  /** One call, as the administrator or with a token. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
  /** The token of one of `users`. */
  tokenOf(user: string): string;
  /** Applies every document of a YAML text, server-side. */
  apply(yaml: string): Promise<void>;
  namespace(name: string): Promise<void>;
  /** Makes a ServiceAccount with these rules (a ClusterRole), and a folder like the one mounted into its pods. */
  serviceAccount(
    name: string,
    rules: readonly unknown[],
    namespace?: string,
  ): Promise<{ folder: string; token: string }>;
  /** Makes a folder with this token, like the one mounted into a pod. */
  mount(name: string, token: string): string;
  apiServerPid(): number;
  /** Kills both by SIGKILL. */
  kill(): Promise<void>;
  /** Starts both again, with the same ports and data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface RequestOptions {
  /** By default the administrator's; none if it is empty. */
  readonly token?: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The address to come from, such as `127.0.0.2`. */
  readonly from?: string;
}

export interface ClusterUser {
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface ClusterOptions {
  /** Whether etcd waits for the disk, as in production. Tests are faster if it doesn't. */
  readonly durable?: boolean;
  readonly apiServerFlags?: readonly string[];
  /** Who else may sign in, without any rights. */
  readonly users?: readonly ClusterUser[];
}

const root = join(import.meta.dirname, '..', '..');

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** Whether to skip a suite because no cluster can run here; says so in one line. In CI it throws instead. */
export function skipWithoutCluster(): boolean {
  const reason = clusterUnavailable();
  if (reason === undefined) return false;
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = findBinaries();
  const folder = temporaryFolder();
  const [etcdPort, peerPort, apiPort] = [await freePort(), await freePort(), await freePort()];
  const adminToken = randomBytes(16).toString('hex');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const tokens = new Map((options.users ?? []).map(({ name }) => [name, randomBytes(16).toString('hex')]));
  const tokenLines = (options.users ?? []).map(
    ({ name, groups = [] }) => `${tokens.get(name)},${name},${name},"${groups.join(',')}"\n`,
  );
  writeFileSync(join(folder, 'tokens.csv'), `${adminToken},admin,admin,"system:masters"\n${tokenLines.join('')}`);
  const server = `127.0.0.1:${apiPort}`;
  const caFile = join(folder, 'certificates', 'apiserver.crt');
  const running = new Set<ChildProcess>();
  let apiServer: ChildProcess | undefined;
  let agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

  function start(binary: string, args: readonly string[], name: string): void {
    const log = openSync(join(folder, `${name}.log`), 'a');
    const child = spawn(binary, args, { stdio: ['ignore', log, log], cwd: folder });
    running.add(child);
    if (binary === binaries.apiServer) apiServer = child;
    child.once('exit', () => running.delete(child));
  }

  function startBoth(): void {
    start(
      binaries.etcd,
      [
        ...[`--data-dir=${join(folder, 'etcd')}`, `--listen-client-urls=http://127.0.0.1:${etcdPort}`],
        ...[`--advertise-client-urls=http://127.0.0.1:${etcdPort}`, `--listen-peer-urls=http://127.0.0.1:${peerPort}`],
        ...['--log-level=error', ...(options.durable ? [] : ['--unsafe-no-fsync'])],
      ],
      'etcd',
    );
    start(
      binaries.apiServer,
      [
        ...[`--etcd-servers=http://127.0.0.1:${etcdPort}`, `--cert-dir=${join(folder, 'certificates')}`],
        ...[`--secure-port=${apiPort}`, '--bind-address=127.0.0.1', '--service-cluster-ip-range=10.0.0.0/24'],
        ...[`--service-account-key-file=${join(folder, 'sa.pub')}`],
        ...[`--service-account-signing-key-file=${join(folder, 'sa.key')}`],
        ...[
          '--service-account-issuer=https://kubernetes.default.svc',
          `--token-auth-file=${join(folder, 'tokens.csv')}`,
        ],
        ...['--authorization-mode=RBAC', '--allow-privileged=true', ...(options.apiServerFlags ?? [])],
      ],
      'kube-apiserver',
    );
  }

  const end = (): void => {
    for (const child of running) child.kill('SIGKILL');
  };
  const hasEnded = atEnd(end);

  const request: Cluster['request'] = (
    method,
    path,
    body,
    { token = adminToken, contentType = 'application/json', accept = 'application/json', headers: more, from } = {},
  ) =>
    new Promise((resolve, reject) => {
      const signedIn = token === '' ? {} : { authorization: `Bearer ${token}` };
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      // Node itself leaves it out of a DELETE, whose body the API server then misreads.
      const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) };
      const headers = { ...signedIn, accept, 'content-type': contentType, ...length, ...more };
      const place = { host: '127.0.0.1', port: apiPort, ...(from !== undefined && { localAddress: from }) };
      const call = httpsRequest({ agent, ...place, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.includes('json');
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer });
        });
      });
      call.on('error', reject);
      call.end(text);
    });

  async function ready(): Promise<void> {
    // Long: with both cores taken an API server needs most of a minute.
    const deadline = Date.now() + 180_000;
    for (;;) {
      const answer = await request('GET', '/readyz').catch(() => undefined);
      if (answer?.status === 200) return;
      if (Date.now() > deadline || running.size < 2) {
        const lines = readdirSync(folder)
          .filter((file) => file.endsWith('.log'))
          .map((file) => `${file}:\n${readFileSync(join(folder, file), 'utf8').split('\n').slice(-15).join('\n')}`);
        throw new Error(`the API server is not ready\n${lines.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function kill(): Promise<void> {
    const exits = [...running].map((child) => once(child, 'exit'));
    end();
    await Promise.all(exits);
    agent.destroy();
    agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  }

  async function expectOk(answer: Promise<Answer>): Promise<Answer> {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
    return { status, body };
  }

  async function apply(yaml: string): Promise<void> {
    for (const document of parseAllDocuments(yaml)) {
      const object: { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } } =
        document.toJS();
      const plural = `${object.kind.toLowerCase()}${object.kind.endsWith('y') ? '' : 's'}`.replace(/y$/, 'ies');
      const root = object.apiVersion.includes('/') ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
      const scope = object.metadata.namespace ? `/namespaces/${object.metadata.namespace}` : '';
      const path = `${root}${scope}/${plural}/${object.metadata.name}?fieldManager=tests&force=true&fieldValidation=Strict`;
      await expectOk(request('PATCH', path, JSON.stringify(object), { contentType: 'application/apply-patch+yaml' }));
    }
  }

  function mount(name: string, token: string): string {
    const mounted = mkdtempSync(join(folder, `serviceaccount-${name}-`));
    writeFileSync(join(mounted, 'token'), token);
    writeFileSync(join(mounted, 'ca.crt'), readFileSync(caFile));
    return mounted;
  }

  startBoth();
  await ready();
  return {
    mount,
    server,
    caFile,
    certificates: join(folder, 'certificates'),
    accountKeyFile: join(folder, 'sa.key'),
    tokenOf(user) {
      const token = tokens.get(user);
      if (token === undefined) throw new Error(`no user ${user}`);
      return token;
    },
    request,
    apply,
    kill,
    apiServerPid: () => apiServer?.pid ?? 0,
    kubeconfig(token = adminToken) {
      const file = join(mkdtempSync(join(folder, 'kubeconfig-')), 'config');
      const cluster = { server: `https://${server}`, 'certificate-authority': caFile };
      const config = {
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
        clusters: [{ name: 'test', cluster }],
        users: [{ name: 'user', user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
      };
      writeFileSync(file, JSON.stringify(config));
      return file;
    },
    async namespace(name) {
      await expectOk(request('POST', '/api/v1/namespaces', { metadata: { name } }));
    },
    async serviceAccount(name, rules, namespace = 'zen-system') {
      const rbac = '/apis/rbac.authorization.k8s.io/v1';
      const subjects = [{ kind: 'ServiceAccount', name, namespace }];
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `${namespace}-${name}` };
      const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
      await expectOk(request('POST', accounts, { metadata: { name } }));
      await expectOk(request('POST', `${rbac}/clusterroles`, { metadata: { name: roleRef.name }, rules }));
      await expectOk(
        request('POST', `${rbac}/clusterrolebindings`, { metadata: { name: roleRef.name }, subjects, roleRef }),
      );
      const { body } = await expectOk(
        request('POST', `${accounts}/${name}/token`, { spec: { expirationSeconds: 3600 } }),
      );
      return { folder: mount(`${namespace}-${name}`, body.status.token), token: body.status.token };
    },
    async restart() {
      startBoth();
      await ready();
    },
    async stop() {
      await kill();
      hasEnded();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Applies crds/ and waits until they are served. */
export async function applyCrds(cluster: Cluster): Promise<void> {
  const files = readdirSync(join(root, 'crds')).filter((file) => file.endsWith('.yaml'));
  for (const file of files) await cluster.apply(readFileSync(join(root, 'crds', file), 'utf8'));
  for (const file of files) {
    const plural = file.replace('.yaml', '');
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.zen.kube-zen.io`;
    await until(`${plural} is established`, async () => {
      const { body } = await cluster.request('GET', path);
      const conditions: { type: string; status: string }[] = body.status?.conditions ?? [];
      return conditions.some(({ type, status }) => type === 'Established' && status === 'True');
    });
    // Established is a little earlier than served.
    const served = `/apis/zen.kube-zen.io/${versionOf(file)}/${plural}`;
    await until(`${plural} is served`, async () => (await cluster.request('GET', served)).status === 200);
  }
}

function versionOf(file: string): string {
  return file === 'observations.yaml' ? 'v1' : 'v1alpha1';
}

/** The header of what `kubectl get obs` prints. */
export const observationColumns = ['NAME', 'SOURCE', 'SEVERITY', 'KIND', 'RESOURCE', 'STATE', 'AGE', 'SUMMARY'];

/** Whether kubectl is on PATH. Throws if it isn't, but must be (in CI). */
export function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env.CI) throw new Error('no kubectl on PATH');
    console.log('no kubectl on PATH: what it shows is not tried');
    return false;
  }
}

/** Runs kubectl from PATH; `undefined` if there is none. */
export function kubectl(kubeconfig: string): ((args: readonly string[]) => string) | undefined {
  if (!hasKubectl()) return undefined;
  return (args) => execFileSync('kubectl', ['--kubeconfig', kubeconfig, ...args], { encoding: 'utf8' });
}
