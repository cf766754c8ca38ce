import { describe, expect, it } from 'vitest';
import checkov from '../../functions/checkov.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { observationName } from '../../shared/finding/name.ts';
import { fileAnnotation } from '../../shared/function/file-annotation.ts';
import { mergeRows } from '../../shared/pipeline/derive.ts';
import { configMapWith, namesAndDigests, outcomeOf, refusalOf } from './config-map-source.ts';

const row = (checkId: string, resource: string, more: object = {}) => ({
  check_id: checkId,
  check_name: `Check ${checkId}`,
  resource,
  file_path: '/deploy.yaml',
  file_line_range: [1, 9],
  ...more,
});

const longName = 'Ensure all data stored in the Launch configuration EBS is securely encrypted';

const report = (...failed: readonly unknown[]) => ({ check_type: 'kubernetes', results: { failed_checks: failed } });

const found = (printed: unknown) => outcomeOf('checkov', configMapWith('checkov', printed));

const unreadable = {
  status: 422,
  path: 'data.data.results.json',
  cause: 'is not what `checkov -o json` prints',
};

describe('a summary of Checkov', () => {
  const vulnerability = {
    id: 'CVE-2024-1',
    package_name: 'qs',
    package_version: '6.5.2',
    lowest_fixed_version: '6.10',
  };
  it.each([
    [
      'a check',
      row('CKV_K8S_20', 'Deployment.shop.web'),
      ['Check CKV_K8S_20', 'Deployment.shop.web', 'deploy.yaml:1-9'],
    ],
    ['a file', row('CKV_DOCKER_3', '/Dockerfile.', { file_path: '/Dockerfile' }), ['CKV_DOCKER_3', ': Dockerfile:1-9']],
    [
      'a vulnerability',
      row('BC_VUL_2', '/package.json.qs', { file_path: '/package.json', vulnerability_details: vulnerability }),
      ['CVE-2024-1', 'qs 6.5.2', 'fixed in 6.10', 'package.json'],
    ],
    [
      'a licence',
      row('BC_LIC_1', 'go.mod.x', { vulnerability_details: { package_name: 'x', license: 'GPL-3.0' } }),
      ['BC_LIC_1', 'GPL-3.0', 'of x'],
    ],
    ['a secret', row('CKV_SECRET_2', 'a'.repeat(40)), ['CKV_SECRET_2', 'Check', 'deploy.yaml:1-9']],
    [
      'a check with a long name',
      row('CKV_AWS_8', 'aws_instance.db', { check_name: longName }),
      [`CKV_AWS_8 aws_instance.db (deploy.yaml:1-9): ${longName}`],
    ],
    [
      'a check with a long name of a file',
      row('CKV_DOCKER_2', '/Dockerfile.', { file_path: '/Dockerfile', check_name: longName }),
      [`CKV_DOCKER_2 Dockerfile:1-9: ${longName}`],
    ],
    ['a check without a name', row('CKV_X_1', 'r'.repeat(90), { check_name: null }), [`CKV_X_1: ${'r'.repeat(90)}`]],
  ])('says of %s what it is and where', async (_what, failed, parts) => {
    const { findings } = await found(report(failed));
    for (const part of parts) expect(findings[0]?.finding.summary).toContain(part);
  });

  it('says which files could not be parsed', async () => {
    const { findings } = await found({ check_type: 'x', results: { failed_checks: [], parsing_errors: ['/a.tf'] } });
    expect(findings.map(({ finding }) => finding.summary)).toEqual([
      'Checkov could not parse 1 file, and did not check it: a.tf',
    ]);
  });
});

