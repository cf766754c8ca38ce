import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { METHODS } from 'node:http';
import { basename, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { build, type Metafile, type Plugin } from 'esbuild';
import { sbomOf } from './sbom.ts';

/**
 * Builds the image's program: one CommonJS bundle, a snapshot of Node's heap after loading and rehearsing it, and the list of what
 * they hold (SBOM).
 */
const root = join(import.meta.dirname, '..', '..');
/** `debian-packages` is for the image: the folder that describes those of its base. The others are for tests. */
const { values } = parseArgs({
  options: {
    dist: { type: 'string' },
    'without-snapshot': { type: 'boolean' },
    'debian-packages': { type: 'string' },
  },
});
const dist = resolve(values.dist ?? join(root, 'dist'));
const program = join(dist, 'zen-watcher.cjs');
const blob = join(dist, 'zen-watcher.blob');

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => pattern.test(file))
    .sort()
    .map((file) => join(folder, file));
}

// Only the folder itself: what lies below is local mode's.
const functionFiles = filesIn(join(root, 'functions'), /^[^/\\]+\.ts$/);

/** Replaces shared/host/function-list.ts: lists the same folder, but now instead of at run time. */
const listFunctions: Plugin = {
  name: 'list-functions',
  setup({ onLoad }) {
    onLoad({ filter: /function-list\.ts$/ }, () => {
      const imports = functionFiles.map((file, index) => `import f${index} from ${JSON.stringify(file)};`);
      const members = functionFiles.map((file, index) => `${JSON.stringify(basename(file, '.ts'))}: f${index}`);
      const contents = `
        ${imports.join('\n')}
        const functions = { ${members.join(', ')} };
        export const functionNames = () => Object.keys(functions);
        export const loadFunction = async (name) => functions[name];
        export const loadFunctions = async () => Object.values(functions);
        export const isSource = (definition) => definition.kind === 'source';`;
      return { contents, loader: 'js', resolveDir: root };
    });
  },
};

/**
 * Replaces shared/rules/expression-library.ts: what it loads is part of the bundle, and its code runs when it is first asked
 * for. So the snapshot has the text of the library, and no more of it.
 */
const expressionLibrary: Plugin = {
  name: 'expression-library',
  setup({ onLoad }) {
    onLoad({ filter: /expression-library\.ts$/ }, () => {
      const contents = `export const library = {
        cel: () => require('@bufbuild/cel'),
        re2: () => require('@bufbuild/re2'),
      };`;
      return { contents, loader: 'js', resolveDir: root };
    });
  },
};

/** The types of what a function answers, of the thousands that Express knows. */
const mediaTypes = ['application/json', 'application/octet-stream', 'text/html', 'text/plain'];

/**
 * Leaves out what a function never runs: Express's body parsers with their tables of all character sets, because
 * edge/body.ts reads bodies; nearly all of its table of media types, and its parser of nested queries; the traces to which
 * prom-client can link what it counts; and local mode with client-node, because local mode runs from the sources.
 */
const leaveOut: Plugin = {
  name: 'leave-out',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(body-parser|qs|@opentelemetry\/api)$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: '', loader: 'js' }));
    onLoad({ filter: /mime-db[/\\]db\.json$/ }, ({ path }) => {
      const all: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'));
      const kept = Object.fromEntries(mediaTypes.map((type) => [type, all[type]]));
      return { contents: JSON.stringify(kept), loader: 'json' };
    });
    onLoad({ filter: /local[/\\]local-mode\.ts$/ }, () => ({
      contents: `export function startLocalMode() { throw new Error('local mode runs from the repository, not from the image'); }`,
      loader: 'js',
    }));
  },
};

