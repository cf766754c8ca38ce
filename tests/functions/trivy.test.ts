import { describe, expect, it } from 'vitest';
import toolFile from '../../functions/tool-files/trivy.ts';
import { mergeFindings } from '../../functions/trivy/merge.ts';
import { checkIdOf, placeOf, withoutVersions } from '../../functions/trivy/places.ts';
import trivy from '../../functions/trivy.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { findingDigest, observationName } from '../../shared/finding/name.ts';
import { objectMetadata } from '../../shared/finding/object-schema.ts';
import { workloadKey } from '../../shared/finding/workload.ts';
import { fileAnnotation } from '../../shared/function/file-annotation.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { derive } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { allowAll } from '../pipeline/test-context.ts';

const { source } = trivy;

interface About {
  readonly kind?: string;
  readonly name?: string;
  readonly container?: string | undefined;
}

function metadataOf({ kind = 'ReplicaSet', name = 'web-7d9c5b6f4d', container = 'web' }: About = {}) {
  const labels = { 'trivy-operator.resource.kind': kind, 'trivy-operator.resource.name': name };
  return {
    name: `${kind}-${name}`.toLowerCase(),
    namespace: 'shop',
    labels: { ...labels, ...(container !== '' && { 'trivy-operator.container.name': container }) },
  };
}

function reportOf(kind: string, report: object, about: About = {}) {
  return { apiVersion: 'aquasecurity.github.io/v1alpha1', kind, metadata: metadataOf(about), report };
}

const artifact = { repository: 'shop/web', tag: '1.0' };
const flaw = { vulnerabilityID: 'CVE-2099-1', resource: 'openssl', installedVersion: '3.0.1', severity: 'HIGH' };

function images(...vulnerabilities: readonly unknown[]) {
  return reportOf('VulnerabilityReport', { artifact, updateTimestamp: '2026-03-01T09:00:00Z', vulnerabilities });
}

function normalized(object: unknown, environment: Readonly<Record<string, string>> = {}) {
  const settings = Object.assign({}, parseSettings(environment, source.settings, []));
  return normalizeData(source, object, '2026-03-01T12:00:00Z', settings);
}

function derived(object: unknown) {
  const { findings } = derive(normalized(object).findings, {
    source: 'trivy',
    hasState: true,
    filter: allowAll,
    merge: mergeFindings,
    systemNamespace: 'zen-system',
    watchNamespace: undefined,
  });
  return findings.map(({ name, digest, finding }) => ({ name, digest, finding }));
}

function namesAndDigests(object: unknown): string[] {
  return derived(object)
    .map(({ name, digest }) => `${name} ${digest}`)
    .sort();
}

function onlyFinding(object: unknown): Finding {
  const [finding, ...others] = derived(object);
  if (!finding || others.length > 0) throw new Error(`${others.length} findings too many`);
  return finding.finding;
}

const compliance = (status: object) => ({
  apiVersion: 'aquasecurity.github.io/v1alpha1',
  kind: 'ClusterComplianceReport',
  metadata: { name: 'nsa' },
  status,
});

const failing = { checkID: 'KSV017', success: false, severity: 'HIGH', title: 'Privileged' };

describe('a summary', () => {
  it.each<[eventType: string, object: unknown, ...said: string[]]>([
    ['vulnerability', images({ ...flaw, fixedVersion: '3.0.2' }), 'CVE-2099-1', 'openssl 3.0.1', 'fixed in 3.0.2'],
    ['minor-vulnerabilities', images({ ...flaw, severity: 'LOW' }), '1 LOW vulnerability', 'without a fix', 'web'],
    [
      'end-of-life-os',
      reportOf('VulnerabilityReport', { os: { family: 'debian', name: '9.13', eosl: true }, vulnerabilities: [] }),
      'debian 9.13',
      'end of life',
      'container web',
    ],
    [
      'exposed-secret',
      reportOf('ExposedSecretReport', { secrets: [{ ruleID: 'pem', title: 'Private key', target: 'srv/key.pem' }] }),
      'Private key',
      'srv/key.pem',
      'container web',
    ],
    ['misconfiguration', reportOf('ConfigAuditReport', { checks: [failing] }), 'KSV-0017', 'Privileged', 'web'],
    [
      'rbac-misconfiguration',
      reportOf(
        'RbacAssessmentReport',
        { checks: [{ ...failing, messages: ['May do all'] }] },
        { kind: 'Role', name: 'ops' },
      ),
      'Role ops',
      'Privileged',
      'May do all',
    ],
    [
      'infra-misconfiguration',
      reportOf('InfraAssessmentReport', { checks: [failing] }, { kind: 'Node', name: 'node-1' }),
      'KSV-0017',
      'Privileged',
      'Node node-1',
    ],
    [
      'compliance-failure',
      compliance({ summaryReport: { controlCheck: [{ id: '1.0', name: 'Non-root', totalFail: 2 }] } }),
      'nsa 1.0',
      'Non-root',
      '2 failures',
    ],
  ])('of %s says what, on what, and how bad', (eventType, object, ...said) => {
    const finding = onlyFinding(object);
    expect(finding.eventType).toBe(eventType);
    for (const text of said) expect(finding.summary).toContain(text);
    expect(finding.summary).not.toMatch(/undefined|null| {2}|\( *\)|[,:;] *$/);
  });

  it.each<[said: string, object: unknown]>([
    [
      'KSV-0017 (Node node-1): Ensure that the --client-ca-file argument is set as appropriate',
      reportOf(
        'InfraAssessmentReport',
        { checks: [{ ...failing, title: 'Ensure that the --client-ca-file argument is set as appropriate' }] },
        { kind: 'Node', name: 'node-1' },
      ),
    ],
    [
      'KSV-0017 Privileged (web): Gives verbs get, list on pods',
      reportOf('RbacAssessmentReport', {
        checks: [{ ...failing, messages: ['Gives verbs ["get", "list"] on ["pods"]'] }],
      }),
    ],
    [
      'Stripe (stripe-access-token) in a.yaml (container web)',
      reportOf('ExposedSecretReport', {
        secrets: [{ ruleID: 'stripe-access-token', title: 'Stripe', target: 'a.yaml' }],
      }),
    ],
    [
      'AWS secret key in a (container web)',
      reportOf('ExposedSecretReport', {
        secrets: [{ ruleID: 'aws-secret-key', title: 'AWS secret key', target: 'a' }],
      }),
    ],
    [
      'nsa 1.0 Non-root: fails for node-n1',
      compliance({
        detailReport: { results: [{ id: '1.0', name: 'Non-root', checks: [{ success: false, target: '/node-n1' }] }] },
      }),
    ],
  ])('reads well: %s', (said, object) => {
    expect(onlyFinding(object).summary).toBe(said);
  });

  it('keeps the fix in sight, however long a path and a package are', () => {
    const packagePath = `${'folder/'.repeat(40)}x.jar`;
    const { summary } = onlyFinding(images({ ...flaw, packagePath, fixedVersion: '3.0.2' }));
    expect(summary.slice(0, 256)).toContain('fixed in 3.0.2');
    expect(summary).toContain('/x.jar');
  });
});

