import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { manifestsOf } from '../../knative/generator/manifests.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { startFunction } from '../cluster/functions.ts';
import { expectNone } from '../facts/faults.ts';
import { root, tablesOf } from '../facts/markdown.ts';
import { runProgram, temporaryFolder, until } from '../host/program.ts';

const page = 'knative/README.md';
const rows = tablesOf(page).find(({ header }) => header[0] === 'what you see')?.rows ?? [];

/** Every text in the sources. */
function sources(folder: string): string {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, folder, file), 'utf8'))
    .join('\n');
}

const program = sources('shared') + sources('functions');

/** What a row quotes of the program's words, in parts: `...` stands for what differs. */
function quoted(cell: string): string[] {
  return [...cell.replaceAll(/`[^`]*`/g, '').matchAll(/"([^"]+)"/g)].flatMap(([, words = '']) =>
    words
      .split(/\.\.\.|: [A-Z_]+ .*/)
      .map((part) => part.trim().replace(/^(?:was refused \(Forbidden\): |: the namespace is )/, ''))
      .filter((part) => part.length > 3),
  );
}

/** What Kubernetes asks for in millicores and mebibytes. */
const millicores = (text: string): number => (text.endsWith('m') ? Number.parseInt(text, 10) : Number(text) * 1000);

describe('"What is wrong?"', () => {
  it('has rows, each with an answer', () => {
    expect(rows.length).toBeGreaterThan(10);
    expectNone(rows.filter((row) => row.length !== 2 || row.includes('')).map((row) => `${page}: ${row.join(' | ')}`));
  });

  it('quotes what the program says', () => {
    const words = rows.flat().flatMap(quoted);
    expect(words).toContain('no Trigger is ready for it');
    expectNone(
      words.filter((one) => !program.includes(one)).map((one) => `${page} quotes "${one}", which nothing says`),
    );
  });

  it.each([
    ['falco', { FALCO_MINIMUM_PRIORITY: 'loud', SOURCE_SILENT_MINUTES: '0' }],
    ['webhook', { WEBHOOK_ALLOWED_IPS: 'everybody', MAX_REQUEST_BYTES: 'many' }],
    ['gc', { MAX_OBSERVATIONS: '-1', OBSERVATION_TTL_DAYS: 'week' }],
  ])('is answered by the last line of %s, which Knative shows, if a setting is wrong', async (name, wrong) => {
    const { code, output } = await runProgram({ args: [name], environment: { PORT: '0', ...wrong } });
    const lines = output.trimEnd().split('\n');
    expect([code, lines.length]).toEqual([1, 1]);
    expect(lines[0]).toMatch(/^zen-watcher: bad settings: /);
    for (const variable of Object.keys(wrong)) expect(lines[0]).toContain(variable);
    // Kubernetes keeps no more of it: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
    expect(output.length).toBeLessThan(2048);
  });

  it.each([
    ['is cut off', () => undefined, 'no answer in time'],
    ['is another', (socket: { destroy(): unknown }) => void socket.destroy(), 'ECONNRESET'],
  ])('is answered by the log and by /ready if the port of the API server %s', async (_case, onConnection, reason) => {
    const silent = createServer(onConnection).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'token'), 't');
    writeFileSync(join(folder, 'ca.crt'), rootCertificates[0] ?? '');
    const program = await startFunction('falco', {
      ...{ server: `127.0.0.1:${port}`, folder },
      environment: { API_TIMEOUT_SECONDS: '1' },
    });
    const words = `has to wait: the API server can not be reached: ${reason}`;
    await until('it is said', () => program.log.some((line) => line.includes(words)));
    const ready = await fetch(`${program.url}/ready`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining(words)]);
    // Without a deadline it goes on trying, and must not fill the log meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    const kinds = program.log.filter((line) => line.includes(words)).map((line) => JSON.parse(line).resource);
    expect(kinds).toEqual([...new Set(kinds)]);
    await program.kill();
    silent.close();
  });

  it('names the functions that become ready without the API server', async () => {
    const definitions = await loadFunctions();
    const named = rows
      .flat()
      .flatMap((cell) => /\(([^()]*) watch nothing/.exec(cell)?.[1]?.match(/[\w-]+(?=`)/g) ?? []);
    const watchNothing = definitions
      .filter(({ watches, isOptional }) => watches === undefined && !isOptional)
      .map(({ name }) => name);
    expect(named.toSorted()).toEqual(watchNothing.toSorted());
  });

  it('says truly what an upgrade needs', async () => {
    const definitions = await loadFunctions();
    const services = definitions
      .filter(({ isOptional }) => !isOptional)
      .flatMap((one) => manifestsOf(one))
      .filter(({ apiVersion }) => apiVersion.startsWith('serving'));
    const requests = services.map((service) => {
      const { spec } = Object.assign(
        { spec: { template: { spec: { containers: [{ resources: { requests: { cpu: '', memory: '' } } }] } } } },
        service,
      );
      return spec.template.spec.containers[0]?.resources.requests;
    });
    const cpu = requests.reduce((sum, one) => sum + millicores(one?.cpu ?? '') + 25, 0);
    expect([services.length, cpu]).toEqual([13, 1625]);
    expect(requests.every((one) => one?.memory === '128Mi')).toBe(true);
    expect(readFileSync(join(root, page), 'utf8')).toContain('Thirteen functions ask for 1.6 CPUs');
  });
});
