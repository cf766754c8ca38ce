import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { readableLine } from '../../shared/local/readable-log.ts';
import { root } from '../facts/markdown.ts';
import { samplesPlayed, startProgram, temporaryFolder, within } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import { commandLine } from './commands.ts';

describe('a line of the log for a person', () => {
  const line = (fields: object) =>
    readableLine(JSON.stringify({ level: 'INFO', time: '2026-03-01T10:00:00.000Z', component: 'local', ...fields }));
  const ping = { operation: 'dev.knative.sources.ping', msg: 'handled', milliseconds: 12 };

  it.each<[what: string, fields: object, expected: RegExp | undefined]>([
    [
      'an event',
      { source: 'falco', msg: 'handled', observed: 1, created: 1 },
      /^\d\d:\d\d:00 {2}falco +1 observed, 1 created$/,
    ],
    ['an event that was nothing new', { source: 'falco', msg: 'handled', observed: 1, duplicate: 1 }, /1 duplicate$/],
    ['a pass with news', { ...ping, source: 'trivy', observed: 5, missing: 2 }, /trivy +5 observed, 2 missing$/],
    ['a pass without', { ...ping, source: 'trivy', observed: 5, unchanged: 5 }, undefined],
    ['the request of an event', { source: 'webhook', operation: 'receive', msg: 'handled', observed: 1 }, undefined],
    [
      'a request of which nothing was wanted',
      { source: 'webhook', operation: 'receive', msg: 'handled', skipped: 1 },
      /webhook +1 skipped$/,
    ],
    [
      'a refusal',
      {
        level: 'WARN',
        source: 'trivy',
        msg: 'refused',
        status: 422,
        reason: 'the data breaks the schema',
        path: 'data.x',
      },
      /trivy +WARN refused 422: the data breaks the schema \(data\.x\)$/,
    ],
    [
      'a file',
      { level: 'WARN', operation: 'read-objects', msg: 'a file was not read', file: 'a.yaml', reason: 'bad' },
      /WARN a file was not read: bad file=a\.yaml$/,
    ],
    ['what a tool wrote', { msg: 'it says', word: '\u001b[2Ja\nb' }, /it says word=\?\[2Ja\?b$/],
  ])('is short: %s', (_what, fields, expected) => {
    if (expected === undefined) expect(line(fields)).toBeUndefined();
    else expect(line(fields)).toMatch(expected);
  });

  it('is what it is where it is no JSON', () => {
    expect(readableLine('a word\n')).toBe('a word');
  });
});

function hasTerminal(): boolean {
  try {
    return execFileSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }) !== undefined;
  } catch {
    console.log('no command "script": what a terminal shows is not tried');
    return false;
  }
}