describe('withoutVersions', () => {
  it.each([
    ['app/log4j-core-2.14.1.jar', 'app/log4j-core.jar'],
    ['app/netty-4.1.86.Final.jar', 'app/netty.jar'],
    ['app/x-1.0-SNAPSHOT.jar', 'app/x.jar'],
    ['app/x-1.0-20260301.101500-7.jar', 'app/x.jar'],
    ['app/x-2.0.0-rc.1.jar', 'app/x.jar'],
    ['app/guava-19.jar', 'app/guava.jar'],
    ['app/guava-31.1-jre.jar', 'app/guava-jre.jar'],
    ['usr/lib/python3.11/site-packages/six-1.16.0.dist-info', 'usr/lib/python/site-packages/six.dist-info'],
    ['go/pkg/mod/example.com/x@v1.2.3/go.mod', 'go/pkg/mod/example.com/x/go.mod'],
    ['usr/lib/libssl.so.1.1', 'usr/lib/libssl.so'],
    [`nix/store/${'a1b2'.repeat(8)}-openssl-3.0.1/bin/openssl`, 'nix/store/openssl/bin/openssl'],
    ['lib/x86_64-linux-gnu/libz.so', 'lib/x86_64-linux-gnu/libz.so'],
    ['shard-1/app.jar', 'shard-1/app.jar'],
    ['node_modules/base64/md5.js', 'node_modules/base64/md5.js'],
  ])('of %s is %s', (path, expected) => {
    expect(withoutVersions(path)).toBe(expected);
  });
});

describe('placeOf', () => {
  it.each<[target: string, type: string | undefined, expected: string | undefined]>([
    ['usr/bin/gosu', 'lang-pkgs', 'usr/bin/gosu'],
    ['Java', undefined, 'Java'],
    ['manager', 'lang-pkgs', 'manager'],
    ['shop/web', 'lang-pkgs', 'shop/web'],
    ['shop/web', undefined, undefined],
    ['library/shop/web', undefined, undefined],
    ['shop/web:1.0', 'lang-pkgs', undefined],
    ['registry.example.com:5000/shop/web:1.0', 'lang-pkgs', undefined],
    [`shop/web@sha256:${'a'.repeat(64)}`, undefined, undefined],
    ['another/image:2', undefined, undefined],
    ['shop/web:1.0 (debian 13.1)', undefined, undefined],
    ['whatever (opensuse.leap 15.6)', undefined, undefined],
    ['app/My App (copy)/go.mod', 'lang-pkgs', 'app/My App (copy)/go.mod'],
    ['anything', 'os-pkgs', undefined],
    ['', undefined, undefined],
  ])('of %j with the class %s is %s', (target, type, expected) => {
    expect(placeOf({ target, class: type }, 'shop/web')).toBe(expected);
  });
});

describe('checkIdOf', () => {
  it.each([
    ['KSV014', 'KSV-0014'],
    ['AVD-KSV-0014', 'KSV-0014'],
    ['ksv-0014', 'KSV-0014'],
    ['AVD-KSV-01010', 'KSV-01010'],
    ['DS002', 'DS-0002'],
    ['AVD-AWS-0086', 'AWS-0086'],
    ['USR001', 'USR001'],
    ['hostPIDSet', 'hostPIDSet'],
  ])('of %s is %s', (id, expected) => {
    expect(checkIdOf(id)).toBe(expected);
  });
});