/**
 * Loads on first use those of Node's own modules that a snapshot can't hold. While it is loaded, Express reads two things
 * of http: the names of the methods, and the prototypes that its own derive from. Stand-ins serve until http is loaded.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(node:)?(http|https|tls|worker_threads)$/ }, ({ path }) => ({
      path: path.replace('node:', ''),
      namespace: 'lazy-builtins',
    }));
    onLoad({ filter: /.*/, namespace: 'lazy-builtins' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(`node:${path}`) ?? {});
      const standIns = path === 'http' ? ['IncomingMessage', 'ServerResponse'] : [];
      const contents = `
        const { isBuildingSnapshot } = require('node:v8').startupSnapshot;
        const standIns = Object.fromEntries(${JSON.stringify(standIns)}.map((name) => [name, { prototype: {} }]));
        const early = isBuildingSnapshot() ? { ...standIns, METHODS: ${JSON.stringify(METHODS)} } : {};
        let loaded;
        function load() {
          loaded = process.getBuiltinModule('node:${path}');
          for (const [name, { prototype }] of Object.entries(standIns)) {
            Object.setPrototypeOf(prototype, loaded[name].prototype);
          }
          return loaded;
        }
        for (const name of ${JSON.stringify(names)}) {
          const get = () => (name in early && isBuildingSnapshot() ? early : (loaded ?? load()))[name];
          Object.defineProperty(exports, name, { enumerable: true, get });
        }`;
      return { contents, loader: 'js' };
    });
  },
};

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [join(root, 'knative', 'image', 'main.ts')],
    outfile: program,
    // Names of modules are relative to it.
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // Identifiers are kept: with short ones, every new closure would get its name restored, a twentieth of an event's CPU.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: { 'import.meta.dirname': '__dirname' },
    banner: { js: readFileSync(join(root, 'knative', 'image', 'standstill.cjs'), 'utf8') },
    plugins: [listFunctions, expressionLibrary, leaveOut, lazyBuiltins],
    logLevel: 'warning',
    metafile: true,
  });
  return metafile;
}

/**
 * Node runs the script to its end and saves its heap: of the same sources twice the same, wherever they are, since it knows no folder,
 * environment or random number. (V8 draws those from a seed; a process that starts from the snapshot makes its own.) A second
 * thread would compile and collect at times of its own. The snapshot has compiled code of Node's own modules, too, which V8 takes only
 * if the flags that make a difference to code are the same: `--expose-gc` is one, and as in the Dockerfile; `--single-threaded` would be another.
 */
function takeSnapshot(script: string, args: readonly string[]): void {
  const here = existsSync('/proc/self/cwd') ? '/proc/self/cwd' : dist;
  // Node warns that several of its modules are not verified for snapshots; `tryOut` verifies them.
  const oneThread = ['--single-threaded-gc', '--no-concurrent-recompilation', '--no-concurrent-sparkplug'];
  const flags = ['--random-seed=1', ...oneThread, '--expose-gc', '--disable-warning=Warning'];
  const files = ['--snapshot-blob', basename(blob), '--build-snapshot', join(here, basename(script))];
  const options = { cwd: dist, env: {}, argv0: 'node' };
  // Whether its output is a file or a pipe is in the heap: here it is always a pipe.
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, ...files, ...args], options);
  process.stderr.write(Buffer.concat([stdout, stderr]));
  if (status !== 0) throw new Error(`node ended with ${status}`);
}

/** Throws unless a function started from the snapshot answers. */
async function tryOut(): Promise<void> {
  const [name = ''] = functionFiles.map((file) => basename(file, '.ts'));
  const environment = { ...process.env, PORT: '0' };
  const child = spawn(process.execPath, ['--snapshot-blob', blob, name], { env: environment });
  child.stderr.pipe(process.stderr);
  const exited = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const url = /listening on (http:\/\/[\d.:]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    const { ok } = await fetch(`${url.replace('0.0.0.0', '127.0.0.1')}/health`);
    child.kill(ok ? 'SIGTERM' : 'SIGKILL');
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`the function started from the snapshot exited with ${code}`);
}

/** What the snapshot holds if none of the program can be taken: just enough to load the bundle at each start. */
const loader = `
  const { startupSnapshot } = require('node:v8');
  startupSnapshot.setDeserializeMainFunction(() => {
    const [, given] = /--snapshot-blob[= ](\\S+)/.exec(process.execArgv.join(' '));
    const blob = process.getBuiltinModule('node:path').resolve(given);
    process.argv.splice(1, 0, blob);
    process.getBuiltinModule('node:module').createRequire(blob)('./zen-watcher.cjs');
  });`;

async function makeBlob(): Promise<void> {
  const samples = filesIn(join(root, 'functions', 'samples'), /\.event\.json$/).map((file) => relative(dist, file));
  try {
    if (values['without-snapshot']) throw new Error('not requested');
    takeSnapshot(program, samples);
    await tryOut();
  } catch (error) {
    process.stderr.write(
      `no snapshot, so each start loads the bundle: ${error instanceof Error ? error.message : error}\n`,
    );
    const script = join(dist, 'loader.cjs');
    writeFileSync(script, loader);
    takeSnapshot(script, []);
    rmSync(script);
    await tryOut();
  }
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const metafile = await bundle();
const sbom = sbomOf({ root, metafile, debian: values['debian-packages'] });
writeFileSync(join(dist, 'sbom.cdx.json'), `${JSON.stringify(sbom, null, 2)}\n`);
await makeBlob();
