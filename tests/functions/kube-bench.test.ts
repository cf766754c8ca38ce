import { describe, expect, it } from 'vitest';
import { fileAnnotation } from '../../shared/function/file-annotation.ts';
import { configMapWith, namesAndDigests, outcomeOf, refusalOf } from './config-map-source.ts';

const result = (number: string, more: object = {}) => ({
  test_number: number,
  test_desc: `Ensure ${number} (Automated)`,
  status: 'FAIL',
  scored: true,
  expected_result: "'--x' is present",
  ...more,
});

const controls = (nodeType: string, ...results: readonly unknown[]) => ({
  version: 'cis-1.10',
  node_type: nodeType,
  tests: [{ section: '4.2', results }],
});

const onNode = (printed: unknown, node = 'worker-1') => configMapWith('kube-bench', printed, { annotations: { node } });
const found = (printed: unknown, environment = {}) => outcomeOf('kube-bench', onNode(printed), { environment });

const notKubeBench = 'is not what `kube-bench --json` prints';

describe('a summary of kube-bench', () => {
  it.each([
    ['a failed test', result('4.2.6'), ['4.2.6', 'Ensure 4.2.6,', "expected '--x' is present", 'Node worker-1']],
    [
      'a test without an expectation',
      result('4.2.6', { expected_result: null }),
      ['4.2.6', 'Ensure 4.2.6', 'Node worker-1'],
    ],
    [
      'a warning',
      result('1.1', { status: 'WARN', test_desc: 'Look (Manual)' }),
      ['1.1', 'Look', '(Manual)', 'Node worker-1'],
    ],
    [
      'a test with a long description',
      result('4.2.6', { test_desc: 'Ensure that the --protect-kernel-defaults argument is set to true (Automated)' }),
      [
        '4.2.6 (Node worker-1): Ensure that the --protect-kernel-defaults argument is set to true',
        ", expected '--x' is present",
      ],
    ],
  ])('says of %s which it is, where, and what is expected', async (_what, one, parts) => {
    const { findings } = await found([controls('node', one)], { KUBE_BENCH_WARNINGS: 'true' });
    for (const part of parts) expect(findings[0]?.finding.summary).toContain(part);
    expect(findings[0]?.finding.summary).not.toMatch(/automated|,$|undefined|\s{2}/i);
  });
});

describe('what kube-bench prints', () => {
  it.each<[string, unknown]>([
    ['controls that are null', { Controls: null, Totals: { total_fail: 1 } }],
    ['no controls', { Controls: [] }],
    ['an empty array', []],
    ['an empty object', {}],
    ['the output of Checkov', { check_type: 'kubernetes', results: { failed_checks: [] } }],
    ['tests of another tool', { tests: [] }],
    ['a log alone', '{"level":"info"}\n{"level":"warn"}\n'],
  ])('is unreadable, and not empty, if it is %s', async (_what, printed) => {
    const refusal = { status: 422, path: 'data.data.results.json[0]', cause: notKubeBench };
    expect(await refusalOf('kube-bench', configMapWith('kube-bench', printed))).toEqual(refusal);
  });

  it('is unreadable if it was cut off', async () => {
    const printed = JSON.stringify([controls('node', result('1'))]).slice(1, -9);
    const refusal = { path: 'data.data.results.json', cause: 'is not valid JSON' };
    expect(await refusalOf('kube-bench', configMapWith('kube-bench', printed))).toMatchObject(refusal);
  });

  it.each<[string, unknown, object[]]>([
    [
      'results',
      [controls('node', result('1'), { test_desc: 'x', status: 'FAIL' }, result('2', { status: 7 }), result(' '))],
      [
        { path: '[0].tests[0].results[1].test_number' },
        { path: '[0].tests[0].results[2].status' },
        { path: '[0].tests[0].results[3].test_number', message: 'is empty' },
      ],
    ],
    [
      'groups and sets',
      [controls('node', result('1')), { ...controls('etcd'), tests: [7] }, { tests: null }],
      [{ path: '[1].tests[0]' }, { path: '[2]', message: notKubeBench }],
    ],
  ])('is read but for %s that are bad', async (_what, printed, badRows) => {
    const outcome = await found(printed);
    expect(outcome.findings).toHaveLength(1);
    expect(outcome.badRows).toMatchObject(badRows);
  });

  it('may be several documents in an array', async () => {
    const documents = ['node', 'etcd'].map((type) => ({ Controls: [controls(type, result('1'))], Totals: {} }));
    expect((await found(documents)).findings).toHaveLength(2);
  });

  it('is the same in any order and at any time', async () => {
    const list = (...lines: readonly string[]) => ['UID PID PPID C STIME TTY TIME CMD', ...lines].join('\n');
    const first = list('root 12 1 0 10:00 ? 00:00:01 kubelet -v=2', 'root 13 1 0 10:00 ? 00:00:01 etcd');
    const later = list('root 77 1 9 Mar02 ? 1-02:13:01 etcd', 'root 78 1 4 Mar02 ? 00:10:01 kubelet -v=2');
    const once = await found([controls('node', result('1', { actual_value: first }), result('2'))]);
    const again = await found([controls('node', result('2'), result('1', { actual_value: later }))]);
    expect(once.findings).toHaveLength(2);
    expect(namesAndDigests(again.findings)).toEqual(namesAndDigests(once.findings));
  });

  it('names policies once, whatever the node, and everything else once a node', async () => {
    const printed = [controls('policies', result('5.1.1')), controls('node', result('4.1.1'))];
    const names = new Map<string, number>();
    for (const node of ['worker-1', 'worker-2']) {
      const { findings } = await outcomeOf('kube-bench', onNode(printed, node));
      for (const { name, finding } of findings) names.set(`${finding.rule} ${name}`, 1);
    }
    expect([...names.keys()].map((key) => key.split(' ')[0]).sort()).toEqual(['4.1.1', '4.1.1', '5.1.1']);
  });

  it('is about no object if no cluster has the ConfigMap', async () => {
    const annotations = { [fileAnnotation]: 'a.json' };
    const object = configMapWith('kube-bench', [controls('node', result('1'))], { annotations });
    const { findings } = await outcomeOf('kube-bench', object);
    expect(findings[0]?.finding).toMatchObject({
      identity: { reportFile: 'a.json' },
      details: { reportFile: 'a.json' },
    });
    expect(findings[0]?.finding.resource).toBeUndefined();
  });
});

