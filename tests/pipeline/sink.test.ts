import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { historyAnnotation, labels, toldAnnotation } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { formatTold } from '../../shared/api/told.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Answer, Context, Outgoing } from '../../shared/function/context.ts';
import type { Change, SinkDefinition } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import type { NamesQuery, ObservationsQuery, Store, StoredObservation } from '../../shared/function/stores.ts';
import { defineSink } from '../../shared/pipeline/sink.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { createTestContext, eventOf, handled, ping } from './test-context.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

interface Shape {
  readonly severity?: Severity;
  readonly rule?: string;
  readonly source?: string;
  readonly uid?: string;
  readonly since?: number;
  readonly told?: Severity;
  readonly had?: readonly string[];
}

function finding({ severity = 'HIGH', rule = 'a', source = 'scanner', ...shape }: Shape = {}): Observation {
  const { uid = 'u', since = 1, told, had } = shape;
  const { metadata, ...rest } = anObservationOf({ ...aFinding(rule, 'shop'), severity }, { source, now });
  const annotations = {
    ...metadata.annotations,
    ...(told && { [toldAnnotation]: formatTold({ state: 'open', accepted: '', since: '0', severity: told }) }),
    ...(had && { [historyAnnotation]: JSON.stringify(had.map((one) => ({ severity: one }))) }),
  };
  const stored = { uid, resourceVersion: '1', creationTimestamp: '2026-03-01T12:00:00Z' };
  const given = { ...metadata.labels, [labels.since]: String(since) };
  return { ...rest, metadata: { ...metadata, ...stored, labels: given, annotations } };
}

function storedOf(observation: Observation): StoredObservation {
  const { name, namespace, labels: found, uid = '' } = { uid: '', ...observation.metadata };
  return {
    ref: { namespace, name, uid, version: '1' },
    labels: found,
    hasAnnotations: true,
    createdAt: now,
    isBeingDeleted: false,
    observation,
  };
}

function announcement(observation: Observation = finding(), type = 'io.kube-zen.observation.changed.v1'): CloudEvent {
  return { ...eventOf(type, observation), id: 'shop/a/1', time: '2026-03-01T12:00:00Z' };
}

const ok: Answer = { status: 200, retryAfter: undefined, words: '' };

interface WorldOptions {
  readonly urls?: readonly (string | { readonly file: string })[] | undefined;
  /** Whether it tells again what is open. */
  readonly refreshes?: boolean;
  /** What the receivers answer, one after another. */
  readonly answers?: readonly (Answer | Error)[];
  /** What is stored at each look at the one that is told; the last for good. */
  readonly looks?: readonly (Observation | undefined)[];
  readonly open?: readonly Observation[];
  /** What is stored at the end of a pass. */
  readonly after?: readonly Observation[];
  readonly functions?: Context['functions'];
  readonly environment?: Record<string, string>;
  readonly coalesce?: Context['coalesce'];
  readonly isUnwanted?: boolean;
  readonly path?: string | undefined;
}

