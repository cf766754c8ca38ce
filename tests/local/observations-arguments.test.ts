import { describe, expect, it } from 'vitest';
import { parseObservationsArguments } from '../../shared/local/observations-arguments.ts';
import { groupings } from '../../shared/view/counts.ts';

function parse(...args: readonly string[]) {
  return parseObservationsArguments(args, {});
}

const now = Date.parse('2026-03-01T10:00:00Z');
const place = { data: '.data', kubeconfig: undefined, context: undefined };
const notResolved = ['open', 'missing'];
const notAccepted = { isAccepted: false, at: now };
const accepted = { isAccepted: true, at: now };

/** What is selected now, and the rest of what was asked for. */
function selected(...args: readonly string[]) {
  const parsed = parse(...args);
  if (parsed.mode !== 'list' && parsed.mode !== 'counts') throw new Error(parsed.mode);
  const { selectionAt, ...rest } = parsed;
  return { selection: selectionAt(now), ...rest };
}

describe('parseObservationsArguments', () => {
  it('lists what is not resolved, worst first, unless something else is asked for', () => {
    expect(selected()).toEqual({
      mode: 'list',
      place,
      selection: { states: notResolved, acceptance: notAccepted },
      hidesSettled: true,
      sort: 'severity',
      by: 'source',
      limit: undefined,
      output: 'table',
      isWatching: false,
      filterFile: undefined,
    });
  });

  it.each<[args: string, selection: object]>([
    ['--source trivy', { source: 'trivy', states: notResolved, acceptance: notAccepted }],
    ['--severity high', { severity: 'HIGH', states: notResolved, acceptance: notAccepted }],
    ['-n shop', { namespace: 'shop', states: notResolved, acceptance: notAccepted }],
    ['--namespace shop', { namespace: 'shop', states: notResolved, acceptance: notAccepted }],
    ['--source trivy --source falco', { source: ['trivy', 'falco'], states: notResolved, acceptance: notAccepted }],
    [
      '--severity high --severity LOW -n shop -n bank',
      { severity: ['HIGH', 'LOW'], namespace: ['shop', 'bank'], states: notResolved, acceptance: notAccepted },
    ],
    ['--accepted', { states: notResolved, acceptance: accepted }],
    ['--state all --accepted', { states: undefined, acceptance: accepted }],
    ['--state missing', { states: ['missing'] }],
    ['--state resolved', { states: ['resolved'] }],
    ['--state all', { states: undefined }],
    ['--workload deployment/web', { workload: 'deployment/web', states: notResolved, acceptance: notAccepted }],
    ['--actor eve', { actor: 'eve', states: notResolved, acceptance: notAccepted }],
    ['--rule CVE-*', { rule: 'CVE-*', states: notResolved, acceptance: notAccepted }],
    ['--search openssl', { search: 'openssl', states: notResolved, acceptance: notAccepted }],
    ['--since 24h', { since: now - 86_400_000, states: notResolved, acceptance: notAccepted }],
    ['--since 45s', { since: now - 45_000, states: notResolved, acceptance: notAccepted }],
    ['--since 30m', { since: now - 1_800_000, states: notResolved, acceptance: notAccepted }],
    ['--since 7d', { since: now - 604_800_000, states: notResolved, acceptance: notAccepted }],
  ])('selects by %s', (args, selection) => {
    const { selection: found, hidesSettled } = selected(...args.split(' '));
    expect(found).toEqual(selection);
    expect(hidesSettled).toBe(!/^--(state|accepted)/.test(args));
  });

  it('takes what an exception is to say', () => {
    const parsed = parse('web', '--accept', '--reason', 'r', '--until', '30d');
    if (parsed.mode !== 'one') throw new Error(parsed.mode);
    expect(parsed.accept?.reason).toBe('r');
    expect(parsed.accept?.untilAt(now)).toBe('2026-03-31T10:00:00Z');
    expect(parse('web')).toMatchObject({ mode: 'one', accept: undefined });
    const wide = parse('web', '--accept', '--reason', 'r', '--until', 'forever', '--whole-namespace');
    expect(wide).toMatchObject({ accept: { isForNamespace: true, isByAnyone: false } });
    expect(wide.mode === 'one' && wide.accept?.untilAt(now)).toBeUndefined();
    const past = parse('web', '--accept', '--reason', 'r', '--until', '2026-02-28');
    expect(() => past.mode === 'one' && past.accept?.untilAt(now)).toThrow('--until 2026-02-28 is over');
  });

  it.each<[args: string, message: string]>([
    ['--accept --reason r --until 30d', '--accept needs a NAME'],
    ['web --accept --reason r', '--accept needs --reason and --until'],
    ['web --accept --until 30d', '--accept needs --reason and --until'],
    ['web --reason r', '--reason and --until need --accept'],
    ['web --until 30d', '--reason and --until need --accept'],
    ['web --ticket T-1', '--ticket needs --accept'],
    ['web --whole-namespace', '--whole-namespace needs --accept'],
    ['web --accept --reason r --until soon', '--until takes a duration such as 30d'],
    ['web --accept --reason r --until 30d -o json', "--accept and --output can't be used together"],
  ])('refuses %s', (args, message) => {
    expect(() => parse(...args.split(' '))).toThrow(message);
  });

  it.each<[args: string, expected: object]>([
    ['--sort age', { sort: 'age' }],
    ['--limit 7', { limit: 7 }],
    ['-w', { isWatching: true }],
    ['--watch', { isWatching: true }],
    ['-o json', { mode: 'list', output: 'json' }],
    ['-o csv', { mode: 'list', output: 'csv' }],
    ['-o counts', { mode: 'counts', by: 'source', output: 'counts' }],
    ['-o counts --by rule', { mode: 'counts', by: 'rule' }],
    ['--by rule', { mode: 'counts', by: 'rule', output: 'table' }],
    ['--by rule -o json', { mode: 'counts', by: 'rule', output: 'json' }],
    ['--would-drop F', { mode: 'list', filterFile: 'F' }],
    ['--would-drop F -o yaml --limit 3', { filterFile: 'F', output: 'yaml', limit: 3 }],
    ['--data D', { place: { ...place, data: 'D' } }],
    ['--kubeconfig F', { place: { ...place, kubeconfig: 'F' } }],
    ['--kubeconfig F -c C', { place: { ...place, kubeconfig: 'F', context: 'C' } }],
    ['--kubeconfig F --context C', { place: { ...place, kubeconfig: 'F', context: 'C' } }],
  ])('understands %s', (args, expected) => {
    expect(selected(...args.split(' '))).toMatchObject(expected);
  });

  it.each(groupings)('counts by %s', (by) => {
    expect(selected('--by', by)).toMatchObject({ mode: 'counts', by });
  });

  it.each<[args: string, expected: object]>([
    ['trivy-1', { mode: 'one', name: 'trivy-1', namespace: undefined, output: 'table', place }],
    ['-n shop trivy-1 -o yaml', { mode: 'one', name: 'trivy-1', namespace: 'shop', output: 'yaml', place }],
    [
      'trivy-1 --kubeconfig F -c C',
      { mode: 'one', name: 'trivy-1', output: 'table', place: { ...place, kubeconfig: 'F', context: 'C' } },
    ],
    ['--help', { mode: 'help' }],
    ['--help trivy-1 --source x', { mode: 'help' }],
  ])('understands %s', (args, expected) => {
    expect(parse(...args.split(' '))).toEqual(expected);
  });

  it.each<[args: string, message: string]>([
    ['--severity SEVERE', '--severity takes one of CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN'],
    ['--state closed', '--state takes one of open, missing, resolved, all'],
    ['--since yesterday', '--since takes a duration such as 45s, 30m, 24h or 7d'],
    ['--sort name', '--sort takes one of severity, age, namespace'],
    ['--by name', '--by takes one of source, severity, category, namespace, state, eventType, rule, workload, actor'],
    ['--limit 0', '--limit takes a number from 1'],
    ['--limit many', '--limit takes a number from 1'],
    ['-o xml', '--output takes one of table, wide, json, yaml, csv, counts'],
    ['--source=', '--source takes a value'],
    ['one two', 'name one Observation at most'],
    ['one --source trivy', "--source can't be used with a NAME"],
    ['one -n shop -n bank', '--namespace takes one value with a NAME'],
    ['one --watch', "--watch can't be used with a NAME"],
    ['one --by rule', "--by can't be used with a NAME"],
    ['one -o csv', "-o csv can't be used with a NAME"],
    ['one -o wide', "-o wide can't be used with a NAME"],
    ['one -o counts', "-o counts can't be used with a NAME"],
    ['--by rule -o csv', "--by can't be used with -o csv"],
    ['--by rule -o wide', "--by can't be used with -o wide"],
    ['--data D --kubeconfig F', "--data and --kubeconfig can't be used together"],
    ['--watch --limit 3', "--watch and --limit can't be used together"],
    ['--would-drop F --watch', "--would-drop and --watch can't be used together"],
    ['--would-drop F --by rule', "--would-drop and --by can't be used together"],
    ['--would-drop F --sort age', "--would-drop and --sort can't be used together"],
    ['--would-drop F -o csv', "--would-drop can't be used with -o csv"],
    ['--would-drop F -o wide', "--would-drop can't be used with -o wide"],
    ['--would-drop F -o counts', "--would-drop can't be used with -o counts"],
    ['one --would-drop F', "--would-drop can't be used with a NAME"],
    ['--would-drop=', '--would-drop takes a value'],
    ['-c C', '--context needs --kubeconfig'],
    ['--nonsense', "Unknown option '--nonsense'"],
  ])('refuses %s', (args, message) => {
    expect(() => parse(...args.split(' '))).toThrow(
      expect.objectContaining({
        name: 'UsageError',
        message: expect.stringMatching(/\nAll options: npm run observations -- --help$/),
      }),
    );
    expect(() => parse(...args.split(' '))).toThrow(message);
  });

  it('notices what npm took', () => {
    expect(() => parseObservationsArguments(['falco'], { npm_config_source: 'true' })).toThrow(/npm took --source/);
  });
});
