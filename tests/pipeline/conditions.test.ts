import { describe, expect, it } from 'vitest';
import { accepted, type Condition, refused } from '../../shared/api/condition.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type KubernetesObject, NamespaceRefusal } from '../../shared/function/stores.ts';
import {
  changedSinceFailing,
  currentCondition,
  failing,
  hasFailed,
  setConditions,
} from '../../shared/pipeline/conditions.ts';
import { createTestContext, createTestObjects, tallied } from './test-context.ts';
import { anObject, box, boxes } from './test-sources.ts';

const ready: Condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'everything is fine' };

function createWorld(status?: unknown) {
  const objects = createTestObjects();
  const object: KubernetesObject & { status?: unknown } = {
    ...anObject('it', { metadata: { generation: 1 } }),
    ...(status === undefined ? {} : { status }),
  };
  objects.all.push(object);
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') };
  let writes = 0;
  const counting: typeof objects = {
    ...objects,
    setStatus(...args) {
      writes += 1;
      return objects.setStatus(...args);
    },
  };
  async function setWith(fields: Readonly<Record<string, number>>, ...conditions: Condition[]) {
    writes = 0;
    const { context } = createTestContext(boxes, { context: { objects: counting, now: () => clock.now } });
    await setConditions(box, object, conditions, context, fields);
    return { writes, status: object.status };
  }
  return {
    clock,
    object,
    set: (...conditions: Condition[]) => setWith({}, ...conditions),
    setWith,
    touch(generation: number) {
      Object.assign(object.metadata, { generation });
    },
  };
}

const at = '2026-03-01T12:00:00.000Z';
const later = '2026-03-01T12:01:00.000Z';

