import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression, createEvaluator } from '../../shared/rules/expression.ts';
import { library } from '../../shared/rules/expression-library.ts';
import type { Judged } from '../../shared/rules/expression-values.ts';
import { hostileExpression, largestFinding } from './hostile-expressions.ts';

const judged: Judged = {
  source: 'trivy',
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  rule: 'CVE-2026-1',
  summary: 'openssl in web can be crashed',
  resource: { apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace: 'shop', name: 'web-7d9c5b6f4d' },
  actor: { username: 'jane', groups: ['ops', 'system:masters'], sourceIP: '192.0.2.7' },
  details: { fixedVersion: '1.2', score: 7.5, count: 3, tags: ['internet', 'root'], owner: { team: 'a' } },
  detectedAt: '2026-03-01T10:00:00Z',
};

function answer(text: string, about = judged): unknown {
  const expression = compileExpression(text);
  return typeof expression === 'function' ? expression(about) : expression.refusal;
}

describe('compileExpression', () => {
  it.each([
    ['source == "trivy" && category == "security"', true],
    ['severity in ["CRITICAL", "HIGH"]', true],
    ['eventType == "vulnerability" && rule.startsWith("CVE-")', true],
    ['summary.contains("openssl")', true],
    ['resource.kind == "ReplicaSet" && resource.apiVersion == "apps/v1"', true],
    ['namespace == "shop" && resource.namespace == namespace', true],
    ['workload.kind == "rollout" && workload.name == "web"', true],
    ['actor.username == "jane" && actor.sourceIP == "192.0.2.7" && actor.userAgent == ""', true],
    ['"system:masters" in actor.groups', true],
    ['actor.groups.exists(group, group.startsWith("system:"))', true],
    ['has(details.fixedVersion) && details.fixedVersion != ""', true],
    ['has(details.unfixed)', false],
    ['details.score > 7 && details.count == 3 && details.count % 2 == 1', true],
    ['details.tags == ["internet", "root"] && details.owner.team == "a"', true],
    ['details.tags.map(tag, tag + "!").filter(tag, tag.endsWith("t!")).size() == 2', true],
    ['rule.matches("^CVE-20(25|26)-[0-9]+$")', true],
    ['detectedAt < timestamp("2026-04-01T00:00:00Z")', true],
    ['detectedAt.getHours("+02:00") == 12', true],
    ['[1, 2].exists(namespace, namespace == 2) // a name of its own', true],
    ['"namespace" == "name" + "space"', true],
  ])('answers %s', (text, expected) => {
    expect(answer(text)).toBe(expected);
  });

  it.each([
    ['a name', 'sevrity == "HIGH"', 'at 1:1: there is no sevrity; there are source, category, severity,'],
    ['a name of JavaScript', 'constructor == "x"', 'at 1:1: there is no constructor;'],
    ['what only a mapping has', 'item.a == 1', 'at 1:1: there is no item;'],
    [
      'a member',
      'true && resource.nmae == "web"',
      'at 1:17: there is no .nmae; there are apiVersion, kind, name, namespace',
    ],
    ['a member of a text', 'severity.word == "HIGH"', 'at 1:9: a string has no .word'],
    ['a function', 'startWith(rule, "CVE")', 'at 1:1: there is no function startWith'],
    ['what a function is given', 'rule.startsWith(1)', "at 1:5: string.startsWith can't take (int)"],
    ['two types that are never equal', 'severity == 1', 'at 1:9: a string never equals a int'],
    ['a text where a time is needed', 'detectedAt > "2026-01-01"', "at 1:11: > can't take (timestamp, string)"],
    ['something else than true or false', 'severity', 'at 1:1: the result must be true or false, not a string'],
    ['a text beside &&', 'severity && true', 'at 1:1: && needs true or false, not a string'],
    ['a pattern', 'rule.matches("(CVE")', 'at 1:14: error parsing regexp: missing closing )'],
    ['a pattern that a tool says', 'rule.matches(summary)', 'at 1:14: the pattern of matches must be a text in quotes'],
    ['a type', 'google.protobuf.Duration{} == 1', 'at 1:1: there is no type google.protobuf.Duration'],
    ['a text without an end', 'rule == "CVE', 'at 1:9: the text that begins here has no end'],
    ['a bracket that is not closed', '(rule == "a"', 'at 1:1: ( is not closed'],
    ['a bracket that closes nothing', 'rule == "a")', 'at 1:12: ) closes nothing'],
    ['a bracket that closes another', 'rule in ["a")', "at 1:13: ) can't close the [ before it"],
    ['one equals sign', 'rule = "a"', 'at 1:6: = is not expected here'],
    ['the second line', 'rule == "a" ||\n  sevrity == "b"', 'at 2:3: there is no sevrity;'],
    ['nothing', ' \n', 'at 1:1: it is empty'],
    ['only a comment', '// later', 'at 1:9: something is missing at the end'],
    [
      'macros in macros in macros',
      'actor.groups.all(a, actor.groups.all(b, actor.groups.all(c, c == a)))',
      'at 1:53: a macro',
    ],
    ['a list that is none', 'severity.exists(a, a == "x")', 'at 1:1: a string is no list'],
    ['too many characters', `rule == "${'x'.repeat(491)}"`, 'at 1:1: it has 501 characters; 500 are allowed'],
    ['too many brackets', `${'('.repeat(41)}true${')'.repeat(41)}`, 'at 1:41: brackets may be nested 40 deep'],
    ['a thousand brackets', '('.repeat(1000), 'at 1:1: it has 1000 characters'],
  ])('refuses %s, and says where', (_what, text, refusal) => {
    expect(answer(text)).toEqual(expect.stringContaining(refusal));
    expect(String(answer(text)).startsWith(refusal)).toBe(true);
  });

  it.each([
    ['500 characters', `rule != "${'😀'.repeat(490)}"`],
    ['40 brackets', `${'('.repeat(40)}true${')'.repeat(40)}`],
    ['489 operators', `${'!'.repeat(488)}true`],
    ['brackets in a text', `rule != "${'('.repeat(400)}"`],
  ])('takes %s', (_what, text) => {
    expect(answer(text)).toBe(true);
  });

  it.each([
    ['details.fixed == "1.2"', 'at 1:8: field not found: fixed'],
    ['details.owner == "a" || details.nothing.more', 'at 1:32: field not found: nothing'],
    ['details.count', 'the result is neither true nor false'],
    ['details.tags[7] == "x"', expect.stringContaining('at 1:')],
    ['int(details.fixedVersion) == 1', 'at 1:1: Cannot convert 1.2 to a BigInt'],
    ['detectedAt.getHours("Nowhere/Else") == 1', expect.stringContaining('Invalid time zone specified: Nowhere/Else')],
    ['details.fixedVersion > 1', expect.stringContaining("no matching overload for '_>_'")],
  ])('fails with words: %s', (text, failure) => {
    expect(answer(text)).toEqual({ failure });
  });

  it('needs no answer of a part that does not matter', () => {
    expect(answer('has(details.fixed) && details.fixed == "1"')).toBe(false);
    expect(answer('details.fixed == "1" || severity == "HIGH"')).toBe(true);
  });

  it('sees no secrets, and no more of details than is stored', () => {
    const details = { command: 'login --password=hunter2-hunter2', list: Array.from({ length: 500 }, () => 'item') };
    const about = { ...judged, details };
    expect(answer('details.command.contains("hunter2")', about)).toBe(false);
    expect(answer('details.list.size() < 64 && details.truncated', about)).toBe(true);
  });

  it('asks of a mapping about its object and item, too', () => {
    const text = 'object.kind == "Report" && item.level != "none" && severity == "HIGH"';
    const expression = compileExpression(text, true);
    if (typeof expression === 'object') throw new Error(expression.refusal);
    expect(expression(judged, { object: { kind: 'Report' }, item: { level: 'high' } })).toBe(true);
    expect(expression(judged, { object: { kind: 'Report' }, item: { level: 'none' } })).toBe(false);
    expect(expression(judged, { object: [], item: 'text' })).toMatchObject({ failure: expect.any(String) });
  });

  it('cuts what is long in an object: lists, texts, members, and how deep it is', () => {
    const deep = Array.from({ length: 50 }).reduce<object>((inside) => ({ inside }), {});
    const object = {
      list: Array.from({ length: 1000 }, (_, index) => index),
      text: 'x'.repeat(100_000),
      members: Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key-${index}`, index])),
      deep,
    };
    const text =
      'object.list.size() == 64 && object.text.size() < 4097 && object.members.size() == 256 && has(object.deep.inside)';
    const expression = compileExpression(text, true);
    if (typeof expression === 'object') throw new Error(expression.refusal);
    expect(expression(judged, { object, item: undefined })).toBe(true);
  });

  it('ends with an answer or a message whatever it is asked: 1,000 hostile expressions on the largest finding', () => {
    const answers = Array.from({ length: 1000 }, (_, seed) => {
      const text = hostileExpression(seed);
      const first = answer(text, { ...largestFinding });
      expect(answer(text, { ...largestFinding })).toEqual(first);
      return typeof first === 'boolean' ? 'answered' : typeof first === 'string' ? 'refused' : 'failed';
    });
    const counts = Object.groupBy(answers, (one) => one);
    expect(Object.keys(counts).sort()).toEqual(['answered', 'failed', 'refused']);
    expect(counts.answered?.length).toBeGreaterThan(200);
  });

  it('never throws, whatever text it is given', () => {
    const piece = fc.constantFrom(
      '"',
      "'",
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '\\',
      '\n',
      '//',
      'r"',
      '"""',
      'a',
      '.',
      '1',
      ' ',
      '&&',
      '==',
      '!',
      '?',
      ':',
      'namespace',
      'b',
      ',',
      'details',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        expect(['boolean', 'string', 'object']).toContain(typeof answer(pieces.join('')));
      }),
      { numRuns: 1000 },
    );
  });
});

const { CelScalar, celFunc, parse } = library.cel();

describe('createEvaluator', () => {
  /** How often a loop's body runs, and what comes of it. */
  function runs(text: string, size: number): { readonly calls: number; readonly isOver: boolean } {
    let calls = 0;
    const probe = celFunc('probe', [CelScalar.DYN], CelScalar.BOOL, () => {
      calls += 1;
      return false;
    });
    const evaluate = createEvaluator({ funcs: [probe] }).plan(parse(text));
    const list = Array.from({ length: size }, (_, index) => index);
    try {
      evaluate({ list });
      return { calls, isOver: false };
    } catch {
      return { calls, isOver: true };
    }
  }

  it('goes through a list as long as its work lasts', () => {
    expect(runs('list.exists(a, probe(a))', 64)).toEqual({ calls: 64, isOver: false });
    expect(runs('list.exists(a, list.exists(b, probe(b)))', 20)).toEqual({ calls: 400, isOver: false });
  });

  it.each([
    ['list.exists(a, probe(a))', 100_000],
    ['list.exists(a, list.exists(b, probe(b)))', 1000],
    ['list.exists(a, list.exists(b, list.exists(c, list.exists(d, list.exists(e, probe(e))))))', 64],
    ['(list + list + list + list).map(a, list.map(b, list)).exists(c, probe(c))', 1000],
    [`list${'.map(a, [a, a])'.repeat(20)}.exists(c, probe(c))`, 1000],
  ])('stops %s over %i items, by its work and not by a clock', (text, size) => {
    const { calls, isOver } = runs(text, size);
    expect(isOver).toBe(true);
    expect(calls).toBeLessThan(1000);
  });

  it('stops a text that doubles', () => {
    const evaluate = createEvaluator().plan(parse(`[text]${'.map(a, a + a)'.repeat(60)}.size() == 1`));
    expect(() => evaluate({ text: 'x'.repeat(1000) })).toThrow('it needs more work than an expression may take');
  });
});
