import { once } from 'node:events';
import * as z from 'zod';
import type { Program } from './program.ts';

/** For the environment of a program whose heap is to be measured. */
export const measurable = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

const usage = z.object({ usedSize: z.number() });
const reply = z.object({ id: z.number(), result: z.unknown() });

/** The bytes that are in use on the heap of a program once it has collected its garbage. */
export async function heapOf({ log }: Program): Promise<number> {
  const address = log.map((line) => /listening on (ws:\S+)/.exec(line)?.[1]).find((found) => found !== undefined);
  if (address === undefined) throw new Error('the program was not started to be measured');
  const socket = new WebSocket(address);
  await once(socket, 'open');
  let id = 0;
  const ask = async (method: string): Promise<unknown> => {
    id += 1;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const asked = id;
    socket.addEventListener('message', ({ data }) => {
      const answer = reply.parse(JSON.parse(String(data)));
      if (answer.id === asked) resolve(answer.result);
    });
    socket.send(JSON.stringify({ id: asked, method }));
    return promise;
  };
  // What has a finalizer is gone with the second.
  for (let round = 0; round < 2; round += 1) await ask('HeapProfiler.collectGarbage');
  const { usedSize } = usage.parse(await ask('Runtime.getHeapUsage'));
  socket.close();
  return usedSize;
}
