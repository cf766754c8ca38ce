import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConnection } from './connection.ts';
import { memoryOf, type Program, startProgram, temporaryFolder } from './program.ts';

let program: Program;

beforeAll(async () => {
  program = await startProgram({
    args: ['--port', '0', '--data', temporaryFolder()],
    environment: { LOG_LEVEL: 'FATAL' },
  });
});

afterAll(() => program.stop());

const open = () => openConnection(program.url);

async function expectGoodEvent(rule: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ rule, priority: 'Error' });
  expect((await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body })).status).toBe(204);
}

const alert = '{"rule":"slow","priority":"Error"}';
const head = (length: number) =>
  `POST /falco/webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

describe('whoever is slow', () => {
  it.each([
    ['sends nothing', '', 'X'],
    ['sends headers without an end', 'POST /falco/webhook HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n'],
    ['sends a body without an end', head(1_000_000), 'x'],
  ])('and %s is told so and closed', { timeout: 120_000 }, async (_case, first, more) => {
    const connections = await Promise.all(Array.from({ length: 50 }, open));
    for (const { send } of connections) send(first);
    const trickle = setInterval(() => {
      for (const { socket, send } of connections) if (socket.writable && first !== '') send(more);
    }, 500);
    await expectGoodEvent('while others are slow');
    const answers = await Promise.all(connections.map(({ closed }) => closed));
    clearInterval(trickle);
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/);
    await expectGoodEvent('after others were slow');
  });

  it('and opens connections without an end fills no memory', { timeout: 60_000 }, async () => {
    const before = memoryOf(program.pid).now;
    const connections = await Promise.all(Array.from({ length: 3000 }, open));
    const taken = memoryOf(program.pid).now - before;
    console.log(`3,000 connections: ${taken.toFixed(0)} MiB`);
    expect(taken).toBeLessThan(64);
    // Kept open by those that are answered, so that nobody else gets their place.
    const answers = connections.map(async ({ socket, send, closed }) => {
      const answered = new Promise<boolean>((resolve) => socket.once('data', () => resolve(true)));
      send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
      return Promise.race([answered, closed.then(() => false)]);
    });
    const held = (await Promise.all(answers)).filter((isAnswered) => isAnswered).length;
    for (const { socket } of connections) socket.destroy();
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(1000);
    await expectGoodEvent('after the connections');
  });
});

it('answers every request of a long pipeline, in its order', async () => {
  const { send, closed } = await open();
  // With the last one, as many as a connection may have unanswered.
  const count = 99;
  const requests = Array.from({ length: count }, () => head(alert.length) + alert);
  const last = `GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  send(requests.join('') + last);
  const statuses = (await closed).match(/HTTP\/1\.1 (\d{3})/g) ?? [];
  expect(statuses).toHaveLength(count + 1);
  expect(statuses.at(-1)).toBe('HTTP/1.1 200');
  // Those that are too many at once wait for their turn.
  expect(new Set(statuses.slice(0, -1))).toEqual(new Set(['HTTP/1.1 204']));
});
