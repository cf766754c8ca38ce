import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { parseDuration } from '../../shared/api/ingester.ts';
import { observationOf } from '../../shared/api/observation.ts';
import { mappingObject } from '../../shared/api/observation-mapping.ts';
import { observationName } from '../../shared/finding/name.ts';
import { compileMapping, type Wants } from '../../shared/rules/mapping.ts';

const time = '2026-03-01T10:00:00Z';
const about = { apiVersion: 'example.com/v1', kind: 'Widget', namespace: 'shop', name: 'w' };

function rulesOf(spec: object) {
  const base = { sourceName: 'widgets', group: 'example.com', version: 'v1', kind: 'Widget' };
  const mappings = { severity: '.severity', category: 'operational', eventType: 'widget-broken' };
  const object = { metadata: { name: 'm', namespace: 'zen-system' }, spec: { ...base, mappings, ...spec } };
  return mappingObject.parse(object).spec;
}

function map(spec: object, data: unknown, windowSeconds?: number) {
  return compileMapping(rulesOf(spec))(data, { about, time, windowSeconds });
}

const withMappings = (mappings: object) => ({
  mappings: { severity: 'HIGH', category: 'c', eventType: 'e', ...mappings },
});

describe('the expression of a mapping', () => {
  const items = [{ level: 1 }, { level: 3 }, {}];
  const spec = { ...withMappings({ severity: '.word' }), items: '.items', identity: ['.level'] };

  it('drops what it is false of, and keeps what it can not answer, and tells of it', () => {
    const failures: string[] = [];
    const wants: Wants = (finding, { object, item }) => {
      const { level } = z.object({ level: z.number().default(0) }).parse(item);
      expect([finding.category, object]).toEqual(['c', { items }]);
      return level === 0 ? { failure: 'no level' } : level > 2;
    };
    const withoutIdentity = rulesOf({ ...spec, identity: undefined });
    const { findings, skipped, isPartial } = compileMapping(withoutIdentity, wants)(
      { items },
      { about, time, windowSeconds: undefined, onFailure: (failure) => failures.push(failure) },
    );
    expect([findings.length, skipped, isPartial, failures]).toEqual([2, { expression: 1 }, false, ['no level']]);
  });

  it('that drops everything leaves nothing unread', () => {
    const { findings, skipped, isPartial } = compileMapping(rulesOf(spec), () => false)(
      { items: [{ level: 1 }] },
      { about, time, windowSeconds: undefined },
    );
    expect([findings, skipped, isPartial]).toEqual([[], { expression: 1 }, false]);
  });
});

