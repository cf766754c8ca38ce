import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { observationsOf, runProgram, sources, startProgram, temporaryFolder, until, within } from './program.ts';

describe('starting', () => {
  it.each([
    [['--bogus'], /^zen-watcher: Unknown option '--bogus'.*\nAll options: npm start -- --help\n$/, 2],
    [['--port', 'x'], /--port takes a number/, 2],
    [['--port', '70000'], /--port takes a number/, 2],
    [['nonsense'], /no function nonsense[\s\S]*falco/, 2],
    [['falco', '--port', '1'], /--port is for local mode/, 2],
    [['standalone', '--port', '1'], /--port is for local mode/, 2],
    [['standalone', '--without', 'falco,nonsense'], /no function nonsense[\s\S]*falco/, 2],
    [['falco', '--without', 'trivy'], /--without is for standalone only/, 2],
    [['standalone'], /WEBHOOK_AUTH_TOKEN_FILE must be set: standalone takes nothing/, 1],
    [['falco', 'trivy'], /one function at most/, 2],
    [['--kubeconfig', 'x', '--samples'], /--samples can't be used with --kubeconfig/, 2],
    [['--kubeconfig', 'x', '--objects', 'y'], /--objects can't be used with --kubeconfig/, 2],
    [['--objects', '/nonexistent'], /--objects: no folder \/nonexistent/, 1],
    [['--help'], /Usage:/, 0],
  ])('%j says what is wrong', async (args, message, expected) => {
    const { code, output } = await runProgram({ args });
    expect(output).toMatch(message);
    expect(code).toBe(expected);
  });

  it('names every bad variable in one error', async () => {
    const environment = {
      LOG_LEVEL: 'LOUD',
      DEDUP_WINDOW_SECONDS: '-1',
      FALCO_MINIMUM_PRIORITY: 'huge',
      MAX_OBSERVATIONS: 'many',
      WATCH_NAMESPACE: 'No Namespace',
      OBSERVATION_TTL_SECONDS: '0',
      CHECKOV_NAMESPACE: '-',
    };
    const { code, output } = await runProgram({ args: ['--port', '0', '--data', temporaryFolder()], environment });
    expect(code).toBe(1);
    for (const name of Object.keys(environment)) expect(output).toContain(name);
    expect(output.trim().split('\n')).toHaveLength(1);
  });

  it('takes empty variables for unset', async () => {
    const environment = { WATCH_NAMESPACE: '', LOG_LEVEL: '', FALCO_MINIMUM_PRIORITY: '' };
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()], environment });
    expect(await program.stop()).toBe(0);
  });

  it('ends with the shell by which npm runs it', async () => {
    // The shell stays, as it has something to do afterwards: else it would become the program itself.
    const script = `"${process.execPath}" "${sources}" --port 0 --data :memory:; exit $?`;
    const environment = { PATH: process.env.PATH, npm_lifecycle_event: 'start' };
    const shell = spawn('sh', ['-c', script], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface(shell.stdout);
    let url: string | undefined;
    for await (const line of lines) {
      url = /listening on (http:[^" ]+)/.exec(line)?.[1];
      if (url !== undefined) break;
    }
    expect((await fetch(`${url}/health`)).status).toBe(200);
    shell.kill('SIGTERM');
    await until('the program to be gone', () =>
      fetch(`${url}/health`).then(
        () => false,
        () => true,
      ),
    );
  });

  it('says that its port is taken', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
    const { code, output } = await runProgram({
      args: ['--port', new URL(program.url).port, '--data', temporaryFolder()],
    });
    expect(code).toBe(1);
    expect(output).toContain('EADDRINUSE');
    await program.stop();
  });
});

describe('stopping', () => {
  it('finishes what is in flight and ends within 10 s', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
    const headers = { 'content-type': 'application/json' };
    const alert = (index: number) =>
      JSON.stringify({ rule: `r${index}`, priority: 'Error', time: '2026-03-01T10:00:00Z' });
    const answers = Array.from({ length: 200 }, async (_, index) => {
      try {
        const response = await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body: alert(index) });
        return response.status;
      } catch {
        return 'refused';
      }
    });
    await Promise.race(answers);
    const started = performance.now();
    expect(await program.stop()).toBe(0);
    console.log(`SIGTERM to exit: ${((performance.now() - started) / 1000).toFixed(2)} s (promised: 10 s)`);
    const statuses = new Set(await Promise.all(answers));
    for (const status of statuses) expect([204, 503, 'refused']).toContain(status);
    expect(statuses).toContain(204);
  });
});