describe('the same finding', () => {
  const rows = [
    { ...flaw, fixedVersion: '3.0.9', links: ['https://example.com/b'], title: 'b' },
    { ...flaw, installedVersion: '1.1.1', severity: 'CRITICAL', links: ['https://example.com/a'], title: 'a' },
    { ...flaw, vulnerabilityID: 'CVE-2099-2', severity: 'LOW' },
    { ...flaw, vulnerabilityID: 'CVE-2099-3', severity: 'LOW', fixedVersion: '9' },
  ];

  it('is that whatever the order of rows, the time, the uid and the tag of a scan', () => {
    const first = images(...rows);
    const again = images(...rows.toReversed());
    const rescanned = {
      ...again,
      metadata: { ...again.metadata, name: 'another', uid: 'another' },
      report: { ...again.report, updateTimestamp: '2027-01-01T00:00:00Z', artifact: { ...artifact, tag: '2.0' } },
    };
    expect(namesAndDigests(rescanned)).toEqual(namesAndDigests(first));
  });

  it.each([
    ['ConfigAuditReport', { checks: [{ ...failing, messages: ["ReplicaSet 'NAME' is privileged"] }] }],
    ['VulnerabilityReport', { vulnerabilities: [flaw] }],
    ['ExposedSecretReport', { secrets: [{ ruleID: 'pem', target: 'srv/NAME/key' }] }],
  ])('is that after a rollout: %s', (kind, report) => {
    const of = (name: string) =>
      namesAndDigests(reportOf(kind, JSON.parse(JSON.stringify(report).replaceAll('NAME', name)), { name }));
    expect(of('web-58f9b7d6c')).toEqual(of('web-7d9c5b6f4d'));
  });

  it('is that in a place whose name has a version', () => {
    const of = (version: string) =>
      derived(images({ ...flaw, target: `opt/app-${version}/go.mod` })).map(({ name }) => name);
    expect(of('1.2.4')).toEqual(of('1.2.3'));
  });

  it('is another one in another container, path or place', () => {
    const names = [
      images(flaw),
      reportOf('VulnerabilityReport', { artifact, vulnerabilities: [flaw] }, { container: 'proxy' }),
      reportOf('VulnerabilityReport', { artifact, vulnerabilities: [flaw] }, { container: '' }),
      reportOf('VulnerabilityReport', { artifact: { repository: 'b' }, vulnerabilities: [flaw] }, { container: '' }),
      images({ ...flaw, packagePath: 'opt/a.jar' }),
      images({ ...flaw, target: 'usr/bin/a' }),
    ].flatMap((object) => derived(object).map(({ name }) => name));
    expect(new Set(names).size).toBe(6);
  });
});

describe('mergeFindings', () => {
  const findings = [
    onlyFinding(
      images({
        ...flaw,
        fixedVersion: '3.0.9',
        packagePath: 'a/x-1.0.jar',
        title: 'b',
        primaryLink: 'https://b.example',
      }),
    ),
    onlyFinding(
      images({ ...flaw, installedVersion: '1', packagePath: 'a/x-2.0.jar', title: 'a', severity: 'CRITICAL' }),
    ),
    {
      ...onlyFinding(images({ ...flaw, packagePath: 'a/x-3.0.jar', primaryLink: 'https://a.example' })),
      detectedAt: '2026-02-01T00:00:00Z',
    },
  ] as const;
  const [a, b, c] = findings;

  it('makes the same of findings in any order, and nothing new of what is merged already', () => {
    const merged = mergeFindings([a, b, c]);
    expect(mergeFindings([c, b, a])).toEqual(merged);
    expect(mergeFindings([mergeFindings([b, c]), a])).toEqual(merged);
    expect(mergeFindings([merged, b])).toEqual(merged);
    expect(mergeFindings([merged])).toEqual(merged);
    expect(findingDigest(merged)).toBe(findingDigest(mergeFindings([c, a, b])));
  });

  it('keeps all versions, paths and references, the worst severity and the earliest time', () => {
    expect(mergeFindings([a, b, c])).toMatchObject({
      severity: 'CRITICAL',
      detectedAt: '2026-02-01T00:00:00Z',
      remediation: 'upgrade openssl to 3.0.9',
      references: ['https://a.example', 'https://b.example'],
      details: {
        title: 'a',
        packagePath: 'a/x-1.0.jar\na/x-2.0.jar\na/x-3.0.jar',
        versions: [
          { installedVersion: '3.0.1', fixedVersion: '3.0.9' },
          { installedVersion: '1' },
          { installedVersion: '3.0.1' },
        ],
      },
    });
  });

  it.each<[unknown, unknown, unknown]>([
    [2, 1, 2],
    ['b', 'a', 'a'],
    [1, '2', 1],
    [['1'], 'a', ['1']],
    [{ b: 1 }, 'x', { b: 1 }],
    [null, { b: 1 }, { b: 1 }],
    [undefined, 'x', 'x'],
  ])('takes of %j and %j in one place always the same', (one, other, expected) => {
    const having = (value: unknown) => ({ ...b, details: { ...b.details, value } });
    for (const pair of [[having(one), having(other)] as const, [having(other), having(one)] as const]) {
      expect(mergeFindings(pair).details.value).toEqual(expected);
    }
  });

  it.each([
    ['2026-03-01T10:00:00Z', '2026-03-01T11:00:00+01:00'],
    ['2026-03-01T11:00:00+01:00', '2026-03-01T10:30:00Z'],
  ])('takes of two times the earlier, however they are written: %s', (earlier, other) => {
    const at = (detectedAt: string) => ({ ...b, detectedAt });
    expect(mergeFindings([at(earlier), at(other)]).detectedAt).toBe(earlier);
    expect(mergeFindings([at(other), at(earlier)]).detectedAt).toBe(earlier);
    expect(mergeFindings([at(other), at(earlier)]).references).toBeUndefined();
  });
});

