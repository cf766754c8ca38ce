import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { type Program, startProgram, temporaryFolder, within } from '../host/program.ts';
import { anObservation, type Changes } from '../view/an-observation.ts';
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
    ['wide', /^NAMESPACE .* RULE +ACTOR +COUNT +EXCEPTION +SUMMARY\n.* first /],
    ['json', /^\{\n[\s\S]*"items"/],
    ['yaml', /^apiVersion: v1\nkind: List\n/],
    ['csv', /^namespace,name,source,[^\n]*\r\n.*,CRITICAL,.*\r\n.*,MEDIUM,.*\r\n$/],
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
    ['table', /^NAMESPACE .* SUMMARY$/gm, /^zen-system .* Node +watch-table .*$/m],
    ['wide', /^NAMESPACE .* ACTOR +COUNT +EXCEPTION +SUMMARY$/gm, /^zen-system .* Node +watch-wide .* watched .*$/m],
    ['csv', /^namespace,name,.*\r$/gm, /^zen-system,.*,watch-csv,.*\r$/m],
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
    expect(String(line)).toMatch(/^NAMESPACE .* SUMMARY\n$/);
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

describe('npm run observations of a store', () => {
  const own = join(folder, 'own');
  const run = (...args: readonly string[]) => runCommand('observations', ['--data', own, ...args]);

  beforeAll(async () => {
    const store = createEmbeddedStore({ data: own, now: Date.now });
    const add = (name: string, state: string | undefined, spec: NonNullable<Changes['spec']>) => {
      const labels: Record<string, string> = state === undefined ? {} : { 'zen.kube-zen.io/state': state };
      return store.create(anObservation({ metadata: { name, labels }, spec }), AbortSignal.timeout(60_000));
    };
    const resource = { kind: 'Deployment', namespace: 'shop', name: 'web' };
    const pod = { kind: 'Pod', namespace: 'shop', name: 'web-7d9c5b6f4d-x2x9z' };
    await add('trivy-aaa1', 'open', { severity: 'LOW', rule: 'CVE-1', summary: 'the low one', resource });
    await add('trivy-aaa2', 'missing', {
      severity: 'CRITICAL',
      rule: 'CVE-2',
      summary: 'the critical one',
      resource: pod,
    });
    await add('trivy-aab1', 'resolved', { severity: 'HIGH', rule: 'CVE-1', summary: 'the resolved one', resource });
    await add('audit-bbb1', undefined, {
      source: 'audit',
      severity: 'HIGH',
      actor: { username: 'eve' },
      summary: 'eve did it',
    });
    store.close();
  });

  const hidden = '1 resolved not shown: add --state resolved, or --state all\n';

  it.each<[args: string, names: string, says: string]>([
    ['', 'trivy-aaa2 audit-bbb1 trivy-aaa1', hidden],
    ['--sort age', 'audit-bbb1 trivy-aaa2 trivy-aaa1', hidden],
    ['--sort namespace', 'audit-bbb1 trivy-aaa1 trivy-aaa2', hidden],
    ['--limit 1', 'trivy-aaa2', `the first 1 of 3\n${hidden}`],
    ['--limit 2 --sort age', 'audit-bbb1 trivy-aaa2', `the first 2 of 3\n${hidden}`],
    ['--limit 3', 'trivy-aaa2 audit-bbb1 trivy-aaa1', hidden],
    ['--state all', 'trivy-aaa2 audit-bbb1 trivy-aab1 trivy-aaa1', ''],
    ['--state resolved', 'trivy-aab1', ''],
    ['--state open', 'audit-bbb1 trivy-aaa1', ''],
    ['--source audit', 'audit-bbb1', ''],
    ['--rule CVE-*', 'trivy-aaa2 trivy-aaa1', hidden],
    ['--actor e*', 'audit-bbb1', ''],
    ['--search AAA2', 'trivy-aaa2', ''],
    ['--workload deployment/web', 'trivy-aaa2 trivy-aaa1', hidden],
    ['--workload pod/web-7d9c5b6f4d-x2x9z', 'trivy-aaa2 trivy-aaa1', hidden],
  ])('shows with %s: %s', async (args, names, says) => {
    const { code, stdout, stderr } = await run(...args.split(' ').filter(Boolean));
    const rows = stdout.trim().split('\n').slice(1);
    expect(rows.map((row) => row.split(/ +/)[1])).toEqual(names.split(' '));
    expect([code, stderr]).toEqual([0, says]);
  });

  it.each(['', '-o counts'])('says that there is nothing, and what it does not show: %s', async (output) => {
    const args = ['--severity', 'HIGH', '--source', 'trivy', ...output.split(' ').filter(Boolean)];
    expect(await run(...args)).toEqual({ code: 0, stdout: '', stderr: `No observations found\n${hidden}` });
    expect(await run('--since', '1s')).toEqual({ code: 0, stdout: '', stderr: 'No observations found\n' });
  });

  it('counts, the worst first', async () => {
    const { stdout, stderr } = await run('--by', 'rule', '--limit', '2');
    expect(stdout.split('\n').map((line) => line.split(/ +/))).toEqual([
      ['RULE', 'CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN', 'TOTAL'],
      ['CVE-2', '1', '0', '0', '0', '0', '1'],
      ['<none>', '0', '1', '0', '0', '0', '1'],
      ['', '1', '1', '0', '1', '0', '3'],
      [''],
    ]);
    expect(stderr).toBe(hidden);
    const json = JSON.parse((await run('--by', 'workload', '-o', 'json', '--limit', '1')).stdout);
    expect(json).toMatchObject({ by: 'workload', total: 3, items: [{ value: 'shop/web', total: 2 }] });
    expect((await run('--by', 'actor', '-o', 'yaml')).stdout).toMatch(/^by: actor\ntotal: 3\nitems:\n/);
  });

  it.each(['trivy-aab1', 'aab', 'trivy-aab…'])('shows one in full by %s, resolved or not', async (name) => {
    const { code, stdout, stderr } = await run(name);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^the resolved one\n\nSeverity {2}HIGH\nState {5}resolved\n/);
  });

  it('shows one as it is stored', async () => {
    expect(JSON.parse((await run('aab', '-o', 'json')).stdout)).toMatchObject({ metadata: { name: 'trivy-aab1' } });
    expect((await run('aab', '-o', 'yaml')).stdout).toMatch(/^apiVersion: zen\.kube-zen\.io\/v1\nkind: Observation\n/);
  });

  it('lists what a name might mean', async () => {
    const { code, stdout, stderr } = await run('trivy-aaa');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^observations: 2 Observations have trivy-aaa in their names:\nNAMESPACE .*\n.*aaa1.*\n.*aaa2.*\n$/,
    );
  });

  it.each([['nothing'], ['aab', '-n', 'other']])('says that there is none of that name: %s', async (...args) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout, stderr]).toEqual([1, '', `observations: no Observation has ${args[0]} in its name\n`]);
  });

  it('tells, once it watches, of what is resolved', async () => {
    const store = createEmbeddedStore({ data: own, now: Date.now });
    const [file = '', ...rest] = commandLine('observations');
    const child = spawn(file, [...rest, '--data', own, '--watch', '--rule', 'CVE-*']);
    const chunks: string[] = [];
    child.stdout.on('data', (chunk) => chunks.push(String(chunk)));
    await within('the rows', 2, () => chunks.join('').includes('the low one') || undefined);
    const labels = { 'zen.kube-zen.io/state': 'resolved' };
    const late = anObservation({
      metadata: { name: 'trivy-late', labels },
      spec: { rule: 'CVE-3', summary: 'the late one' },
    });
    await store.create(late, AbortSignal.timeout(60_000));
    await within('what comes', 2, () => chunks.join('').includes('the late one') || undefined);
    expect(chunks.join('')).not.toContain('the resolved one');
    child.kill('SIGINT');
    await once(child, 'close');
    store.close();
  });
});

