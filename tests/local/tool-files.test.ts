import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { createToolFileReader, loadToolFiles } from '../../shared/local/tool-files.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import {
  observationsOf,
  type Program,
  type ShownObservation,
  startProgram,
  temporaryFolder,
  within,
} from '../host/program.ts';
import { runCommand } from './commands.ts';

const checkov = (...checks: readonly (readonly [id: string, resource: string])[]) => ({
  check_type: 'terraform',
  results: {
    failed_checks: checks.map(([id, resource]) => ({ check_id: id, check_name: 'n', resource, file_path: '/main.tf' })),
  },
});

const control = (nodeType: string, ...numbers: readonly string[]) => ({
  id: '4',
  version: 'cis-1.9',
  node_type: nodeType,
  tests: [
    {
      section: '4.1',
      results: numbers.map((number) => ({ test_number: number, test_desc: 'd', status: 'FAIL', scored: true })),
    },
  ],
});

const vulnerability = (id: string) => ({
  VulnerabilityID: id,
  PkgName: 'openssl',
  InstalledVersion: '3.0.1',
  Severity: 'HIGH',
  Title: 't',
});

const check = (id: string) => ({ ID: id, Title: 't', Severity: 'MEDIUM', Status: 'FAIL', Message: 'm' });

const image = (artifact: string, ...ids: readonly string[]) => ({
  SchemaVersion: 2,
  CreatedAt: '2026-03-01T10:00:00.123456789Z',
  ArtifactName: artifact,
  ArtifactType: 'container_image',
  Metadata: { OS: { Family: 'debian' } },
  Results: [
    { Target: `${artifact} (debian 12.1)`, Class: 'os-pkgs', Type: 'debian', Vulnerabilities: ids.map(vulnerability) },
  ],
});

const resource = (kind: string, name: string, result: object, namespace?: string) => ({
  Kind: kind,
  Name: name,
  Results: [result],
  ...(namespace !== undefined && { Namespace: namespace }),
});

const cluster = (key: string) => ({
  ClusterName: 'kind-test',
  [key]: [
    resource(
      'Deployment',
      'web',
      { Target: 'web (debian 12)', Class: 'os-pkgs', Vulnerabilities: [vulnerability('CVE-2')] },
      'shop',
    ),
    resource(
      'Deployment',
      'web',
      { Target: 'Deployment/web', Class: 'config', Misconfigurations: [check('KSV001')] },
      'shop',
    ),
    resource('ClusterRole', 'admin', { Target: 'x', Class: 'config', Misconfigurations: [check('KSV046')] }),
    resource('NodeInfo', 'node-1', { Target: 'x', Class: 'config', Misconfigurations: [check('KCV0069')] }),
    resource(
      'Pod',
      'etcd',
      { Target: 'etc/key', Class: 'secret', Secrets: [{ RuleID: 'pem', Severity: 'HIGH' }] },
      'kube-system',
    ),
  ],
});

const folderScan = {
  SchemaVersion: 2,
  ArtifactName: '.',
  ArtifactType: 'filesystem',
  Results: [{ Target: 'Dockerfile', Class: 'config', Misconfigurations: [check('DS002')] }],
};

/** What a person sees first of a finding. */
function shown({ metadata, spec }: ShownObservation): string {
  const { resource: found } = spec;
  const { kind, name } = Object.assign({ kind: undefined, name: undefined }, found);
  const details = Object.assign({ image: '', artifact: '', resource: '', reportFile: '' }, spec.details);
  const about = kind ? `${kind}/${name}` : details.image || details.artifact || details.resource || details.reportFile;
  return `${spec.source} ${spec.eventType} ${metadata.namespace} ${about}`;
}

const text = (value: unknown): string => JSON.stringify(value);