describe('--data :memory:', () => {
  it('leaves nothing in the temporary folder, whether it has run or could not start', async () => {
    const temporary = temporaryFolder();
    const start = (port: string) => ({
      args: ['--port', port, '--data', ':memory:', '--samples'],
      environment: { TMPDIR: temporary },
    });
    const program = await startProgram(start('0'));
    const second = await runProgram(start(new URL(program.url).port));
    expect([second.code, second.output]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    expect(await program.stop()).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe('the log', () => {
  it('is one JSON object a line, without what was in a body', async () => {
    const program = await startProgram({
      args: ['--port', '0', '--data', temporaryFolder()],
      environment: { LOG_LEVEL: 'DEBUG' },
    });
    const headers = { 'content-type': 'application/json', authorization: 'Bearer PLANTED-SECRET' };
    for (const body of [
      '{"rule":"r","priority":"Error","output":"PLANTED-SECRET"}',
      '{"rule":"PLANTED-SECRET"',
      '{"rule":"PLANTED-SECRET","priority":"PLANTED-SECRET"}',
    ]) {
      await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body });
    }
    await fetch(`${program.url}/PLANTED-SECRET?token=PLANTED-SECRET`, {
      method: 'POST',
      headers,
      body: 'PLANTED-SECRET',
    });
    await program.stop();
    for (const line of program.log)
      expect(JSON.parse(line)).toMatchObject({
        level: expect.any(String),
        time: expect.any(String),
        msg: expect.any(String),
        component: 'local',
      });
    expect(program.log.join('\n')).not.toContain('PLANTED-SECRET');
  });
});

describe('--samples', () => {
  it('plays samples of every source through the doors of the real tools', async () => {
    const args = ['--port', '0', '--data', temporaryFolder(), '--samples'];
    const program = await startProgram({ args });
    await within(
      'word that the samples are played',
      10,
      () => program.log.some((line) => line.includes('samples played')) || undefined,
    );
    const sources = new Set((await observationsOf(program.url)).map(({ spec }) => spec.source));
    expect([...sources].sort()).toEqual(['audit', 'checkov', 'falco', 'kube-bench', 'kyverno', 'trivy']);
    expect(await program.stop()).toBe(0);
  });
});

describe('--objects', () => {
  it('observes what is there, what comes, what changes and what is broken', async () => {
    const objects = temporaryFolder();
    const report = (rules: readonly string[]) => `apiVersion: openreports.io/v1alpha1
kind: Report
metadata: { name: web, namespace: shop }
scope: { apiVersion: apps/v1, kind: Deployment, name: web, namespace: shop }
results:
${rules.map((rule) => `- { policy: p, rule: ${rule}, result: fail, source: kyverno }`).join('\n')}
`;
    const checkov = {
      check_type: 'kubernetes',
      results: { failed_checks: [{ check_id: 'CKV_K8S_1', resource: 'Pod.shop.a' }] },
    };
    const metadata = { name: 'scan', namespace: 'checkov', labels: { app: 'checkov' } };
    writeFileSync(join(objects, 'there.yaml'), report(['there']));
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder(), '--objects', objects] });
    const found = async (key: string, value: string) => {
      const all = await fetch(`${program.url}/observations`).then(async (response) =>
        JSON.stringify(await response.json()),
      );
      return all.includes(`"${key}":"${value}"`) ? true : undefined;
    };
    await within('a report that is there at the start', 1, () => found('rule', 'there'));
    writeFileSync(join(objects, 'there.yaml'), report(['there', 'changed']));
    await within('a changed report', 1, () => found('rule', 'changed'));
    mkdirSync(join(objects, 'sub'));
    const configMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { 'results.json': JSON.stringify(checkov) },
    };
    writeFileSync(join(objects, 'sub', 'scan.json'), JSON.stringify(configMap));
    await within('a new Checkov ConfigMap', 1, () => found('rule', 'CKV_K8S_1'));
    writeFileSync(join(objects, 'broken.yaml'), 'apiVersion: [\n');
    await within(
      'word of a broken file',
      1,
      () => program.log.some((line) => line.includes('broken.yaml')) || undefined,
    );
    writeFileSync(
      join(objects, 'new.yaml'),
      `${report(['second'])}---\n${report(['third']).replace('name: web,', 'name: api,')}`,
    );
    await within('the second document of a file', 1, () => found('rule', 'third'));
    expect(await program.stop()).toBe(0);
  });
});