describe('npm run observations -- --would-drop', () => {
  const own = join(folder, 'would-drop');
  const run = (...args: readonly string[]) => runCommand('observations', ['--data', own, ...args]);

  function fileOf(text: string): string {
    const file = join(temporaryFolder(), 'filter.yaml');
    writeFileSync(file, text);
    return file;
  }

  function filterOf(spec: string, kind = 'ObservationFilter'): string {
    return `apiVersion: zen.kube-zen.io/v1alpha1\nkind: ${kind}\nmetadata: { name: f }\nspec: ${spec}\n`;
  }

  beforeAll(async () => {
    const store = createEmbeddedStore({ data: own, now: Date.now });
    for (const [index, severity] of (['LOW', 'HIGH', 'MEDIUM'] as const).entries()) {
      const metadata = { name: `trivy-${index}`, labels: { 'zen.kube-zen.io/state': 'open' } };
      const spec = { severity, rule: `CVE-${index}`, summary: `number ${index}` };
      await store.create(anObservation({ metadata, spec }), AbortSignal.timeout(60_000));
    }
    store.close();
  });

  it('says what the filters in a file would drop and grade, and applies nothing', async () => {
    const file = fileOf(
      filterOf('{ targetSource: trivy, minSeverity: MEDIUM, setSeverity: [{ rules: [CVE-1], severity: LOW }] }') +
        `---\n${filterOf('{ targetSource: trivy, setSeverity: [{ rules: [CVE-2], severity: CRITICAL }] }')}`,
    );
    const { code, stdout, stderr } = await run('--would-drop', file);
    expect([code, stderr]).toEqual([0, 'of 3, 2 would be dropped and 1 would have another severity\n']);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['SOURCE', 'RULE', 'EFFECT', 'COUNT', 'EXAMPLE'],
      ['trivy', 'CVE-0', 'min_severity', '1', 'shop: number 0'],
      ['trivy', 'CVE-1', 'min_severity', '1', 'shop: number 1'],
      ['trivy', 'CVE-2', 'CRITICAL', '1', 'shop: number 2'],
      [''],
    ]);
    const { stdout: stored } = await run('-o', 'json');
    expect(JSON.parse(stored).items).toHaveLength(3);
  });

  it('looks at what is selected, and prints it in other forms', async () => {
    const file = fileOf(filterOf('{ targetSource: trivy, enabled: false }'));
    const { stdout } = await run('--would-drop', file, '--severity', 'HIGH', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({ total: 1, dropped: 1, items: [{ rule: 'CVE-1', count: 1 }] });
    const { stdout: yaml } = await run('--would-drop', file, '-o', 'yaml', '--limit', '1');
    expect(yaml).toMatch(/^total: 3\ndropped: 3\ngraded: 0\nitems:\n {2}- source: trivy\n/);
    expect(yaml.match(/effect:/g)).toHaveLength(1);
  });

  it('says what the exceptions in a file would accept', async () => {
    const exceptions = filterOf('{ match: { rules: [CVE-1] }, reason: r }', 'ObservationException');
    const file = fileOf(`${exceptions}---\n${filterOf('{ targetSource: trivy, minSeverity: MEDIUM }')}`);
    const { code, stdout, stderr } = await run('--would-drop', file);
    expect([code, stderr]).toEqual([0, 'of 3, 1 would be dropped and 1 would be accepted\n']);
    expect(stdout).toMatch(/^trivy +CVE-1 +accepted +1 +shop: number 1$/m);
    const wrong = fileOf(filterOf('{ match: { rulez: [CVE-1] }, reason: r }', 'ObservationException'));
    expect(await run('--would-drop', wrong)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/spec\.match\.rulez/),
    });
  });

  it('asks an expression, too, and says what does not match', async () => {
    const expression = (text: string): string => fileOf(filterOf(`{ targetSource: trivy, expression: '${text}' }`));
    const { stdout, stderr } = await run('--would-drop', expression('rule != "CVE-2" && severity != "LOW"'));
    expect(stderr).toBe('of 3, 2 would be dropped\n');
    expect(stdout).toMatch(/^trivy +CVE-0 +expression +1 .*\ntrivy +CVE-2 +expression +1 /m);
    expect(await run('--would-drop', expression('true'))).toEqual({
      code: 0,
      stdout: '',
      stderr: 'of 3, nothing matches\n',
    });
    const wrong = await run('--would-drop', expression('rule ='));
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/spec\.expression: at 1:\d+/)]);
  });

  it('prints an exception that accepts a finding, and applies nothing', async () => {
    const { code, stdout, stderr } = await run(
      'trivy-1',
      '--accept',
      '--reason',
      'no fix: yet',
      '--until',
      '2099-12-31',
    );
    expect([code, stderr]).toEqual([
      0,
      'Nothing is accepted yet: save this as a .yaml file in the folder that npm start -- --config FOLDER reads\n',
    ]);
    expect(stdout).toMatch(/^# number 1\napiVersion: zen\.kube-zen\.io\/v1alpha1\nkind: ObservationException\n/);
    const { stderr: effect } = await run('--would-drop', fileOf(stdout));
    expect(effect).toBe('of 3, 1 would be accepted\n');
    expect(JSON.parse((await run('--accepted', '-o', 'json')).stdout).items).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    ['a wrong field', filterOf('{ targetSource: trivy, minSeverity: hgih }'), /spec\.minSeverity: must be critical/],
    ['another kind', filterOf('{}', 'Ingester'), /kind: Ingester is no ObservationFilter/],
    ['nothing in it', '', /has no ObservationFilter/],
  ])('refuses a file with %s, in one line', async (_case, text, message) => {
    const { code, stdout, stderr } = await run('--would-drop', fileOf(text));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^observations: --would-drop [^\n]*\n$/);
  });

  it('says that a file is not there', async () => {
    const { code, stderr } = await run('--would-drop', join(folder, 'none.yaml'));
    expect([code, stderr]).toMatchObject([1, expect.stringMatching(/--would-drop .*no such file/)]);
  });
});