describe.skipIf(!hasTerminal())('npm start on a terminal', () => {
  it('says what runs, where to look and what to try, and then a line an event', async () => {
    const data = temporaryFolder();
    const words = [...commandLine('start'), '--port', '0', '--data', data];
    const child = spawn('script', ['-qec', `exec ${words.join(' ')}`, '/dev/null'], {
      env: { PATH: process.env.PATH, NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const chunks: string[] = [];
    child.stdout?.on('data', (chunk) => chunks.push(String(chunk)));
    const shown = (): string => chunks.join('').replaceAll('\r', '');
    const url = await within(
      'the first screen',
      2,
      () => /listening on (http:\/\/[\d.:]+) .*[\s\S]*Ctrl-C/.exec(shown())?.[1],
    );
    const screen = shown();
    for (const said of [
      `npm run observations -- --data ${data}`,
      `${url}/metrics`,
      `${url}/ready`,
      `npm run import -- --data ${data} FILE`,
      'npm start -- --samples',
      'falco',
    ]) {
      expect(screen).toContain(said);
    }
    expect(screen).not.toMatch(/WARN|"level"/);
    const curl = /curl -d '(.*?)' -H '(.*?): (.*?)' (\S+)/.exec(screen);
    const [, body = '', header = '', value = '', target = ''] = curl ?? [];
    const response = await fetch(target, { method: 'POST', headers: { [header]: value }, body });
    expect(response.status).toBe(204);
    await within('its line', 1, () => /^\d\d:\d\d:\d\d {2}falco +1 observed, 1 created$/m.test(shown()) || undefined);
    expect(shown().slice(screen.length).trim().split('\n')).toHaveLength(1);
    child.stdin?.write('\u0003');
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
  });
});

describe.skipIf(!hasTerminal())('npm run observations on a terminal', () => {
  const data = temporaryFolder();

  /** What a terminal with that many columns shows. */
  async function shownAt(columns: number, ...args: readonly string[]): Promise<string[]> {
    const place = args.includes('--data') ? [] : ['--data', data];
    const words = [...commandLine('observations'), ...place, ...args];
    const child = spawn('script', ['-qec', `stty cols ${columns}; exec ${words.join(' ')}`, '/dev/null'], {
      env: { PATH: process.env.PATH, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks: string[] = [];
    child.stdout?.on('data', (chunk) => chunks.push(String(chunk)));
    await once(child, 'close');
    return chunks.join('').trimEnd().split(/\r?\n/);
  }

  const summary = 'what was found, on what and by whom '.repeat(7).trim();

  beforeAll(async () => {
    const store = createEmbeddedStore({ data, now: Date.now });
    await store.create(anObservation({ spec: { summary, remediation: summary } }), AbortSignal.timeout(60_000));
    store.close();
  });

  it.each([
    [40, 80],
    [80, 80],
    [100, 100],
    [200, 200],
  ])('is, with %d columns, %d wide', async (columns, width) => {
    const lines = await shownAt(columns);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/…$/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    const one = await shownAt(columns, 'trivy-012');
    expect(Math.max(...one.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(one.join(' ').replaceAll(/\s+/g, ' ')).toContain(summary);
  });

  it('cuts nothing with -o wide', async () => {
    const [, row = ''] = await shownAt(100, '-o', 'wide');
    expect(row).toContain(summary);
  });

  it('shows first of the samples what README.md shows', { timeout: 60_000 }, async () => {
    const own = temporaryFolder();
    const program = await startProgram({ args: ['--port', '0', '--data', own, '--samples'] });
    await samplesPlayed(program.log);
    const [, example = ''] =
      /^( {4}NAMESPACE [\s\S]*?)^ {4}\.\.\.$/m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    const expected = example
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(4));
    expect(expected.length).toBeGreaterThan(2);
    expect((await shownAt(120, '--data', own)).slice(0, expected.length)).toEqual(expected);
    await program.stop();
  });
});

describe('npm start elsewhere', () => {
  const levels = (log: readonly string[]) => log.map((line) => Object.assign({ level: '' }, JSON.parse(line)).level);

  it('logs JSON, and warns of nothing where only this machine can post', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
    expect(await program.stop()).toBe(0);
    expect(new Set(levels(program.log))).toEqual(new Set(['INFO']));
  });

  it('warns of open webhooks where everybody may reach them', async () => {
    const program = await startProgram({ args: ['webhook'], environment: { PORT: '0' } });
    await within(
      'the warning',
      1,
      () => program.log.some((line) => line.includes('the webhooks accept posts from anyone')) || undefined,
    );
    await program.stop();
  });
});

describe('a browser pointed at the port', () => {
  it('is shown the page', async () => {
    const program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
    const page = await fetch(program.url, { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    expect(await page.text()).toContain('<title>zen-watcher</title>');
    for (const path of ['/observations', '/health', '/ready', '/metrics']) {
      expect([path, (await fetch(program.url + path)).status]).toEqual([path, 200]);
    }
    expect((await fetch(program.url, { method: 'PUT' })).status).toBe(405);
    await program.stop();
  });

  it('is told nothing by a function', async () => {
    const program = await startProgram({ args: ['webhook'], environment: { PORT: '0' } });
    expect((await fetch(program.url)).status).toBe(404);
    await program.stop();
  });
});