describe('a test that kube-bench failed', () => {
  const one = async (more: object, metadata: object = {}, type = 'node') => {
    const object = configMapWith('kube-bench', [controls(type, result('1', more))], metadata);
    const { findings } = await outcomeOf('kube-bench', object, { environment: { KUBE_BENCH_WARNINGS: 'true' } });
    return findings[0]?.finding;
  };

  it.each([
    ['FAIL', 'HIGH'],
    [' fail ', 'HIGH'],
    [' Warn ', 'LOW'],
  ])('has its status in any case, with spaces: %j is %s', async (status, severity) => {
    expect((await one({ status }))?.severity).toBe(severity);
  });

  it('is told, and others are counted by their status', async () => {
    const statuses = ['PASS', ' pass ', 'Info', 'x', ''];
    const outcome = await found([controls('node', ...statuses.map((status) => result('1', { status })))]);
    expect([outcome.findings, outcome.skipped]).toEqual([[], { pass: 2, info: 1, unknown_result: 2 }]);
  });

  it.each([
    ['Ensure x(Automated) ', 'Ensure x'],
    ['Ensure x  (Not scored)', 'Ensure x'],
    ['Ensure x. :', 'Ensure x'],
    ['Set (scored) to x', 'Set (scored) to x'],
    [`Ensure x${' '.repeat(1024)}and what nobody reads`, 'Ensure x'],
  ])('is called without what kube-bench says of itself: %j is %j', async (test_desc, said) => {
    expect((await one({ test_desc, expected_result: '' }))?.summary).toBe(`1 ${said}`);
  });

  it('is expected to be what is printed, without the spaces around it', async () => {
    const { summary, details } = (await one({ test_desc: 'x', expected_result: ' a is b ' })) ?? {};
    expect([summary, details?.expectedResult]).toEqual(['1 x, expected a is b', 'a is b']);
  });

  it('is mended as its test information says, if nothing else does, but for blank lines', async () => {
    const remediation = async (more: object) => (await one(more))?.remediation;
    expect(await remediation({ test_info: [' do a ', ' ', {}, 'do b'] })).toBe('do a\ndo b');
    expect(await remediation({ test_info: ['do a'], remediation: ' do c ' })).toBe('do c');
    expect(await remediation({ test_info: [] })).toBeUndefined();
  });

  const file = { [fileAnnotation]: 'a.json' };

  it.each<[string, string | undefined, object, string]>([
    ['node', 'a.json', file, 'an unknown node'],
    ['node', undefined, { ...file, node: 'n1' }, 'a node'],
    ['policies', undefined, file, 'the cluster'],
  ])('of %s is told apart by file %s of %j, as it is about %s', async (type, reportFile, annotations) => {
    const finding = await one({}, { annotations }, type);
    expect([finding?.identity.reportFile, finding?.details.reportFile]).toEqual([reportFile, reportFile]);
  });
});