describe('npm run observations with a wrong --kubeconfig', () => {
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'a', users: [{ name: 'u', user: {} }] },
      clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
      contexts: ['a', 'b'].map((name) => ({ name, context: { cluster: 'c', user: 'u' } })),
    }),
  );

  it.each([
    [[kubeconfig, '-c', 'z'], 'it has no context z, only a, b'],
    [[join(folder, 'none')], 'no such file or folder (ENOENT)'],
  ])('says so in one line: %s', async (args, message) => {
    const { code, stdout, stderr } = await runCommand('observations', ['--kubeconfig', ...args]);
    expect([code, stdout, stderr]).toEqual([1, '', `observations: --kubeconfig ${args[0]}: ${message}\n`]);
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

describe('npm run observations of what is accepted', () => {
  const own = join(folder, 'accepted');
  const run = (...args: readonly string[]) => runCommand('observations', ['--data', own, ...args]);

  beforeAll(async () => {
    const store = createEmbeddedStore({ data: own, now: Date.now });
    for (const name of ['kyverno-aaa1', 'kyverno-aaa2']) {
      const accepted = name === 'kyverno-aaa2' ? { 'zen.kube-zen.io/accepted': 'forever' } : {};
      const labels: Record<string, string> = { 'zen.kube-zen.io/state': 'open', ...accepted };
      await store.create(anObservation({ metadata: { name, labels } }), AbortSignal.timeout(60_000));
    }
    store.close();
  });

  it.each([
    [[], ['kyverno-aaa1'], '1 accepted not shown: add --accepted, or --state all\n'],
    [['--state', 'all'], ['kyverno-aaa1', 'kyverno-aaa2'], ''],
  ])('shows with %j: %j', async (args, names, says) => {
    const { stdout, stderr } = await run(...args);
    const rows = stdout.trim().split('\n').slice(1);
    expect(rows.map((row) => row.split(/ +/)[1])).toEqual(names);
    expect(stderr).toBe(says);
  });

  it('--would-drop counts what is accepted already, unless told otherwise', async () => {
    const file = join(folder, 'in-force.yaml');
    const spec = 'spec: { match: { sources: [trivy] }, reason: r }';
    writeFileSync(
      file,
      `apiVersion: zen.kube-zen.io/v1alpha1\nkind: ObservationException\nmetadata: { name: e }\n${spec}\n`,
    );
    expect((await run('--would-drop', file)).stderr).toBe('of 2, 2 would be accepted\n');
    expect((await run('--would-drop', file, '--accepted')).stderr).toBe('of 1, 1 would be accepted\n');
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

describe('npm run observations, of what orders a terminal about', () => {
  const own = join(folder, 'orders');
  const orders = 'a\u001b[2J\u009b31m\u202eb\u200b\u{e0041}\r\nc\u0007';

  beforeAll(async () => {
    const store = createEmbeddedStore({ data: own, now: Date.now });
    const spec = {
      ...{ rule: orders, summary: orders, remediation: orders, actor: { username: orders } },
      ...{ resource: { kind: orders, name: orders }, references: [orders], details: { [orders]: [orders] } },
    };
    const observation = anObservation({ metadata: { name: 'falco-orders' }, spec });
    await store.create(observation, AbortSignal.timeout(60_000));
    store.close();
  });

  it.each([
    ['-o', 'table'],
    ['-o', 'wide'],
    ['-o', 'json'],
    ['-o', 'yaml'],
    ['-o', 'csv'],
    ['-o', 'counts', '--by', 'rule'],
    ['falco-orders'],
    ['falco-orders', '-o', 'yaml'],
  ])('shows it, with %j, as escapes', async (...args) => {
    const { code, stdout } = await runCommand('observations', ['--data', own, ...args]);
    expect(code).toBe(0);
    expect(stdout.split('\n').length).toBeGreaterThan(1);
    const text = args[1] === 'csv' ? stdout.replaceAll('\r\n', '\n') : stdout;
    expect(text.replaceAll(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });

  it('answers it as JSON that means the same', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', own] });
    const text = await (await fetch(`${program.url}/observations`)).text();
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(JSON.stringify(JSON.parse(text))).toContain(JSON.stringify(orders));
    await program.stop();
  });
});
