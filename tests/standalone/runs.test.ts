import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { defineTask } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { BoundHandler } from '../../shared/host/context.ts';
import { createRuns } from '../../shared/standalone/runs.ts';
import { createTestContext } from '../pipeline/test-context.ts';

function handlerOf(name: string): BoundHandler {
  const definition = defineTask({
    ...{ name, settings: z.object({}), permissions: [] },
    triggers: () => [],
    handle: async () => undefined,
  });
  return { definition, triggers: [], context: createTestContext(definition).context, hint: () => undefined };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Runs functions that end when they are told to, by a clock that is set by hand. */
function create() {
  const stop = new AbortController();
  const begun: string[] = [];
  const open = new Map<string, ReturnType<typeof Promise.withResolvers<void>>>();
  const deadlines: { readonly at: number; readonly controller: AbortController }[] = [];
  let time = 0;
  const run = createRuns({
    systemNamespace: 'zen-system',
    stopping: stop.signal,
    clock: {
      now: () => 0,
      sleep: async () => undefined,
      deadline(milliseconds, signal) {
        const controller = new AbortController();
        deadlines.push({ at: time + milliseconds, controller });
        return { signal: AbortSignal.any([controller.signal, signal]), clear: () => undefined };
      },
    },
    dispatcher: {
      handle({ definition: { name } }, _event, signal) {
        begun.push(name);
        const one = Promise.withResolvers<void>();
        open.set(name, one);
        signal.addEventListener('abort', () => one.reject(new Refusal(503, 'too late')));
        return one.promise;
      },
    },
  });
  return {
    ...{ run, begun, stop },
    async end(name: string, refusal?: Refusal): Promise<void> {
      if (refusal) open.get(name)?.reject(refusal);
      else open.get(name)?.resolve();
      await turn();
    },
    async pass(milliseconds: number): Promise<void> {
      time += milliseconds;
      for (const { at, controller } of deadlines) if (at <= time) controller.abort();
      await turn();
    },
  };
}

describe('createRuns', () => {
  it('runs one of a function at a time, and two of all', async () => {
    const { run, begun, end } = create();
    const [a, b, c] = ['a', 'b', 'c'].map(handlerOf);
    for (const one of [a, a, b, c]) if (one) void run(one);
    await turn();
    expect(begun).toEqual(['a', 'b']);
    await end('a');
    expect(begun).toEqual(['a', 'b', 'c']);
    await end('c');
    expect(begun).toEqual(['a', 'b', 'c', 'a']);
  });

  it('lets one go on for half an hour, and not for ever', async () => {
    const { run, begun, pass, end } = create();
    void run(handlerOf('a'));
    await turn();
    await pass(1_800_000);
    expect(begun).toEqual(['a']);
    await pass(3_600_000);
    // Begun anew.
    expect(begun).toEqual(['a', 'a']);
    await end('a');
    expect(begun).toEqual(['a', 'a']);
  });

  it('tries again what fails, and at last leaves it to its next time', async () => {
    const { run, begun, end } = create();
    let isOver = false;
    void run(handlerOf('a')).then(() => {
      isOver = true;
    });
    await turn();
    for (let round = 0; !isOver && round < 20; round += 1) await end('a', new Refusal(503, 'not now'));
    expect(isOver).toBe(true);
    expect(begun).toHaveLength(8);
  });

  it('runs nothing more once it is told to stop', async () => {
    const { run, begun, stop } = create();
    for (const name of ['a', 'b', 'c']) void run(handlerOf(name));
    await turn();
    stop.abort();
    await turn();
    expect(begun).toEqual(['a', 'b']);
  });
});
