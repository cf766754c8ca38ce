import { execFile } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import { release } from '../../knative/generator/repository.ts';
import { applyCrds, type Cluster, hasKubectl, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { eventHeaders, startReadyFunction } from '../cluster/functions.ts';
import { postTo } from '../cluster/proxy.ts';
import { applyTriggers, pingHeaders, reportCrds, vulnerabilityReport } from '../cluster/report-crds.ts';
import { writerRules } from '../cluster/rules.ts';
import { startBroker } from '../cluster/senders.ts';
import { root } from '../facts/markdown.ts';
import { type Program, temporaryFolder, until } from '../host/program.ts';

const page = 'knative/OPERATING.md';

/** The lines of the page's shell blocks: each is a command. */
const commands = [...readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(
  ([, block = '']) => block.trim().split('\n'),
);

/** What needs more than an API server, and where it is tried instead. */
const elsewhere: readonly (readonly [beginning: string, where: string])[] = [
  ['docker buildx build', 'tests/knative/image.test.ts builds what the image holds'],
  ['kubectl apply -k', 'tests/cluster/install.test.ts'],
  ['kubectl wait ksvc', 'on a whole cluster'],
];

const isElsewhere = (command: string): boolean => elsewhere.some(([beginning]) => command.startsWith(beginning));

describe.skipIf(skipWithoutCluster() || !hasKubectl())(`the commands of ${page}`, { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let webhook: Program;
  let kubeconfig = '';
  // kubectl keeps a cache there.
  const home = temporaryFolder();
  const programs: Program[] = [];
  const ends: (() => void)[] = [];

  /** Runs a line as an operator's shell does. Rejects with what it says if any part of it fails. */
  function run(command: string, folder = root): Promise<string> {
    const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: kubeconfig };
    return new Promise((resolve, reject) => {
      execFile('bash', ['-o', 'pipefail', '-c', command], { cwd: folder, env }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${command}: ${stderr}`));
        else resolve(stdout);
      });
    });
  }

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    await applyTriggers(cluster, [falco, audit]);
    const { folder } = await cluster.serviceAccount('functions', writerRules);
    const start = async (name: string, environment = {}): Promise<Program> => {
      const program = await startReadyFunction(name, { server: cluster.server, folder, environment });
      programs.push(program);
      return program;
    };
    const [events, audited, scanner] = [await start('falco'), await start('audit'), await start('trivy')];
    const subscribers = new Map([
      ['falco.rule.output.v1', events.url],
      ['io.kube-zen.audit.v1', audited.url],
    ]);
    const broker = await startBroker({ subscribers, deadLetterSink: '' });
    ends.push(broker.stop);
    webhook = await start('webhook', { K_SINK: broker.url });
    kubeconfig = cluster.kubeconfig();
    // Somebody has done something, and a scanner has found something.
    const event = {
      ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', auditID: '0f0f0f0f-1111-4222-8333-444444444444' },
      ...{ stage: 'ResponseComplete', verb: 'delete', user: { username: 'alice' }, responseStatus: { code: 200 } },
      requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z',
      objectRef: { resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', namespace: 'shop', name: 'p' },
    };
    const json = { 'content-type': 'application/json' };
    expect(await postTo(`${webhook.url}/audit/webhook`, json, JSON.stringify(event))).toBe(204);
    const report = vulnerabilityReport('web', 'shop', 2);
    await cluster.request('POST', '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports', report);
    const broken = { ...vulnerabilityReport('broken', 'shop', 0), report: { vulnerabilities: 'many' } };
    await cluster.request('POST', '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports', broken);
    expect(await postTo(scanner.url, pingHeaders, '')).toBe(204);
    const alert = JSON.stringify({ rule: 'A test alert', priority: 'Error' });
    expect(await postTo(events.url, eventHeaders('falco.rule.output.v1'), alert)).toBe(204);
    const lease = '/apis/coordination.k8s.io/v1/namespaces/zen-system/leases/zen-watcher-falco';
    await until('falco has left a sign of life', async () => (await cluster.request('GET', lease)).status === 200);
  }, 900_000);

  afterAll(async () => {
    await Promise.all(programs.map((program) => program.stop()));
    for (const end of ends) end();
    await cluster.stop();
  });

  /** The value of a label that some Observation has. */
  async function anyOf(label: string): Promise<string> {
    const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/observations');
    const items: { metadata: { labels: Record<string, string> } }[] = body.items;
    const [found] = items.flatMap(({ metadata }) => metadata.labels[`zen.kube-zen.io/${label}`] ?? []);
    if (found === undefined) throw new Error(`nothing has the label ${label}`);
    return found;
  }

  /** With what stands for something of the reader's. */
  async function filledIn(command: string): Promise<string> {
    const [, label] = /zen\.kube-zen\.io\/(\w+)=HASH/.exec(command) ?? [];
    const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations');
    const rules: string[] = body.items.map(({ spec }: { spec: { rule: string } }) => spec.rule);
    const cve = rules.find((rule) => rule.startsWith('CVE-')) ?? '';
    return command.replace('HASH', label === undefined ? '' : await anyOf(label)).replace(/CVE-[\d-]+/, cve);
  }

  it('are all tried here, or it is said where', () => {
    expect(commands.length).toBeGreaterThan(20);
    const others = commands.filter((command) => !/^(kubectl (?:get|run|create|delete)|sed) /.test(command));
    expect(others.filter((command) => !isElsewhere(command))).toEqual([]);
  });

  it('write the image into the overlay', async () => {
    const folder = join(temporaryFolder(), 'project');
    cpSync(join(root, 'knative'), join(folder, 'knative'), { recursive: true });
    cpSync(join(root, 'crds'), join(folder, 'crds'), { recursive: true });
    const [command = ''] = commands.filter((one) => one.startsWith('sed '));
    await run(command, folder);
    const built = await run('kubectl kustomize knative/overlays/default', folder);
    expect(new Set(built.match(/image: .*zen-watcher.*/g))).toEqual(
      new Set([`image: REGISTRY/zen-watcher:${release.version}`]),
    );
  });

  it('send a test alert that is stored', async () => {
    const [command = ''] = commands.filter((one) => one.startsWith('kubectl run '));
    const [, rest = ''] = command.split(' -- ');
    // The arguments as the shell makes them of the line.
    const args = (await run(`printf '%s\\n' ${rest.replaceAll('\\n', '')}`)).trim().split('\n');
    const after = (flag: string): string => args[args.indexOf(flag) + 1] ?? '';
    const [type = '', value = ''] = after('-H').split(': ');
    expect([args[0], args.at(-1)]).toEqual(['-sS', 'http://webhook.zen-system.svc.cluster.local/falco/webhook']);
    expect(await postTo(`${webhook.url}/falco/webhook`, { [type]: value }, after('-d'))).toBe(204);
    expect(await run('kubectl get obs -n default -l zen.kube-zen.io/source=falco')).toContain('A test alert');
  });

  it.each(commands.filter((one) => /^kubectl (create|delete) /.test(one)))('do what they say: %s', async (command) => {
    expect(await run(command)).toMatch(/clusterrolebinding.*try-audit"? (created|deleted)/);
  });

  /** What is not there in this cluster, so that nothing is found. */
  const empty = /\(checkov,kube-bench\)|apiserversource/;

  it.each(commands.filter((one) => one.startsWith('kubectl get ')))('find something: %s', async (command) => {
    const found = await run(await filledIn(command));
    if (!empty.test(command))
      expect(found.trim().split('\n').length, found).toBeGreaterThan(command.includes('|') ? 0 : 1);
  });

  it('lead to one user, one workload, one CVE, what can not be read and the audit ID', async () => {
    const one = async (beginning: string): Promise<string> => {
      const [command = ''] = commands.filter((line) => line.includes(beginning));
      return run(await filledIn(command));
    };
    expect(await one('grep alice')).toContain('alice');
    expect(await one('ACTOR:')).toContain(await anyOf('actor'));
    expect(await one('actor=HASH')).toContain('audit-');
    expect(await one('field-selector')).toContain('trivy-');
    // In whatever namespace that is: a report that can't be read is told where it is.
    expect(await one('category=operations')).toContain("can't be read");
    expect(await one('AUDIT-ID:')).toContain('0f0f0f0f-1111-4222-8333-444444444444');
  });
});
