import { expect, it } from 'vitest';
import { observationsOf, type Program, startProgram, temporaryFolder } from './program.ts';

/** Posts alerts that are equal except for their time, all in one window. */
async function post({ url }: Program, from: number, to: number): Promise<void> {
  for (let second = from; second < to; second += 1) {
    const time = `2026-03-01T10:00:${String(second).padStart(2, '0')}Z`;
    const body = JSON.stringify({ rule: 'again', priority: 'Error', time, hostname: 'node-1' });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/falco/webhook`, { method: 'POST', headers, body });
    expect(response.status).toBe(204);
  }
}

it('keeps the count of repeats when it is stopped, and loses what was not yet written when it is killed', async () => {
  const data = temporaryFolder();
  const start = () => startProgram({ args: ['--port', '0', '--data', data], environment: { LOG_LEVEL: 'ERROR' } });
  const series = async ({ url }: Program) => (await observationsOf(url)).map(({ status }) => status?.series);
  const first = await start();
  await post(first, 0, 20);
  // Posted again, they are the same events.
  await post(first, 0, 20);
  expect(await series(first)).toEqual([undefined]);
  expect(await first.stop()).toBe(0);
  const second = await start();
  expect(await series(second)).toEqual([{ count: 20, lastObservedTime: '2026-03-01T10:00:19.000Z' }]);
  await post(second, 20, 30);
  await second.kill();
  const third = await start();
  expect(await series(third)).toMatchObject([{ count: 20 }]);
  await post(third, 30, 35);
  expect(await third.stop()).toBe(0);
  const fourth = await start();
  expect(await series(fourth)).toMatchObject([{ count: 25, lastObservedTime: '2026-03-01T10:00:34.000Z' }]);
  expect(await fourth.stop()).toBe(0);
});
