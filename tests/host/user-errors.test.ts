import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../local/commands.ts';
import { startProgram, temporaryFolder, within } from './program.ts';

const folder = temporaryFolder();
const inFolder = (name: string): string => join(folder, name);

function write(name: string, text: string): string {
  writeFileSync(inFolder(name), text);
  return inFolder(name);
}

/** A folder of one file for --config. */
function configOf(name: string, text: string): string {
  mkdirSync(inFolder(name), { recursive: true });
  writeFileSync(join(inFolder(name), 'it.yaml'), text);
  return inFolder(name);
}

const object = (apiVersion: string, kind: string) => `apiVersion: ${apiVersion}
kind: ${kind}
metadata: { name: it }
spec: { targetSource: falco }
`;

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

function kubeconfig(port: number): string {
  return `apiVersion: v1
kind: Config
clusters: [{ name: it, cluster: { server: 'http://127.0.0.1:${port}', insecure-skip-tls-verify: true } }]
users: [{ name: it, user: { token: t } }]
contexts: [{ name: it, context: { cluster: it, user: it } }]
current-context: it
`;
}

/** An API server that serves these groups, and has no namespace. */
function apiServer(groups: readonly string[]): Server {
  return createServer((request, response) => {
    const list = groups.map((name) => ({ name, versions: [{ groupVersion: `${name}/v1`, version: 'v1' }] }));
    const isGroups = request.url?.startsWith('/apis') && request.url.split('/').length <= 2;
    const body = isGroups
      ? { kind: 'APIGroupList', apiVersion: 'v1', groups: list }
      : { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 };
    response.writeHead(isGroups ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
}

describe('what a user got wrong at the start', () => {
  const [bare, ready] = [apiServer([]), apiServer(['zen.kube-zen.io'])];
  const taken = createServer();
  const ports = { bare: 0, ready: 0, taken: 0 };

  beforeAll(async () => {
    Object.assign(ports, { bare: await listen(bare), ready: await listen(ready), taken: await listen(taken) });
    write('text', 'x');
    mkdirSync(inFolder('nonsense'));
    write('nonsense/observations.sqlite', 'this is no database at all');
    mkdirSync(inFolder('damaged'));
    write('damaged/observations.sqlite', `SQLite format 3\0${'x'.repeat(5000)}`);
    write('no-context', 'apiVersion: v1\nkind: Config\n');
    write('bad-yaml', 'a: [');
    write('empty-token', '\n');
    configOf('broken', 'apiVersion: [\n');
    configOf('misspelt-kind', object('zen.kube-zen.io/v1alpha1', 'ObservationFiltr'));
    configOf('wrong-version', object('zen.kube-zen.io/v1', 'ObservationFilter'));
    configOf('wrong-group', object('apps/v1', 'Deployment'));
  });

  afterAll(() => {
    for (const server of [bare, ready, taken]) server.close();
  });

  it.each<
    [what: string, args: () => readonly string[], message: RegExp, environment?: Readonly<Record<string, string>>]
  >([
    [
      'a port that is taken',
      () => ['--port', `${ports.taken}`],
      /port \d+ .*already listening there.*--port N.*\(EADDRINUSE\)/,
    ],
    ['no folder of objects', () => ['--objects', '/nowhere'], /--objects: no folder \/nowhere/],
    ['a file in its place', () => ['--objects', inFolder('text')], /--objects: .*text is a file, not a folder/],
    ['a data folder that is a file', () => ['--data', inFolder('text')], /--data: .*text is a file, not a folder/],
    [
      'a data folder below a file',
      () => ['--data', inFolder('text/below')],
      /--data .*: .* file, not a folder \(ENOTDIR\)/,
    ],
    [
      'no database',
      () => ['--data', inFolder('nonsense')],
      /--data: .*observations\.sqlite is not a database: move it away/,
    ],
    ['a damaged database', () => ['--data', inFolder('damaged')], /--data .*damaged: /],
    ['no kubeconfig', () => ['--kubeconfig', '/nowhere'], /--kubeconfig: no file \/nowhere/],
    [
      'a kubeconfig of nothing',
      () => ['--kubeconfig', inFolder('no-context')],
      /--kubeconfig .*no-context: it has no current context/,
    ],
    ['a kubeconfig that is no YAML', () => ['--kubeconfig', inFolder('bad-yaml')], /--kubeconfig .*bad-yaml: /],
    [
      'a cluster without our kinds',
      () => ['--kubeconfig', write('bare', kubeconfig(ports.bare))],
      /has no CRDs of zen-watcher: kubectl apply -k crds\//,
    ],
    [
      'a cluster without our namespace',
      () => ['--kubeconfig', write('ready', kubeconfig(ports.ready))],
      /has no namespace zen-system: kubectl create namespace zen-system/,
    ],
    ['configuration that is no YAML', () => ['--config', inFolder('broken')], /--config: .*it\.yaml: .* at line/],
    [
      'a misspelt kind',
      () => ['--config', inFolder('misspelt-kind')],
      /it\.yaml: ObservationFiltr it: kind: .*use ObservationFilter, /,
    ],
    [
      'a wrong version',
      () => ['--config', inFolder('wrong-version')],
      /it\.yaml: ObservationFilter it: apiVersion: must be zen\.kube-zen\.io\/v1alpha1/,
    ],
    [
      'a kind of another group',
      () => ['--config', inFolder('wrong-group')],
      /it\.yaml: Deployment it: kind: apps\/v1 Deployment configures nothing/,
    ],
    [
      'no token file',
      () => [],
      /WEBHOOK_AUTH_TOKEN_FILE: \/nowhere can't be read \(ENOENT\)/,
      { WEBHOOK_AUTH_TOKEN_FILE: '/nowhere' },
    ],
    [
      'an empty token file',
      () => [],
      /WEBHOOK_AUTH_TOKEN_FILE: .*empty-token holds no token/,
      { WEBHOOK_AUTH_TOKEN_FILE: inFolder('empty-token') },
    ],
    ['a bad value', () => [], /GC_INTERVAL_MINUTES must be a whole number/, { GC_INTERVAL_MINUTES: 'soon' }],
  ])('is one line that says what to do: %s', async (_what, args, message, environment = {}) => {
    const given = args();
    const port = given.includes('--port') ? [] : ['--port', '0'];
    const data = given.includes('--data') || given.includes('--kubeconfig') ? [] : ['--data', temporaryFolder()];
    const { code, stderr } = await runCommand('start', [...given, ...port, ...data], { environment });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/^zen-watcher: /);
    expect(code).toBe(1);
  });
});

describe('a data folder', () => {
  const data = inFolder('in-use');
  const args = ['--port', '0', '--data', data];

  it('is refused to a second process, for as long as the first one lives', async () => {
    const first = await startProgram({ args });
    const { code, stdout, stderr } = await runCommand('start', args);
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      `zen-watcher: --data ${data}: another zen-watcher is using it: stop that one, or name another folder\n`,
    ]);
    await first.kill();
    const second = await startProgram({ args });
    await second.stop();
  });

  it('is read by nobody but its owner', () => {
    expect((statSync(data).mode & 0o777).toString(8)).toBe('700');
  });
});

