import { describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import trivy from '../../functions/trivy.ts';
import { isAccepted } from '../../shared/api/acceptance.ts';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import { NamespaceRefusal } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { createExceptionWorld } from '../pipeline/exception-world.ts';
import type { ExceptionFields } from '../rules/an-exception.ts';

const row = (id: string, more: object = {}): object => ({ id, ...more });
const until = '2026-03-02T12:00:00Z';
const untilLabel = String(Date.parse(until) / 1000);

type World = ReturnType<typeof createExceptionWorld>;

async function one({ store }: World) {
  const first = (await store.read({ limit: 9 })).items.find(({ spec }) => spec.rule === 'a');
  if (!first) throw new Error('nothing is stored');
  const history: { state: string; reason: string }[] = JSON.parse(
    first.metadata.annotations[historyAnnotation] ?? '[]',
  );
  return { labels: first.metadata.labels, annotations: first.metadata.annotations, history };
}

describe('what a source writes', () => {
  it('is accepted from the beginning, with who, why and until when', async () => {
    const world = createExceptionWorld();
    world.forgive('old', { match: { rules: ['a'] }, until, approvedBy: 'alice', reason: 'no fix yet' });
    await world.event(world.put('r', [row('a'), row('b')]));
    expect(await world.marks()).toEqual({ a: [untilLabel, 'zen-system/old'], b: undefined });
    expect((await one(world)).annotations).toMatchObject({
      'zen.kube-zen.io/exception': 'zen-system/old',
      'zen.kube-zen.io/accepted-until': until,
      'zen.kube-zen.io/accepted-by': 'alice',
      'zen.kube-zen.io/accepted-reason': 'no fix yet',
    });
    expect(await world.states()).toEqual({ a: 'open', b: 'open' });
  });

  it('is judged anew when it becomes worse, in the same write', async () => {
    const world = createExceptionWorld();
    world.forgive('mild', { match: { severities: ['MEDIUM'] } });
    await world.event(world.put('r', [row('a', { severity: 'medium' })]));
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/mild'] });
    world.later(1);
    world.calls.length = 0;
    await world.event(world.put('r', [row('a', { severity: 'critical' })]));
    expect(await world.marks()).toEqual({ a: undefined });
    expect(world.calls.filter((call) => call === 'patch')).toHaveLength(1);
    world.later(1);
    await world.event(world.put('r', [row('a', { severity: 'medium' })]));
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/mild'] });
  });

  it('is judged anew when it is reported again', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a'), row('b')]));
    await world.event(world.put('r', [row('b')]));
    world.forgive('now', { match: { rules: ['a'] } });
    await world.event(world.put('r', [row('a'), row('b')]));
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/now'], b: undefined });
  });

  it('costs no write, and no look, for an exception that has come meanwhile', async () => {
    const world = createExceptionWorld();
    const object = world.put('r', [row('a')]);
    await world.event(object);
    world.forgive('now', { match: { rules: ['a'] } });
    world.calls.length = 0;
    await world.event(object);
    expect(world.calls).toEqual(['get Scan', 'names']);
  });

  it('is open again when its tool no longer accepts it, unless an exception does', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a')]));
    await world.event(world.put('r', [row('a', { accepted: 'shop/tools' })]));
    expect(await world.marks()).toEqual({ a: ['forever', 'shop/tools'] });
    await world.event(world.put('r', [row('a')]));
    expect(await world.marks()).toEqual({ a: undefined });
    await world.event(world.put('r', [row('a', { accepted: 'shop/tools' })]));
    world.forgive('ours', { match: { rules: ['a'] }, until });
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: ['forever', 'shop/tools'] });
    await world.event(world.put('r', [row('a')]));
    expect(await world.marks()).toEqual({ a: [untilLabel, 'zen-system/ours'] });
    await world.event(world.put('r', [row('a', { accepted: 'shop/tools' })]));
    expect(await world.marks()).toEqual({ a: ['forever', 'shop/tools'] });
  });

  it('is taken over by its tool from an exception without an end, and given back', async () => {
    const world = createExceptionWorld();
    world.forgive('ours', { match: { rules: ['a'] } });
    await world.event(world.put('r', [row('a')]));
    await world.event(world.put('r', [row('a', { accepted: 'shop/tools' })]));
    expect(await world.marks()).toEqual({ a: ['forever', 'shop/tools'] });
    world.regret('ours');
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: ['forever', 'shop/tools'] });
  });
});

