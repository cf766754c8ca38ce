import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { METHODS } from 'node:http';
import { basename, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { build, type Plugin } from 'esbuild';

/** The image's program: one CommonJS bundle, and the heap of Node after it was loaded and has rehearsed. */
const root = join(import.meta.dirname, '..');
/** `--without-snapshot` and a folder are for the test of that. */
const { values } = parseArgs({ options: { dist: { type: 'string' }, 'without-snapshot': { type: 'boolean' } } });
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

/** Stands in for shared/host/load-functions.ts: the same folder, listed now instead of at run time. */
const listFunctions: Plugin = {
  name: 'list-functions',
  setup({ onLoad }) {
    onLoad({ filter: /load-functions\.ts$/ }, () => {
      const imports = functionFiles.map((file, index) => `import f${index} from ${JSON.stringify(file)};`);
      const members = functionFiles.map((file, index) => `${JSON.stringify(basename(file, '.ts'))}: f${index}`);
      const contents = `
        ${imports.join('\n')}
        const functions = { ${members.join(', ')} };
        export const functionNames = () => Object.keys(functions);
        export const loadFunction = async (name) => functions[name];
        export const loadFunctions = async () => Object.values(functions);
        export const isSource = (definition) => 'source' in definition;`;
      return { contents, loader: 'js', resolveDir: root };
    });
  },
};

/**
 * What a function never runs. Express comes with parsers of bodies, and tables of all character sets: ours are read in
 * host/body.ts. Local mode, with client-node for its kubeconfigs, runs from the sources.
 */
const leaveOut: Plugin = {
  name: 'leave-out',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^body-parser$/ }, () => ({ path: 'body-parser', namespace: 'left-out' }));
    onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: '', loader: 'js' }));
    onLoad({ filter: /local[/\\]local-mode\.ts$/ }, () => ({
      contents: `export function startLocalMode() { throw new Error('local mode is in the repository, not in the image'); }`,
      loader: 'js',
    }));
  },
};

/**
 * What a snapshot can't hold of Node itself is loaded on first use. Express reads two things of http when it is loaded: the
 * names of methods, and the prototypes that its own derive from, for which others stand in until http is there.
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

async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(root, 'knative', 'main.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // Names stay: short ones would have to be given back to each closure when it is made, a twentieth of an event's CPU.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: { 'import.meta.dirname': '__dirname' },
    plugins: [listFunctions, leaveOut, lazyBuiltins],
    logLevel: 'warning',
  });
}

/** Node runs the script to its end and keeps its heap. */
function takeSnapshot(script: string, args: readonly string[]): void {
  // Node says of several of its modules that nobody has verified them in a snapshot: `tryOut` does.
  const flags = ['--disable-warning=Warning', '--snapshot-blob', blob, '--build-snapshot'];
  execFileSync(process.execPath, [...flags, script, ...args], { stdio: 'inherit' });
}

/** Throws unless a function that starts from the snapshot answers. */
async function tryOut(): Promise<void> {
  const [name = ''] = functionFiles.map((file) => basename(file, '.ts'));
  const environment = { ...process.env, PORT: '0' };
  const child = spawn(process.execPath, ['--snapshot-blob', blob, name], { env: environment });
  child.stderr.pipe(process.stderr);
  const exited = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const url = /listening on (http:\/\/[\d.:]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    const { ok } = await fetch(`${url}/health`);
    child.kill(ok ? 'SIGTERM' : 'SIGKILL');
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`a start from the snapshot ended with ${code}`);
}

/** What the image starts from where no snapshot of the program can be had: nothing, and then the bundle is loaded. */
const loader = `
  const { startupSnapshot } = require('node:v8');
  startupSnapshot.setDeserializeMainFunction(() => {
    const [, given] = /--snapshot-blob[= ](\\S+)/.exec(process.execArgv.join(' '));
    const blob = process.getBuiltinModule('node:path').resolve(given);
    process.argv.splice(1, 0, blob);
    process.getBuiltinModule('node:module').createRequire(blob)('./zen-watcher.cjs');
  });`;

async function makeBlob(): Promise<void> {
  const samples = filesIn(join(root, 'tests', 'fixtures'), /sample-.*\.event\.json$/);
  try {
    if (values['without-snapshot']) throw new Error('not asked for');
    takeSnapshot(program, samples);
    await tryOut();
  } catch (error) {
    process.stderr.write(
      `no snapshot, each start loads the bundle: ${error instanceof Error ? error.message : error}\n`,
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
await bundle();
await makeBlob();
