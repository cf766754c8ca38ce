import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../bench/measure.ts';
import { atEnd } from './at-end.ts';
import { observationsOf, type Program, sources, startProgram, temporaryFolder, within } from './program.ts';

const correlation = 'zen.kube-zen.io/correlation-id';
const headers = { 'content-type': 'application/json' };
const body = (rule: string) => JSON.stringify({ rule, priority: 'Error' });

interface Line {
  readonly msg: string;
  readonly source?: string;
  readonly correlation_id?: string;
}

describe('the log', () => {
  let program: Program;

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder()] });
  });

  afterAll(() => program.stop());

  it('says the same correlation id from the request to the Observation', async () => {
    const post = (rule: string, more: Record<string, string> = {}) =>
      fetch(`${program.url}/falco/webhook`, { method: 'POST', headers: { ...headers, ...more }, body: body(rule) });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    await post('traced', { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
    await post('untraced');
    await post('nonsense', { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` });
    const stored = await observationsOf(program.url);
    const idOf = (rule: string) => stored.find(({ spec }) => spec.rule === rule)?.metadata.annotations[correlation];
    expect(idOf('traced')).toBe(traceId);
    expect(idOf('nonsense')).not.toBe('0'.repeat(32));
    const lines = await within('the log is written', 1, () => {
      const handled = program.log
        .map((line): Line => JSON.parse(line))
        .filter(({ msg, source }) => msg === 'handled' && (source === 'webhook' || source === 'falco'));
      return handled.length === 6 ? handled : undefined;
    });
    for (const rule of ['traced', 'untraced', 'nonsense']) {
      const of = lines.filter(({ correlation_id }) => correlation_id === idOf(rule)).map(({ source }) => source);
      expect(of.sort(), rule).toEqual(['falco', 'webhook']);
    }
  });

  it('has the correlation id that a refusal tells its sender', async () => {
    const response = await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body: '{"rule":' });
    const { correlationId }: { correlationId: string } = JSON.parse(await response.text());
    const refused = await within('the log is written', 1, () =>
      program.log.map((line): Line => JSON.parse(line)).find(({ msg }) => msg === 'refused'),
    );
    expect(refused.correlation_id).toBe(correlationId);
  });

  it('may be full, and events are handled all the same', async () => {
    const port = String(await freePort());
    const args = [sources, '--port', port, '--data', temporaryFolder()];
    const child = spawn(process.execPath, args, { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
    const exited = once(child, 'exit');
    atEnd(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors += chunk;
    });
    const post = () =>
      fetch(`http://127.0.0.1:${port}/falco/webhook`, { method: 'POST', headers, body: body('unlogged') });
    const status = await within('it is up', 5, () =>
      post().then(
        (response) => response.status,
        () => undefined,
      ),
    );
    expect(status).toBe(204);
    await within('it says so where it can', 1, () => errors.includes("the log can't be written: ENOSPC") || undefined);
    child.kill('SIGTERM');
    expect((await exited)[0]).toBe(0);
  });
});