describe('what a command of kube-bench has printed', () => {
  const printedAs = async (...lines: readonly string[]) => {
    const { findings } = await found([controls('node', result('1', { actual_value: lines.join('\n') }))]);
    return findings[0]?.finding.details.actualValue;
  };
  /** As `ps` of procps and of BusyBox print a process, in columns. */
  const forms: readonly ((command: string) => string)[] = [
    (command) => ` root       1234    987   12   09:59   ?          00:00:01   ${command}  `,
    (command) => `7 8 9 1 Mar02 pts/0 1-02:13:01 ${command}`,
    (command) => ` root      1234   10.0   11.5   123456   4567   pts/12   Ssl   09:59   12:01   ${command}`,
    (command) => `7 8 1 2 3 4 ? S 9:59 0:01 ${command}`,
    (command) => ` 1234   root      12h30   ${command}`,
    (command) => `7 0 0:01 ${command}`,
  ];

  it.each(forms.map((form) => [form('kubelet -v=2'), form('etcd')] as const))(
    'is the commands alone, sorted, each once, of processes such as %j',
    async (one, other) => {
      expect(await printedAs(one, '', other, one)).toBe('etcd\nkubelet -v=2');
    },
  );

  it.each([
    'UID        PID  PPID  C STIME TTY          TIME CMD',
    '  PID USER       VSZ STAT COMMAND  ',
    'USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND',
  ])('is so below a line such as %j', async (header) => {
    expect(await printedAs(header, 'b', '', 'a')).toBe('a\nb');
  });

  it.each<[string, readonly string[]]>([
    ['lines that are the same', ['b', 'a', '', 'b']],
    ['a process in a sentence', ['note: root 12 1 0 10:00 ? 00:00:01 etcd']],
    ['a process in a sentence', ['note: root 12 1.0 1.0 1 2 ? S 10:00 0:01 etcd']],
    ['a process in a sentence', ['note: 12 root 0:01 etcd']],
    ['the words of a header in a sentence', ['b', 'a PID CMD']],
    ['the words of a header in a sentence', ['b', 'a', 'PID CMD b']],
    ['a header that is too long to be one', [`PID${' '.repeat(250)}CMD`, 'b', 'a']],
    ['a Pod of a StatefulSet', ['web-7d9c5b6f4d-x2x9z-0']],
    ['a DaemonSet', ['web-x2x9z']],
  ])('is as it was printed with %s', async (_what, lines) => {
    expect(await printedAs(...lines)).toBe(lines.join('\n'));
  });

  it('is about workloads, and not about their Pods', async () => {
    expect(await printedAs('default/web-7d9c5b6f4d-x2x9z: 1', 'default/web-7d9c5b6f4d-abcde: 1', 'b')).toBe(
      'default/web: 1\ndefault/web-7d9c5b6f4d-abcde: 1\nb',
    );
  });
});

describe('a set of controls', () => {
  const [set] = [controls('node', result('1'))];
  const { version, node_type, tests } = set;

  it.each<[string, object]>([
    ['version', { version, tests }],
    ['kind of node', { node_type, tests }],
    ['heading', { text: 'Worker', tests }],
  ])('is known by its %s', async (_what, printed) => {
    expect((await found(printed)).findings).toHaveLength(1);
  });

  it.each<[string, string, object[]]>([
    ['after a line of numbers', `[1, 2]\n${JSON.stringify(set)}`, []],
    ['after a line of nothing', `[null]\n${JSON.stringify(set)}`, []],
    ['after a line of a log', `{"level":"info"}\n${JSON.stringify(set)}`, []],
    ['beside a number', JSON.stringify([7, set]), [{ path: '[0]', message: notKubeBench }]],
    ['beside nothing', JSON.stringify([null, set]), [{ path: '[0]', message: notKubeBench }]],
    ['beside a list', JSON.stringify([[set], set]), [{ path: '[0]', message: notKubeBench }]],
  ])('is read %s', async (_where, printed, badRows) => {
    const outcome = await found(printed);
    expect([outcome.findings.length, outcome.badRows]).toEqual([1, badRows]);
  });
});

describe('the settings of kube-bench', () => {
  it.each([
    ['false', 0],
    ['true', 1],
  ])('have warnings told or not: %s', async (KUBE_BENCH_WARNINGS, count) => {
    const { findings } = await found([controls('node', result('1', { status: 'WARN' }))], { KUBE_BENCH_WARNINGS });
    expect(findings).toHaveLength(count);
  });

  it('name what is not true or false', async () => {
    await expect(found([], { KUBE_BENCH_WARNINGS: 'yes' })).rejects.toThrow(
      'KUBE_BENCH_WARNINGS must be true or false',
    );
  });
});