function createWorld(options: WorldOptions = {}) {
  const { answers = [ok], looks = [], isUnwanted = false, refreshes = false, open = [], after = open } = options;
  const urls = 'urls' in options ? options.urls : ['https://one/'];
  const path = 'path' in options ? options.path : '/alerts';
  const posted: Outgoing[] = [];
  const asked: { readonly severity: Severity; readonly change: Change }[] = [];
  const batches: number[] = [];
  const queries: ObservationsQuery[] = [];
  const lists: NamesQuery[] = [];
  let looked = 0;
  const message = { ...(path !== undefined && { path }), contentType: 'text/plain', body: 'x' };
  const sink: SinkDefinition<unknown> = {
    name: 'pager',
    settings: z.object({
      IT_URL: z.string().optional(),
      IT_URL_FILE: z.string().optional(),
      IT_URL_FILE_MODE: z.string().optional(),
      IT_WORDS: z.string().optional(),
    }),
    ports: [443],
    receiver: () => urls && { urls, tokenFile: 'token', caFile: 'ca' },
    request({ spec }, change) {
      asked.push({ severity: spec.severity, change });
      return isUnwanted ? undefined : message;
    },
    ...(refreshes && {
      refresh(observations) {
        batches.push(observations.length);
        return isUnwanted ? undefined : message;
      },
    }),
  };
  const post = async (outgoing: Outgoing): Promise<Answer> => {
    posted.push(outgoing);
    const answer = answers[Math.min(posted.length, answers.length) - 1] ?? ok;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const wrap = (): Partial<Store> => ({
    async findWhole() {
      looked += 1;
      const found = looks[Math.min(looked, looks.length) - 1];
      return found && storedOf(found);
    },
    async *observations(query) {
      queries.push(query);
      yield* open.map(storedOf);
    },
    async *names(query) {
      lists.push(query);
      yield* after.map(storedOf);
    },
  });
  const { functions = [], environment = {}, coalesce } = options;
  const definition = defineSink(sink);
  const context = { post, functions, ...(coalesce && { coalesce }) };
  const test = createTestContext(definition, { wrap, environment, context });
  return {
    ...{ definition, posted, batches, queries, lists },
    tell: (event = announcement()) => handled(definition, event, test.context),
    pass: () => handled(definition, ping, test.context),
    /** What the sink was asked to tell: how bad it is, which severities it had before, and whether it is gone. */
    asked: () =>
      asked.map(({ severity, change: { formerSeverities, isGone } }) => ({ severity, was: formerSeverities, isGone })),
    changes: () => asked.map(({ change }) => change),
  };
}

describe('defineSink', () => {
  it.each([
    [false, [{ type: 'BrokerPrefix', prefix: 'io.kube-zen.observation.' }]],
    [
      true,
      [
        { type: 'BrokerPrefix', prefix: 'io.kube-zen.observation.' },
        { type: 'PingSource', minutes: 10 },
      ],
    ],
  ])('is told by the Broker, and has a pass if it refreshes: %s', (refreshes, triggers) => {
    expect(createWorld({ refreshes }).definition.triggers(parseSettings({}, z.object({}), []))).toEqual(triggers);
  });

  it('has the right to read what is stored only if it looks there, and is off unless somebody asks for it', () => {
    const reads = { group: 'zen.kube-zen.io', resources: ['observations'], verbs: ['get', 'list'] };
    const declared = { kind: 'sink', name: 'pager', isOptional: true };
    expect(createWorld().definition).toMatchObject({ ...declared, permissions: [] });
    expect(createWorld({ refreshes: true }).definition).toMatchObject({ ...declared, permissions: [reads] });
  });

  it.each([
    ['is of another type', announcement(finding(), 'io.kube-zen.outbox.due.v1'), 'no such change', 'type'],
    ['tells of no Observation', announcement(Object.assign({})), 'the data is no Observation', 'data'],
  ])('refuses what %s for good', async (_what, event, reason, path) => {
    const world = createWorld();
    await expect(world.tell(event)).rejects.toMatchObject({ status: 422, message: reason, path });
    expect(world.posted).toEqual([]);
  });

  it('tells an announcement as it is, without a look at the store', async () => {
    const world = createWorld();
    const observation = finding({ severity: 'HIGH', told: 'LOW', had: ['HIGH', 'CRITICAL', 'odd'] });
    expect(await world.tell(announcement(observation))).toMatchObject({ announced: { told: 1 } });
    expect(world.changes()).toEqual([
      {
        ...{ kind: 'changed', id: 'shop/a/1', time: '2026-03-01T12:00:00Z', isGone: false },
        formerSeverities: ['CRITICAL', 'LOW', 'UNKNOWN'],
      },
    ]);
  });

  it('counts what it does not want, and posts nothing', async () => {
    const world = createWorld({ isUnwanted: true });
    expect(await world.tell()).toMatchObject({ announced: { unwanted: 1 }, warnings: [] });
    expect(world.posted).toEqual([]);
  });
});

describe('a sink that refreshes', () => {
  const told = { was: [], isGone: false } as const;

  it.each<[what: string, looks: readonly (Observation | undefined)[], asked: readonly object[]]>([
    ['what is as it was announced', [finding()], [{ severity: 'HIGH', ...told }]],
    ['what is gone', [undefined], [{ severity: 'HIGH', was: [], isGone: true }]],
    [
      'what goes meanwhile',
      [finding(), undefined],
      [
        { severity: 'HIGH', ...told },
        { severity: 'HIGH', was: [], isGone: true },
      ],
    ],
    [
      'what comes back meanwhile',
      [undefined, finding()],
      [
        { severity: 'HIGH', was: [], isGone: true },
        { severity: 'HIGH', ...told },
      ],
    ],
    [
      'what is deleted and made anew meanwhile',
      [finding(), finding({ uid: 'other' })],
      [
        { severity: 'HIGH', ...told },
        { severity: 'HIGH', ...told },
      ],
    ],
    [
      'what has another severity by now, and once more meanwhile',
      [finding({ severity: 'LOW' }), finding({ severity: 'MEDIUM', since: 2 })],
      [
        { severity: 'LOW', was: ['HIGH'], isGone: false },
        { severity: 'MEDIUM', was: ['HIGH', 'LOW'], isGone: false },
      ],
    ],
    [
      'what had other severities that no announcement has told',
      [finding({ had: ['CRITICAL'], told: 'LOW' })],
      [{ severity: 'HIGH', was: ['CRITICAL', 'LOW'], isGone: false }],
    ],
  ])('tells %s', async (_what, looks, asked) => {
    const world = createWorld({ refreshes: true, looks });
    await world.tell();
    expect(world.asked().map(({ was, ...one }) => ({ ...one, was: [...was].sort() }))).toEqual(asked);
  });

  it('is told again if what it tells keeps changing', async () => {
    const looks = Array.from({ length: 11 }, (_, index) => finding({ since: index + 1 }));
    const changing = createWorld({ refreshes: true, looks });
    await expect(changing.tell()).rejects.toMatchObject({ status: 503, message: 'an Observation keeps changing' });
    await createWorld({ refreshes: true, looks: looks.slice(0, 10) }).tell();
  });

  it('asks for what is open and as severe as anybody is told of, and leaves out what is told of others alone', async () => {
    const info = { url: '', webhooks: [], kinds: [], takesMappedKinds: false };
    const functions = [
      { ...info, name: 'falco', announcedFrom: 'LOW' },
      { ...info, name: 'trivy', announcedFrom: 'CRITICAL' },
    ] as const;
    const open = [
      finding({ source: 'falco', severity: 'LOW' }),
      finding({ source: 'trivy', severity: 'HIGH' }),
      finding({ source: 'a-mapping', severity: 'LOW' }),
      finding({ source: 'a-mapping', severity: 'MEDIUM' }),
    ];
    const world = createWorld({ refreshes: true, functions, open });
    await world.pass();
    expect(world.queries).toEqual([{ severities: ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'], isOpen: true }]);
    expect(world.batches).toEqual([2]);
    const mild = createWorld({ refreshes: true, open, environment: { ANNOUNCE_MIN_SEVERITY: 'HIGH' } });
    await mild.pass();
    expect(mild.queries).toMatchObject([{ severities: ['CRITICAL', 'HIGH', 'UNKNOWN'] }]);
  });

  it.each([
    [0, []],
    [1, [1]],
    [200, [200]],
    [401, [200, 200, 1]],
  ])('tells %i again, 200 at a time', async (count, batches) => {
    const open = Array.from({ length: count }, (_, index) => finding({ rule: `r${index}` }));
    const world = createWorld({ refreshes: true, open });
    const { skipped } = await world.pass();
    expect([world.batches, world.posted.length, skipped]).toEqual([batches, batches.length, {}]);
  });

  it('tells anew what has changed while its pass told it as open, and looks at nothing else', async () => {
    const changed = finding({ rule: 'changed', severity: 'LOW', since: 2, had: ['HIGH'] });
    const world = createWorld({
      refreshes: true,
      environment: { WATCH_NAMESPACE: 'shop' },
      open: [finding({ rule: 'changed' }), finding({ rule: 'same' })],
      after: [changed, finding({ rule: 'same' }), finding({ rule: 'new', since: 5 })],
      looks: [changed],
    });
    await world.pass();
    expect(world.lists).toEqual([{ namespace: 'shop' }]);
    const { namespace, name } = changed.metadata;
    expect(world.changes()).toEqual([
      {
        ...{ kind: 'changed', id: `${namespace}/${name}`, time: '2026-03-01T12:00:00.000Z', isGone: false },
        formerSeverities: ['HIGH'],
      },
    ]);
    expect(world.asked()).toMatchObject([{ severity: 'LOW' }]);
  });

  it('tells nothing of what is gone when it looks again, and does not look where it has told nothing', async () => {
    const gone = { open: [finding()], after: [finding({ since: 2 })], looks: [undefined] };
    const world = createWorld({ refreshes: true, ...gone });
    await world.pass();
    expect([world.lists.length, world.asked()]).toEqual([1, []]);
    const idle = createWorld({ refreshes: true });
    await idle.pass();
    expect(idle.lists).toEqual([]);
  });

  it('posts nothing where it has nothing to tell of what is open', async () => {
    const world = createWorld({ refreshes: true, open: [finding()], isUnwanted: true });
    await world.pass();
    expect([world.batches, world.posted]).toEqual([[1], []]);
  });

  it('leaves a pass to the one that has just begun', async () => {
    const world = createWorld({ refreshes: true, open: [finding()], coalesce: async () => undefined });
    expect(await world.pass()).toMatchObject({ skipped: { coalesced: 1 } });
    expect(world.posted).toEqual([]);
  });
});

describe('what a sink sends', () => {
  const file = { file: '/mounted/url' };

  it.each<[url: string | { readonly file: string }, path: string | undefined, to: unknown]>([
    ['https://one', '/alerts', 'https://one/alerts'],
    ['https://one/am/', '/alerts', 'https://one/am/alerts'],
    ['https://one/am/?a=b/', '', 'https://one/am/?a=b/'],
    ['https://one/am/', undefined, 'https://one/am/'],
    [file, '/alerts', file],
  ])('goes to %j with the path %j', async (url, path, to) => {
    const world = createWorld({ urls: [url], path });
    await world.tell();
    expect(world.posted).toEqual([{ url: to, contentType: 'text/plain', body: 'x', tokenFile: 'token', caFile: 'ca' }]);
  });

  it('waits for somebody to say where it goes', async () => {
    await expect(createWorld({ urls: undefined }).tell()).rejects.toMatchObject({
      ...{ status: 503, message: 'nobody has said where the receiver is: set IT_URL or IT_URL_FILE', retryAfter: 30 },
      summary: { announced: { failed: 1 } },
    });
  });

  const answered = (status: number, retryAfter?: number): Answer => ({ status, retryAfter, words: 'says\nso' });
  const silence = new Error('no answer');
  const atRest: Answer = { ...answered(503), isAtRest: true };

  it.each<[answers: readonly (Answer | Error)[], warnings: readonly string[]]>([
    [[answered(200)], []],
    [[answered(299)], []],
    [[answered(204), answered(202)], []],
    [[answered(200), answered(400)], ['1 of 2 receivers did not take what the others took']],
    // That was said when it was put to rest.
    [[answered(200), atRest], []],
    [[answered(200), atRest, silence], ['2 of 3 receivers did not take what the others took']],
    [[silence, answered(200), answered(503)], ['2 of 3 receivers did not take what the others took']],
  ])('is told where one of its receivers answers 2xx: %j', async (answers, warnings) => {
    const world = createWorld({ urls: answers.map((_, index) => `https://${index}`), answers });
    expect(await world.tell()).toMatchObject({ announced: { told: 1 }, warnings });
  });

  const refused = { status: 422, message: 'the receiver refuses it', summary: { announced: { refused: 1 } } };
  const retried = { status: 503, message: 'the receiver did not take it', summary: { announced: { failed: 1 } } };

  it.each<[answers: readonly (Answer | Error)[], fault: object]>([
    [[answered(199)], { ...refused, cause: 'status 199', words: '199 says so' }],
    [[answered(300)], { ...refused, cause: 'status 300' }],
    [[answered(400)], { ...refused, cause: 'status 400' }],
    [[answered(499), answered(404)], { ...refused, cause: 'status 499' }],
    [[answered(500)], { ...retried, cause: 'status 500', retryAfter: 1 }],
    [[answered(408)], retried],
    [[answered(425)], retried],
    [[answered(429, 7)], { ...retried, retryAfter: 7 }],
    [[silence], { ...retried, cause: 'no answer', retryAfter: 1 }],
    [[answered(400), answered(503, 9)], { ...retried, cause: 'status 400', retryAfter: 9 }],
    [[answered(400), silence], { ...retried, cause: 'status 400' }],
    [[silence, answered(400)], { ...retried, cause: 'status 400' }],
    [[answered(503, 3), answered(503, 8), answered(503)], { ...retried, retryAfter: 8 }],
    [[], { ...retried, cause: 'no answer', isRepeated: false }],
    [[answered(503)], { ...retried, isRepeated: false }],
    [[atRest, atRest], { ...retried, isRepeated: true }],
    [[atRest, answered(503)], { ...retried, isRepeated: false }],
    [[atRest, silence], { ...retried, isRepeated: false }],
  ])('is given up where all refuse it, and else tried again: %j', async (answers, fault) => {
    const world = createWorld({ urls: answers.map((_, index) => `https://${index}`), answers });
    await expect(world.tell()).rejects.toMatchObject(fault);
  });
});
