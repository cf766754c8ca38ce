import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { build, type Plugin } from 'esbuild';

/** The image's program: one CommonJS bundle, its compile cache, and an entry that turns the cache on. */
const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** The Dockerfile's USER. */
const imageUser = 1001;

/** Stands in for shared/host/load-functions.ts: the same folder, listed now instead of at run time. */
const listFunctions: Plugin = {
  name: 'list-functions',
  setup({ onLoad }) {
    onLoad({ filter: /load-functions\.ts$/ }, () => {
      const names = readdirSync(join(root, 'functions'))
        .filter((file) => file.endsWith('.ts'))
        .map((file) => basename(file, '.ts'))
        .sort();
      const loaders = names.map((name) => `${JSON.stringify(name)}: () => import('../../functions/${name}.ts')`);
      const contents = `
        const loaders = { ${loaders.join(', ')} };
        export const functionNames = () => Object.keys(loaders);
        export const loadFunction = async (name) => (await loaders[name]()).default;
        export const loadFunctions = () => Promise.all(functionNames().map(loadFunction));
        export const isSource = (definition) => 'source' in definition;`;
      return { contents, loader: 'js', resolveDir: join(root, 'shared', 'host') };
    });
  },
};

/**
 * client-node's index loads 480 KB of models, authentication by other clouds, and undici. In a pod its request types are
 * enough, so the rest is left out; a kubeconfig is for local mode, which runs from the sources.
 */
const slimClient: Plugin = {
  name: 'slim-client',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: 'client-node', namespace: 'slim-client' }));
    onLoad({ filter: /.*/, namespace: 'slim-client' }, () => ({
      contents: `
        export { createConfiguration } from './gen/configuration.js';
        export { ServerConfiguration } from './gen/servers.js';
        export { ResponseContext, wrapHttpLibrary } from './gen/http/http.js';`,
      loader: 'js',
      resolveDir: join(root, 'node_modules', '@kubernetes', 'client-node', 'dist'),
    }));
    onLoad({ filter: /isomorphic-fetch\.js$/ }, () => ({
      contents: 'export class IsomorphicFetchHttpLibrary {}',
      loader: 'js',
    }));
    onLoad({ filter: /kubernetes[/\\]kubeconfig\.ts$/ }, () => ({
      contents: `export function kubeconfigCredentials() { throw new Error('--kubeconfig: not in the image, only in the repository'); }`,
      loader: 'js',
    }));
  },
};

async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(root, 'shared', 'main.ts')],
    outfile: join(dist, 'zen-watcher.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    define: { 'import.meta.dirname': '__dirname' },
    plugins: [listFunctions, slimClient],
    logLevel: 'warning',
  });
  const entry = `'use strict';
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');
if (process.versions.node.split('.')[0] !== '24') {
  process.stderr.write('zen-watcher needs Node 24, this is Node ' + process.versions.node + '\\n');
  process.exit(1);
}
enableCompileCache({ directory: join(__dirname, 'compile-cache'), portable: true });
require('./zen-watcher.cjs');
`;
  writeFileSync(join(dist, 'index.cjs'), entry);
}

/** Runs the program as it will be run, so that the cache holds what a start needs, compiled by this very Node. */
async function fillCompileCache(args: readonly string[]): Promise<void> {
  const program = spawn(process.execPath, [join(dist, 'index.cjs'), ...args], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(program, 'exit');
  for await (const line of createInterface(program.stdout)) {
    const url = /listening on (http:\/\/[\d.:]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/ready`);
    await fetch(`${url}/falco/webhook`, { method: 'POST', headers, body: '{"rule":"r","priority":"Debug"}' });
    const event = { specversion: '1.0', id: '1', source: '/build', type: 'falco.rule.output.v1' };
    const body = JSON.stringify({ ...event, data: { rule: 'r', priority: 'Debug' } });
    await fetch(url, { method: 'POST', headers: { 'content-type': 'application/cloudevents+json' }, body });
    program.kill('SIGTERM');
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`the bundle did not run: exit code ${code}`);
}

/** Node looks for the cache under the id of the user that it runs as, and lets no other read it; the image has another. */
function shareCompileCache(): void {
  const cache = join(dist, 'compile-cache');
  for (const folder of readdirSync(cache)) {
    const shared = join(cache, folder.replace(/-\d+$/, `-${imageUser}`));
    if (shared !== join(cache, folder)) cpSync(join(cache, folder), shared, { recursive: true });
    for (const file of readdirSync(shared)) chmodSync(join(shared, file), 0o644);
  }
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
await bundle();
const data = mkdtempSync(join(tmpdir(), 'zen-watcher-build-'));
await fillCompileCache(['--port', '0', '--data', data]);
await fillCompileCache(['falco']);
rmSync(data, { recursive: true, force: true });
shareCompileCache();
