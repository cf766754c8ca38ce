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

  it('is unreadable, with the reason, if it is no JSON', async () => {
    expect(await refusalOf('checkov', configMapWith('checkov', '{'))).toMatchObject({ cause: 'is not valid JSON' });
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

  it.each(['§\n--- OUTPUT DELIMITER ---\nPassed checks: 3', '<?xml version="1.0"?>\n--- OUTPUT DELIMITER ---\n§'])(
    'is read among other formats: %s',
    async (printed) => {
      const text = printed.replace('§', JSON.stringify(report(row('CKV_1', 'x'))));
      expect((await found(text)).findings).toHaveLength(1);
    },
  );

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

  it.each(['my-release-name', 'release-names', 'release-namesake-web'])('is about the object %s', async (name) => {
    const { findings } = await found(report(row('CKV_K8S_20', `Deployment.default.${name}`)));
    expect(findings[0]?.finding.resource).toEqual({ kind: 'Deployment', namespace: 'default', name });
  });

  it.each<[number, object, string]>([
    [1, {}, 'a resource and a file'],
    [1, { file_path: null }, 'a resource'],
    [1, { resource: null }, 'a file'],
    [2, { file_path: null, resource: null }, 'neither, so that its name and lines tell it from others'],
  ])('is one of %d that differ in name and lines: %j has %s', async (count, more) => {
    const rows = [
      row('CKV_X', 'x', { check_name: 'a', ...more }),
      row('CKV_X', 'x', { check_name: 'b', file_line_range: [2, 2], ...more }),
    ];
    expect((await found(report(...rows))).findings).toHaveLength(count);
  });

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

describe('what Checkov found', () => {
  const one = async (checkId: string, resource: string, more: object = {}) => {
    const { findings } = await found(report(row(checkId, resource, more)));
    return findings[0]?.finding;
  };

  it.each([
    [
      'CRITICAL',
      [
        'CKV_SECRET_2',
        'CKV_SECRET_12',
        'CKV2_SECRET_9',
        'CKV_AWS_41',
        'CKV_AWS_45',
        'CKV_AWS_46',
        'CKV_AZURE_45',
        'CKV_BCW_1',
      ],
    ],
    ['CRITICAL', ['CKV_LIN_1', 'CKV_OCI_1', 'CKV_OPENSTACK_1', 'CKV_PAN_1']],
    ['HIGH', [1, 2, 3, 4, 16, 17, 18, 19, 27, 39, 49, 155, 156, 157, 158].map((number) => `CKV_K8S_${number}`)],
    ['HIGH', ['CKV2_K8S_1', 'CKV2_K8S_5', 'CKV_AWS_1', 'CKV_AWS_62', 'CKV_AWS_63']],
    ['LOW', [8, 9, 10, 11, 12, 13, 14, 15, 21, 40, 43].map((number) => `CKV_K8S_${number}`)],
    ['LOW', [2, 4, 5, 6, 7, 9, 10, 11].map((number) => `CKV_DOCKER_${number}`)],
    [
      'LOW',
      ['CKV_GHA_5', 'CKV_GHA_6', 'CKV_GITLABCI_2', 'CKV_GITLABCI_3', 'CKV_AZUREPIPELINES_1', 'CKV_AZUREPIPELINES_5'],
    ],
    ['LOW', ['CKV_BITBUCKETPIPELINES_1', 'CKV_CIRCLECIPIPELINES_1', 'CKV_CIRCLECIPIPELINES_8']],
    ['MEDIUM', ['CKV_K8S_20', 'CKV_K8S_1111', 'CKV_DOCKER_3', 'CKV_GHA_7', 'CKV_AWS_47', 'CKV2_K8S_6', 'CKV2_K8S_11']],
    [
      'MEDIUM',
      ['MY_CKV_SECRET_2', 'MY_CKV_K8S_8', 'MY_CKV_K8S_1', 'CKV_AWS_411', 'CKV_SECRET_', 'CKV_AZUREPIPELINES_3'],
    ],
  ])('is %s of these checks', async (severity, ids) => {
    for (const id of ids) expect([id, (await one(id, 'x'))?.severity]).toEqual([id, severity]);
  });

  it.each<[string, object | undefined]>([
    ['Deployment.shop.web', { kind: 'Deployment', namespace: 'shop', name: 'web' }],
    ['Deployment.web', { kind: 'Deployment', name: 'web' }],
    ['ConfigMap.shop.a.b', { kind: 'ConfigMap', namespace: 'shop', name: 'a.b' }],
    ['ClusterRole.default.admin', { kind: 'ClusterRole', name: 'admin' }],
    ['ClusterRole.shop.admin', { kind: 'ClusterRole', name: 'admin' }],
    ['ClusterRoleBinding.shop.x', { kind: 'ClusterRoleBinding', name: 'x' }],
    ['ClusterRole.system:x.admin', { kind: 'ClusterRole', name: 'system:x.admin' }],
    ['ClusterRole.admin', { kind: 'ClusterRole', name: 'admin' }],
    ['PriorityClass.a.b', { kind: 'PriorityClass', name: 'a.b' }],
    ...[
      'ClusterCleanupPolicy',
      'ClusterExternalSecret',
      'ClusterIssuer',
      'ClusterPolicy',
      'ClusterSecretStore',
      'ConstraintTemplate',
      'GatewayClass',
      'SecurityContextConstraints',
      'VolumeSnapshotClass',
    ].map((kind): [string, object] => [`${kind}.a.b`, { kind, name: 'a.b' }]),
    ['VPA.shop.x', undefined],
    ['VPAutoscaler.shop.x', { kind: 'VPAutoscaler', namespace: 'shop', name: 'x' }],
    ['VPAutoscalerCheckpoint.shop.x', { kind: 'VPAutoscalerCheckpoint', namespace: 'shop', name: 'x' }],
    ['my_Deployment.shop.web', undefined],
    ['my_VPAutoscaler.shop.x', undefined],
    ['VPAutoscaler_my.shop.x', undefined],
    ['Deployment.shop.web_x', undefined],
    ['Deployment.default.release-name', undefined],
    ['aws_instance.db', undefined],
    ['Deployment.Shop.web', undefined],
    ['Deployment.shop.', undefined],
    ['Deployment.-shop.web', undefined],
    ['Deployment.shop.-web', undefined],
    ['Deployment', undefined],
  ])('is about the object that %s is', async (resource, expected) => {
    const finding = await one('CKV_X', resource);
    expect(
      finding?.resource?.kind === 'ConfigMap' && finding.resource.name === 'scan' ? undefined : finding?.resource,
    ).toEqual(expected);
  });

  it('is about no object where the file has the name, nor of a template of Pods', async () => {
    for (const file_path of ['/Gemfile.lock', '/a/Gemfile.lock', '/Gemfile'])
      expect((await one('CKV_X', 'Gemfile.lock', { file_path }))?.resource?.name).toBe('scan');
    expect((await one('CKV2_X', 'Pod.shop.web.app'))?.resource?.name).toBe('scan');
    expect((await one('CKV2_X', 'Pod.shop.web'))?.resource?.name).toBe('web');
    expect((await one('CKV_X', 'Pod.shop.web.app'))?.resource?.name).toBe('web.app');
    expect((await one('CKV2_X', 'Job.shop.web.app'))?.resource?.name).toBe('web.app');
    expect((await one('MY_CKV2_X', 'Pod.shop.web.app'))?.resource?.name).toBe('web.app');
  });

  it('is about its object although the row tells of a vulnerability, if that has no package', async () => {
    const finding = await one('CKV_X', 'Deployment.shop.web', { vulnerability_details: { severity: 'HIGH' } });
    expect(finding).toMatchObject({ severity: 'HIGH', resource: { kind: 'Deployment' } });
  });

  it.each([
    ['a.yaml', '/a.yaml'],
    ['a/b.yaml', 'a/b.yaml'],
    ['a.yaml', './a.yaml'],
    ['a.yaml', '/.//a.yaml'],
    ['a.yaml', '//a.yaml'],
    ['a/b.yaml', '\\\\a\\b.yaml'.replaceAll('\\\\', '\\')],
    ['a.yaml', '/tmp/tmpabc_1234/a.yaml'],
    ['a.yaml', 'tmp/tmpabc_1234/a.yaml'],
    ['a.yaml', '/private/tmp/tmpabc_1234/a.yaml'],
    ['a.yaml', '/var/folders/ab/x_yz1/T/tmpabc_1234/a.yaml'],
    ['tmp/tmpabc/a.yaml', '/tmp/tmpabc/a.yaml'],
    ['x/tmp/tmpabc_1234/a.yaml', '/x/tmp/tmpabc_1234/a.yaml'],
    [undefined, ''],
    [undefined, null],
  ])('is in the file %s of %s', async (file, file_path) => {
    expect((await one('CKV_X', 'x', { file_path }))?.details.file).toBe(file);
  });

  it.each([
    [['1-9'], [1, 9]],
    [['2'], [2, 2]],
    [['2'], [2]],
    [['9'], [0, 9]],
    [undefined, [0, 0]],
    [undefined, []],
    [undefined, null],
  ])('is in the lines %j of %j', async (lines, file_line_range) => {
    expect((await one('CKV_X', 'x', { file_line_range }))?.details.lines).toEqual(lines);
  });

  const flaw = { id: 'CVE-2099-1', package_name: 'qs', package_version: '1' };
  it.each<[string, string | undefined, object]>([
    ['CVE-2099-1 in qs 1 (deploy.yaml:1-9)', undefined, flaw],
    [
      'CVE-2099-1 in qs 1, fixed in 2 (deploy.yaml:1-9)',
      'upgrade qs to 2',
      { ...flaw, lowest_fixed_version: '2', fix_version: '3' },
    ],
    [
      'CVE-2099-1 in qs 1, fixed in 3 (deploy.yaml:1-9)',
      'upgrade qs to 3',
      { ...flaw, lowest_fixed_version: 'unknown', fix_version: 'Fixed in 3' },
    ],
    ['CVE-2099-1 in qs 1, fixed in 3 (deploy.yaml:1-9)', 'upgrade qs to 3', { ...flaw, fix_version: 'fixed in  3' }],
    [
      'CVE-2099-1 in qs 1, fixed in 2.x, also fixed in 3 (deploy.yaml:1-9)',
      'upgrade qs to 2.x, also fixed in 3',
      { ...flaw, fix_version: 'fixed in 2.x, also fixed in 3' },
    ],
    [
      'CVE-2099-1 in qs 1, fixed in v2 (fixed in 3) (deploy.yaml:1-9)',
      'upgrade qs to v2 (fixed in 3)',
      { ...flaw, fix_version: 'v2 (fixed in 3)' },
    ],
    ['CVE-2099-1 in qs (deploy.yaml:1-9)', undefined, { ...flaw, package_version: null, fix_version: 'none' }],
    ['BC_1 in qs 1 (deploy.yaml:1-9)', undefined, { ...flaw, id: null }],
    ['BC_1 licence MIT of qs 1 (deploy.yaml:1-9)', undefined, { ...flaw, id: null, license: 'MIT' }],
    ['CVE-2099-1 in qs 1 (deploy.yaml:1-9)', undefined, { ...flaw, license: 'MIT' }],
  ])('is told of a package as %s', async (summary, remediation, vulnerability_details) => {
    const finding = await one('BC_1', 'package.json.qs', { vulnerability_details });
    expect([finding?.summary, finding?.remediation]).toEqual([summary, remediation]);
  });

  it.each([
    ['CVE-2099-1 in qs 1 (Dockerfile:1-9, image nginx)', '/Dockerfile (nginx:1.25 lines:1-2 (sha256:0f))'],
    ['CVE-2099-1 in qs 1 (Dockerfile:1-9, image r:5000/a)', '/Dockerfile (r:5000/a@sha256:0f lines:1-2)'],
    ['CVE-2099-1 in qs 1 (Dockerfile:1-9, image a)', '/Dockerfile (a:1)'],
    ['CVE-2099-1 in qs 1 (lines 1-9, image a)', ' (a:1)'],
  ])('is told of an image as %s', async (summary, file_path) => {
    expect((await one('BC_1', 'x (y).qs', { file_path, vulnerability_details: flaw }))?.summary).toBe(summary);
  });

  it.each([
    ['Dockerfile.qs', 'Dockerfile (nginx:1.25).qs'],
    ['.qs', ' (nginx:1.25).qs'],
    ['package.json.qs', 'package.json.qs'],
  ])('is about the package %s of %s', async (resource, given) => {
    expect((await one('BC_1', given, { vulnerability_details: flaw }))?.details.resource).toBe(resource);
  });

  it.each<[string, string, object]>([
    ['CKV_X Check CKV_X: x (deploy.yaml:1-9)', 'x', {}],
    ['CKV_X Check: x (deploy.yaml)', 'x', { check_name: 'Check. : ', file_line_range: null }],
    ['CKV_X Check: x (line 2)', 'x', { check_name: 'Check', file_path: null, file_line_range: [2, 2] }],
    ['CKV_X Check: x (lines 2-3)', 'x', { check_name: 'Check', file_path: null, file_line_range: [2, 3] }],
    ['CKV_X Check: x', 'x', { check_name: 'Check', file_path: null, file_line_range: null }],
    ['CKV_X: x', 'x', { check_name: null, file_path: null, file_line_range: null }],
    ['CKV_X Check: deploy.yaml:1-9', './deploy.yaml', { check_name: 'Check' }],
    ['CKV_X Check (deploy.yaml:1-9)', '', { check_name: 'Check' }],
    ['CKV_X Check (deploy.yaml:1-9)', './', { check_name: 'Check' }],
    ['CKV_X Check (deploy.yaml:1-9)', '0f'.repeat(20), { check_name: 'Check' }],
    ['CKV_X Check: a (deploy.yaml:1-9)', 'a', { check_name: 'Check' }],
    [`CKV_X Check: ${'0f'.repeat(20)}a (deploy.yaml:1-9)`, `${'0f'.repeat(20)}a`, { check_name: 'Check' }],
    [`CKV_X Check: x${'0f'.repeat(20)} (deploy.yaml:1-9)`, `x${'0f'.repeat(20)}`, { check_name: 'Check' }],
    [`CKV_X ${'n'.repeat(71)}: x (deploy.yaml:1-9)`, 'x', { check_name: 'n'.repeat(71) }],
    [`CKV_X x (deploy.yaml:1-9): ${'n'.repeat(72)}`, 'x', { check_name: 'n'.repeat(72) }],
  ])('is told of a check as %s', async (summary, resource, more) => {
    expect((await one('CKV_X', resource, more))?.summary).toBe(summary);
  });

  it.each<[readonly string[] | undefined, object]>([
    [['https://a', 'https://b'], { guideline: 'https://b', vulnerability_details: { ...flaw, link: 'https://a' } }],
    [['https://a'], { guideline: 'https://a', vulnerability_details: { ...flaw, link: 'https://a' } }],
    [['http://a'], { guideline: 'http://a' }],
    [undefined, { guideline: 'see https://a' }],
    [undefined, { guideline: null }],
  ])('is read about at %j', async (references, more) => {
    expect((await one('CKV_X', 'x', more))?.references).toEqual(references);
  });

  it.each<[string, readonly string[], readonly (readonly number[])[]]>([
    [
      '4,4-9,30 and 1 more',
      ['4', '4-9', '30', '100'],
      [
        [30, 30],
        [4, 9],
        [4, 4],
        [100, 100],
      ],
    ],
    [
      '4,4-9,30',
      ['4', '4-9', '30'],
      [
        [4, 4],
        [4, 9],
        [30, 30],
        [4, 4],
      ],
    ],
  ])('is one finding of all places, of which some are named: %s', async (shown, all, lines) => {
    const { findings } = await found(
      report(...lines.map((file_line_range) => row('CKV_X', 'x', { check_name: 'C', file_line_range }))),
    );
    expect(findings.map(({ finding }) => [finding.summary, finding.details.lines])).toEqual([
      [`CKV_X C: x (deploy.yaml:${shown})`, all],
    ]);
  });

  it.each([[['a', 'b']], [['b', 'a']]])(
    'is as bad as its worst row, and says the same in any order: %j',
    async (names) => {
      const rows = names.map((name) =>
        row('CKV_X', 'x', { check_name: name, severity: name === 'a' ? 'LOW' : 'CRITICAL' }),
      );
      const { findings } = await found(report(...rows));
      expect(findings.map(({ finding }) => [finding.severity, finding.details.checkName])).toEqual([['CRITICAL', 'a']]);
    },
  );
});

describe('files that Checkov could not parse', () => {
  const unparsed = async (...reports: readonly object[]) => {
    const { findings } = await found(
      reports.map((one) => ({ check_type: 'x', results: { failed_checks: [] }, ...one })),
    );
    return findings.map(({ finding }) => finding.summary.replace('Checkov could not parse ', ''));
  };
  const errors = (...files: readonly unknown[]) => ({ results: { failed_checks: [], parsing_errors: files } });

  it.each<[string | undefined, readonly object[]]>([
    ['2 files, and did not check them: a.tf, b.tf', [errors('/b.tf', '/a.tf')]],
    ['2 files, and did not check them: a.tf, b.tf', [errors('/b.tf'), errors('/a.tf', '/b.tf')]],
    ['3 files, and did not check them: a.tf and 2 more', [{ ...errors('/a.tf'), summary: { parsing_errors: 3 } }]],
    ['1 file, and did not check it: a.tf', [{ ...errors('/a.tf'), summary: { parsing_errors: 0 } }]],
    ['2 files, and did not check them; run it without --quiet to see which', [{ summary: { parsing_errors: 2 } }]],
    ['1 file, and did not check it: a.tf', [errors(null, {}, '/a.tf')]],
    [undefined, [{ summary: { parsing_errors: 0 } }]],
  ])('are told as %s', async (summary, reports) => {
    expect(await unparsed(...reports)).toEqual(summary === undefined ? [] : [summary]);
  });

  it('are counted, and some of them named', async () => {
    const files = Array.from({ length: 61 }, (_, index) => `/${index}.tf`);
    const { findings } = await found({ check_type: 'x', ...errors(...files) });
    const details = findings[0]?.finding.details;
    expect([details?.count, details?.files]).toEqual([61, expect.objectContaining({ length: 60 })]);
  });

  it('have the paths of the other files', async () => {
    const checked = row('CKV_X', 'x', { file_path: '/deploy.yaml', file_abs_path: '/run/2/deploy.yaml' });
    const atRoot = row('CKV_X', 'y', { file_path: '/deploy.yaml', file_abs_path: '/deploy.yaml' });
    const { findings } = await found({
      check_type: 'x',
      results: { failed_checks: [atRoot, checked], parsing_errors: ['/run/2/a.tf', '/run/22/b.tf'] },
    });
    expect(findings.map(({ finding }) => finding.details.files).find((files) => files !== undefined)).toEqual([
      'a.tf',
      'run/22/b.tf',
    ]);
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

  it('keeps the earliest time, however it is written', async () => {
    const { findings } = await found(report(row('CKV_1', 'x')));
    const [one] = findings.map(({ finding }) => finding);
    if (!one) throw new Error('a finding expected');
    const at = (detectedAt: string): Finding => ({ ...one, detectedAt });
    const [early, late] = [at('2026-03-01T11:00:00+01:00'), at('2026-03-01T10:30:00Z')];
    expect(merge([early, late]).detectedAt).toBe(early.detectedAt);
    expect(merge([late, early]).detectedAt).toBe(early.detectedAt);
  });
});
