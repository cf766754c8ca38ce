import { describe, expect, it } from 'vitest';
import { Refusal } from '../../shared/function/refusal.ts';
import { createWorld, kinds } from './slot-world.ts';

/** What changed since the last pass: two findings are new, one says something else, two are gone, one came back. */
async function createChanged() {
  const world = createWorld();
  world.put('a', [{ id: 'a' }, { id: 'gone' }], { about: 'Deployment/a' });
  world.put('b', [{ id: 'b' }], { about: 'Deployment/b', namespace: 'pay' });
  world.put('c', [{ id: 'c' }], { kind: kinds.checks, about: 'Deployment/c' });
  world.put('d', [{ id: 'd' }], { about: 'Deployment/d' });
  await world.pass();
  world.remove('d');
  world.later(60);
  await world.pass();
  world.put('a', [{ id: 'a', summary: 'worse' }, { id: 'new' }], { about: 'Deployment/a' });
  world.put('d', [{ id: 'd' }], { about: 'Deployment/d' });
  world.put('e', [{ id: 'e' }], { about: 'Deployment/e', namespace: 'pay' });
  world.remove('c', { kind: kinds.checks });
  world.later(60);
  world.calls.length = 0;
  return world;
}

const before = { a: 'open', gone: 'open', b: 'open', c: 'open', d: 'missing' };
const after = { a: 'open', gone: 'missing', b: 'open', c: 'missing', d: 'open', new: 'open', e: 'open' };

describe('a pass that is cut short', () => {
  it('ages nothing that is reported, wherever that is, and the next one does the rest', async () => {
    const whole = await createChanged();
    await whole.pass();
    expect(await whole.states()).toEqual(after);
    const calls = whole.calls.length;
    expect(calls).toBeGreaterThan(20);
    for (let made = 0; made < calls; made += 1) {
      const world = await createChanged();
      let left = made;
      world.beforeCalls(async () => {
        left -= 1;
        if (left < 0) throw new Refusal(503, 'deadline exceeded');
      });
      await expect(world.pass()).rejects.toMatchObject({ status: 503 });
      const states = await world.states();
      for (const [id, state] of Object.entries(states)) {
        const possible = [before, after].map((all) => Object.entries(all).find(([one]) => one === id)?.[1]);
        expect([made, id, possible.includes(state)]).toEqual([made, id, true]);
      }
      world.beforeCalls(undefined);
      await world.pass();
      expect([made, await world.states()]).toEqual([made, after]);
    }
  });
});
