import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { observationsOf, startProgram, temporaryFolder, within } from '../host/program.ts';

const headers = { 'content-type': 'application/json' };

async function post(url: string, rule: string) {
  const body = JSON.stringify({ rule, priority: 'Error', output: 'x'.repeat(3000) });
  const response = await fetch(`${url}/falco/webhook`, { method: 'POST', headers, body });
  return { status: response.status, text: await response.text() };
}

async function ready(url: string) {
  const response = await fetch(`${url}/ready`);
  return { status: response.status, text: await response.text() };
}

/** A disk of a few MiB; `undefined` where nobody may mount one. */
function mountDisk(): string | undefined {
  const folder = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    console.log('no disk can be mounted here: what becomes of a full one is not tried');
    return undefined;
  }
}

const disk = mountDisk();

describe.skipIf(disk === undefined)('a disk that is full', () => {
  const folder = disk ?? '';
  const filler = join(folder, 'filler');

  afterAll(() => execFileSync('umount', ['-l', folder]));

  function fill(): void {
    for (let size = 8_388_608; size >= 512; size /= 2) {
      for (let index = 0; ; index += 1) {
        const file = join(folder, `filler-${size}-${index}`);
        try {
          writeFileSync(file, Buffer.alloc(size));
        } catch {
          break;
        }
      }
    }
  }

  it('is told of by each answer and by /ready, ends nothing, and is forgotten when it has space again', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', join(folder, 'data')] });
    expect((await post(program.url, 'before')).status).toBe(204);
    fill();
    let count = 0;
    const acknowledged = ['before'];
    await within('word of it', 10, async () => {
      count += 1;
      const { status, text } = await post(program.url, `filling ${count}`);
      if (status === 204) acknowledged.push(`filling ${count}`);
      else expect([status, JSON.parse(text)]).toEqual([503, expect.objectContaining({ error: 'the disk is full' })]);
      return status === 503 || undefined;
    });
    const answers = await within('answers, all at once', 2, () =>
      Promise.all(Array.from({ length: 50 }, (_, index) => post(program.url, `full ${index}`))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(await ready(program.url)).toEqual({ status: 503, text: 'the disk is full\n' });
    expect((await fetch(`${program.url}/health`)).status).toBe(200);
    expect((await observationsOf(program.url)).length).toBeGreaterThan(0);
    execFileSync('sh', ['-c', `rm -f ${filler}*`]);
    await within('recovery', 2, async () => (await ready(program.url)).status === 200 || undefined);
    expect((await post(program.url, 'after')).status).toBe(204);
    acknowledged.push('after');
    const rules = (await observationsOf(program.url)).map(({ spec }) => spec.rule);
    expect(rules).toEqual(expect.arrayContaining(acknowledged));
    expect(await program.stop()).toBe(0);
  });
});

const filter = (minSeverity: string) => `apiVersion: zen.kube-zen.io/v1alpha1
kind: ObservationFilter
metadata: { name: falco }
spec: { targetSource: falco, minSeverity: ${minSeverity} }
`;

const report = (rule: string) => `apiVersion: openreports.io/v1alpha1
kind: Report
metadata: { name: web, namespace: shop }
scope: { apiVersion: apps/v1, kind: Deployment, name: web, namespace: shop }
results: [{ policy: p, rule: ${rule}, result: fail, source: kyverno }]
`;

describe('a folder that is removed while it is read', () => {
  it.each<[what: string, away: (folder: string) => void]>([
    ['removed', (folder) => rmSync(folder, { recursive: true })],
    ['renamed', (folder) => renameSync(folder, `${folder}-elsewhere`)],
  ])('ends nothing, keeps what it said, and is read again when it is back: %s', async (_what, away) => {
    const parent = temporaryFolder();
    const [objects, config] = [join(parent, 'objects'), join(parent, 'config')];
    for (const folder of [objects, config]) mkdirSync(folder);
    writeFileSync(join(objects, 'report.yaml'), report('first'));
    writeFileSync(join(config, 'filter.yaml'), filter('CRITICAL'));
    const args = ['--port', '0', '--data', join(parent, 'data'), '--objects', objects, '--config', config];
    const program = await startProgram({ args });
    const passes = async (rule: string): Promise<boolean> => {
      expect((await post(program.url, rule)).status).toBe(204);
      return (await observationsOf(program.url, '&source=falco')).length > 0;
    };
    const rules = async () =>
      (await observationsOf(program.url, '&source=kyverno')).map(({ metadata, spec }) => [
        spec.rule,
        metadata.labels['zen.kube-zen.io/state'],
      ]);
    await within('the first report', 1, async () => (await rules()).length === 1 || undefined);
    for (const folder of [objects, config]) away(folder);
    await within(
      'word of both',
      2,
      () => program.log.filter((line) => line.includes('ENOENT')).length >= 2 || undefined,
    );
    expect(await passes('still filtered')).toBe(false);
    expect(await rules()).toEqual([['p/first', 'open']]);
    for (const folder of [objects, config]) mkdirSync(folder);
    writeFileSync(join(objects, 'report.yaml'), report('second'));
    writeFileSync(join(config, 'filter.yaml'), filter('LOW'));
    await within('the second report', 2, async () => (await rules()).length === 2 || undefined);
    await within('the second filter', 2, async () => (await passes('no longer filtered')) || undefined);
    // And it is watched as before.
    writeFileSync(join(objects, 'report.yaml'), report('third'));
    await within('the third report', 1, async () => (await rules()).length === 3 || undefined);
    expect(await program.stop()).toBe(0);
  });
});

describe('Ctrl-C', () => {
  it.each([
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('twice ends at once, whatever is in flight: %s, %s', async (first, second) => {
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
    const { port, hostname } = new URL(program.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    // Half a request, which is waited for.
    socket.write(`POST /falco/webhook HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 100\r\n\r\n{`);
    await within('the request has arrived', 1, async () => (await ready(program.url)).status === 200 || undefined);
    process.kill(program.pid, first);
    await within('it is stopping', 1, async () => {
      try {
        return (await ready(program.url)).status === 503 || undefined;
      } catch {
        return true;
      }
    });
    process.kill(program.pid, second);
    await within('its end', 1, () => {
      try {
        process.kill(program.pid, 0);
        return undefined;
      } catch {
        return true;
      }
    });
    socket.destroy();
  });
});
