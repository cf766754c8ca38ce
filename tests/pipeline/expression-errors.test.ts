import { describe, expect, it } from 'vitest';
import { createExpressionErrors } from '../../shared/pipeline/expression-errors.ts';
import { createTestContext, createTestObjects, tallied } from './test-context.ts';
import { anObject, box, boxes, crate, jar } from './test-sources.ts';

function createWorld(status?: object) {
  const objects = createTestObjects();
  const object = { ...anObject('it', { metadata: { generation: 1 } }), status };
  objects.all.push(object);
  const counted: string[] = [];
  let writes = 0;
  let fault: Error | undefined;
  const setStatus: typeof objects.setStatus = async (...args) => {
    writes += 1;
    if (fault) throw fault;
    await objects.setStatus(...args);
  };
  const errors = createExpressionErrors((kind) => counted.push(kind));
  const { context } = createTestContext(boxes, { context: { objects: { ...objects, setStatus } } });
  return {
    object,
    counted,
    writes: () => writes,
    fail: (error: Error) => {
      fault = error;
    },
    errors,
    objects,
    note: (message: string) => errors.note(box, object, message),
    settle: () => tallied(context, (own) => errors.settle(own)),
  };
}

const failing = { type: 'Failing', status: 'True', reason: 'ExpressionFailed', message: 'spec.expression: first' };

describe('createExpressionErrors', () => {
  it('counts each failure, and shows the first of an object once', async () => {
    const { note, settle, object, counted, writes } = createWorld();
    for (const message of ['spec.expression: first', 'spec.expression: second']) note(message);
    await settle();
    note('spec.expression: third');
    await settle();
    expect([counted.length, writes()]).toEqual([3, 1]);
    expect(object.status).toEqual({ conditions: [expect.objectContaining({ ...failing, observedGeneration: 1 })] });
  });

  it('shows it again once the object has changed', async () => {
    const { note, settle, object, writes } = createWorld();
    note('spec.expression: first');
    await settle();
    Object.assign(object.metadata, { generation: 2 });
    note('spec.expression: other');
    await settle();
    expect(writes()).toBe(2);
    expect(object.status).toEqual({
      conditions: [expect.objectContaining({ message: 'spec.expression: other', observedGeneration: 2 })],
    });
  });

  it.each([
    ['another name', box, anObject('other')],
    ['another namespace', box, anObject('it', { namespace: 'pay' })],
    ['another kind', jar, anObject('it', { resource: jar })],
    ['no namespace', crate, anObject('it', { resource: crate })],
  ])('shows it on each object for itself, here on one with %s', async (_case, kind, other) => {
    const { errors, note, settle, object, objects } = createWorld();
    const changed = Object.assign(other, { status: undefined });
    objects.all.push(changed);
    note('spec.expression: first');
    errors.note(kind, changed, 'spec.expression: other');
    expect((await settle()).warnings).toEqual([
      'Box shop/it: spec.expression: first',
      `${other.kind} ${other.metadata.namespace}/${other.metadata.name}: spec.expression: other`,
    ]);
    expect([object.status, changed.status]).toMatchObject([
      { conditions: [{ message: 'spec.expression: first' }] },
      { conditions: [{ message: 'spec.expression: other' }] },
    ]);
  });

  it('shows it once, though what is watched does not have it yet', async () => {
    const { errors, settle, object, writes } = createWorld();
    const watched = { ...object };
    for (let event = 0; event < 3; event += 1) {
      errors.note(box, watched, 'spec.expression: first');
      await settle();
    }
    expect(writes()).toBe(1);
  });

  it('says nothing if another process has shown it', async () => {
    const shown = { ...failing, lastTransitionTime: '2026-03-01T10:00:00Z', observedGeneration: 1 };
    const { note, settle, writes } = createWorld({ conditions: [shown] });
    note('spec.expression: second');
    expect((await settle()).warnings).toEqual([]);
    expect(writes()).toBe(0);
  });

  it('counts by its kind what is shown elsewhere', async () => {
    const { errors, counted, settle, writes } = createWorld();
    errors.count(crate);
    await settle();
    expect([counted, writes()]).toEqual([['Crate'], 0]);
  });

  it('stops nothing if the condition can not be set', async () => {
    const { note, settle, fail } = createWorld();
    fail(new Error('no answer'));
    note('spec.expression: first');
    expect((await settle()).warnings).toEqual([
      'Box shop/it: spec.expression: first',
      expect.stringMatching(/^Box shop\/it: its condition can't be set: ./),
    ]);
  });
});
