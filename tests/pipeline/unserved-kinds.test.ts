import { describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NotServed } from '../../shared/function/stores.ts';
import { createWorld, kinds } from './slot-world.ts';

/** Lists of these kinds end in an error. */
function failing(world: ReturnType<typeof createWorld>, all: readonly KindSelector[], error = notServed): void {
  const names = new Set(all.map((kind) => (kind === kinds.oldChecks ? `${kind.kind} (old)` : kind.kind)));
  world.beforeCalls(async (call) => {
    const [verb, ...rest] = call.split(' ');
    if ((verb === 'list' || verb === 'metadata') && names.has(rest.join(' '))) throw error(kinds.checks);
  });
}

const notServed = (kind: KindSelector): Refusal => new NotServed(kind);
const forbidden = (): Refusal => new Refusal(503, 'listing checks was refused (Forbidden): check the Role');

async function seenAfterHours(world: ReturnType<typeof createWorld>) {
  for (let passes = 0; passes < 3; passes += 1) {
    world.later(60);
    await world.pass().catch(() => undefined);
  }
  return world.states();
}

describe('a kind that is not served', () => {
  it('is no empty list: what it reported stays as it is, while the rest ages', async () => {
    const world = createWorld();
    world.put('a', [{ id: 'a' }], { about: 'Deployment/a' });
    world.put('b', [{ id: 'b' }], { about: 'Deployment/b' });
    world.put('c', [{ id: 'c' }], { kind: kinds.checks });
    await world.pass();
    failing(world, [kinds.checks]);
    world.remove('b');
    world.remove('c', { kind: kinds.checks });
    expect(await seenAfterHours(world)).toEqual({ a: 'open', b: 'resolved', c: 'open' });
  });

  it('is renewed no more, and ages when it is served again without that', async () => {
    const world = createWorld();
    world.put('c', [{ id: 'c' }], { kind: kinds.checks });
    await world.pass();
    failing(world, [kinds.checks]);
    const expires = async () => (await world.store.read({ limit: 9 })).items.map(({ metadata }) => metadata.labels);
    const before = await expires();
    world.later(6 * 24 * 60);
    await world.pass();
    expect(await expires()).toEqual(before);
    world.beforeCalls(undefined);
    world.remove('c', { kind: kinds.checks });
    await world.pass();
    expect(await world.states()).toEqual({ c: 'missing' });
  });

  it('keeps nothing from ageing that another kind reports, if it has never been there', async () => {
    const world = createWorld();
    failing(world, [kinds.oldChecks, kinds.clusterScans]);
    world.put('c', [{ id: 'c' }], { kind: kinds.checks });
    await world.pass();
    world.remove('c', { kind: kinds.checks });
    expect(await seenAfterHours(world)).toEqual({ c: 'resolved' });
  });

  it('is no reason for an event about its slot to close what it reported', async () => {
    const world = createWorld();
    world.put('old', [{ id: 'a' }], { kind: kinds.oldChecks });
    world.put('new', [{ id: 'b' }], { kind: kinds.checks });
    await world.pass();
    failing(world, [kinds.oldChecks]);
    world.remove('old', { kind: kinds.oldChecks });
    await world.event(world.put('new', [{ id: 'c' }], { kind: kinds.checks }));
    expect(await world.states()).toEqual({ a: 'open', b: 'missing', c: 'open' });
  });

  it('that goes while an event is handled changes nothing either', async () => {
    const world = createWorld();
    world.put('old', [{ id: 'a' }], { kind: kinds.oldChecks });
    world.put('new', [{ id: 'b' }], { kind: kinds.checks });
    await world.pass();
    const changed = world.put('new', [{ id: 'c' }], { kind: kinds.checks });
    world.beforeCalls(async (call) => {
      if (call !== 'get Check (old)') return;
      world.remove('old', { kind: kinds.oldChecks });
      failing(world, [kinds.oldChecks]);
    });
    await world.event(changed);
    expect(await world.states()).toEqual({ a: 'open', b: 'missing', c: 'open' });
  });

  it.each([1, 2, 3, 4, 5, 6])(
    'that goes before call %d of the pass that would close it changes nothing',
    async (calls) => {
      const world = createWorld();
      world.put('a', [{ id: 'a' }], { kind: kinds.checks });
      world.put('b', [{ id: 'b' }], { kind: kinds.checks, about: 'Deployment/b' });
      await world.pass();
      let left = calls;
      world.beforeCalls(async (call) => {
        if (!call.endsWith('Check')) return;
        left -= 1;
        if (left > 0) return;
        for (const name of ['a', 'b']) world.remove(name, { kind: kinds.checks });
        throw new NotServed(kinds.checks);
      });
      world.later(60);
      await world.pass();
      expect(await world.states()).toEqual({ a: 'open', b: 'open' });
    },
  );
});

describe('a kind that can not be listed', () => {
  it('keeps everything from ageing, and the pass writes the rest and says so', async () => {
    const world = createWorld();
    world.put('a', [{ id: 'a' }], { about: 'Deployment/a' });
    world.put('c', [{ id: 'c' }], { kind: kinds.checks });
    await world.pass();
    failing(world, [kinds.checks], forbidden);
    world.remove('a');
    world.put('b', [{ id: 'b' }], { about: 'Deployment/b' });
    world.later(60);
    await expect(world.pass()).rejects.toMatchObject({ status: 503, message: forbidden().message });
    expect(await world.states()).toEqual({ a: 'open', b: 'open', c: 'open' });
  });
});

describe('a zen-watcher for one namespace', () => {
  it('leaves alone what another one has found there by reports that lie elsewhere', async () => {
    const whole = createWorld();
    whole.put('a', [{ id: 'a' }]);
    whole.put('elsewhere', [{ id: 'b', namespace: 'shop' }], { namespace: 'scanner', about: undefined });
    whole.put('cluster', [{ id: 'c', namespace: 'shop' }], { kind: kinds.clusterScans, about: undefined });
    await whole.pass();
    const own = createWorld({
      environment: { WATCH_NAMESPACE: 'shop', SYSTEM_NAMESPACE: 'shop' },
      context: { store: whole.store },
    });
    own.put('a', [{ id: 'd' }]);
    for (const world of [own, own, own]) {
      world.later(60);
      await world.pass();
    }
    expect(await whole.states()).toEqual({ a: 'resolved', b: 'open', c: 'open', d: 'open' });
  });
});