describe('a mapping', () => {
  it.each<[string, object, string | number | undefined, string]>([
    ['one of our words', {}, 'critical', 'CRITICAL'],
    ['a word that tools use', {}, 'Warning', 'MEDIUM'],
    ['a word in its severityMap', { severityMap: { Page: 'CRITICAL' } }, 'PAGE', 'CRITICAL'],
    ['a word in its severityMap that is also ours', { severityMap: { high: 'LOW' } }, 'High', 'LOW'],
    ['a word outside its severityMap', { severityMap: { page: 'CRITICAL' } }, 'ticket', 'UNKNOWN'],
    ['a number in its severityMap', { severityMap: { '1': 'HIGH' } }, 1, 'HIGH'],
    ['nothing', {}, undefined, 'UNKNOWN'],
  ])('takes the severity from %s', (_case, spec, severity, expected) => {
    expect(map(spec, { severity }).findings[0]?.severity).toBe(expected);
  });

  it('reads literals and paths, and details of any type', () => {
    const spec = withMappings({
      message: '.text',
      eventType: '.reason',
      category: 'Cost Control',
      resource: { kind: '.ref.kind', name: '.ref.name', namespace: 'literal' },
      details: { owner: '.owner', list: '.list', missing: '.missing', plain: 'text' },
    });
    const data = {
      text: 'it broke',
      reason: 'BackOffLimit',
      ref: { kind: 'Job', name: 'j' },
      owner: { team: 'a' },
      list: [1, 2],
    };
    expect(map(spec, data).findings).toEqual([
      {
        severity: 'HIGH',
        category: 'cost-control',
        eventType: 'back-off-limit',
        rule: 'back-off-limit',
        summary: 'back-off-limit: Job j: it broke',
        identity: {},
        detectedAt: time,
        resource: { apiVersion: undefined, kind: 'Job', name: 'j', namespace: 'literal' },
        details: { message: 'it broke', owner: { team: 'a' }, list: [1, 2], plain: 'text' },
      },
    ]);
  });

  it('is about the object itself if it names no resource, and about nothing if the path to the resource leads nowhere', () => {
    expect(map({}, {}).findings[0]?.resource).toEqual(about);
    expect(map(withMappings({ resource: { kind: '.nowhere' } }), {}).findings[0]?.resource).toBeUndefined();
  });

  it('makes one finding per item, where $ is the whole object', () => {
    const spec = { ...withMappings({ message: '.m', details: { of: '$.name' } }), items: '.list', identity: ['.id'] };
    const { findings } = map(spec, {
      name: 'all',
      list: [
        { m: 'a', id: 1 },
        { m: 'b', id: 2 },
      ],
    });
    expect(findings.map(({ identity, details }) => [identity['.id'], details.message, details.of])).toEqual([
      ['1', 'a', 'all'],
      ['2', 'b', 'all'],
    ]);
  });

  it.each<[string, unknown]>([
    ['the path leads nowhere', {}],
    ['it leads to an object', { list: { a: 1 } }],
    ['it leads to a text', { list: '' }],
  ])('counts no_items if %s, which is no empty list', (_case, data) => {
    expect(map({ items: '.list' }, data)).toEqual({ findings: [], skipped: { no_items: 1 }, isPartial: true });
  });

  it.each<[string, unknown, boolean]>([
    ['an empty list', [], false],
    ['null, as Go writes one', null, false],
    ['items that are no findings', [{ phase: 'Fine' }], false],
    ['items of which one can be told apart', [{ phase: 'Bad' }, { phase: 'Bad', id: 1 }], false],
    ['items of which none can be told apart', [{ phase: 'Bad' }, { phase: 'Fine' }], true],
  ])('may have missed something in %s: %#', (_case, list, isPartial) => {
    const rules = { items: '.list', identity: ['.id'], when: [{ path: '.phase', notIn: ['Fine'] }] };
    expect(map(rules, { list }).isPartial).toBe(isPartial);
  });

  it.each<[string, object[], unknown, number]>([
    ['in', [{ path: '.phase', in: ['Failed', 'Error'] }], { phase: 'Error' }, 1],
    ['in, with another value', [{ path: '.phase', in: ['Failed'] }], { phase: 'failed' }, 0],
    ['in, without a value', [{ path: '.phase', in: ['Failed'] }], {}, 0],
    ['notIn', [{ path: '.phase', notIn: ['Done'] }], { phase: 'Failed' }, 1],
    ['notIn, with the value', [{ path: '.phase', notIn: ['Done'] }], { phase: 'Done' }, 0],
    ['notIn, without a value', [{ path: '.phase', notIn: ['Done'] }], {}, 1],
    ['a number', [{ path: '.n', in: ['3'] }], { n: 3 }, 1],
    [
      'both of two conditions hold',
      [
        { path: '.a', in: ['1'] },
        { path: '.b', in: ['1'] },
      ],
      { a: 1, b: 1 },
      1,
    ],
    [
      'one of two conditions holds',
      [
        { path: '.a', in: ['1'] },
        { path: '.b', in: ['1'] },
      ],
      { a: 1, b: 2 },
      0,
    ],
  ])('checks when: %s', (_case, when, data, count) => {
    const { findings, skipped } = map({ when }, data);
    expect([findings.length, skipped]).toEqual([count, count === 1 ? {} : { when: 1 }]);
  });

  it('looks for what it reads from the whole object once, however many items there are', () => {
    let reads = 0;
    const list = Array.from({ length: 1000 }, () => ({}));
    const far = new Proxy([{ type: 'other' }], {
      get(target, key) {
        if (key === 'find') reads += 1;
        return Reflect.get(target, key);
      },
    });
    const rules = {
      items: '.list',
      when: [{ path: '$.far[type=none].x', notIn: ['y'] }],
      identity: ['$.far[type=none].y', '.id'],
    };
    const { skipped } = map({ ...rules, ...withMappings({ category: '$.far[type=none].x' }) }, { list, far });
    expect(skipped).toEqual({ no_category: 1000 });
    expect(reads).toBeLessThan(10);
  });

  it('counts items without a category or event type', () => {
    expect(map(withMappings({ eventType: '.none' }), {}).skipped).toEqual({ no_event_type: 1 });
    expect(map(withMappings({ eventType: '.odd' }), { odd: '!!' }).skipped).toEqual({ no_event_type: 1 });
    expect(map(withMappings({ category: '.none' }), {}).skipped).toEqual({ no_category: 1 });
  });

  it('is told apart by everything in it where no path says by what', () => {
    const rules = { ...rulesOf({}), items: '.list', identity: undefined };
    const options = { about, time, windowSeconds: undefined };
    const { findings } = compileMapping(rules)({ list: [{ a: 1 }, { a: 2 }, { a: 1 }] }, options);
    expect(new Set(findings.map((finding) => observationName('widgets', finding))).size).toBe(2);
    expect(map({}, {}).findings[0]?.identity).toEqual({});
  });

  it('is left out, and counted, where the paths to its identity lead nowhere', () => {
    const rules = { items: '.list', identity: ['.id', '.key'] };
    const { findings, skipped } = map(rules, { list: [{ id: 1 }, { name: 'x' }, { key: 2 }] });
    expect(findings.map(({ identity, details }) => [identity, details.identity])).toEqual([
      [{ '.id': '1' }, { '.id': '1' }],
      [{ '.key': '2' }, { '.key': '2' }],
    ]);
    expect(skipped).toEqual({ no_identity: 1 });
  });

  it('puts the time window into the identity, so that a redelivery is the same finding', () => {
    const windows = [300, 300, 3600].map((seconds) => map({}, {}, seconds).findings[0]?.identity.window);
    expect(windows).toEqual(['5907864', '5907864', '492322']);
    expect(map({}, {}).findings[0]?.identity).toEqual({});
  });

  it('makes a valid Observation of any JSON, and always the same one', () => {
    const key = fc.constantFrom('severity', 'a', 'b', 'list', '__proto__', 'constructor');
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.double(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie('value')),
        fc.dictionary(key, tie('value')),
      ),
    })).value;
    const spec = {
      ...withMappings({
        severity: '.severity',
        eventType: '.a',
        category: '.b',
        message: '.a',
        resource: { kind: '.a', name: '.b', namespace: '.a' },
        details: { x: '.list', y: '$' },
      }),
      identity: ['.list', '.b'],
    };
    for (const items of [undefined, '.list']) {
      const rules = rulesOf({ ...spec, ...(items && { items }) });
      fc.assert(
        fc.property(json, (data) => {
          const once = compileMapping(rules)(data, { about, time, windowSeconds: undefined });
          const again = compileMapping(rules)(structuredClone(data), { about, time, windowSeconds: undefined });
          expect(again).toEqual(once);
          for (const finding of once.findings) {
            expect(finding.eventType).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
            expect(finding.category).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
            const name = observationName('widgets', finding);
            observationOf(finding, {
              name,
              namespace: 'shop',
              source: 'widgets',
              state: { slot: 's', digest: 'd' },
              correlationId: 'c',
              ttl: 60,
              now: 0,
              expiresAt: 1,
            });
          }
        }),
      );
    }
  });

  it('accepts data that is nested 100,000 levels deep', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) deep = { a: deep };
    expect(map({ identity: ['.a'] }, { a: deep }).findings[0]?.identity).toEqual({ '.a': 'nested too deeply' });
  });
});