describe("a tool's own file in --objects", () => {
  const objects = temporaryFolder();
  let program: Program;

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder(), '--objects', objects] });
  });

  afterAll(() => program.stop());

  it.each<[tool: string, file: string, content: string | Buffer, expected: readonly string[]]>([
    [
      'checkov -o json',
      'checkov.json',
      text(checkov(['CKV_AWS_1', 'aws_s3_bucket.a'], ['CKV_K8S_1', 'Deployment.shop.web'])),
      ['checkov static-analysis shop Deployment/web', 'checkov static-analysis zen-system aws_s3_bucket.a'],
    ],
    [
      'checkov with several frameworks',
      'frameworks.json',
      text([checkov(['CKV_AWS_2', 'aws_s3_bucket.b']), checkov(['CKV_AWS_3', 'aws_s3_bucket.c'])]),
      ['checkov static-analysis zen-system aws_s3_bucket.b', 'checkov static-analysis zen-system aws_s3_bucket.c'],
    ],
    [
      'what PowerShell made of it',
      'powershell.json',
      Buffer.from(`\uFEFF${text(checkov(['CKV_AWS_4', 'aws_s3_bucket.d']))}`, 'utf16le'),
      ['checkov static-analysis zen-system aws_s3_bucket.d'],
    ],
    [
      'kube-bench --json',
      'node-1.json',
      text({ Controls: [control('node', '4.1.1')], Totals: {} }),
      ['kube-bench cis-benchmark-fail zen-system node-1.json'],
    ],
    [
      'kube-bench of another node',
      'node-2.json',
      text([control('node', '4.1.1')]),
      ['kube-bench cis-benchmark-fail zen-system node-2.json'],
    ],
    [
      'kube-bench with several targets, and its log around them',
      'targets.json',
      `[INFO] a line\n${JSON.stringify(control('master', '1.1.1'), null, 2)}\n${text(control('etcd', '2.1'))}\nbye\n`,
      [
        'kube-bench cis-benchmark-fail zen-system targets.json',
        'kube-bench cis-benchmark-fail zen-system targets.json',
      ],
    ],
    [
      'trivy image',
      'image.json',
      text(image('registry.test:5000/shop/cart:1.2', 'CVE-1')),
      ['trivy vulnerability zen-system registry.test:5000/shop/cart'],
    ],
    ['trivy fs', 'folder.json', text(folderScan), ['trivy misconfiguration zen-system folder.json']],
    [
      'trivy k8s --report all',
      'cluster.json',
      text(cluster('Resources')),
      [
        'trivy exposed-secret kube-system Pod/etcd',
        'trivy infra-misconfiguration zen-system Node/node-1',
        'trivy misconfiguration shop Deployment/web',
        'trivy rbac-misconfiguration zen-system ClusterRole/admin',
        'trivy vulnerability shop Deployment/web',
      ],
    ],
  ])('is read as it is: %s', async (tool, file, content, expected) => {
    const before = new Set((await observationsOf(program.url)).map(({ metadata }) => metadata.name));
    writeFileSync(join(objects, file), content);
    const found = await within(tool, 1, async () => {
      const all = await observationsOf(program.url);
      const fresh = all.filter(({ metadata }) => !before.has(metadata.name));
      return fresh.length >= expected.length ? fresh : undefined;
    });
    expect(found.map(shown).sort()).toEqual(expected);
  });

  it('of the summary of trivy k8s says the same once more, and nothing new', async () => {
    const before = (await observationsOf(program.url)).length;
    const read = () => program.log.filter((line) => /"source":"trivy".*"observed":\d/.test(line)).length;
    const reads = read();
    writeFileSync(join(objects, 'summary.json'), text(cluster('Findings')));
    await within('word of it', 1, () => read() > reads || undefined);
    expect(await observationsOf(program.url)).toHaveLength(before);
  });

  it.each([
    [
      'another tool',
      'sarif.json',
      '{"version":"2.1.0","runs":[]}',
      /no Kubernetes object, and not the output of .*checkov -o json/,
    ],
    ['half a file', 'half.json', text(checkov(['CKV_AWS_9', 'x'])).slice(0, 60), /JSON/],
  ])('is one line in the log where it is of %s', async (_case, file, content, reason) => {
    writeFileSync(join(objects, file), content);
    const lines = await within('word of it', 1, () => {
      const found = program.log.filter((line) => line.includes(file));
      return found.length > 0 ? found : undefined;
    });
    expect(lines[0]).toMatch(reason);
  });
});

describe.skipIf(corpusMissing)('what the real tools have printed', () => {
  it.each(['checkov', 'kube-bench'])('is taken as it is: %s', async (source) => {
    const reader = createToolFileReader(await loadToolFiles(), await loadFunctions(), {});
    const files = corpusFiles(source).filter(({ file }) => file.endsWith('.json'));
    expect(files.length).toBeGreaterThan(4);
    for (const { file, text: content } of files)
      expect([file, reader.read(content, file)?.source]).toEqual([file, source]);
  });
});