describe('what Checkov prints', () => {
  it.each<[string, unknown]>([
    ['SARIF', { version: '2.1.0', runs: [{ results: [{ ruleId: 'CKV_K8S_16' }] }] }],
    ['the format of GitLab', { version: '15', vulnerabilities: [], scan: { type: 'sast' } }],
    ['CycloneDX', { bomFormat: 'CycloneDX', components: [] }],
    ['the output of kube-bench', { Controls: [], Totals: {} }],
    ['the output of Trivy', { SchemaVersion: 2, Results: [] }],
    ['an empty object', {}],
    ['an empty array', []],
    ['null', 'null'],
    ['a number', '7'],
    ['results that are null', { check_type: 'kubernetes', results: null, summary: { failed: 3 } }],
    ['results without lists', { check_type: 'kubernetes', results: {} }],
    ['failed checks that are no list', { check_type: 'kubernetes', results: { failed_checks: {}, passed_checks: [] } }],
    ['failures that are only counted', { results: { passed_checks: [] }, summary: { failed: 1 } }],
    ['a summary of failures', { passed: 1, failed: 2, checkov_version: '3' }],
    ['a summary of another tool', { passed: 0, failed: 0 }],
  ])('is unreadable, and not empty, if it is %s', async (_what, printed) => {
    expect(await refusalOf('checkov', configMapWith('checkov', printed))).toEqual(unreadable);
  });

  it('is unreadable if it is under another key', async () => {
    const { data, ...object } = configMapWith('checkov', report());
    const other = { ...object, data: { 'report.json': data['results.json'] } };
    expect(await refusalOf('checkov', other)).toMatchObject({ status: 422, path: 'data.data.results.json' });
  });

  it.each<[string, unknown, object[]]>([
    [
      'rows',
      report(row('CKV_1', 'Pod.shop.a'), { check_name: 'x' }, null, row('', 'Pod.shop.a')),
      [
        { path: 'results.failed_checks[1].check_id' },
        { path: 'results.failed_checks[2]' },
        { path: 'results.failed_checks[3].check_id', message: 'is empty' },
      ],
    ],
    [
      'reports',
      [report(row('CKV_1', 'Pod.shop.a')), { check_type: 'x', results: null }, report({})],
      [{ path: '[1]', message: unreadable.cause }, { path: '[2].results.failed_checks[0].check_id' }],
    ],
  ])('is read but for %s that are bad', async (_what, printed, badRows) => {
    const outcome = await found(printed);
    expect(outcome.findings).toHaveLength(1);
    expect(outcome.badRows).toMatchObject(badRows);
  });

  it('is the same in any order, at any time, from any machine', async () => {
    const rows = [
      row('CKV_DOCKER_4', '/Dockerfile.ADD', { file_line_range: [2, 2] }),
      row('CKV_DOCKER_4', 'Dockerfile.ADD', { file_line_range: [30, 30] }),
      row('CKV_K8S_20', 'Deployment.shop.web', { check_name: 'one' }),
      row('CKV_K8S_20', 'Deployment.shop.web', { check_name: 'two', severity: 'HIGH' }),
    ];
    const once = await found(report(...rows));
    const again = await found(
      report(
        ...rows
          .toReversed()
          .map((one) => ({ ...one, file_path: './deploy.yaml', file_abs_path: '/run/2/deploy.yaml' })),
      ),
    );
    expect(once.findings).toHaveLength(2);
    expect(namesAndDigests(again.findings)).toEqual(namesAndDigests(once.findings));
  });
});

describe('a finding of Checkov', () => {
  it.each(['release-name', 'RELEASE-NAME'])(
    'is about no object of the unnamed release %s, which no cluster has',
    async (release) => {
      const { findings } = await found(report(row('CKV_K8S_20', `Deployment.default.${release}-web`)));
      expect(findings[0]?.finding.resource).toMatchObject({ kind: 'ConfigMap' });
      expect(findings[0]?.finding.summary).toContain(`Deployment.default.${release}-web`);
    },
  );

  it('shows whatever tells it from another', async () => {
    const secrets = ['a', 'b'].map((letter) => row('CKV_SECRET_2', letter.repeat(40), { file_line_range: [1, 1] }));
    const { findings } = await found(report(...secrets, row('CKV_1', 'x'), row('CKV_1', 'x', { file_path: 'y' })));
    const shown = findings.map(({ finding: { identity: _identity, detectedAt: _time, ...spec } }) =>
      JSON.stringify(spec),
    );
    expect(new Set(shown).size).toBe(4);
  });

  it('names no ConfigMap of a file that no cluster has', async () => {
    const object = configMapWith('checkov', report(row('CKV_1', 'x')), { annotations: { [fileAnnotation]: 'a.json' } });
    const { findings } = await outcomeOf('checkov', object);
    expect(findings[0]?.finding).toMatchObject({
      identity: { reportFile: 'a.json' },
      details: { reportFile: 'a.json' },
    });
    expect(findings[0]?.finding.resource).toBeUndefined();
  });
});

describe('merging findings of Checkov', () => {
  const merge = checkov.kind === 'source' ? (checkov.source.merge ?? mergeRows) : mergeRows;

  it('unites lines and references, whatever the order, and changes nothing that was merged before', async () => {
    const findings: Finding[] = [];
    for (const [lines, guideline, severity] of [
      [[30, 30], 'https://example.com/b', 'LOW'],
      [[4, 9], 'https://example.com/a', 'HIGH'],
    ] as const) {
      const { findings: one } = await found(report(row('CKV_1', 'x', { file_line_range: lines, guideline, severity })));
      findings.push(...one.map(({ finding }) => finding));
    }
    const [a, b] = findings;
    if (!a || !b) throw new Error('two findings expected');
    const merged = merge([a, b]);
    expect(observationName('checkov', a)).toBe(observationName('checkov', b));
    expect(merged).toMatchObject({
      severity: 'HIGH',
      summary: 'CKV_1 Check CKV_1: x (deploy.yaml:4-9,30)',
      references: ['https://example.com/a', 'https://example.com/b'],
      details: { lines: ['4-9', '30'] },
    });
    expect(merge([b, a])).toEqual(merged);
    expect(merge([merged, b])).toEqual(merged);
    expect(merge([a, merged])).toEqual(merged);
  });
});
