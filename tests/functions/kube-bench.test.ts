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

describe('the settings of kube-bench', () => {
  it('name what is not true or false', async () => {
    await expect(found([], { KUBE_BENCH_WARNINGS: 'yes' })).rejects.toThrow(
      'KUBE_BENCH_WARNINGS must be true or false',
    );
  });
});
