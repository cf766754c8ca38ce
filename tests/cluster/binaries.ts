import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isQuick } from '../quick.ts';

/** Where the real etcd and kube-apiserver are. */
export interface Binaries {
  readonly etcd: string;
  readonly apiServer: string;
}

/** A program that is built from a Go module: the folder of its go.mod, and its package. */
interface Source {
  readonly module: string;
  readonly package: string;
}

const kubernetes = import.meta.dirname;
/** Apart, since it is made for older libraries of Kubernetes. */
const knative = join(kubernetes, 'knative');
const helm = join(kubernetes, 'helm');

const programs = {
  etcd: { module: kubernetes, package: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': { module: kubernetes, package: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  'kube-controller-manager': { module: kubernetes, package: 'k8s.io/kubernetes/cmd/kube-controller-manager' },
  'kube-scheduler': { module: kubernetes, package: 'k8s.io/kubernetes/cmd/kube-scheduler' },
  'eventing-webhook': { module: knative, package: 'knative.dev/eventing/cmd/webhook' },
  'serving-webhook': { module: knative, package: 'knative.dev/serving/cmd/webhook' },
  helm: { module: helm, package: 'helm.sh/helm/v4/cmd/helm' },
} as const satisfies Record<string, Source>;

type ProgramName = keyof typeof programs;

/** Flags that set the API server's version, which clients read. A build outside its own repository has none. */
function versionFlags(): string {
  const [, major = '1', minor = '0', patch = '0'] =
    /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)/.exec(readFileSync(join(kubernetes, 'go.mod'), 'utf8')) ?? [];
  const values = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const flags = Object.entries(values).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`);
  return ['-s', '-w', ...flags].join(' ');
}

/** The folder for what this go.mod builds, shared by all checkouts. */
function cacheFolder(module: string): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  const key = `${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}`;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'zen-watcher', 'test-cluster', key);
}

function isBuilt(name: ProgramName): boolean {
  return existsSync(join(cacheFolder(programs[name].module), name));
}

/** One line that says why no cluster can run here; `undefined` if one can. */
export function clusterUnavailable(): string | undefined {
  if (isQuick) return 'no real API server in a quick run: npm test has it';
  if (process.env.KUBEBUILDER_ASSETS) return undefined;
  if (isBuilt('kube-apiserver')) return undefined;
  const go = spawnSync('go', ['version'], { encoding: 'utf8' });
  if (go.status === 0) return undefined;
  return 'no real API server here: neither KUBEBUILDER_ASSETS nor a Go toolchain to build kube-apiserver with';
}

/** Keeps two test files from building the binaries at the same time. */
function withLock(folder: string, work: () => void): void {
  const lock = join(folder, 'lock');
  const staleAfter = 1_800_000;
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (Date.now() - made > staleAfter) rmSync(lock, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  try {
    work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function build(name: ProgramName, folder: string): void {
  const target = join(folder, name);
  if (existsSync(target)) return;
  console.log(`building ${name} once, into the user's cache (some take minutes)`);
  const temporary = mkdtempSync(join(folder, 'build-'));
  const output = join(temporary, name);
  execFileSync('go', ['build', '-trimpath', '-ldflags', versionFlags(), '-o', output, programs[name].package], {
    cwd: programs[name].module,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
  });
  renameSync(output, target);
  rmSync(temporary, { recursive: true });
}

/** Builds in the user's cache what isn't there yet; all of one module. Returns the folder. */
function buildMissing(names: readonly [ProgramName, ...ProgramName[]]): string {
  const folder = cacheFolder(programs[names[0]].module);
  mkdirSync(folder, { recursive: true });
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) withLock(folder, () => missing.forEach((name) => void build(name, folder)));
  return folder;
}

function expectFiles<Files extends Readonly<Record<string, string>>>(files: Files): Files {
  for (const file of Object.values(files)) {
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Error(`no ${file}`);
  }
  return files;
}

/** Takes the binaries from KUBEBUILDER_ASSETS if that is set; otherwise builds them once. */
export function findBinaries(): Binaries {
  const folder = process.env.KUBEBUILDER_ASSETS ?? buildMissing(['etcd', 'kube-apiserver']);
  return expectFiles({ etcd: join(folder, 'etcd'), apiServer: join(folder, 'kube-apiserver') });
}

const controllers = ['kube-controller-manager', 'kube-scheduler'] as const;

/** The same for the rest of the control plane, which KUBEBUILDER_ASSETS doesn't have. */
export function controllersUnavailable(): string | undefined {
  if (controllers.every(isBuilt)) return undefined;
  if (spawnSync('go', ['version']).status === 0) return undefined;
  return 'no kube-controller-manager here, and no Go toolchain to build it with';
}

/** The rest of the control plane; builds it once. */
export function findControllers(): { readonly controllerManager: string; readonly scheduler: string } {
  const folder = buildMissing(controllers);
  return expectFiles({
    controllerManager: join(folder, 'kube-controller-manager'),
    scheduler: join(folder, 'kube-scheduler'),
  });
}

/** Why Knative's webhooks can't run here; `undefined` if they can. */
export function knativeUnavailable(): string | undefined {
  if (spawnSync('go', ['version']).status === 0) return undefined;
  return "no Go toolchain here to build Knative's webhooks with, and to find their manifests";
}

/** Knative's webhooks, built once, and where the source of each is: its manifests are part of it. */
export function findKnative() {
  const folder = buildMissing(['eventing-webhook', 'serving-webhook']);
  const sourceOf = (path: string): string =>
    JSON.parse(execFileSync('go', ['mod', 'download', '-json', path], { cwd: knative, encoding: 'utf8' })).Dir;
  return {
    ...expectFiles({
      eventingWebhook: join(folder, 'eventing-webhook'),
      servingWebhook: join(folder, 'serving-webhook'),
    }),
    eventing: sourceOf('knative.dev/eventing'),
    serving: sourceOf('knative.dev/serving'),
  };
}

/** Why helm can't run here; `undefined` if it can. */
export function helmUnavailable(): string | undefined {
  if (isBuilt('helm')) return undefined;
  if (spawnSync('go', ['version']).status === 0) return undefined;
  return 'no Go toolchain here to build helm with';
}

/** The real helm; builds it once. */
export function findHelm(): string {
  return expectFiles({ helm: join(buildMissing(['helm']), 'helm') }).helm;
}
