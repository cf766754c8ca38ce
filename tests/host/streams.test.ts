import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { freePort } from '../bench/measure.ts';
import { commandLine } from '../local/commands.ts';
import { temporaryFolder, within } from './program.ts';

const headers = { 'content-type': 'application/json' };

/** Runs `npm start` as a part of a shell's line, in which `"$@"` stands for it; the line prints its process id first. */
function inShell(
  line: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  return spawn('bash', ['-c', line, 'bash', ...commandLine('start'), ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function textOf(stream: ChildProcess['stdout']): () => string {
  const chunks: string[] = [];
  stream?.on('data', (chunk) => chunks.push(String(chunk)));
  return () => chunks.join('');
}

async function post(port: number | string, rule: string): Promise<number | undefined> {
  const body = JSON.stringify({ rule, priority: 'Error' });
  try {
    return (await fetch(`http://127.0.0.1:${port}/falco/webhook`, { method: 'POST', headers, body })).status;
  } catch {
    return undefined;
  }
}

describe('a start that fails', () => {
  it.each([
    ['with standard output full', '"$@" >/dev/full'],
    ['with nobody to read standard output', 'set -o pipefail; "$@" | true'],
    ['with nobody to read anything', 'set -o pipefail; "$@" 2>&1 | true'],
    ['with standard output closed', '"$@" >&-'],
    ['with all of them closed', '"$@" >&- 2>&-'],
    ['with all of them full', '"$@" >/dev/full 2>&1'],
  ])('ends %s', async (_case, line) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? String(address.port) : '';
    const child = inShell(line, ['--port', port, '--data', temporaryFolder()]);
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    taken.close();
  });
});

describe('a running program', () => {
  it('goes on when nobody reads what it says, on either stream', async () => {
    const port = await freePort();
    const child = inShell('echo $$; exec "$@" > >(true) 2>&1', ['--port', String(port), '--data', temporaryFolder()], {
      LOG_LEVEL: 'DEBUG',
    });
    const output = textOf(child.stdout);
    const exited = once(child, 'exit');
    expect(await within('it is up', 5, () => post(port, 'first'))).toBe(204);
    for (let index = 0; index < 5; index += 1) expect(await post(port, `more ${index}`)).toBe(204);
    process.kill(Number(output()), 'SIGTERM');
    expect((await exited)[0]).toBe(0);
  });

  it('ends on SIGTERM though its reader has stopped reading', async () => {
    const port = await freePort();
    const line = '(echo $BASHPID >&2; exec "$@") | sleep 60';
    const child = inShell(line, ['--port', String(port), '--data', temporaryFolder()], { LOG_LEVEL: 'DEBUG' });
    const errors = textOf(child.stderr);
    await within('it is up', 5, () => post(port, 'first'));
    // More than a pipe holds.
    const posts = Array.from({ length: 1000 }, (_, index) => `rule ${index}`);
    for (const rule of posts) expect(await post(port, rule)).toBe(204);
    const pid = Number(errors());
    process.kill(pid, 'SIGTERM');
    await within('its end', 10, async () => {
      try {
        process.kill(pid, 0);
        return undefined;
      } catch {
        return true;
      }
    });
    child.kill('SIGKILL');
  });
});