describe('parseDuration', () => {
  it.each<[string, number | undefined]>([
    ['7d', 604_800],
    ['12h', 43_200],
    ['1h30m', 5400],
    ['1.5h', 5400],
    ['90s', 90],
    ['1000ms', 1],
    ['1ms', undefined],
    ['0h', undefined],
    ['-1h', undefined],
    ['1 h', undefined],
    ['h', undefined],
    ['12', undefined],
    ['1w', undefined],
    ['', undefined],
  ])('%s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });
});

describe('what we have told somebody ourselves', () => {
  const rules = { items: '.alerts', identity: ['.labels'], ...withMappings({}) };
  const own = { labels: { zen_kube_zen_io_observation: 'shop/n' } };
  const others = { labels: { alertname: 'a' } };

  function post(data: unknown) {
    return compileMapping(rulesOf(rules))(data, { about: undefined, time, windowSeconds: undefined });
  }

  it('is left out item by item, and counted', () => {
    const { findings, skipped, isPartial } = post({ alerts: [own, others, own] });
    expect(findings).toHaveLength(1);
    expect({ skipped, isPartial }).toEqual({ skipped: { self: 2 }, isPartial: false });
  });

  it('is left out as a whole', () => {
    const { skipped, isPartial } = post({ alerts: [others], commonLabels: own.labels });
    expect({ skipped, isPartial }).toEqual({ skipped: { self: 1 }, isPartial: false });
  });

  it('is nothing that is an object of the cluster', () => {
    expect(map(rules, { alerts: [own] }).skipped).toEqual({});
  });
});
