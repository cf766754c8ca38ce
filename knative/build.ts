import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { METHODS } from 'node:http';
import { basename, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { build, type Plugin } from 'esbuild';

/** Builds the image's program: one CommonJS bundle, and a snapshot of Node's heap after loading and rehearsing it. */
const root = join(import.meta.dirname, '..');
/** Both options are for tests. */
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
 * Leaves out what a function never runs: Express's body parsers with their tables of all character sets, because
 * edge/body.ts reads bodies; and local mode with client-node, because local mode runs from the sources.
 */
const leaveOut: Plugin = {
  name: 'leave-out',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^body-parser$/ }, () => ({ path: 'body-parser', namespace: 'left-out' }));
    onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: '', loader: 'js' }));
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

async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(root, 'knative', 'main.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    // Identifiers are kept: with short ones, every new closure would get its name restored, a twentieth of an event's CPU.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: { 'import.meta.dirname': '__dirname' },
    plugins: [listFunctions, leaveOut, lazyBuiltins],
    logLevel: 'warning',
  });
}

/** Node runs the script to its end and saves its heap. */
function takeSnapshot(script: string, args: readonly string[]): void {
  // Node warns that several of its modules are not verified for snapshots; `tryOut` verifies them.
  const flags = ['--disable-warning=Warning', '--snapshot-blob', blob, '--build-snapshot'];
  execFileSync(process.execPath, [...flags, script, ...args], { stdio: 'inherit' });
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
  const samples = filesIn(join(root, 'functions', 'samples'), /\.event\.json$/);
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
await bundle();
await makeBlob();