describe('what a user got wrong that stops nothing', () => {
  const warnings = (log: readonly string[]): string[] => log.filter((line) => line.includes('"level":"WARN"'));

  it.each([
    ['WEBHOOK_TOKEN', 'WEBHOOK_AUTH_TOKEN'],
    ['OBSERVATION_TTL_HOURS', 'OBSERVATION_TTL_DAYS'],
    ['LOG_LEVLE', 'LOG_LEVEL'],
  ])('is a variable that is no setting: %s', async (name, meant) => {
    const environment = { [name]: '1', PATH_TO_SOMETHING: '1', FALCO_SERVICE_HOST: '1', FALCO_PORT_80_TCP: '1' };
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()], environment });
    const found = warnings(program.log).filter((line) => line.includes('is not a setting'));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${name} is not a setting and has no effect: did you mean ${meant}?`);
    expect(await program.stop()).toBe(0);
  });

  it.each<[what: string, arg: string, name: string, meant: string]>([
    ['one function', 'falco', 'OBSERVATION_TTL_DAY', 'OBSERVATION_TTL_DAYS'],
    ['the function that knows all others', 'webhook', 'AUDIT_DEPLOYER', 'AUDIT_DEPLOYERS'],
    ['all functions without Knative', 'standalone', 'AUDIT_DEPLOYER', 'AUDIT_DEPLOYERS'],
  ])('is a variable that is no setting, in a cluster, too: %s', async (_what, arg, name, meant) => {
    const misspelt = { [name]: '3', ALERTMANAGER_SINK_TOKEN_FILE: '/x' };
    const pod = { PORT: '0', KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '9' };
    const environment = { ...misspelt, ...pod, WEBHOOK_AUTH_TOKEN: 'alpha-token' };
    const program = await startProgram({ args: [arg], environment });
    const said = `${name} is not a setting and has no effect: did you mean ${meant}?`;
    const found = await within('the warning', 5, () => {
      const lines = program.log.filter((line) => line.includes('is not a setting'));
      return lines.length > 0 ? lines : undefined;
    });
    expect(found).toEqual([expect.stringContaining(said)]);
    await program.stop();
  });

  it('is a bad file in --objects, which is one line until it changes', async () => {
    const objects = temporaryFolder();
    const bad = join(objects, 'bad.yaml');
    writeFileSync(bad, 'apiVersion: [\n');
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder(), '--objects', objects] });
    const lines = () => program.log.filter((line) => line.includes('bad.yaml'));
    await within('word of it', 1, () => lines().length > 0 || undefined);
    // Everything is read again for each object that comes.
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(
        join(objects, `${name}.yaml`),
        object('apps/v1', 'Deployment').replace('name: it', `name: ${name}`),
      );
      await within('a pass', 1, async () => {
        const handled = program.log.filter((line) => line.includes('dev.knative.apiserver.ref.add'));
        return handled.length >= ['a', 'b', 'c'].indexOf(name) + 1 || undefined;
      });
    }
    expect(lines()).toHaveLength(1);
    writeFileSync(bad, 'kind: [\n');
    await within('word of the new fault', 1, () => lines().length === 2 || undefined);
    expect(await program.stop()).toBe(0);
  });
});
