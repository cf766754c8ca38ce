import { expect, it } from 'vitest';
import { observationsOf, type Program, startProgram, temporaryFolder } from './program.ts';
import { createRandom } from './random.ts';

const alerts = 10_000;
const kills = 10;
const senders = 8;

it('loses nothing and doubles nothing when it is killed again and again', { timeout: 300_000 }, async () => {
  const { random, seed } = createRandom();
  const data = temporaryFolder();
  const start = (port: string): Promise<Program> =>
    startProgram({ args: ['--port', port, '--data', data], environment: { LOG_LEVEL: 'ERROR' } });
  let program = await start('0');
  const url = program.url;
  const acknowledged = new Set<string>();
  let next = 0;
  let killed = 0;
  let retries = 0;
  let restarting: Promise<void> | undefined;

  /** Kills at a random count of acknowledgements, so at a random place in whatever is under way. */
  const killAt = Array.from({ length: kills }, (_, index) => Math.floor(((index + random()) * alerts) / kills));
  function maybeKill(): void {
    if (restarting || killed >= kills || acknowledged.size < (killAt[killed] ?? 0)) return;
    killed += 1;
    restarting = program.kill().then(async () => {
      program = await start(new URL(url).port);
      restarting = undefined;
    });
  }

  async function send(rule: string): Promise<void> {
    const body = JSON.stringify({ rule, priority: 'Error', time: '2026-03-01T10:00:00Z', hostname: 'node-1' });
    for (;;) {
      try {
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(`${url}/falco/webhook`, { method: 'POST', headers, body });
        await response.arrayBuffer();
        if (response.status === 204) return;
      } catch {
        // Killed: sent again until somebody acknowledges it.
      }
      retries += 1;
      await (restarting ?? new Promise((resolve) => setTimeout(resolve, 5)));
    }
  }

  async function sender(): Promise<void> {
    while (next < alerts) {
      const rule = `rule ${next}`;
      next += 1;
      await send(rule);
      acknowledged.add(rule);
      maybeKill();
    }
  }

  await Promise.all(Array.from({ length: senders }, sender));
  await restarting;
  const stored = (await observationsOf(program.url)).map(({ spec }) => spec);
  const rules = stored.map(({ rule }) => rule);
  console.log(
    `seed ${seed}: ${acknowledged.size} acknowledged, ${killed} kills, ${retries} retries, ${rules.length} stored`,
  );
  expect(killed).toBeGreaterThanOrEqual(kills);
  expect(rules).toHaveLength(alerts);
  expect(new Set(rules)).toEqual(acknowledged);
  expect(await program.stop()).toBe(0);
});
