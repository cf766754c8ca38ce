import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postTo } from '../cluster/proxy.ts';
import { atEnd } from '../host/at-end.ts';
import { type ControlGroup, createControlGroup, image, memoryMiB } from '../host/container.ts';

const root = join(import.meta.dirname, '..', '..');
function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can make a mount namespace';
  try {
    execFileSync('unshare', [
      '-m',
      'sh',
      '-c',
      'mount --make-rprivate / && mount -o bind,remount,ro / && setpriv --version',
    ]);
    return undefined;
  } catch {
    return 'unshare, mount and setpriv are needed, with the right to use them';
  }
}

const reason = whyNot();
if (reason !== undefined) console.log(`what the image runs is not tried: ${reason}`);

interface Contained {
  readonly url: string;
  readonly log: string[];
  /** Resolves to the exit code. */
  stop(): Promise<number | null>;
}

/**
 * Runs the built folder as the image does: as UID 1001 without capabilities, in a mount namespace of its own with a read-only
 * root file system, and with the memory limit of the smallest pod.
 */
async function contain(folder: string, name: string, group: ControlGroup | undefined): Promise<Contained> {
  const asUser = 'setpriv --reuid 1001 --regid 1001 --clear-groups --no-new-privs --bounding-set=-all';
  const script = [
    ...(group ? [group.enter] : []),
    'mount --make-rprivate /',
    'mount -o bind,remount,ro /',
    `cd ${folder}`,
    `exec ${asUser} ./node ${image.arguments('app').join(' ')} ${name}`,
  ].join(' && ');
  const program = spawn('unshare', ['-m', 'sh', '-c', script], {
    env: { PORT: '0', ...image.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => program.once('exit', resolve));
  atEnd(() => program.kill('SIGKILL'));
  const log: string[] = [];
  program.stderr.on('data', (chunk: Buffer) => log.push(String(chunk)));
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(program.stdout).on('line', (line) => {
      log.push(line);
      const found = /listening on (http:\/\/[\d.:]+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found.replace('0.0.0.0', '127.0.0.1'));
    });
    void exited.then((code) => reject(new Error(`ended with ${code}: ${log.join('\n')}`)));
  });
  return {
    url,
    log,
    async stop() {
      program.kill('SIGTERM');
      return exited;
    },
  };
}

it("takes the compiled code of Node's own modules from the snapshot, as it starts with the flags that it was built with", () => {
  // With a wrong port it ends as soon as it has begun.
  const args = ['--profile-deserialization', ...image.arguments(), 'falco'];
  const { stdout } = spawnSync(process.execPath, args, { env: { ...image.environment, PORT: 'x' }, encoding: 'utf8' });
  expect(stdout).toContain('Deserializing isolate');
  expect(stdout).not.toContain('flags mismatch');
});

describe.skipIf(reason !== undefined)('what the image runs', { timeout: 60_000 }, () => {
  let folder = '';
  const group = reason === undefined ? createControlGroup('image', { memoryMiB }) : undefined;

  beforeAll(() => {
    folder = mkdtempSync('/var/tmp/zen-watcher-image-');
    atEnd(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(join(root, 'dist'), join(folder, 'app'), { recursive: true });
    cpSync(process.execPath, join(folder, 'node'));
    chmodSync(folder, 0o755);
  });

  afterAll(() => group?.remove());

  it.each(['falco', 'webhook', 'sources', 'trivy', 'gc'])(
    'serves %s alone, without a right and with nothing to write to',
    async (name) => {
      const program = await contain(folder, name, group);
      expect((await fetch(`${program.url}/health`)).status).toBe(200);
      expect((await fetch(`${program.url}/metrics`)).status).toBe(200);
      // webhook has doors for tools alone.
      const status = name === 'webhook' ? 404 : 400;
      expect(await postTo(program.url, { 'content-type': 'application/json' }, '{}')).toBe(status);
      expect(await program.stop()).toBe(0);
      expect(program.log.join('\n')).not.toMatch(/EACCES|EROFS|unexpected fault/);
    },
  );

  it.skipIf(!group)('stays within the memory of the smallest pod, whatever sizes of bodies arrive', async () => {
    const program = await contain(folder, 'falco', group);
    const headers = { 'content-type': 'application/cloudevents+json' };
    for (const megabytes of [1, 8, 12, 13, 40]) {
      const status = await postTo(program.url, headers, JSON.stringify({ x: 'x'.repeat(megabytes * 1_048_576) }));
      expect([400, 413, 503, 0]).toContain(status);
    }
    expect((await fetch(`${program.url}/health`)).status).toBe(200);
    expect(await program.stop()).toBe(0);
  });

  it('starts two processes that share nothing random, though both continue from one heap', async () => {
    const ids: string[] = [];
    for (let start = 0; start < 2; start += 1) {
      const program = await contain(folder, 'falco', group);
      const response = await fetch(program.url, { method: 'POST', body: 'no event' });
      ids.push(JSON.parse(await response.text()).correlationId);
      await program.stop();
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[1]).not.toBe(ids[0]);
    expect(readFileSync(join(root, 'knative', 'Dockerfile'), 'utf8')).toContain('USER 1001:1001');
  });

  it('is built even if no snapshot can be taken, and then loads the bundle', async () => {
    const dist = join(folder, 'app');
    execFileSync(process.execPath, [join(root, 'knative', 'image', 'build.ts'), '--dist', dist, '--without-snapshot'], {
      stdio: 'ignore',
    });
    const program = await contain(folder, 'falco', group);
    expect(await postTo(program.url, { 'content-type': 'application/json' }, '{}')).toBe(400);
    expect(await program.stop()).toBe(0);
  });
});
