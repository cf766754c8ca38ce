import { cpuOf, firstAnswer, freePort, load, start } from './measure.ts';
import { alert } from './messages.ts';

/** The CPU time of a Falco event, in microseconds, once the program is warm. */
export async function microsecondsPerEvent(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  events: number,
): Promise<number> {
  const port = await freePort();
  const running = start(args, environment, port);
  await firstAnswer(port, alert(-1), performance.now());
  await load(port, 8, 3000, (index) => alert(1_000_000 + index));
  const before = cpuOf(running.pid);
  await load(port, 8, events, alert);
  const spent = ((cpuOf(running.pid) - before) * 1000) / events;
  await running.stop();
  return spent;
}