describe('the function exceptions', () => {
  it('accepts what is stored already, and says so in its history, once', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a'), row('b')]));
    world.later(1);
    const summary = await world.judgeEvent(world.forgive('now', { match: { rules: ['a'] }, until }));
    expect(summary.relabelled).toEqual({ accepted: 1 });
    expect(summary.excepted).toEqual([{ namespace: 'zen-system', count: 1 }]);
    expect(await world.marks()).toEqual({ a: [untilLabel, 'zen-system/now'], b: undefined });
    const { history, labels: found } = await one(world);
    expect(history).toEqual([expect.objectContaining({ state: 'open', reason: 'accepted' })]);
    expect(found[labels.since]).toBe(String(world.clock.now));
    world.calls.length = 0;
    expect((await world.judgePass()).relabelled).toEqual({});
    expect(world.calls).not.toContain('patch');
  });

  it('leaves to every reader what is past, and takes the mark off at its pass', async () => {
    const world = createExceptionWorld();
    world.forgive('short', { match: { rules: ['a'] }, until });
    await world.event(world.put('r', [row('a')]));
    world.clock.now = Date.parse(until);
    expect(isAccepted((await one(world)).labels, world.clock.now - 1)).toBe(true);
    expect(isAccepted((await one(world)).labels, world.clock.now)).toBe(false);
    expect((await world.judgePass()).relabelled).toEqual({ unaccepted: 1 });
    expect(await world.marks()).toEqual({ a: undefined });
    const { history, labels: found } = await one(world);
    expect(history[0]).toMatchObject({ state: 'open', reason: 'expired' });
    expect(found[labels.since]).toBe(String(world.clock.now));
    expect(world.statusOf('short')).toMatchObject({
      matched: 0,
      Expired: 'True Ended',
      NeverMatched: 'True NothingMatches',
    });
  });

  it.each<[how: string, act: (world: World) => void]>([
    ['has gone', (world) => world.regret('it')],
    ['matches less', (world) => world.forgive('it', { match: { rules: ['b'] } })],
    ['has an unknown field', (world) => world.forgive('it', { match: { rules: ['a'], sorces: ['x'] } })],
    [
      'is being deleted',
      (world) =>
        world.objects.all.forEach((object) => {
          if (object.kind === 'ObservationException') Object.assign(object.metadata, { deletionTimestamp: until });
        }),
    ],
    [
      'has ended earlier than it was to',
      (world) => world.forgive('it', { match: { rules: ['a'] }, until: '2026-02-01T00:00:00Z' }),
    ],
  ])('opens what an exception accepted that %s', async (_how, act) => {
    const world = createExceptionWorld();
    const object = world.forgive('it', { match: { rules: ['a'] } });
    await world.event(world.put('r', [row('a')]));
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/it'] });
    world.later(1);
    act(world);
    await world.judgeEvent(object);
    expect(await world.marks()).toEqual({ a: undefined });
    expect((await one(world)).history[0]).toMatchObject({ reason: 'unaccepted' });
  });

  it('falls back on another exception where two overlap and one goes, which is another change to tell', async () => {
    const world = createExceptionWorld();
    world.forgive('long', { match: { rules: ['a'] } });
    world.forgive('short', { match: { rules: ['a'] }, until });
    await world.event(world.put('r', [row('a')]));
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/long'] });
    const { labels: before } = await one(world);
    world.later(1);
    world.regret('long');
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: [untilLabel, 'zen-system/short'] });
    expect(Number((await one(world)).labels[labels.since])).toBeGreaterThan(Number(before[labels.since]));
    expect(world.statusOf('short')).toMatchObject({ matched: 1 });
  });

  it('says what never matched, after a pass, and what did so once', async () => {
    const world = createExceptionWorld();
    const misspelt = world.forgive('misspelt', { match: { rules: ['CVE-2O24-1'] } });
    world.forgive('right', { match: { rules: ['a'] } });
    await world.event(world.put('r', [row('a')]));
    await world.judgeEvent(misspelt);
    expect(world.statusOf('misspelt')).toMatchObject({ matched: 0, Accepted: 'True Valid' });
    expect(world.statusOf('misspelt')).not.toHaveProperty('NeverMatched');
    await world.judgePass();
    expect(world.statusOf('misspelt')).toMatchObject({ matched: 0, NeverMatched: 'True NothingMatches' });
    expect(world.statusOf('right')).toMatchObject({ matched: 1, NeverMatched: 'False Matched' });
    await world.event(world.put('r', []));
    world.later(61);
    await world.pass();
    await world.judgePass();
    expect(await world.states()).toEqual({ a: 'resolved' });
    expect(world.statusOf('right')).toMatchObject({ matched: 0, NeverMatched: 'False Matched' });
  });

  describe('of a namespace', () => {
    const functions = [falco, audit, trivy].map((definition) => functionInfoOf(definition, {}, []));
    const outOfReach = 'an exception of a namespace never holds for what';
    const guess = 'nothing that is stored has matched so far: is it spelt as the findings are?';

    it.each<[match: object, namespace: string, reaches: string, message: string | undefined, asPass: string]>([
      [{ sources: ['fal-co'] }, 'shop', 'false', `${outOfReach} fal-co tells: make it in zen-system for that`, ''],
      [
        { sources: ['falco', 'audit'] },
        'shop',
        'false',
        `${outOfReach} falco and audit tell: make it in zen-system for that`,
        '',
      ],
      [
        { sources: ['falco', 'scanner'] },
        'shop',
        'false',
        undefined,
        `${guess}; ${outOfReach} falco tells: make it in zen-system for that`,
      ],
      [
        { rules: ['x'] },
        'shop',
        'false',
        undefined,
        `${guess}; ${outOfReach} falco and audit tell: make it in zen-system for that`,
      ],
      [{ sources: ['scanner'] }, 'shop', 'false', undefined, guess],
      [{ sources: ['falco'] }, 'zen-system', 'false', undefined, guess],
      [{ sources: ['falco'] }, 'shop', 'true', undefined, guess],
    ])(
      'says that %j in %s (TENANTS_FILTER_EVENTS=%s) reaches no events: at once %s',
      async (match, namespace, reaches, message, asPass) => {
        const world = createExceptionWorld({
          environment: { TENANTS_FILTER_EVENTS: reaches },
          context: { functions },
        });
        await world.judgeEvent(world.forgive('e', { match }, namespace));
        expect(world.messageOf('e', 'NeverMatched', namespace)).toBe(message);
        expect(world.statusOf('e', namespace)).toMatchObject(message ? { NeverMatched: 'True OutOfReach' } : {});
        await world.judgePass();
        expect(world.messageOf('e', 'NeverMatched', namespace)).toBe(asPass || message);
      },
    );
  });

  it('waits for approval where that is needed', async () => {
    const world = createExceptionWorld({ environment: { EXCEPTION_NEEDS_APPROVAL: 'CRITICAL,HIGH' } });
    await world.event(world.put('r', [row('a', { severity: 'high' }), row('b', { severity: 'low' })]));
    world.forgive('both', { match: { rules: ['a', 'b'] } });
    world.forgive('mild', { match: { rules: ['b'], severities: ['LOW'] }, until });
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: undefined, b: ['forever', 'zen-system/both'] });
    expect(world.statusOf('both')).toMatchObject({ matched: 1, Pending: 'True NeedsApproval' });
    expect(world.statusOf('mild')).toMatchObject({ matched: 1, Pending: 'False NotNeeded' });
    world.forgive('both', { match: { rules: ['a', 'b'] }, approvedBy: 'alice' });
    await world.judgePass();
    expect(await world.marks()).toMatchObject({ a: ['forever', 'zen-system/both'] });
    expect(world.statusOf('both')).toMatchObject({ matched: 2, Pending: 'False Approved' });
  });

  it('says which field is wrong, and which expression fails', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a')]));
    world.forgive('wrong', { match: { rulez: ['a'] } });
    world.forgive('failing', { match: { expression: 'details.missing == 1' } });
    await world.judgePass();
    expect(world.statusOf('wrong')).toMatchObject({ matched: 0, Accepted: 'False Invalid' });
    expect(world.statusOf('failing')).toMatchObject({
      matched: 0,
      Accepted: 'True Valid',
      Failing: 'True ExpressionFailed',
    });
    expect(world.expressionErrors).toEqual(['ObservationException']);
    expect(await world.marks()).toEqual({ a: undefined });
  });

  it('accepts what is missing, and leaves alone what is resolved', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a'), row('b')]));
    await world.event(world.put('r', [row('b')]));
    world.forgive('all', { match: { sources: ['scanner'] } });
    await world.judgePass();
    expect(await world.marks()).toMatchObject({ a: ['forever', 'zen-system/all'], b: ['forever', 'zen-system/all'] });
    expect(await world.states()).toEqual({ a: 'missing', b: 'open' });
    world.later(61);
    await world.pass();
    world.regret('all');
    world.calls.length = 0;
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/all'], b: undefined });
    await world.event(world.put('r', [row('a'), row('b')]));
    expect(await world.marks()).toEqual({ a: undefined, b: undefined });
  });

  it("lets a namespace's exception reach no other namespace", async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a'), row('elsewhere', { namespace: 'prod' })]));
    world.forgive('own', { match: { rules: ['*'] } }, 'prod');
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: undefined, elsewhere: ['forever', 'prod/own'] });
    expect(world.statusOf('own', 'prod')).toMatchObject({ matched: 1 });
  });

  it('goes on where a namespace refuses it, and says so', async () => {
    const world = createExceptionWorld({
      wrap: (store) => ({
        patch(stored, ...rest) {
          if (stored.ref.namespace === 'prod') throw new NamespaceRefusal('denying', 'a webhook');
          return store.patch(stored, ...rest);
        },
      }),
    });
    await world.event(world.put('r', [row('elsewhere', { namespace: 'prod' }), row('a')]));
    world.forgive('all', { match: { rules: ['*'] } });
    const { warnings } = await world.judgePass();
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/all'], elsewhere: undefined });
    expect(warnings).toEqual([expect.stringContaining('namespace prod')]);
  });

  it('judges anew what somebody else has changed meanwhile', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a', { severity: 'low' })]));
    world.forgive('mild', { match: { severities: ['LOW'] } });
    world.beforeCalls(async (call) => {
      if (call !== 'patch') return;
      world.beforeCalls(undefined);
      await world.event(world.put('r', [row('a', { severity: 'critical' })]));
    });
    await world.judgePass();
    expect(await world.marks()).toEqual({ a: undefined });
  });

  it('has a finding that is about itself open, whatever an exception says', async () => {
    const world = createExceptionWorld();
    world.forgive('all', { match: { rules: ['*'] } });
    await expect(world.event(world.put('r', [{}]))).rejects.toMatchObject({ status: 422 });
    await world.judgePass();
    expect(await world.marks()).toEqual({ 'unreadable-object': undefined });
  });

  it('fails, and is tried again, where exceptions can not be listed', async () => {
    const world = createExceptionWorld();
    world.forgive('all', { match: { rules: ['*'] } });
    await world.event(world.put('r', [row('a')]));
    world.objects.failing = true;
    await expect(world.judgePass()).rejects.toMatchObject({ status: 503 });
    expect(await world.marks()).toEqual({ a: ['forever', 'zen-system/all'] });
  });
});