describe('setConditions', () => {
  it.each([undefined, {}, { conditions: [] }, { conditions: 'none' }, { conditions: [{ type: 'Accepted' }] }])(
    'writes the conditions if the status was %j',
    async (status) => {
      expect(await createWorld(status).set(accepted, ready)).toEqual({
        writes: 1,
        status: {
          conditions: [
            {
              type: 'Accepted',
              status: 'True',
              reason: 'Valid',
              message: '',
              lastTransitionTime: at,
              observedGeneration: 1,
            },
            { ...ready, lastTransitionTime: at, observedGeneration: 1 },
          ],
        },
      });
    },
  );

  it('writes that a refused object is not accepted, and why', async () => {
    expect((await createWorld().set(refused('Invalid', 'spec: is missing'))).status).toEqual({
      conditions: [
        {
          type: 'Accepted',
          status: 'False',
          reason: 'Invalid',
          message: 'spec: is missing',
          lastTransitionTime: at,
          observedGeneration: 1,
        },
      ],
    });
  });

  it('writes nothing if the conditions are there already', async () => {
    const { set, clock } = createWorld();
    const { status } = await set(accepted, ready);
    clock.now += 60_000;
    expect(await set(accepted, ready)).toEqual({ writes: 0, status });
    expect(await set(ready)).toEqual({ writes: 0, status });
  });

  it.each<[string, Condition, Condition, string]>([
    ['status', accepted, refused('Valid', ''), later],
    ['reason', refused('A', 'x'), refused('B', 'x'), at],
    ['message', refused('A', 'x'), refused('A', 'y'), at],
  ])(
    'writes again when the %s changes, with the time of the last change of the status',
    async (_case, before, after, since) => {
      const { set, clock } = createWorld();
      await set(before);
      clock.now += 60_000;
      expect(await set(after)).toEqual({
        writes: 1,
        status: { conditions: [{ ...after, lastTransitionTime: since, observedGeneration: 1 }] },
      });
    },
  );

  it.each<[before: object, fields: Readonly<Record<string, number>>, writes: number]>([
    [{ matched: 7 }, { matched: 7 }, 0],
    [{ matched: 7, more: 1 }, { matched: 7 }, 0],
    [{ matched: 7 }, { matched: 8 }, 1],
    [{ matched: 7 }, { matched: 7, more: 1 }, 1],
    [{}, { matched: 0 }, 1],
  ])('writes other fields, if they differ: of %j, %j', async (before, fields, writes) => {
    const { set, setWith, object } = createWorld();
    await set(accepted);
    Object.assign(object, { status: { ...Object.assign({ status: {} }, object).status, ...before } });
    expect((await setWith(fields, accepted)).writes).toBe(writes);
    if (writes > 0) expect(object.status).toMatchObject(fields);
  });

  it('writes fields of what has no status yet', async () => {
    const { setWith } = createWorld();
    expect(await setWith({ matched: 7 })).toEqual({ writes: 1, status: { matched: 7, conditions: [] } });
  });

  it('writes a new generation even if nothing else has changed', async () => {
    const { set, clock, touch } = createWorld();
    await set(accepted);
    clock.now += 60_000;
    touch(2);
    expect(await set(accepted)).toEqual({
      writes: 1,
      status: { conditions: [{ ...accepted, lastTransitionTime: at, observedGeneration: 2 }] },
    });
  });

  it('writes all its conditions if one has changed, and leaves those of others alone', async () => {
    const other = { type: 'Theirs', status: 'Unknown', reason: 'R', lastTransitionTime: 'x', more: 7 };
    const { set, clock } = createWorld({ conditions: [other] });
    await set(accepted, ready);
    clock.now += 60_000;
    const worse: Condition = { ...ready, status: 'False', reason: 'NotReady' };
    const { status } = await set(accepted, worse);
    expect(status).toEqual({
      conditions: [
        { ...other, message: '' },
        { ...accepted, lastTransitionTime: at, observedGeneration: 1 },
        { ...worse, lastTransitionTime: later, observedGeneration: 1 },
      ],
    });
  });

  it('truncates a message to 1024 characters, and recognizes it afterwards', async () => {
    const { set } = createWorld();
    const long = refused('Long', 'x'.repeat(1025));
    expect(await set(long)).toMatchObject({ writes: 1, status: { conditions: [{ message: `${'x'.repeat(1023)}…` }] } });
    expect(await set(long)).toMatchObject({ writes: 0 });
  });

  it('says that the namespace of the object refuses them, and goes on; any other fault it throws', async () => {
    const set = (fault: Error) => {
      const objects = { ...createTestObjects(), setStatus: () => Promise.reject(fault) };
      const { context } = createTestContext(boxes, { context: { objects } });
      return tallied(context, (own) => setConditions(box, anObject('it'), [accepted], own));
    };
    const { warnings } = await set(new NamespaceRefusal('denying', 'webhook "w"'));
    expect(warnings).toEqual(['namespace shop: the namespace is denying it: webhook "w"']);
    expect((await set(new NamespaceRefusal('closing'))).warnings).toEqual(['namespace shop: the namespace is closing']);
    await expect(set(new Refusal(503, 'away'))).rejects.toMatchObject({ status: 503, message: 'away' });
  });
});

describe('changedSinceFailing', () => {
  const failed = { ...failing('at 1:1: no such field'), lastTransitionTime: at };
  const ok = { ...ready, lastTransitionTime: at, observedGeneration: 2 };
  const noLonger = [{ type: 'Failing', status: 'False', reason: 'Changed', message: '' }];

  it.each<[string, readonly object[] | undefined, boolean, readonly object[]]>([
    ['fails as it is now', [ok, { ...failed, observedGeneration: 2 }], true, []],
    ['failed as it was before', [ok, { ...failed, observedGeneration: 1 }], false, noLonger],
    ['failed, nobody knows when', [ok, failed], false, noLonger],
    ['is known not to fail', [ok, { ...failed, status: 'False', observedGeneration: 1 }], false, []],
    ['has another condition', [{ ...ok, observedGeneration: 1 }], false, []],
    ['has no condition', [], false, []],
    ['has no status', undefined, false, []],
  ])('says of one that %s whether it does, and what to set', (_what, conditions, isFailing, toSet) => {
    const object = anObject('it', { metadata: { generation: 2 } });
    if (conditions) Object.assign(object, { status: { conditions } });
    expect([hasFailed(object), changedSinceFailing(object)]).toEqual([isFailing, toSet]);
  });

  it('goes by the condition that is asked for', () => {
    const object = Object.assign(anObject('it', { metadata: { generation: 2 } }), {
      status: { conditions: [{ ...failed, observedGeneration: 2 }, ok] },
    });
    expect(currentCondition(object, 'Ready')).toMatchObject(ready);
    expect(currentCondition(object, 'Expired')).toBeUndefined();
  });
});