describe('npm run import', () => {
  const [data, folder] = [temporaryFolder(), temporaryFolder()];
  let program: Program;
  const file = join(folder, 'scan.json');
  const run = (...args: readonly string[]) => runCommand('import', ['--data', data, ...args]);
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await observationsOf(program.url)).map(({ metadata, spec }) => [
        Object.assign({ vulnerabilityID: '' }, spec.details).vulnerabilityID,
        metadata.labels['zen.kube-zen.io/state'] ?? '',
      ]),
    );
  const become = (promise: string, expected: Readonly<Record<string, string>>) =>
    within(promise, 1, async () => {
      const found = await states();
      return Object.entries(expected).every(([key, state]) => found[key] === state) || undefined;
    });

  beforeAll(async () => {
    writeFileSync(file, text(image('cart:1.2', 'CVE-1', 'CVE-2')));
  });

  afterAll(() => program.stop());

  it('keeps a file for the next start', async () => {
    const { code, stdout, stderr } = await run(file);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${file}: trivy, kept as ${join(data, 'imports', 'trivy', 'scan.json')}`);
    program = await startProgram({ args: ['--port', '0', '--data', data] });
    await become('what was imported', { 'CVE-1': 'open', 'CVE-2': 'open' });
  });

  it('replaces what the file said before', async () => {
    writeFileSync(file, text(image('cart:1.3', 'CVE-2', 'CVE-3')));
    const { stdout } = await run(file);
    expect(stdout).toContain('replacing an earlier one');
    await become('the new file', { 'CVE-1': 'missing', 'CVE-2': 'open', 'CVE-3': 'open' });
  });

  it('ends what a file said', async () => {
    const { code } = await run('--remove', 'scan.json');
    expect(code).toBe(0);
    await become('the end of it', { 'CVE-2': 'missing', 'CVE-3': 'missing' });
    expect(await run('--remove', 'scan.json')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/it was not imported/),
    });
  });

  it('takes what is not named .json', async () => {
    const other = join(folder, 'report.txt');
    writeFileSync(other, text(image('cart:1.3', 'CVE-4')));
    expect((await run(other)).code).toBe(0);
    await become('a file of another name', { 'CVE-4': 'open' });
    expect((await run('--remove', other)).code).toBe(0);
  });

  it.each<[args: readonly string[], code: number, message: RegExp]>([
    [[], 2, /no file is named\nAll options: npm run import -- --help/],
    [['--bogus'], 2, /Unknown option '--bogus'.*\nAll options: npm run import -- --help/],
    [['--source', 'falco', 'scan.json'], 2, /--source takes checkov, kube-bench, trivy/],
    [[folder], 1, /^import: .*: it is a folder: name the files in it\n$/],
    [['/nowhere.json'], 1, /^import: \/nowhere\.json: no such file\n$/],
    [['--source', 'checkov', file], 1, /scan\.json: it is from trivy, not from checkov\n$/],
    [
      [join(import.meta.dirname, '..', '..', 'package.json')],
      1,
      /^import: .*package\.json: no Kubernetes object, and not the output of .*\n$/,
    ],
    [[join(import.meta.dirname, 'commands.ts')], 1, /^import: .*commands\.ts: .*JSON.*\n$/],
  ])('%j is an error that says what is wrong', async (args, expected, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([expected, '']);
  });

  it('does not let one file replace another of the same command', async () => {
    const [here, there] = ['one', 'two'].map((name) => {
      const path = join(folder, name, 'results.json');
      mkdirSync(join(folder, name));
      writeFileSync(path, text(image(`cart:${name}`, `CVE-${name}`)));
      return path;
    });
    expect(await run(here ?? '', there ?? '')).toMatchObject({
      code: 1,
      stderr: `import: ${there}: it would replace ${here}: give it another name\n`,
    });
    await become('the first', { 'CVE-one': 'open' });
    expect(await states()).not.toHaveProperty('CVE-two');
  });

  it('takes the good ones among bad ones', async () => {
    mkdirSync(join(folder, 'more'), { recursive: true });
    const good = join(folder, 'more', 'good.json');
    writeFileSync(good, text(image('cart:1.3', 'CVE-5')));
    const { code, stdout, stderr } = await run('/nowhere.json', good);
    expect([code, stderr]).toEqual([1, 'import: /nowhere.json: no such file\n']);
    expect(stdout).toContain('good.json: trivy');
    await become('the good one', { 'CVE-5': 'open' });
  });
});