describe('the status of an exception', () => {
  const fine = {
    Accepted: 'True Valid',
    Failing: 'False NoFailure',
    Pending: 'False NotNeeded',
    Expired: 'False NotEnded',
    NeverMatched: 'False Matched',
  };
  const never = 'True NothingMatches nothing that is stored has matched so far: is it spelt as the findings are?';

  it.each<[what: string, fields: ExceptionFields, environment: Record<string, string>, conditions: object]>([
    ['holds', { match: { rules: ['a'] } }, {}, fine],
    ['matches nothing', { match: { rules: ['x'] } }, {}, { ...fine, NeverMatched: never }],
    [
      'has ended at this moment',
      { match: { rules: ['a'] }, until: '2026-03-01T12:00:00Z' },
      {},
      {
        ...fine,
        Expired: 'True Ended accepts nothing since spec.until (2026-03-01T12:00:00Z) has passed',
        NeverMatched: never,
      },
    ],
    ['ends later', { match: { rules: ['a'] }, until: '2026-03-01T12:00:01Z' }, {}, fine],
    [
      'has a wrong field',
      { match: { rules: ['a'] }, until: '2026-03-01' },
      { EXCEPTION_NEEDS_APPROVAL: 'HIGH' },
      {
        ...fine,
        Accepted: 'False Invalid spec.until: must be a time such as 2026-12-31T00:00:00Z',
        NeverMatched: never,
      },
    ],
    [
      'waits for an approval of two severities',
      { match: { rules: ['a'], severities: ['HIGH', 'LOW', 'MEDIUM'] } },
      { EXCEPTION_NEEDS_APPROVAL: 'CRITICAL,HIGH,MEDIUM' },
      {
        ...fine,
        Pending: 'True NeedsApproval accepts no HIGH, MEDIUM before spec.approvedBy is set',
        NeverMatched: never,
      },
    ],
    [
      'waits for an approval of every severity',
      { match: { rules: ['a'] } },
      { EXCEPTION_NEEDS_APPROVAL: 'CRITICAL,HIGH' },
      {
        ...fine,
        Pending: 'True NeedsApproval accepts no CRITICAL, HIGH before spec.approvedBy is set',
        NeverMatched: never,
      },
    ],
    [
      'was approved',
      { match: { rules: ['a'] }, approvedBy: 'alice' },
      { EXCEPTION_NEEDS_APPROVAL: 'HIGH' },
      { ...fine, Pending: 'False Approved' },
    ],
    ['was approved, though nobody asks', { match: { rules: ['a'] }, approvedBy: 'alice' }, {}, fine],
    [
      'needs no approval of what it matches',
      { match: { rules: ['a'], severities: ['HIGH'] } },
      { EXCEPTION_NEEDS_APPROVAL: 'CRITICAL' },
      fine,
    ],
    [
      'has an expression that fails in two ways, one of them',
      { match: { rules: ['a', 'b'], expression: "rule == 'b' ? details.second == 1 : details.first == 1" } },
      {},
      {
        ...fine,
        Failing: expect.stringMatching(/^True ExpressionFailed spec\.match\.expression: .*second/),
        NeverMatched: never,
      },
    ],
  ])('says everything of one that %s', async (_what, fields, environment, conditions) => {
    const world = createExceptionWorld({ environment });
    await world.event(world.put('r', [row('a', { severity: 'high' }), row('b')]));
    world.forgive('it', fields);
    await world.judgePass();
    expect(world.conditionsOf('it')).toEqual(conditions);
  });

  it('says that it has matched once, until it is changed', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a')]));
    const it = world.forgive('it', { match: { rules: ['a'] } });
    await world.judgeEvent(it);
    expect(world.conditionsOf('it').NeverMatched).toBe('False Matched');
    Object.assign(it, { spec: { match: { rules: ['x'] }, reason: 'because' } });
    Object.assign(it.metadata, { generation: 2 });
    await world.judgePass();
    expect(world.conditionsOf('it').NeverMatched).toBe(never);
  });
});

describe('how much exceptions match', () => {
  it('is counted by namespace, of 501 with the last of them as others', async () => {
    const world = createExceptionWorld();
    await world.event(world.put('r', [row('a'), row('b'), row('elsewhere', { namespace: 'n0' })]));
    world.forgive('one', { match: { rules: ['a', 'b'] } });
    world.forgive('two', { match: { rules: ['b'] } });
    for (let index = 0; index < 500; index += 1) world.forgive('own', { match: { rules: ['*'] } }, `n${index}`);
    const { excepted } = await world.judgePass();
    expect(excepted).toHaveLength(501);
    expect(excepted).toEqual(
      expect.arrayContaining([
        { namespace: 'zen-system', count: 3 },
        { namespace: 'n0', count: 1 },
        { namespace: 'other', count: 0 },
      ]),
    );
  });

  it('is found out once for all that ask at the same time', async () => {
    const world = createExceptionWorld({ context: { coalesce: async () => undefined } });
    expect((await world.judgePass()).skipped).toEqual({ coalesced: 1 });
    expect((await createExceptionWorld().judgePass()).skipped).toEqual({});
  });
});