describe('minor vulnerabilities', () => {
  it('are left out one by one, under the names that they would have', () => {
    const low = { ...flaw, severity: 'LOW' };
    const { leftOut } = normalized(images(low, flaw, { ...low, vulnerabilityID: 'CVE-2099-9' }));
    const names = leftOut?.minor?.map((finding) => observationName('trivy', finding));
    const [name] = derived(images({ ...flaw, vulnerabilityID: 'CVE-2099-9' })).map((one) => one.name);
    expect(names).toEqual([name]);
  });

  it.each([
    ['CRITICAL', ['1 HIGH, 1 MEDIUM and 1 LOW vulnerabilities, none with a fix (container web)', 'UNKNOWN']],
    ['High', ['1 MEDIUM and 1 LOW vulnerabilities, none with a fix (container web)', 'HIGH', 'UNKNOWN']],
    ['medium', ['1 LOW vulnerability, without a fix (container web)', 'HIGH', 'MEDIUM', 'UNKNOWN']],
    ['low', ['HIGH', 'LOW', 'MEDIUM', 'UNKNOWN']],
  ])('are those below TRIVY_MINIMUM_SEVERITY=%s', (TRIVY_MINIMUM_SEVERITY, expected) => {
    const rows = ['HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'].map((severity) => ({
      ...flaw,
      vulnerabilityID: `CVE-${severity}`,
      severity,
    }));
    const { findings } = normalized(images(...rows), { TRIVY_MINIMUM_SEVERITY });
    const said = findings.map(({ rule, severity, summary }) => (rule === 'minor' ? summary : severity));
    expect(said.sort()).toEqual(expected);
  });

  it.each([[['MEDIUM', 'LOW']], [['LOW', 'MEDIUM']]])('are as bad as the worst of them: %j', (found) => {
    const rows = found.map((severity) => ({ ...flaw, vulnerabilityID: `CVE-${severity}`, severity }));
    const { findings } = normalized(images(...rows), { TRIVY_MINIMUM_SEVERITY: 'HIGH' });
    expect(findings.map(({ severity }) => severity)).toEqual(['MEDIUM']);
  });

  it('name at most 40 of those with a fix', () => {
    const rows = Array.from({ length: 100 }, (_, index) => ({
      ...flaw,
      vulnerabilityID: `CVE-2099-${index}`,
      severity: 'LOW',
      fixedVersion: '4',
    }));
    const { summary, details } = onlyFinding(images(...rows));
    expect(summary).toBe('100 LOW vulnerabilities, all with a fix (container web)');
    expect(details.fixable).toHaveLength(40);
  });

  it('of two reports are not added up, since most are in both', () => {
    const low = { ...flaw, severity: 'LOW' };
    const other = { ...low, vulnerabilityID: 'CVE-2099-2', fixedVersion: '4' };
    const [few, many] = [onlyFinding(images(low)), onlyFinding(images(low, other))];
    const { details, summary } = mergeFindings([few, many]);
    expect(summary).toBe('2 LOW vulnerabilities, 1 with a fix (container web)');
    expect(details).toMatchObject({ withFix: 1, fixable: ['CVE-2099-2 in openssl 3.0.1, fixed in 4'] });
  });

  it('have a minimum that is a severity', () => {
    expect(() => normalized(images(), { TRIVY_MINIMUM_SEVERITY: 'loud' })).toThrow(/CRITICAL, HIGH, MEDIUM or LOW/);
  });
});

describe('a row that breaks the schema', () => {
  it.each<[unknown, findings: number, paths: readonly string[]]>([
    [
      images(flaw, { severity: 'HIGH' }, 7, { vulnerabilityID: '' }),
      1,
      [
        'report.vulnerabilities[1].vulnerabilityID',
        'report.vulnerabilities[2]',
        'report.vulnerabilities[3].vulnerabilityID',
      ],
    ],
    [
      reportOf('ExposedSecretReport', { secrets: [{ severity: 'HIGH' }, { ruleID: 'pem' }] }),
      1,
      ['report.secrets[0].ruleID'],
    ],
    [
      reportOf('ConfigAuditReport', {
        checks: [failing, { success: false, title: 't' }, { checkID: '', success: true }],
      }),
      1,
      ['report.checks[1].checkID'],
    ],
    [
      compliance({
        summaryReport: {
          controlCheck: [
            { id: '', totalFail: 1 },
            { id: '1', totalFail: 1 },
          ],
        },
      }),
      1,
      ['status.summaryReport.controlCheck[0].id'],
    ],
    [
      compliance({ detailReport: { results: [null, { id: '1', checks: [{ success: false }] }] } }),
      1,
      ['status.detailReport.results[0]'],
    ],
    [compliance({ controlCheck: [{ id: 7 }, { id: '1', failTotal: 3 }] }), 1, ['status.controlCheck[0].id']],
  ])('is told, and the others are read: %#', (object, findings, paths) => {
    const result = normalized(object);
    expect(result.findings).toHaveLength(findings);
    expect(result.badRows?.map(({ path }) => path)).toEqual(paths);
  });

  it.each<[unknown, string]>([
    [images({ vulnerabilityID: '' }), 'must not be empty'],
    [reportOf('ExposedSecretReport', { secrets: [{ ruleID: '<nil>' }] }), 'must not be empty'],
    [reportOf('ConfigAuditReport', { checks: [{ title: 't' }] }), 'a check that has not passed needs its ID'],
    [compliance({ controlCheck: [{ id: '' }] }), 'must not be empty'],
  ])('is told with the reason: %#', (object, message) => {
    expect(normalized(object).badRows?.map((row) => row.message)).toEqual([message]);
  });
});

