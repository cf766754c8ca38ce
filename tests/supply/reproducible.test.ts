import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../host/program.ts';

const root = join(import.meta.dirname, '..', '..');

/** The checksum of each file in a folder. */
function checksums(folder: string): Record<string, string> {
  const files = readdirSync(folder).sort();
  return Object.fromEntries(
    files.map((file) => [
      file,
      createHash('sha256')
        .update(readFileSync(join(folder, file)))
        .digest('hex'),
    ]),
  );
}

/** What the Dockerfile copies, in another folder, with the packages as npm installs them. */
function copyOfSources(): string {
  const folder = join(temporaryFolder(), 'elsewhere');
  for (const part of ['functions', 'shared', 'knative', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  // Links to files, where both folders are on one disk.
  execFileSync('sh', [
    '-c',
    'cp -al "$0" "$1" 2>/dev/null || cp -r "$0/." "$1"',
    join(root, 'node_modules'),
    join(folder, 'node_modules'),
  ]);
  return folder;
}

describe('a build', { timeout: 120_000 }, () => {
  it('is the same, byte by byte, in another folder, at another time, for somebody else', () => {
    const folder = copyOfSources();
    const build = (stdout: 'pipe' | number): Record<string, string> => {
      execFileSync(process.execPath, [join(folder, 'knative', 'image', 'build.ts')], {
        cwd: '/',
        env: { PATH: process.env.PATH, HOME: '/nowhere', TZ: 'Asia/Tokyo', LANG: 'tr_TR.UTF-8' },
        stdio: ['ignore', stdout, stdout],
      });
      return checksums(join(folder, 'dist'));
    };
    const first = checksums(join(root, 'dist'));
    expect(Object.keys(first)).toContain('zen-watcher.blob');
    expect(build('pipe')).toEqual(first);
    expect(build(openSync(join(folder, 'output'), 'w'))).toEqual(first);
  });

  it('knows nothing of where it was made', () => {
    const blob = readFileSync(join(root, 'dist', 'zen-watcher.blob'));
    for (const place of [root, process.execPath]) expect(blob.includes(place)).toBe(false);
  });
});

describe('standstill.cjs', () => {
  function run(script: string): string {
    const folder = temporaryFolder();
    const standstill = readFileSync(join(root, 'knative', 'image', 'standstill.cjs'), 'utf8');
    writeFileSync(join(folder, 'it.cjs'), `${standstill}\n${script}`);
    const options = { cwd: folder, encoding: 'utf8', timeout: 60_000 } as const;
    const flags = ['--disable-warning=Warning', '--snapshot-blob', 'it.blob'];
    execFileSync(process.execPath, [...flags, '--build-snapshot', 'it.cjs'], options);
    return execFileSync(process.execPath, [...flags, 'it'], options).trim();
  }

  it('lets a timer fire that is due later than those of the rehearsal were', () => {
    const script = `
      clearTimeout(setTimeout(() => undefined, 1));
      require('node:v8').startupSnapshot.setDeserializeMainFunction(() => setTimeout(() => console.log('fired'), 200));`;
    expect(run(script)).toBe('fired');
  });

  it('gives everything back, also to whoever has kept it', () => {
    const script = `
      const kept = [Date.now, performance.now, process.uptime, process.hrtime, process.hrtime.bigint, setTimeout];
      const pid = process.pid;
      require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {
        const [now, performanceNow, uptime, hrtime, bigint, later] = kept;
        const times = [Date.now(), now(), performance.now(), performanceNow(), process.uptime(), uptime()];
        const more = [process.hrtime()[0], hrtime()[0], Number(process.hrtime.bigint()), Number(bigint())];
        const isOwn = process.pid !== pid && process.execPath !== 'node' && process.cwd() !== '/';
        later(() => console.log([...times, ...more].every((time) => time > 0) && isOwn), 1);
      });`;
    expect(run(script)).toBe('true');
  });
});
