import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { defineTask, triggersOf } from '../../shared/function/definitions.ts';
import { Refusal, type RefusalStatus } from '../../shared/function/refusal.ts';
import type { Change } from '../../shared/function/stores.ts';
import { createReferences } from '../../shared/standalone/references.ts';
import { createTestContext } from '../pipeline/test-context.ts';

const change = (name: string, type: Change['type'] = 'update'): Change => ({
  type,
  path: `/apis/example.com/v1/namespaces/shop/things/${name}`,
  ref: { apiVersion: 'example.com/v1', kind: 'Thing', namespace: 'shop', name },
});

const nameIn = ({ data }: CloudEvent): string => z.object({ name: z.string() }).parse(data).name;

/** Takes changes for a function that ends each of its deliveries when it is told to. */
function create() {
  const definition = defineTask({
    name: 'watching',
    settings: z.object({}),
    permissions: [],
    triggers: () => [],
    handle: async () => undefined,
  });
  const { context } = createTestContext(definition);
  const handler = { definition, triggers: triggersOf(definition, context.settings), context, hint: () => undefined };
  const delivered: CloudEvent[] = [];
  const open = new Map<string, (status?: RefusalStatus) => void>();
  const stop = new AbortController();
  let passes = 0;
  const take = createReferences({
    handler,
    broker: {
      send(_handler, event) {
        delivered.push(event);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        open.set(nameIn(event), (status) =>
          status === undefined ? resolve() : reject(new Refusal(status, 'refused')),
        );
        return promise;
      },
    },
    requestPass: () => {
      passes += 1;
    },
    clock: { now: () => 0, deadline: (_milliseconds, signal) => ({ signal, clear: () => undefined }) },
    milliseconds: 1000,
    signal: stop.signal,
  });
  const end = async (name: string, status?: RefusalStatus): Promise<void> => {
    open.get(name)?.(status);
    await new Promise((resolve) => void setImmediate(resolve));
  };
  return { take, delivered, names: () => delivered.map(nameIn), end, passes: () => passes, stop };
}

describe('createReferences', () => {
  it('hands on what an ApiServerSource sends: where the object is, and nothing of it', () => {
    const { take, delivered } = create();
    take(change('a', 'add'));
    expect(delivered[0]).toMatchObject({
      type: 'dev.knative.apiserver.ref.add',
      subject: '/apis/example.com/v1/namespaces/shop/things/a',
      data: { apiVersion: 'example.com/v1', kind: 'Thing', namespace: 'shop', name: 'a' },
    });
  });

  it('hands on a few at a time, and the next one when one is done', async () => {
    const { take, names, end } = create();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) take(change(name));
    expect(names()).toEqual(['a', 'b', 'c', 'd']);
    await end('b');
    expect(names()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('hands on an object once more if it changes while it is handled, and once for all changes that wait', async () => {
    const { take, names, end } = create();
    take(change('a'));
    for (let times = 0; times < 3; times += 1) take(change('a'));
    expect(names()).toEqual(['a']);
    await end('a');
    await end('a');
    expect(names()).toEqual(['a', 'a']);
  });

  it.each([
    [503, 1],
    [422, 0],
    [undefined, 0],
  ] as const)('after %s asks for %d passes', async (status, expected) => {
    const { take, end, passes } = create();
    take(change('a'));
    await end('a', status);
    expect(passes()).toBe(expected);
  });

  it('asks for a pass in place of more references than may wait', () => {
    const { take, names, passes } = create();
    for (let index = 0; index < 10_010; index += 1) take(change(`n${index}`));
    expect([passes(), names().length]).toEqual([1, 4]);
  });

  it('hands on nothing more when the process stops', async () => {
    const { take, names, end, stop } = create();
    for (const name of ['a', 'b', 'c', 'd', 'e']) take(change(name));
    stop.abort();
    await end('a');
    expect(names()).toHaveLength(4);
  });
});