describe('the slot of a report', () => {
  const slot = (kind: string, metadata: object) => {
    const found = source.slotOf?.({ group: 'aquasecurity.github.io', kind }, objectMetadata.parse(metadata));
    return found?.about && { ...found, about: workloadKey(found.about) };
  };

  it('is the kind of report, the workload and the container', () => {
    expect(slot('VulnerabilityReport', metadataOf())).toEqual({
      about: { kind: 'rollout', namespace: 'shop', name: 'web' },
      parts: { kind: 'VulnerabilityReport', container: 'web' },
    });
  });

  it('stays the same after a rollout, and for a report that has an owner only', () => {
    const owned = {
      name: 'r',
      namespace: 'shop',
      labels: { 'trivy-operator.container.name': 'web' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-58f9b7d6c' }],
    };
    expect(slot('VulnerabilityReport', owned)).toEqual(slot('VulnerabilityReport', metadataOf()));
  });

  it('is the report itself if that is about compliance, and nothing without a subject', () => {
    expect(slot('ClusterComplianceReport', { name: 'nsa' })?.about).toEqual({
      kind: 'ClusterComplianceReport',
      group: 'aquasecurity.github.io',
      name: 'nsa',
    });
    expect(slot('VulnerabilityReport', { name: 'r', annotations: null, labels: null })).toBeUndefined();
  });
});

describe("a file of Trivy's command line", () => {
  const read = (document: object) =>
    (toolFile.read([{ SchemaVersion: 2, ...document }], 'scan.json') ?? []).flatMap(({ metadata, ...object }) =>
      derived({ ...object, metadata: { ...metadata, annotations: { [fileAnnotation]: 'scan.json' } } }),
    );
  const row = { VulnerabilityID: 'CVE-2099-1', PkgName: 'openssl', InstalledVersion: '3.0.1', Severity: 'HIGH' };

  it('says the artifact in place of a workload, without its tag', () => {
    const scan = (tag: string) =>
      read({
        ArtifactName: `registry.example.com/shop/web:${tag}`,
        ArtifactType: 'container_image',
        Metadata: { OS: { Family: 'debian', Name: '9.13', EOSL: true } },
        Results: [{ Target: `web:${tag} (debian 9.13)`, Class: 'os-pkgs', Vulnerabilities: [row] }],
      });
    expect(scan('1.0').map(({ finding }) => [finding.summary, finding.details.artifact])).toEqual([
      ['CVE-2099-1 in openssl 3.0.1, no fix known (registry.example.com/shop/web)', 'registry.example.com/shop/web'],
      [
        'debian 9.13 is past its end of life: no more security fixes (registry.example.com/shop/web)',
        'registry.example.com/shop/web',
      ],
    ]);
    expect(scan('2.0').map(({ name }) => name)).toEqual(scan('1.0').map(({ name }) => name));
  });

  it('tells the resources of one file apart', () => {
    const check = (Resource: string) => ({
      ID: 'AVD-AWS-0086',
      Title: 'Public bucket',
      Severity: 'HIGH',
      Status: 'FAIL',
      Message: 'No public access block',
      CauseMetadata: { Resource },
    });
    const found = read({
      ArtifactName: 'infra',
      ArtifactType: 'filesystem',
      Results: [
        {
          Target: 'main.tf',
          Class: 'config',
          Misconfigurations: [check('aws_s3_bucket.a'), check('aws_s3_bucket.b')],
        },
      ],
    });
    expect(found.map(({ finding }) => finding.summary)).toEqual([
      'AWS-0086 Public bucket (aws_s3_bucket.a, main.tf, infra): No public access block',
      'AWS-0086 Public bucket (aws_s3_bucket.b, main.tf, infra): No public access block',
    ]);
  });

  it('of a cluster says the image, since it names no container', () => {
    const document = {
      ClusterName: 'kind',
      Resources: ['a', 'b'].map((name) => ({
        ...{ Kind: 'Deployment', Name: 'web', Namespace: 'shop', Metadata: [{ RepoTags: [`shop/${name}:1`] }] },
        Results: [{ Target: `shop/${name}:1 (debian 13)`, Class: 'os-pkgs', Vulnerabilities: [row] }],
      })),
    };
    const found = (toolFile.read([document], 'cluster.json') ?? []).flatMap(derived);
    expect(found.map(({ finding }) => finding.summary)).toEqual([
      'CVE-2099-1 in openssl 3.0.1, no fix known (image shop/a)',
      'CVE-2099-1 in openssl 3.0.1, no fix known (image shop/b)',
    ]);
    expect(new Set(found.map(({ name }) => name)).size).toBe(2);
  });
});

describe('a path of a package', () => {
  it.each([
    ['lib/netty', 'lib/netty-4.1.86.Final'],
    ['lib/a', 'lib/a-1.2'],
    ['lib/a', 'lib/a_1.2.3.4'],
    ['lib/a', 'lib/a@v1.0.0-rc.1'],
    ['lib/a', 'lib/a-1.0-20260301.101500-7'],
    ['lib/a', 'lib/a-1.0+7'],
    ['lib/a', 'lib/a-1.0~7'],
    ['lib/a', 'lib/a-1.0p1'],
    ...[
      'rc',
      'cr',
      'beta',
      'alpha',
      'ga',
      'final',
      'release',
      'snapshot',
      'sp',
      'pre',
      'post',
      'dev',
      'build',
      'm',
      'b',
      'a',
      'r',
    ].map((word): [string, string] => ['lib/x', `lib/x-1.2-${word}12`]),
    ['lib/a', 'lib/a-1.2.RC-3'],
    ['lib/a', 'lib/a-1.2-34'],
    ['lib/ax', 'lib/a-1.2.3x'],
    ['lib/ax', 'lib/a-1.2-rc.3x'],
    ['lib/a-release', 'lib/a-release'],
    ['lib/ax', 'lib/a1.2x'],
    ['lib/a-alphabet', 'lib/a-1.2-alphabet'],
    ['lib/a-7x', 'lib/a-1.2-7x'],
    ['lib/a-7', 'lib/a-7'],
    ['lib/a.jar', 'lib/a-19.jar'],
    ['lib/a.whl', 'lib/a-v7.whl'],
    ...['war', 'ear', 'zip', 'tgz', 'gem', 'gemspec', 'nupkg', 'dist-info', 'egg-info'].map(
      (ending): [string, string] => [`lib/a.${ending}`, `lib/a-19.${ending}`],
    ),
    ['lib/a-19.jars', 'lib/a-19.jars'],
    ['nix/store/curl', `nix/store/${'0a'.repeat(16)}-curl`],
    [`x/store/${'0a'.repeat(16)}-curl`, `x/store/${'0a'.repeat(16)}-curl`],
  ])('is %s, whichever version of %s', (path, given) => {
    expect(withoutVersions(given)).toBe(path);
  });
});

describe('where in an image something is', () => {
  it.each<[string | undefined, string | null, string | undefined, string | undefined]>([
    [undefined, null, undefined, undefined],
    [undefined, '', undefined, undefined],
    [undefined, 'usr/x', 'os-pkgs', 'shop/web'],
    [undefined, 'library/nginx:1.27 (debian 13.1)', undefined, 'nginx'],
    [undefined, 'x (alpine linux 3.20.1)', undefined, undefined],
    ['x (y)', 'x (y)', undefined, undefined],
    ['x (debian 13) y', 'x (debian 13) y', undefined, undefined],
    ['Java', 'Java', 'lang-pkgs', 'shop/web'],
    ['usr/bin/gosu', 'usr/bin/gosu', 'lang-pkgs', 'shop/web'],
    [undefined, 'shop/web:1.2', 'lang-pkgs', 'shop/web'],
    [undefined, 'r.example/shop/web:1.2', 'lang-pkgs', 'shop/web'],
    [undefined, `shop/web@sha256:${'0f'.repeat(32)}`, 'lang-pkgs', 'r:5000/shop/web'],
    [undefined, 'library/nginx:1.2', 'lang-pkgs', 'nginx'],
    ['my/library/nginx:1.2', 'my/library/nginx:1.2', 'lang-pkgs', 'my/nginx'],
    ['shop/web', 'shop/web', 'lang-pkgs', 'shop/web'],
    ['shop/api:1.2', 'shop/api:1.2', 'lang-pkgs', 'shop/web'],
    ['shop/web:1.2', 'shop/web:1.2', 'lang-pkgs', undefined],
    [undefined, 'shop/api:1.2', undefined, 'shop/web'],
    [undefined, 'shop/web', undefined, 'shop/web'],
    ['manager', 'manager', undefined, 'manager'],
    ['a@b', 'a@b', undefined, undefined],
    [undefined, '<nil>', 'lang-pkgs', undefined],
    [undefined, 'x (debian 13)', undefined, undefined],
    [undefined, 'x (wolfi v_20230201)', undefined, undefined],
    [undefined, 'x (ubuntu 24.04~lts)', undefined, undefined],
    ['shop/v1.0/web:1.2', 'shop/v1.0/web:1.2', 'lang-pkgs', 'shop/v2.0/web'],
  ])('is %s, of %s', (place, target, type, repository) => {
    expect(placeOf({ target, class: type }, repository)).toBe(place);
  });

  it.each([
    ...[
      'KSV',
      'KCV',
      'DS',
      'AWS',
      'AZU',
      'GCP',
      'DIG',
      'GIT',
      'NIF',
      'OCI',
      'KUBE',
      'OPNSTK',
      'CLDSTK',
      'ORCL',
    ].flatMap((prefix) => [
      [`${prefix}-0014`, `${prefix}014`],
      [`${prefix}-0014`, `AVD-${prefix}-0014`],
    ]),
    ['KSV-0014', 'ksv-14'],
    ['KSV-12345', 'KSV12345'],
    ['KSV123456', 'KSV123456'],
    ['MY-KSV014', 'MY-KSV014'],
    ['KSV014x', 'KSV014x'],
    ['KSV', 'KSV'],
    ['my-check', 'my-check'],
    ['', ''],
  ])('is the check %s of %s', (id, given) => {
    expect(checkIdOf(given)).toBe(id);
  });
});

describe('the texts of a report of Trivy', () => {
  const ofFlaw = (more: object) => onlyFinding(images({ ...flaw, ...more }));

  it.each<[readonly string[] | undefined, object]>([
    [['https://a', 'https://b'], { primaryLink: 'https://b', links: ['https://a', 'https://b', 7] }],
    [['http://a'], { links: ['http://a'] }],
    [undefined, { links: ['see https://a', 'https://a b', 'ftp://a', ['https://a']] }],
    [undefined, {}],
  ])('have the references %j', (references, more) => {
    expect(ofFlaw(more).references).toEqual(references);
  });

  it.each([
    ['pkg:maven/org.example/core', 'pkg:maven/org.example/core@1.2?type=jar'],
    ['pkg:npm/@x/y', 'pkg:npm/@x/y@1.2#a\nb'],
    ['pkg:npm/@x', 'pkg:npm/@x'],
    ['pkg:npm/x', 'pkg:npm/x?type=jar'],
    ['pkg:golang/a@b/c', 'pkg:golang/a@b/c'],
  ])('name the package %s', (name, packagePURL) => {
    expect(ofFlaw({ resource: null, packagePURL }).details.package).toBe(name);
  });

  const longPath = `${'a/'.repeat(90)}x.jar`;
  const exactPath = `${'a/'.repeat(39)}go`;
  it.each<[said: string, remediation: string | undefined, ...rows: object[]]>([
    ['in openssl, fixed in 3', 'upgrade openssl to 3', { installedVersion: null, fixedVersion: '3' }],
    ['in openssl, no fix known', undefined, { installedVersion: null }],
    [
      'in openssl fixed in 3; 2, fixed in 4',
      'upgrade openssl to 3, from 2 to 4',
      { installedVersion: null, fixedVersion: '3' },
      { installedVersion: '2', fixedVersion: '4' },
    ],
    [
      `in openssl at ${exactPath}, 1, fixed in 3; 2, no fix known`,
      'upgrade openssl to 3',
      { packagePath: exactPath, installedVersion: '1', fixedVersion: '3' },
      { packagePath: exactPath, installedVersion: '2' },
    ],
    [
      'in openssl 1, fixed in 2; 2, fixed in 3; 3, fixed in 4',
      'upgrade openssl from 1 to 2, from 2 to 3, from 3 to 4',
      ...['1', '2', '3'].map((version) => ({ installedVersion: version, fixedVersion: String(Number(version) + 1) })),
    ],
    [
      'in openssl 1, fixed in 2; 2, fixed in 3; 3, fixed in 4; and more',
      'upgrade openssl from 1 to 2, from 2 to 3, from 3 to 4, from 4 to 5',
      ...['1', '2', '3', '4'].map((version) => ({
        installedVersion: version,
        fixedVersion: String(Number(version) + 1),
      })),
    ],
    [`in openssl 3.0.1 at …${longPath.slice(-80)}, no fix known`, undefined, { packagePath: longPath }],
    [`in openssl 3.0.1 at ${exactPath}, no fix known`, undefined, { packagePath: exactPath }],
    [': Bad, fixed in 3', undefined, { resource: null, title: 'Bad', fixedVersion: '3' }],
  ])('tell of versions as %s', (said, remediation, ...rows) => {
    const finding = onlyFinding(images(...rows.map((row) => ({ ...flaw, ...row }))));
    const separator = said.startsWith(':') ? '' : ' ';
    expect(finding.summary).toBe(`CVE-2099-1${separator}${said} (container web)`);
    expect(finding.remediation).toBe(remediation);
  });

  const inFile = (kind: string, report: object) => ({
    ...reportOf(kind, report),
    metadata: { name: 'scan', annotations: { [fileAnnotation]: 'scan.json' } },
  });
  it.each<[string, object]>([
    [
      'x in image shop/web',
      reportOf('ExposedSecretReport', { artifact, secrets: [{ ruleID: 'x' }] }, { container: '' }),
    ],
    ['x in image shop/web (container web)', reportOf('ExposedSecretReport', { artifact, secrets: [{ ruleID: 'x' }] })],
    ['x (container web)', reportOf('ExposedSecretReport', { secrets: [{ ruleID: 'x' }] })],
    ['x (shop/web)', inFile('ExposedSecretReport', { artifact, secrets: [{ ruleID: 'x' }] })],
    ['KSV-0017 Privileged', inFile('ConfigAuditReport', { checks: [failing] })],
    [
      'KSV-0017 Privileged (main.tf, shop/web)',
      inFile('ConfigAuditReport', { artifact, checks: [{ ...failing, target: 'main.tf' }] }),
    ],
  ])('say where it is, as far as that is known: %s', (summary, object) => {
    expect(onlyFinding(object).summary).toBe(summary);
  });

  const secretOf = (...secrets: readonly object[]) =>
    onlyFinding(reportOf('ExposedSecretReport', { artifact, secrets })).summary;
  it.each<[string, object]>([
    ['Stripe (stripe-access-token) in a (container web)', { ruleID: 'stripe-access-token', title: 'Stripe' }],
    ['Stripe in a (container web)', { ruleID: 'stripe', title: 'Stripe' }],
    ['Stripe key in a (container web)', { ruleID: 'stripe-access-token', title: 'Stripe key' }],
    ['GitHub in a (container web)', { ruleID: 'x', title: null, category: 'GitHub' }],
    ['x in a (container web)', { ruleID: 'x' }],
    ['Stripe - key (stripe-key-id) in a (container web)', { ruleID: 'stripe-key-id', title: 'Stripe - key' }],
    ['Stripe key in a (container web)', { ruleID: 'stripe--key', title: 'Stripe key' }],
  ])('tell of a secret as %s', (summary, more) => {
    expect(secretOf({ target: 'a', ...more })).toBe(summary);
  });

  it('count the places of a secret', () => {
    expect(secretOf({ ruleID: 'x', target: 'a', match: '1' }, { ruleID: 'x', target: 'a', match: '2' })).toContain(
      ', 2 places',
    );
  });

  const checkOf = (more: object) =>
    onlyFinding(reportOf('ConfigAuditReport', { checks: [{ ...failing, ...more }] })).summary;
  it.each<[string, object]>([
    ['KSV-0017 Privileged (web)', {}],
    ['KSV-0017 Privileged (web)', { title: ' Privileged. ' }],
    ['KSV-0017 Privileged (web)', { messages: ['privileged.'] }],
    ["KSV-0017 Privileged (web): Container 'a' is", { messages: ["Container 'a' is."] }],
    [
      "KSV-0017 Privileged (web): Container 'a' is, 2 containers",
      { messages: ["Container 'a' is", "Container 'b' is"] },
    ],
    [
      "KSV-0017 Privileged (web): Container 'a' has, and 1 more",
      { messages: ["Container 'a' is", "Container 'a' has"] },
    ],
    [
      'KSV-0017 Privileged (web): Container ab is, 2 containers',
      { messages: ['Container ab is.;', 'Container ac is'] },
    ],
    ["KSV-0017 Privileged: ReplicaSet 'web' is", { messages: ["ReplicaSet 'web' is"] }],
    ["KSV-0017 Privileged (web): Container 'a' is, and 1 more", { messages: ["Container 'a' is", 'Its host is'] }],
    ['KSV-0017 Privileged (web)', { description: 'Long' }],
    ['KSV-0017 (web): Long', { title: null, description: 'Long' }],
    ['KSV-0017 Privileged (web): x y', { messages: ['  x \n  y '] }],
    ['KSV-0017 Privileged (web): for verbs create, update', { messages: ['for verbs ["create",  "update"]'] }],
  ])('tell of a check as %s', (summary, more) => {
    expect(checkOf(more)).toBe(summary);
  });

  const controls = (...results: readonly object[]) => ({
    updateTimestamp: '2026-03-01T09:00:00Z',
    detailReport: { results },
  });
  const control = (more: object, checks: readonly object[]) => ({
    id: '1',
    name: 'C.',
    checks: checks.map((one) => ({ success: false, ...one })),
    ...more,
  });
  it.each<[string, string, object]>([
    ['nsa 1 C: fails for a', 'HIGH', controls(control({ severity: 'HIGH' }, [{ target: '/a' }]))],
    [
      'nsa 1 C: fails for shop/web',
      'LOW',
      controls(control({}, [{ target: 'shop/replicaset-web-7d9c5b6f4d', severity: 'LOW' }])),
    ],
    [
      'nsa 1 C: fails for shop/web',
      'MEDIUM',
      controls(control({}, [{ target: 'shop/Pod/web-7d9c5b6f4d-x2x9z', severity: 'MEDIUM' }, { severity: 'LOW' }])),
    ],
    ['nsa 1 C: fails for web', 'LOW', controls(control({}, [{ target: 'pod-web-7d9c5b6f4d-x2x9z', severity: 'LOW' }]))],
    [
      'nsa 1 C: fails for my/shop/pod-web-7d9c5b6f4d-x2x9z, shop/pod-web-7d9c5b6f4d-x2x9z/c',
      'LOW',
      controls(
        control({}, [
          { target: 'my/shop/pod-web-7d9c5b6f4d-x2x9z', severity: 'LOW' },
          { target: 'shop/pod-web-7d9c5b6f4d-x2x9z/c', severity: 'LOW' },
        ]),
      ),
    ],
    [
      'nsa 1 C: fails for shop/backup',
      'LOW',
      controls(control({}, [{ target: 'shop/job-backup-29012345', severity: 'LOW' }])),
    ],
    ['nsa 1 C: fails for shop/pod-web', 'LOW', controls(control({}, [{ target: 'shop/pod-web', severity: 'LOW' }]))],
    ['nsa 1 C: 1 failure', 'UNKNOWN', controls(control({}, [{}]))],
    ['nsa 1: 1 failure', 'UNKNOWN', controls(control({ name: '...' }, [{}]))],
    [
      'nsa 1 C: 1 failure',
      'UNKNOWN',
      { ...controls(control({}, [{}])), controlCheck: [{ id: '7', name: 'Old', failTotal: 3 }] },
    ],
    [
      'nsa 1 C: 2 failures',
      'UNKNOWN',
      {
        updateTimestamp: '2026-03-01T09:00:00Z',
        summaryReport: { controlCheck: [{ id: '1', name: 'C', totalFail: 2 }] },
        detailReport: { results: [{ id: '2', checks: [{ success: false, target: 'x', severity: 'HIGH' }] }] },
      },
    ],
    ['nsa 1: 2 failures', 'UNKNOWN', controls(control({ name: null }, [{ checkID: 'a' }, { checkID: 'b' }]))],
  ])('tell of a control as %s', (summary, severity, status) => {
    const finding = onlyFinding(compliance(status));
    expect([finding.summary, finding.severity, finding.detectedAt]).toEqual([
      summary,
      severity,
      '2026-03-01T09:00:00Z',
    ]);
  });
});

describe('what several rows say of one check', () => {
  it('is kept, each text once and in order, and one text as it is', () => {
    const remediation = (...texts: readonly string[]) =>
      onlyFinding(reportOf('ConfigAuditReport', { checks: texts.map((text) => ({ ...failing, remediation: text })) }))
        .remediation;
    expect(remediation('b', 'a', 'b')).toBe('a\nb');
    expect(remediation('b\na', 'b\na')).toBe('b\na');
  });

  it('is kept of a control, too', () => {
    const checks = ['b', 'a'].map((text) => ({ success: false, remediation: text, checkID: `KSV00${text.length}` }));
    const finding = onlyFinding(compliance({ detailReport: { results: [{ id: '1', checks }] } }));
    expect(finding).toMatchObject({ remediation: 'a\nb', details: { checks: ['KSV-0001'] } });
  });

  it('is trimmed, a line each', () => {
    const object = reportOf('ConfigAuditReport', { checks: [{ ...failing, messages: [' x \n  y ', 'a'] }] });
    expect(onlyFinding(object).details.message).toBe('a\nx y');
  });
});

describe('what several reports say of one finding', () => {
  it('has all places and images', () => {
    const scan = (server: string, version: string) =>
      onlyFinding(
        reportOf('VulnerabilityReport', {
          artifact,
          registry: { server },
          vulnerabilities: [{ ...flaw, target: `opt/app-${version}/go.mod` }],
        }),
      );
    expect(mergeFindings([scan('b.example', '2.0'), scan('a.example', '1.0')]).details).toMatchObject({
      image: 'a.example/shop/web\nb.example/shop/web',
      target: 'opt/app-1.0/go.mod\nopt/app-2.0/go.mod',
    });
  });
});

describe('a check in a cluster', () => {
  it('is about the whole resource, whatever file, cause and container its report names', () => {
    const names = [
      reportOf('ConfigAuditReport', { checks: [failing] }),
      reportOf('ConfigAuditReport', { checks: [{ ...failing, target: 'a.yaml', cause: 'x' }] }, { container: 'proxy' }),
    ].flatMap((object) => derived(object).map(({ name }) => name));
    expect(new Set(names).size).toBe(1);
  });
});

describe('a report without a namespace', () => {
  it('is about what is in the namespace that its label names', () => {
    const metadata = metadataOf();
    const labels = { ...metadata.labels, 'trivy-operator.resource.namespace': 'blue' };
    const object = { ...images(flaw), metadata: { name: 'r', labels } };
    expect(normalized(object).findings.map(({ resource }) => resource?.namespace)).toEqual(['blue']);
  });
});

describe('a compliance report', () => {
  it.each([undefined, null])('whose status is %s says nothing', (status) => {
    expect(normalized({ ...compliance({}), status })).toEqual({ findings: [], skipped: { no_result: 1 } });
  });
});
