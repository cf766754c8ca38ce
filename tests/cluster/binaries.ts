import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the real etcd and kube-apiserver are. */
export interface Binaries {
  readonly etcd: string;
  readonly apiServer: string;
}

const module = import.meta.dirname;
const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
};

/** Flags that set the API server's version, which clients read. A build outside its own repository has none. */
function versionFlags(): string {
  const [, major = '1', minor = '0', patch = '0'] =
    /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)/.exec(readFileSync(join(module, 'go.mod'), 'utf8')) ?? [];
  const values = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const flags = Object.entries(values).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`);
  return ['-s', '-w', ...flags].join(' ');
}

/** The folder for what this go.mod builds, shared by all checkouts. */
function cacheFolder(): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  const key = `${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}`;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'zen-watcher', 'test-cluster', key);
}

/** One line that says why no cluster can run here; `undefined` if one can. */
export function clusterUnavailable(): string | undefined {
  if (process.env.ZEN_WATCHER_TESTS === 'quick') return 'no real API server in a quick run: npm test has it';
  if (process.env.KUBEBUILDER_ASSETS) return undefined;
  if (existsSync(join(cacheFolder(), 'kube-apiserver'))) return undefined;
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

function build(name: keyof typeof packages, folder: string): void {
  const target = join(folder, name);
  if (existsSync(target)) return;
  console.log(`building ${name} once, into the user's cache (kube-apiserver takes some minutes)`);
  const temporary = mkdtempSync(join(folder, 'build-'));
  const output = join(temporary, name);
  execFileSync('go', ['build', '-trimpath', '-ldflags', versionFlags(), '-o', output, packages[name]], {
    cwd: module,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
  });
  renameSync(output, target);
  rmSync(temporary, { recursive: true });
}

/** Builds in the user's cache what isn't there yet. Returns the folder. */
function buildMissing(names: readonly (keyof typeof packages)[]): string {
  const folder = cacheFolder();
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
  if (controllers.every((name) => existsSync(join(cacheFolder(), name)))) return undefined;
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
