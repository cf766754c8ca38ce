import { describe, expect, it } from 'vitest';
import checkov from '../../functions/tool-files/checkov.ts';
import kubeBench from '../../functions/tool-files/kube-bench.ts';
import trivy from '../../functions/tool-files/trivy.ts';

/** What is left of an object once it was written as JSON: nothing that is undefined. */
function written(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function configMap(output: unknown) {
  return [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a.json' },
      data: { 'results.json': JSON.stringify(output) },
    },
  ];
}

const framework = { check_type: 'terraform', results: { failed_checks: [] } };
const nothingScanned = { checkov_version: '3', passed: 0, failed: 0, resource_count: 0 };

describe('a file of Checkov', () => {
  it.each<[unknown, readonly unknown[]]>([
    [[framework], [framework]],
    [[nothingScanned], [nothingScanned]],
    [[framework, framework], [[framework, framework]]],
    [
      [framework, framework, nothingScanned],
      [[framework, framework], nothingScanned],
    ],
  ])('is the ConfigMap of %j', (output, documents) => {
    expect(checkov.read(documents, 'a.json')).toEqual(configMap(output));
  });

  it.each<[unknown[]]>([
    [[]],
    [[null]],
    [[{}]],
    [[{ check_type: 7, results: {} }]],
    [[{ check_type: 'x' }]],
    [[{ checkov_version: 3, passed: 0, failed: 0 }]],
    [[{ checkov_version: '3', passed: '0', failed: 0 }]],
    [[{ checkov_version: '3', passed: 0, failed: '0' }]],
    [[[framework, {}]]],
    [[framework, {}]],
  ])('is not %j', (documents) => {
    expect(checkov.read(documents, 'a.json')).toBeUndefined();
  });

  it('says which command writes it', () => {
    expect([checkov.source, checkov.command]).toEqual(['checkov', 'checkov -o json']);
  });
});

const control = { node_type: 'node', tests: [] };

describe('a file of kube-bench', () => {
  it.each<[unknown, readonly unknown[]]>([
    [[{ Controls: [control], Totals: {} }], [{ Controls: [control], Totals: {} }]],
    [[control], [control]],
    [[control, control], [[control, control]]],
    [[{ NodeType: 'node', Tests: null }], [{ NodeType: 'node', Tests: null }]],
    [
      [{ controls: [control] }, { CONTROLS: [control] }],
      [{ controls: [control] }, { CONTROLS: [control] }],
    ],
  ])('is the ConfigMap of %j', (output, documents) => {
    expect(kubeBench.read(documents, 'a.json')).toEqual(configMap(output));
  });

  it.each<[unknown[]]>([
    [[]],
    [[null]],
    [[[]]],
    [[{}]],
    [[{ Controls: [] }]],
    [[{ Controls: [{ tests: [] }] }]],
    [[{ node_type: 'node' }]],
    [[{ node_type: 7, tests: [] }]],
    [[{ node_type: 'node', tests: {} }]],
    [[control, {}]],
  ])('is not %j', (documents) => {
    expect(kubeBench.read(documents, 'a.json')).toBeUndefined();
  });

  it('says which command writes it', () => {
    expect([kubeBench.source, kubeBench.command]).toEqual(['kube-bench', 'kube-bench --json']);
  });
});

const vulnerability = {
  VulnerabilityID: 'CVE-1',
  PkgName: 'openssl',
  InstalledVersion: '1',
  FixedVersion: '2',
  Severity: 'HIGH',
  Title: 't',
  PrimaryURL: 'https://a',
  References: ['https://b'],
  PkgPath: 'p',
  PkgIdentifier: { PURL: 'pkg:deb/openssl@1' },
};
const vulnerable = {
  vulnerabilityID: 'CVE-1',
  resource: 'openssl',
  installedVersion: '1',
  fixedVersion: '2',
  severity: 'HIGH',
  title: 't',
  primaryLink: 'https://a',
  links: ['https://b'],
  packagePath: 'p',
  packagePURL: 'pkg:deb/openssl@1',
};
const secret = { RuleID: 'pem', Severity: 'HIGH', Category: 'c', Title: 't', Match: '***' };
const exposed = { ruleID: 'pem', severity: 'HIGH', category: 'c', title: 't' };
const misconfiguration = {
  ID: 'DS002',
  Severity: 'LOW',
  Type: 'Dockerfile Security Check',
  Title: 't',
  Description: 'd',
  Resolution: 'r',
  Message: 'm',
  Status: 'FAIL',
  CauseMetadata: { Resource: 'c' },
  PrimaryURL: 'https://a',
  References: ['https://b'],
};
const failed = {
  checkID: 'DS002',
  severity: 'LOW',
  category: 'Dockerfile Security Check',
  title: 't',
  description: 'd',
  remediation: 'r',
  messages: ['m'],
  success: false,
  cause: 'c',
  primaryLink: 'https://a',
  links: ['https://b'],
};

