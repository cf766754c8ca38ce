import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, startProgram, temporaryFolder, within } from '../host/program.ts';
import { commandLine, runCommand } from './commands.ts';

const folder = temporaryFolder();
const data = join(folder, 'data');

describe('npm run observations', () => {
  let program: Program;
  const run = (...args: readonly string[]) => runCommand('observations', ['--data', data, ...args]);

  async function alert(rule: string, priority: string, output = 'o', hostname?: string): Promise<void> {
    const body = JSON.stringify({ rule, priority, output, hostname });
    const headers = { 'content-type': 'application/json' };
    const { status } = await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body });
    expect(status).toBe(204);
  }

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', data] });
    await alert('first', 'Critical', 'what the rule saw');
    await alert('second', 'Warning');
  });

  afterAll(() => program.stop());

  it.each<[output: string, expected: RegExp]>([
    ['table', /^NAMESPACE .*\n.* CRITICAL .*\n.* MEDIUM /],
    ['wide', /^NAMESPACE .* MESSAGE\n.*what the rule saw\n/],
    ['json', /^\{\n[\s\S]*"items"/],
    ['yaml', /^apiVersion: v1\nkind: List\n/],
    ['counts', /^SOURCE .*TOTAL\nfalco .* 2\n/],
  ])('prints a %s', async (output, expected) => {
    const { code, stdout, stderr } = await run('-o', output);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(expected);
  });

  it('says in one line that its output can not be written', async () => {
    const child = spawn('bash', ['-c', '"$@" > /dev/full', 'bash', ...commandLine('observations'), '--data', data]);
    const errors: string[] = [];
    child.stderr.on('data', (chunk) => errors.push(String(chunk)));
    const [code] = await once(child, 'close');
    expect([code, errors.join('')]).toEqual([1, "observations: the output can't be written: ENOSPC\n"]);
  });

  it.each<[output: string, header: RegExp, comes: RegExp]>([
    ['table', /^NAMESPACE .* AGE$/gm, /^zen-system .* Node\/watch-table .*$/m],
    ['wide', /^NAMESPACE .* MESSAGE$/gm, /^zen-system .* Node\/watch-wide .* o$/m],
    ['json', /^\{"apiVersion":.*"rule":"first".*\}$/gm, /^\{"apiVersion":.*"name":"watch-json".*\}$/m],
    ['yaml', /^---\napiVersion: zen[^#]* rule: first$/gm, /^---\napiVersion: zen[^#]* name: watch-yaml$/m],
    ['counts', /^SOURCE .*TOTAL$/gm, /^SOURCE [^#]*^SOURCE .*TOTAL\nfalco /m],
  ])('--watch -o %s begins as without, and goes on with what comes', async (output, header, comes) => {
    const chunks: string[] = [];
    const [file = '', ...rest] = commandLine('observations');
    const child = spawn(file, [...rest, '--data', data, '--watch', '-o', output]);
    child.stdout.on('data', (chunk) => chunks.push(String(chunk)));
    await within('the header', 2, () => header.test(chunks.join('')) || undefined);
    await alert('watched', 'Warning', 'o', `watch-${output}`);
    await within('what comes', 2, () => comes.test(chunks.join('')) || undefined);
    expect(chunks.join('').match(header)).toHaveLength(output === 'counts' ? 2 : 1);
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
  });

  it('prints the header of what it watches where there is nothing yet', async () => {
    const [file = '', ...rest] = commandLine('observations');
    const child = spawn(file, [...rest, '--data', data, '--watch', '--source', 'trivy']);
    const [line] = await once(child.stdout, 'data');
    expect(String(line)).toMatch(/^NAMESPACE .* AGE\n$/);
    child.kill('SIGINT');
    await once(child, 'close');
  });

  it('ends quietly when its reader does', async () => {
    for (let index = 0; index < 40; index += 1) await alert(`long ${index}`, 'Error', 'x'.repeat(3000));
    const command = `"$@" | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const child = spawn('bash', ['-c', command, 'bash', ...commandLine('observations'), '--data', data, '-o', 'json']);
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(String(chunk)));
    await once(child, 'close');
    expect(output.join('')).toBe('{\n0\n');
  });
});

describe('npm run observations with a wrong --data', () => {
  const empty = join(folder, 'empty');
  const text = join(folder, 'text');
  const nonsense = join(folder, 'nonsense');
  mkdirSync(empty);
  writeFileSync(text, 'x');
  mkdirSync(nonsense);
  writeFileSync(join(nonsense, 'observations.sqlite'), 'this is no database at all');

  it.each([
    [
      'a folder that is not there',
      join(folder, 'nowhere'),
      /^observations: no store in .*nowhere: start zen-watcher first/,
    ],
    ['a folder of something else', empty, /^observations: no store in .*empty/],
    ['a file', text, /^observations: --data: .*text is a file, not a folder/],
    ['no database', nonsense, /^observations: --data: .*observations\.sqlite is not a database: move it away/],
  ])('says so in one line, and creates nothing: %s', async (_case, wrong, message) => {
    const before = readdirSync(folder, { recursive: true });
    const { code, stdout, stderr } = await runCommand('observations', ['--data', wrong]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect([code, stdout]).toEqual([1, '']);
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  });
});

describe('what npm swallows', () => {
  it.each([
    [
      'observations',
      { npm_config_source: 'true' },
      ['falco'],
      /npm took --source for itself.*npm run observations -- --source/,
    ],
    ['observations', { npm_config_o: 'true' }, ['json'], /npm took -o for itself/],
    ['start', { npm_config_samples: 'true' }, [], /npm took --samples for itself.*npm start -- --samples/],
    ['import', { npm_config_remove: 'true' }, ['x.json'], /npm took --remove for itself.*npm run import -- --remove/],
  ] as const)('is noticed by %s: %j', async (name, environment, args, message) => {
    const { code, stderr } = await runCommand(name, args, { environment });
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('--help', () => {
  it.each(['start', 'observations', 'import'] as const)(
    'of npm run %s fits a screen of 80 columns and 24 lines',
    async (name) => {
      const { code, stdout, stderr } = await runCommand(name, ['--help']);
      expect([code, stderr]).toEqual([0, '']);
      const lines = stdout.trimEnd().split('\n');
      expect(lines.length).toBeLessThanOrEqual(23);
      expect(lines.filter((line) => line.length > 80)).toEqual([]);
      expect(lines[0]).toMatch(/^Usage/);
    },
  );
});