const read = (...documents: readonly unknown[]) => written(trivy.read(documents, 'a.json'));

function scanned(report: object, more: object = {}): unknown {
  return read({ SchemaVersion: 2, ArtifactName: 'infra', ArtifactType: 'filesystem', Results: [report], ...more });
}

const object = (kind: string, report: object, metadata: object = { name: 'a.json' }) => ({
  apiVersion: 'aquasecurity.github.io/v1alpha1',
  kind,
  metadata,
  report,
});

describe('a file of Trivy about an image or a folder', () => {
  const infra = { repository: 'infra' };

  it.each<[string, object, readonly unknown[]]>([
    [
      'vulnerabilities, with their place',
      { Target: 'go.mod', Class: 'lang-pkgs', Vulnerabilities: [vulnerability] },
      [
        object('VulnerabilityReport', {
          artifact: infra,
          vulnerabilities: [{ ...vulnerable, class: 'lang-pkgs', target: 'go.mod' }],
        }),
      ],
    ],
    [
      'packages of the operating system, whose target is no place',
      { Target: 'infra (debian 12)', Class: 'os-pkgs', Vulnerabilities: [{ ...vulnerability, PkgIdentifier: null }] },
      [
        object('VulnerabilityReport', {
          artifact: infra,
          vulnerabilities: [{ ...vulnerable, packagePURL: undefined, class: 'os-pkgs' }],
        }),
      ],
    ],
    [
      'secrets, without what matched',
      { Target: 'key.pem', Secrets: [secret] },
      [object('ExposedSecretReport', { artifact: infra, secrets: [{ ...exposed, target: 'key.pem' }] })],
    ],
    [
      'checks, failed and passed',
      {
        Target: 'Dockerfile',
        Misconfigurations: [misconfiguration, { AVDID: 'AVD-DS-0001', Status: 'PASS', CauseMetadata: 'x' }],
      },
      [
        object('ConfigAuditReport', {
          artifact: infra,
          checks: [
            { ...failed, target: 'Dockerfile' },
            { checkID: 'AVD-DS-0001', messages: [null], success: true, target: 'Dockerfile' },
          ],
        }),
      ],
    ],
    [
      'all of them',
      { Target: 'x', Vulnerabilities: [vulnerability], Secrets: [secret], Misconfigurations: [misconfiguration] },
      ['VulnerabilityReport', 'ExposedSecretReport', 'ConfigAuditReport'].map((kind) =>
        expect.objectContaining({ kind }),
      ),
    ],
    ['nothing', { Target: 'x', Vulnerabilities: null, Secrets: [], Misconfigurations: null }, []],
  ])('says %s', (_what, report, expected) => {
    expect(scanned(report)).toEqual(expected);
  });

  const secretIn = (more: object) => scanned({ Secrets: [secret] }, more);

  it.each<[object, string, string]>([
    [{ repository: 'nginx' }, 'container_image', 'nginx'],
    [{ repository: 'nginx', tag: '1.2' }, 'container_image', 'nginx:1.2'],
    [{ repository: 'r:5000/shop/web' }, 'container_image', 'r:5000/shop/web'],
    [
      { repository: 'r:5000/shop/web', tag: '1.2', digest: 'sha256:0f' },
      'container_image',
      'r:5000/shop/web:1.2@sha256:0f',
    ],
    [{ repository: 'web', digest: 'sha256:0f' }, 'container_image', 'web@sha256:0f'],
    [{ repository: 'nginx:1.2' }, 'filesystem', 'nginx:1.2'],
    [{ repository: 'a.json' }, 'filesystem', '.'],
    [{ repository: 'a.json' }, 'repository', ''],
    [{ repository: './x' }, 'filesystem', './x'],
  ])('names %j, a %s that is called %s', (artifact, ArtifactType, ArtifactName) => {
    expect(secretIn({ ArtifactType, ArtifactName })).toMatchObject([{ report: { artifact } }]);
    expect(secretIn({ ArtifactType, ArtifactName })).toEqual([
      expect.objectContaining({ report: expect.objectContaining({ artifact }) }),
    ]);
  });

  it('says when it was, and of which system', () => {
    expect(
      scanned(
        { Vulnerabilities: [vulnerability] },
        {
          CreatedAt: '2026-03-01T10:00:00Z',
          Metadata: { OS: { Family: 'debian', Name: '12', EOSL: false } },
        },
      ),
    ).toMatchObject([
      { report: { updateTimestamp: '2026-03-01T10:00:00Z', os: { family: 'debian', name: '12', eosl: false } } },
    ]);
  });

  it.each([
    [[{ report: { os: { family: 'debian', name: '9', eosl: true }, vulnerabilities: [] } }], true],
    [[], false],
    [[], 'yes'],
  ])('is %j without a vulnerability, if the end of life of the system is %j', (expected, EOSL) => {
    expect(scanned({}, { Metadata: { OS: { Family: 'debian', Name: '9', EOSL } } })).toMatchObject(expected);
    expect(scanned({}, { Metadata: { OS: { Family: 'debian', Name: '9', EOSL } } })).toHaveLength(expected.length);
  });

  it.each<[unknown[]]>([
    [[]],
    [[null]],
    [[{}]],
    [[{ SchemaVersion: 2 }]],
    [[{ SchemaVersion: '2', ArtifactName: 'x' }]],
    [[{ SchemaVersion: 2, ArtifactName: 'x', Results: {} }]],
    [[{ SchemaVersion: 2, ArtifactName: 'x', Results: [{ Vulnerabilities: [7] }] }]],
    [[{ ClusterName: 7 }]],
    [[{ ClusterName: 'kind', Resources: [{ Name: 'x' }] }]],
    [
      [
        { SchemaVersion: 2, ArtifactName: 'x' },
        { SchemaVersion: 2, ArtifactName: 'y' },
      ],
    ],
  ])('is not %j', (documents) => {
    expect(read(...documents)).toBeUndefined();
  });

  it('may be without results, metadata and what these say', () => {
    expect(read({ SchemaVersion: 2, ArtifactName: 'x' })).toEqual([]);
    expect(read({ SchemaVersion: 2, ArtifactName: 'x', Metadata: 7, Results: null })).toEqual([]);
    expect(read({ SchemaVersion: 2, ArtifactName: 'x', Metadata: { OS: 'debian' } })).toEqual([]);
  });

  it('says which command writes it', () => {
    expect([trivy.source, trivy.command]).toEqual(['trivy', 'trivy k8s|image|fs|config --format json']);
  });
});

describe('a file of Trivy about a cluster', () => {
  const resource = (more: object) => ({ Kind: 'Deployment', Namespace: 'shop', Name: 'web', ...more });
  const cluster = (...resources: readonly object[]) => read({ ClusterName: 'kind', Resources: resources });
  const metadataOf = (kind: string, name: string, namespace?: string, index = 0) => ({
    name: `a.json.${index}`,
    ...(namespace !== undefined && { namespace }),
    labels: {
      'trivy-operator.resource.kind': kind,
      'trivy-operator.resource.namespace': namespace ?? '',
      'trivy-operator.resource.name': name,
    },
  });
  const checked = (id: string) => ({
    Results: [{ Target: 'x', Misconfigurations: [{ ...misconfiguration, ID: id }] }],
  });

  it.each<[string, string, string | undefined, string]>([
    ['ConfigAuditReport', 'Deployment', 'shop', 'KSV001'],
    ['RbacAssessmentReport', 'Role', 'shop', 'KSV046'],
    ['RbacAssessmentReport', 'RoleBinding', 'shop', 'KSV046'],
    ['ClusterRbacAssessmentReport', 'ClusterRole', undefined, 'KSV046'],
    ['ClusterRbacAssessmentReport', 'ClusterRoleBinding', undefined, 'KSV046'],
    ['ClusterConfigAuditReport', 'Namespace', undefined, 'KSV001'],
    ['InfraAssessmentReport', 'Pod', 'kube-system', 'KCV0001'],
    ['InfraAssessmentReport', 'Pod', 'kube-system', 'AVD-KCV-0001'],
    ['ConfigAuditReport', 'Pod', 'kube-system', 'MY-KCV-0001'],
    ['ClusterInfraAssessmentReport', 'Node', undefined, 'KCV0069'],
  ])('is a %s of a %s in %s for the check %s, without its file', (kind, of, namespace, id) => {
    const found = { Kind: of, Name: 'x', ...(namespace !== undefined && { Namespace: namespace }), ...checked(id) };
    expect(cluster(found)).toEqual([
      object(kind, { checks: [{ ...failed, checkID: id }] }, metadataOf(of, 'x', namespace)),
    ]);
  });

  it('calls a node what Kubernetes does', () => {
    expect(cluster({ Kind: 'NodeInfo', Namespace: '', Name: 'n1', ...checked('KCV0069') })).toEqual([
      object('ClusterInfraAssessmentReport', { checks: [{ ...failed, checkID: 'KCV0069' }] }, metadataOf('Node', 'n1')),
    ]);
  });

  it('is a check of no infrastructure if its ID is no text', () => {
    const found = resource({ Results: [{ Misconfigurations: [{ ID: 7, Status: 'FAIL' }] }] });
    expect(cluster(found)).toMatchObject([{ kind: 'ConfigAuditReport' }]);
  });

  it('says vulnerabilities, secrets and checks of each resource, under names of their own', () => {
    const first = resource({ Results: [{ Vulnerabilities: [vulnerability] }] });
    const second = { Kind: 'Job', Name: 'j', Results: [{ Secrets: [secret] }] };
    expect(cluster(first, second, resource(checked('KSV001')))).toMatchObject([
      { kind: 'VulnerabilityReport', metadata: metadataOf('Deployment', 'web', 'shop') },
      { kind: 'ExposedSecretReport', metadata: metadataOf('Job', 'j', undefined, 1) },
      { kind: 'ConfigAuditReport', metadata: metadataOf('Deployment', 'web', 'shop', 2) },
    ]);
  });

  it('is a report of the cluster about what has no namespace', () => {
    const found = { Kind: 'X', Name: 'x', Results: [{ Vulnerabilities: [vulnerability] }] };
    expect(cluster(found)).toMatchObject([{ kind: 'ClusterVulnerabilityReport' }]);
  });

  it.each(['Resources', 'Findings', 'Vulnerabilities', 'Misconfigurations'])('has its list under %s', (key) => {
    expect(read({ ClusterName: 'kind', [key]: [resource(checked('KSV001'))] })).toMatchObject([
      { kind: 'ConfigAuditReport' },
    ]);
  });

  it.each<[object | undefined, unknown]>([
    [
      { repository: 'a', tag: '1' },
      { RepoTags: ['a:1', 'a:2'], RepoDigests: ['a@sha256:0f'] },
    ],
    [{ repository: 'a', digest: 'sha256:0f' }, { RepoDigests: ['a@sha256:0f'] }],
    [{ repository: 'b', tag: '1' }, [{}, { RepoTags: ['b:1'] }]],
    [{ repository: 'b', tag: '1' }, [{ RepoTags: 7, RepoDigests: 7 }, { RepoTags: ['b:1'] }]],
    [undefined, [{}]],
    [undefined, 7],
    [undefined, null],
  ])('names the image %j of %j', (artifact, Metadata) => {
    const objects = cluster(resource({ Metadata, Results: [{ Secrets: [secret] }] }));
    expect(objects).toEqual([
      object(
        'ExposedSecretReport',
        { ...(artifact && { artifact }), secrets: [exposed] },
        metadataOf('Deployment', 'web', 'shop'),
      ),
    ]);
  });

  it('says of several images which system has come to its end', () => {
    const systems = [
      { OS: { Family: 'debian', Name: '12', EOSL: false } },
      {},
      { OS: { Family: 'alpine', Name: '3.9', EOSL: true } },
    ];
    expect(cluster(resource({ Metadata: systems, Results: null }))).toMatchObject([
      { kind: 'VulnerabilityReport', report: { os: { family: 'alpine', name: '3.9', eosl: true } } },
    ]);
    expect(cluster(resource({ Metadata: systems.slice(0, 2) }))).toEqual([]);
  });
});
