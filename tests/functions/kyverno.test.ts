import { describe, expect, it } from 'vitest';
import kyverno from '../../functions/kyverno.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';

const settings = Object.assign({}, parseSettings({}, kyverno.source.settings, []));

const web = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
const replica = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-7d9c5b6f4d-x2x9z' };

const result = (more: object = {}) => ({
  policy: 'require-limits',
  rule: 'check-limits',
  result: 'fail',
  message: 'Limits are required',
  ...more,
});

const curl = { pkgName: 'curl', installedVersion: '8.1.0', fixedVersion: '8.1.2' };
const flaw = (more: object = {}) => ({
  policy: 'CVE-2099-1',
  result: 'fail',
  category: 'vulnerability scan',
  source: 'image-scanner',
  properties: curl,
  ...more,
});

function findingsOf(row: object, scope: object = web): readonly Finding[] {
  const report = kyverno.source.schema.parse({
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name: 'r', namespace: 'shop' },
    scope,
    results: [{ source: 'kyverno', ...row }],
  });
  return kyverno.source.normalize(report, { time: '2026-11-25T10:00:30Z', settings }).findings;
}

function summaryOf(row: object, scope: object = web): string {
  const [finding, ...others] = findingsOf(row, scope);
  if (!finding || others.length > 0) throw new Error(`${others.length + 1} findings instead of one`);
  return finding.summary;
}

describe('a summary of a policy report', () => {
  it.each<[eventType: string, row: object, ...said: string[]]>([
    ['policy-violation', result(), 'require-limits/check-limits', 'Limits are required', 'Deployment web'],
    ['policy-warning', result({ result: 'warn' }), 'require-limits/check-limits', 'Limits are', 'Deployment web'],
    ['policy-error', result({ result: 'error' }), 'require-limits/check-limits', 'did not run', 'Deployment web'],
    [
      'policy-error',
      result({ result: 'error', message: '' }),
      'check-limits',
      'did not run for',
      'Deployment shop/web',
    ],
    ['policy-violation', result({ message: '' }), 'require-limits/check-limits', 'fails for', 'Deployment shop/web'],
    ['policy-violation', flaw(), 'CVE-2099-1', 'curl 8.1.0', 'fixed in 8.1.2', 'Deployment web'],
    [
      'policy-violation',
      flaw({ properties: { ...curl, fixedVersion: '', container: 'app' } }),
      'CVE-2099-1',
      'curl 8.1.0',
      'no fix known',
      'container app',
    ],
    ['minor-vulnerabilities', flaw({ severity: 'low' }), '1 LOW vulnerability', 'with a fix', 'Deployment web'],
    [
      'policy-violation',
      {
        policy: 'block-shells',
        result: 'fail',
        source: 'KubeArmor',
        message: 'no shells',
        properties: {
          podname: 'web-0',
          containername: 'app',
          operation: 'Process',
          process_name: 'bash',
          resource: '/bin/sh',
        },
      },
      'block-shells',
      'bash ran /bin/sh',
      'container app',
      'no shells',
    ],
  ])('of a %s says which rule, what, and on what', (eventType, row, ...said) => {
    const [finding] = findingsOf(row);
    expect(finding?.eventType).toBe(eventType);
    for (const text of said) expect(finding?.summary).toContain(text);
    expect(finding?.summary).not.toMatch(/undefined|null| {2}|\( *\)|[,:;] *$/);
  });

  it.each<[said: string, row: object, scope?: object]>([
    [
      'require-limits/check-limits (Deployment web): CPU and memory limits are required (at /spec/containers/0)',
      result({
        message:
          'validation error: CPU and memory limits are required. rule autogen-check-limits failed at path /spec/containers/0/',
      }),
    ],
    [
      'require-limits/check-limits: Limits (at /spec/a, /spec/b) (Deployment web)',
      result({
        message: 'validation error: Limits. rule r[0] failed at path /spec/a/ rule r[1] failed at path /spec/b/',
      }),
    ],
    [
      'require-limits/check-limits: fails at /spec (Deployment web)',
      result({ message: 'validation error: rule check-limits failed at path /spec/' }),
    ],
    [
      'require-limits/check-limits: Is wrong (Deployment web)',
      result({ message: "Validation rule 'r' failed. Is wrong." }),
    ],
    ['no-latest: Tag it (Deployment web)', result({ policy: 'no-latest', rule: 'no-latest', message: 'Tag it' })],
    [
      'require-limits/check-limits (Deployment web): Restrict access. Specifying who has access reduces the risk',
      result({ message: 'Restrict access\nSpecifying who has\naccess reduces the risk.' }),
    ],
    ['require-limits/check-limits: web has no limits', result({ message: 'web has no limits' })],
    [
      'require-limits/check-limits: web has no limits',
      result({ message: 'web-7d9c5b6f4d-x2x9z has no limits' }),
      replica,
    ],
    ['require-limits/check-limits: Limits are required (web)', result(), replica],
    [
      'require-limits/check-limits: Limits are required',
      result(),
      { apiVersion: 'wgpolicyk8s.io/v1alpha2', kind: 'PolicyReport', namespace: 'shop', name: 'r' },
    ],
  ])('is no longer than it must be: %s', (said, row, scope) => {
    expect(summaryOf(row, scope)).toBe(said);
  });
});

/** How long a property of another engine's result counts: it tells findings apart, is only shown, or is left out. */
function lifetimeOf(key: string, value: string, scope: object = web): string {
  const [finding] = findingsOf(result({ source: 'some-engine', properties: { [key]: value } }), scope);
  if (finding?.identity.properties !== undefined) return `finding ${finding.identity.properties}`;
  return finding?.details.properties === undefined ? 'scan' : 'fact';
}

describe('a property of another engine', () => {
  it.each<[string, string, string[]]>([
    [
      'scan',
      'x',
      [
        ...['date', 'scanDateTime', 'timestamps', 'lastTime', 'times', 'createdAt', 'created', 'updated', 'modified'],
        ...[
          'published',
          'scanned',
          'detected',
          'lastSeen',
          'expires',
          'expiry',
          'age',
          'duration',
          'startAt',
          'ended at',
        ],
        ...['run_on', 'uid', 'uuids', 'guid', 'pid', 'ppid', 'tid', 'spids', 'resourceVersion', 'generation', 'score'],
        ...['cvssV3', 'epss', 'risk', 'counts', 'counter', 'total', 'occurrences', 'hits', 'podId', 'containerIDs'],
        ...['hostId', 'node-id', 'processId', 'resultId', 'reportId', 'scanId', 'eventId', 'sessionId', 'requestId'],
        ...[
          'traceId',
          'instanceId',
          'imageId',
          'pod',
          'podname',
          'podName',
          'podIP',
          'hostIP',
          'sourcePort',
          'src_port',
        ],
        ...['clientPort', 'remotePort', 'ephemeralPort', 'sport', 'host', 'hostname', 'nodeName', 'node'],
      ],
    ],
    [
      'fact',
      'x',
      [
        ...['version', 'versions', 'release', 'tag', 'digests', 'sha256', 'checksum', 'hash', 'commit', 'build', 'fix'],
        ...['fixedBy', 'patchedIn', 'severity', 'priority', 'urgency', 'criticality', 'status', 'state', 'moreUrl'],
        ...[
          'links',
          'href',
          'refs',
          'reference',
          'website',
          'message',
          'msg',
          'description',
          'title',
          'text',
          'details',
        ],
        ...[
          'summary',
          'reason',
          'rationale',
          'output',
          'explanation',
          'impact',
          'notes',
          'comment',
          'info',
          'information',
        ],
      ],
    ],
    [
      'scan',
      'x',
      [...['timestamp', 'uuid', 'count', 'cvss3base', 'containerid', '_createdAt_', 'created__at', 'podUIDValue']],
    ],
    [
      'fact',
      'x',
      [
        ...['digest', 'uri', 'link', 'ref', 'detail', 'remediationSteps', 'recommendationList', 'resolutionSteps'],
        ...['mitigationSteps'],
      ],
    ],
    // It is shown among the references.
    ['scan', 'http://a', ['a']],
    ['scan', '2026-03-01T10:00:00Z', ['a']],
    ['scan', '2026-03-01 10:00', ['a']],
    ['scan', '2026-03-01', ['a']],
    ['scan', '0f0f0f0f-1111-4222-8333-44444444444A', ['a']],
    ['fact', 'd41d8cd98f00b204e9800998ecf8427E', ['a']],
    ['fact', 'sha256:d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e', ['a']],
  ])('is a %s: %s', (lifetime, value, keys) => {
    expect(keys.filter((key) => lifetimeOf(key, value) !== lifetime)).toEqual([]);
  });

  it.each([
    ['a', 'x', '{"a":"x"}'],
    ['file', '/etc/x', '{"file":"/etc/x"}'],
    ['todate', 'x', '{"todate":"x"}'],
    ['timeless', 'x', '{"timeless":"x"}'],
    ['rapid', 'x', '{"rapid":"x"}'],
    ['port', '80', '{"port":"80"}'],
    ['hostPath', '/x', '{"hostPath":"/x"}'],
    ['podSecurity', 'x', '{"podSecurity":"x"}'],
    ['image', 'r:5000/a:1.2', '{"image":"r:5000/a"}'],
    ['imageName', 'r/a:1@sha256:0f', '{"imageName":"r/a"}'],
    ['image_repository', 'r/a', '{"image_repository":"r/a"}'],
    ['artifactRef', 'r:5000/a', '{"artifactRef":"r:5000/a"}'],
    ['a', 'r/a:1', '{"a":"r/a:1"}'],
    ['a', 'pkg:npm/@x/y@1.2.3?z=1', '{"a":"pkg:npm/@x/y"}'],
    ['a', 'pkg:npm/x#sub@2', '{"a":"pkg:npm/x"}'],
    ['a', 'x-pkg:npm/x@1', '{"a":"x-pkg:npm/x@1"}'],
    ['a', '2026-03-011', '{"a":"2026-03-011"}'],
    ['a', 'x 2026-03-01', '{"a":"x 2026-03-01"}'],
    ['a', 'x-0f0f0f0f-1111-4222-8333-444444444444', '{"a":"x-0f0f0f0f-1111-4222-8333-444444444444"}'],
    ['a', '0f0f0f0f-1111-4222-8333-4444444444441', '{"a":"0f0f0f0f-1111-4222-8333-4444444444441"}'],
    ['a', 'd41d8cd98f00b204', '{"a":"d41d8cd98f00b204"}'],
    ['a', 'web-7d9c5b6f4d-x2x9z', '{"a":"web-7d9c5b6f4d-x2x9z"}'],
    ['startedOnline', 'x', '{"startedOnline":"x"}'],
    ['pidLimit', 'x', '{"pidLimit":"x"}'],
    ['podIdle', 'x', '{"podIdle":"x"}'],
    ['sourcePortal', 'x', '{"sourcePortal":"x"}'],
    ['urlPath', 'x', '{"urlPath":"x"}'],
    ['imageSize', 'r/a:1', '{"imageSize":"r/a:1"}'],
    ['image', 'u@h/a:1', '{"image":"u@h/a"}'],
    ['image', 'r/a@sha256:0f', '{"image":"r/a"}'],
    ['a', 'see https://a', '{"a":"see https://a"}'],
    ['a', 'zd41d8cd98f00b204e9800998ecf8427e', '{"a":"zd41d8cd98f00b204e9800998ecf8427e"}'],
    ['a', 'd41d8cd98f00b204e9800998ecf8427ez', '{"a":"d41d8cd98f00b204e9800998ecf8427ez"}'],
    ['a', '  x  ', '{"a":"x"}'],
  ])('tells findings apart: %s: %s', (key, value, properties) => {
    expect(lifetimeOf(key, value)).toBe(`finding ${properties}`);
  });

  it.each([
    ['host', web, 'scan'],
    ['host', { kind: 'StatefulSet', namespace: 'shop', name: 'db' }, 'scan'],
    ['host', { kind: 'CronJob', namespace: 'shop', name: 'x' }, 'scan'],
    ['host', { kind: 'DaemonSet', namespace: 'shop', name: 'x' }, 'scan'],
    ['host', { kind: 'Pod', namespace: 'shop', name: 'x' }, 'scan'],
    ['host', replica, 'scan'],
    ['host', { kind: 'Node', name: 'n1' }, 'finding {"host":"n1"}'],
    ['host', { kind: 'ConfigMap', namespace: 'shop', name: 'x' }, 'finding {"host":"n1"}'],
  ])('of a machine counts where it is no one of many: %s of %j', (key, scope, expected) => {
    expect(lifetimeOf(key, 'n1', scope)).toBe(expected);
  });

  it('is no text, and is told as JSON; an empty one is nothing', () => {
    const [finding] = findingsOf(
      result({ source: 'x', properties: { a: { c: 1, b: 2 }, d: {}, e: [], f: null, g: 7, h: ' ' } }),
    );
    expect(finding?.identity.properties).toBe('{"a":"{\\"b\\":2,\\"c\\":1}","g":"7"}');
    expect(finding?.details.properties).toMatchObject({ g: '7' });
  });
});

describe('what watches processes', () => {
  const seen = (properties: object) => {
    const row = { policy: 'p', result: 'fail', source: 'KubeArmor', properties };
    const [finding] = findingsOf(row, { kind: 'Pod', namespace: 'shop', name: 'x' });
    return finding?.summary.replace('p (Pod x): ', '').replace(' (Pod x)', '').replace('p: ', '');
  };
  const pod = { podname: 'w-0' };

  it.each([
    ['sh ran /bin/ls in w-0', { ...pod, operation: 'Process', resource: '/bin/ls', processName: 'sh' }],
    ['sh opened /x in w-0', { ...pod, operation: 'file', resource: '/x', source: 'sh' }],
    ['sh used tcp in w-0', { ...pod, operation: 'Network', resource: 'tcp', process: 'sh' }],
    ['sh called unlink in w-0', { ...pod, operation: 'Syscall', resource: 'unlink', proc_name: 'sh' }],
    ['sh touched x in w-0', { ...pod, operation: 'Capabilities', resource: 'x', exe: 'sh' }],
    ['a process opened /x in w-0', { ...pod, operation: 'File', resource: '/x' }],
    ['sh in w-0', { ...pod, command: 'sh' }],
    ['sh in w-0', { ...pod, command: 'sh', resource: '/x' }],
    ['sh in w-0 (container c)', { ...pod, cmdline: 'sh', containerName: 'c' }],
    ['sh in w-0 (action Block)', { ...pod, executable: 'sh', action: 'Block' }],
    ['sh in w-0 (container c, action Block)', { pod: 'w-0', binary: 'sh', container: 'c', action: 'Block' }],
    ['fails for Pod shop/x', { ...pod, source: 'sh' }],
    ['fails for Pod shop/x', { command: 'sh' }],
    ['fails for Pod shop/x', pod],
    ['fails for Pod shop/x', { podNames: 'w-0', pods: 'w-0', command: 'sh' }],
    ['fails for Pod shop/x', { ...pod, processNames: 'sh', commands: 'sh' }],
    ['sh in w-0', { ...pod, processname: 'sh' }],
    ['sh in w-0', { ...pod, command: 'sh', containerNames: 'c', containers: 'd' }],
    ['sh in w-0', { ...pod, command: 'sh', operation: 'File', resources: '/x' }],
    ['a process opened /x in w-0', { ...pod, operation: 'File', resource: '/x', sources: 'sh' }],
    ['sh in w-0', { ...pod, command: 'sh', theAction: 'x', actions: 'y' }],
    ['sh in w-0', { ...pod, command: 'sh', myOperation: 'File', operations: 'x', resource: 'y' }],
    [
      'sh opened /x in w-0',
      { ...pod, command: 'sh', operation: 'File', resource: '/x', aResource: 'y', resources: 'z' },
    ],
  ])('is told as what was done where: %s', (summary, properties) => {
    expect(seen(properties)).toBe(summary);
  });
});

const whole = (row: object, report: object = {}) => {
  const parsed = kyverno.source.schema.parse({
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name: 'r', namespace: 'shop' },
    results: [{ policy: 'p', result: 'fail', ...row }],
    ...report,
  });
  return kyverno.source.normalize(parsed, { time: '2026-11-25T10:00:30Z', settings });
};

describe('what a result is about', () => {
  const patched = (target: string) => ({ source: 'kyverno', properties: { 'patched-target': target } });
  const given = (more: object) => ({ resources: [{ kind: 'Pod', name: 'a', ...more }] });

  it.each<[string, object]>([
    ['apps/v1 Deployment shop/web', patched('apps/v1, Kind=Deployment Name=web Namespace=shop')],
    ['v1 ConfigMap shop/c', patched('/v1, Kind=ConfigMap,Namespace=shop;Name=c')],
    ['v1 Namespace /n', patched('v1, Kind=Namespace Name=n')],
    ['undefined ConfigMap /c', patched('Kind=ConfigMap Name=c')],
    ['undefined ConfigMap /c', patched('x v1, Kind=ConfigMap Name=c')],
    ['wgpolicyk8s.io/v1alpha2 PolicyReport shop/r', patched('apps/v1, Kind=Deployment')],
    ['wgpolicyk8s.io/v1alpha2 PolicyReport shop/r', patched('apps/v1, AKind=Deployment AName=x')],
    ['v1 Pod shop/w', { source: 'x', properties: { podName: 'w' } }],
    ['v1 Pod pay/w', { source: 'x', properties: { pod: 'w', namespace: 'pay' } }],
    ['v1 Pod pay/w', { source: 'x', properties: { k8s_podname: 'w', pod_namespace: 'pay' } }],
    ['v1 Pod pay/w', { source: 'x', properties: { pod_name: 'w', 'k8s.ns': 'pay' } }],
    ['wgpolicyk8s.io/v1alpha2 PolicyReport shop/r', { source: 'x', properties: { podNames: 'w', pods: 'v' } }],
    ['v1 Pod shop/w', { source: 'x', properties: { pod: 'w', namespaces: 'pay' } }],
    ['undefined Pod shop/a', given({})],
    ['v1 Node /a', given({ apiVersion: 'v1', kind: 'Node', namespace: 'x' })],
    ['storage.k8s.io/v1 StorageClass /a', given({ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass' })],
    ['example.org/v1 Node x/a', given({ apiVersion: 'example.org/v1', kind: 'Node', namespace: 'x' })],
    ['apps/v1 Node /a', given({ apiVersion: 'apps/v1', kind: 'Node', namespace: 'x' })],
  ])('is %s', (expected, row) => {
    const { findings } = whole(row);
    expect(
      findings.map(({ resource: of }) => `${of?.apiVersion} ${of?.kind} ${of?.namespace ?? ''}/${of?.name}`),
    ).toEqual([expected]);
  });

  it('is what owns its report, for a pass', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
    expect(
      kyverno.source.slotOf?.(
        { group: 'wgpolicyk8s.io', kind: 'PolicyReport' },
        { name: 'r', namespace: 'shop', ownerReferences: [owner] },
      ),
    ).toEqual({
      about: { ...owner, namespace: 'shop' },
    });
    expect(kyverno.source.slotOf?.({ group: 'wgpolicyk8s.io', kind: 'PolicyReport' }, { name: 'r' })).toBeUndefined();
  });
});

describe('a result that is no finding', () => {
  const labelled = (labels: object) => ({ metadata: { name: 'r', namespace: 'shop', labels } });

  it.each<[string | undefined, object, object?]>([
    ['pass', { result: 'pass' }],
    ['skip', { result: ' SKIP ' }],
    ['exception', { result: 'skip', properties: { exceptions: 'shop/e' } }],
    ['pass', { result: 'pass', properties: { exceptions: 'shop/e' } }],
    ['unknown_result', { result: 'maybe' }],
    ['unknown_result', { result: undefined }],
    [undefined, { result: undefined, status: 'Fail' }],
    ...[
      'falco',
      'Falcosidekick',
      'trivy-operator',
      'kube-bench',
      'KubeBench',
      'kubebench',
      'zen-watcher',
      'zenwatcher',
      ' Trivy ',
    ].map((source): [string, object] => ['has_own_source', { source }]),
    [undefined, { source: 'falcon' }],
    [undefined, { source: 'my-falco' }],
    [undefined, { source: 'x', properties: { 'evt.type': 'x' } }],
    ...['evt.type', 'proc.name', 'fd.name', 'ka.verb', 'AuditConfig'].map((key): [string, object] => [
      'has_own_source',
      { properties: { [key]: 'x' } },
    ]),
    [undefined, { properties: { 'my.evt.type': 'x', AuditConfigs: 'x', myAuditConfig: 'x' } }],
    ['has_own_source', {}, { source: 'trivy' }],
    [undefined, { source: 'x' }, { source: 'trivy' }],
    ['has_own_source', {}, labelled({ 'policy.kubernetes.io/engine': 'trivy' })],
    ['has_own_source', { source: 'x' }, labelled({ 'app.kubernetes.io/managed-by': 'Trivy-Operator' })],
    ['has_own_source', { source: 'x' }, labelled({ 'app.kubernetes.io/created-by': 'falco' })],
    ['has_own_source', { source: 'x' }, labelled({ 'app.kubernetes.io/part-of': 'kube-bench' })],
    ['has_own_source', { source: 'x' }, labelled({ 'zen.kube-zen.io/x': 'y' })],
    [undefined, { source: 'x' }, labelled({ 'app.kubernetes.io/name': 'trivy', 'x-zen.kube-zen.io/': 'y' })],
    ['minor', flaw({ severity: 'low' })],
    ['pass', flaw({ severity: 'low', result: 'pass' })],
    [undefined, flaw({ severity: 'low', result: 'error' })],
    [undefined, flaw({ severity: 'medium' })],
    [undefined, { ...flaw({ severity: 'low' }), source: 'kyverno' }],
  ])('is left out because of %s: %j', (reason, row, report) => {
    const { findings, skipped } = whole(row, report);
    expect(skipped).toEqual(reason === undefined ? {} : { [reason]: 1 });
    expect(findings).toHaveLength(reason === undefined || reason === 'minor' ? 1 : 0);
  });

  it('is named where it has no policy', () => {
    const { badRows } = whole({}, { results: [{ policy: 'p', result: 'fail' }, { result: 'fail' }] });
    expect(badRows?.map(({ path }) => path)).toEqual(['results[1].policy']);
  });

  it('is accepted where an exception says so, however it would have been told', () => {
    const { accepted } = whole({ source: 'kyverno', result: 'skip', properties: { exceptions: 'shop/e' } });
    expect(accepted?.map(({ finding, exception }) => [finding.eventType, exception])).toEqual([
      ['policy-violation', 'shop/e'],
      ['policy-warning', 'shop/e'],
      ['policy-error', 'shop/e'],
    ]);
    expect(whole({ source: 'kyverno', result: 'skip' }).accepted).toEqual([]);
  });
});

describe('what tells results apart', () => {
  it.each<[object, object, object?]>([
    [{ policy: 'p', engine: 'kyverno' }, { source: ' Kyverno ' }],
    [
      { policy: 'p', rule: 'r', engine: 'kyverno' },
      { source: 'kyverno', rule: ' autogen-r ' },
    ],
    [
      { policy: 'p', rule: 'r', engine: 'kyverno' },
      { source: 'kyverno', rule: 'autogen-cronjob-r' },
    ],
    [
      { policy: 'p', rule: 'my-autogen-r', engine: 'kyverno' },
      { source: 'kyverno', rule: 'my-autogen-r' },
    ],
    [
      { policy: 'p', engine: 'kyverno', binding: 'b' },
      { source: 'kyverno', properties: { binding: 'b', a: 'x' } },
    ],
    [
      { policy: 'p', engine: 'validatingadmissionpolicy', binding: 'b' },
      { source: 'ValidatingAdmissionPolicy', properties: { mapBinding: 'b' } },
    ],
    [
      { policy: 'p', engine: 'mutatingadmissionpolicy' },
      { source: 'MutatingAdmissionPolicy', properties: { a: 'x' } },
    ],
    [
      { policy: 'p', engine: 'kyvernoimageverify' },
      { source: 'KyvernoImageVerify', properties: { a: 'x' } },
    ],
    [
      { policy: 'p', engine: 'my-kyverno', properties: '{"a":"x"}' },
      { source: 'my-kyverno', properties: { a: 'x' } },
    ],
    [
      { policy: 'p', engine: 'validatingadmissionpolicys', properties: '{"a":"x"}' },
      { source: 'ValidatingAdmissionPolicys', properties: { a: 'x' } },
    ],
    [{ policy: 'p', properties: '{"a":"x"}' }, { properties: { a: 'x' } }],
    [
      { policy: 'p' },
      { properties: { a: 'x' } },
      { metadata: { name: 'r', labels: { 'app.kubernetes.io/managed-by': 'kyverno' } } },
    ],
    [{ policy: 'p', selector: '{"a":1}' }, { resourceSelector: { a: 1 } }],
    [{ policy: 'p' }, { resourceSelector: { a: 1 }, resources: [{ kind: 'Pod', name: 'x' }] }],
    [
      { policy: 'p', selector: '{"a":1}' },
      { resourceSelector: { a: 1 }, resources: [] },
    ],
    [
      { policy: 'p', engine: 'kyverno', target: 'Kind=x' },
      { source: 'kyverno', properties: { 'patched-target': 'Kind=x' } },
    ],
    [
      { policy: 'p', engine: 'kyverno' },
      { source: 'kyverno', properties: { 'patched-target': 'v1, Kind=Pod Name=x' } },
    ],
    [
      { message: 'm', category: 'c' },
      { policy: ' ', message: 'm', category: 'c' },
    ],
    [{ rule: 'r' }, { policy: ' ', rule: 'r', message: 'm', category: 'c' }],
    [{ category: 'c' }, { policy: ' ', category: 'c' }],
    [{ policy: 'p' }, { policy: ' p ' }],
    [{ policy: 'p', engine: 'x' }, {}, { source: ' X ' }],
    [
      { policy: 'p', engine: 'my-validatingadmissionpolicy', properties: '{"a":"x"}' },
      { source: 'my-ValidatingAdmissionPolicy', properties: { a: 'x' } },
    ],
  ])('is %j', (identity, row, report) => {
    expect(whole(row, report).findings.map((finding) => finding.identity)).toEqual([identity]);
  });

  it.each([
    ['p', {}],
    ['p/r', { rule: 'r' }],
    ['r', { policy: ' ', rule: 'r' }],
    ['c', { policy: ' ', category: 'c' }],
    ['unknown', { policy: ' ' }],
    ['p/CVE-2099-1', { ...flaw(), policy: 'p', properties: { ...curl, vulnerabilityId: 'CVE-2099-1' } }],
    ['p/r', { ...flaw(), policy: 'p', rule: 'r', properties: { ...curl, vulnerabilityId: 'CVE-2099-1' } }],
    ['CVE-2099-1', flaw()],
  ])('is called %s', (rule, row) => {
    expect(whole(row).findings[0]?.rule).toBe(rule);
  });

  it.each([
    ['2026-11-25T10:00:30Z', {}],
    ['2026-11-25T10:00:30Z', { timestamp: { seconds: 0 } }],
    ['2026-11-25T10:00:30Z', { timestamp: { seconds: -1 } }],
    ['2026-11-25T10:00:30Z', { timestamp: { seconds: 1e15 } }],
    ['1970-01-01T00:00:01.000Z', { timestamp: { seconds: 1 } }],
  ])('was found at %s', (detectedAt, row) => {
    expect(whole(row).findings[0]?.detectedAt).toBe(detectedAt);
  });
});

describe('results that are one finding', () => {
  const merge = (...rows: readonly object[]) => {
    const found = rows.flatMap((row) => whole({ source: 'kyverno', resources: [web], ...row }).findings);
    const [first, ...others] = found;
    if (!first || !kyverno.source.merge) throw new Error('nothing to merge');
    return kyverno.source.merge([first, ...others]);
  };

  it.each<[string, readonly object[], object]>([
    ['the messages of all', [{ message: 'b\na' }, { message: 'a\nc' }], { details: { message: 'a\nb\nc' } }],
    ['one message as it is', [{ message: 'b\na' }, { message: 'b\na' }], { details: { message: 'b\na' } }],
    ['a message, though another has none', [{}, { message: 'b\na' }], { details: { message: 'b\na' } }],
    ['the worst severity', [{ severity: 'low' }, { severity: 'high' }, { severity: 'medium' }], { severity: 'HIGH' }],
    [
      'the earliest time',
      [2, 1, 3].map((seconds) => ({ timestamp: { seconds } })),
      { detectedAt: '1970-01-01T00:00:01.000Z' },
    ],
    ['the summary that sorts first', [{ message: 'b' }, { message: 'a' }], { summary: 'p: a (Deployment web)' }],
    [
      'the references of all',
      [{ properties: { a: 'https://b' } }, { properties: { a: 'https://a' } }, {}],
      { references: ['https://a', 'https://b'] },
    ],
    ['no references of none', [{}, {}], { references: undefined }],
    [
      'the advice that sorts first',
      [{ properties: { remediation: 'b' } }, {}, { properties: { remediation: 'a' } }],
      { remediation: 'a' },
    ],
    [
      'the facts that sort first',
      [{ category: 'b' }, { category: 'a' }, { category: 'c' }],
      { details: { category: 'a' } },
    ],
  ])('have %s, in whatever order', (_what, rows, expected) => {
    expect(merge(...rows)).toMatchObject(expected);
    expect(merge(...rows.toReversed())).toEqual(merge(...rows));
  });

  it('are as the first counts them, which is the newest, if they count slight vulnerabilities', () => {
    const count = (name: string) => flaw({ severity: 'low', properties: { pkgName: name }, timestamp: { seconds: 1 } });
    expect(merge({ ...count('b'), timestamp: { seconds: 2 } }, count('a'))).toMatchObject({
      eventType: 'minor-vulnerabilities',
      detectedAt: '1970-01-01T00:00:02.000Z',
    });
  });

  it('have all versions of a package', () => {
    const of = (installedVersion: string, fixedVersion?: string) =>
      flaw({ source: 'x', properties: { pkgName: 'curl', installedVersion, fixedVersion } });
    expect(merge(of('2', '4'), of('1', '3'), of('2', '4'))).toMatchObject({
      summary: 'CVE-2099-1 in curl 1 and 2, fixed in 3 and 4 (Deployment web)',
      remediation: 'upgrade curl to 3 and 4',
      details: {
        versions: [
          { installed: '1', fixed: '3' },
          { installed: '2', fixed: '4' },
        ],
      },
    });
    expect(merge(of('1', '3'), of('2', '4')).details).toEqual(merge(of('2', '4'), of('1', '3')).details);
    expect(merge(of('1'), of('2')).remediation).toBeUndefined();
    expect(merge(of('1', '3'), of('2')).summary).toBe('CVE-2099-1 in curl 1 and 2, fixed in 3 (Deployment web)');
  });

  it('are one vulnerability if only the category says so, and not of all', () => {
    const of = (category: string) => ({ policy: 'x', source: 'x', category, properties: { pkg: 'curl' } });
    expect(merge(of('CVE'), of('other')).summary).toBe('x in curl, no fix known (Deployment web)');
  });
});

describe("another scanner's vulnerability", () => {
  const of = (properties: object, more: object = {}) => {
    const [finding] = whole(
      { policy: 'scan', source: 'x', scope: web, category: 'x', properties, ...more },
      { scope: web },
    ).findings;
    return finding?.details.vulnerabilityID === undefined ? undefined : finding;
  };
  const known = { vulnerabilityID: 'CVE-2099-0001' };

  it.each([
    'CVE-2099-0001',
    'cve-2099-123456',
    'GHSA-aaaa-bbbb-cccc',
    'TEMP-0000000-ABC123',
    ...[
      'RHSA',
      'RHBA',
      'ELSA',
      'ALAS',
      'ALAS2',
      'DSA',
      'DLA',
      'USN',
      'GO',
      'OSV',
      'PYSEC',
      'RUSTSEC',
      'SNYK',
      'XRAY',
      'PRISMA',
    ].map((name) => `${name}-2099:1`),
  ])('is known by %s, wherever it is', (id) => {
    const name = { pkgName: 'curl' };
    expect(of(name, { policy: `x ${id}` })?.details.vulnerabilityID).toBe(id);
    expect(of(name, { rule: id })?.details.vulnerabilityID).toBe(id);
    expect(of({ ...name, cve: id })?.details.vulnerabilityID).toBe(id);
    expect(of(name, { policy: `X${id}` })).toBeUndefined();
  });

  it.each(['CVE-2099-001', 'CVE-99-0001', 'GHSA-aaaa-bbbb', 'GHSA-aaa-bbb-ccc', 'TEMP-x-ABC', 'RHSA-'])(
    'is not known by %s',
    (id) => {
      expect(of({ pkgName: 'curl' }, { policy: id })).toBeUndefined();
    },
  );

  it.each([
    ['pkg', { pkg: 'curl' }],
    ['packageName', { packageName: 'curl' }],
    ['component', { component: 'curl' }],
    ['libraryName', { libraryName: 'curl' }],
    ['dependency', { dependency: 'curl' }],
    ['module', { module: 'curl' }],
    ['artifactName', { artifactName: 'curl' }],
    ['resource', { resource: 'curl' }],
    ['pkgname', { pkgname: 'curl' }],
    ['a package URL', { pkg: 'pkg:deb/debian/curl@1?arch=x' }],
  ])('is in the package that is named by %s', (_key, name) => {
    expect(String(of({ ...known, ...name })?.details.package)).toMatch(/curl$/);
  });

  it.each([
    ['packages', { packages: 'curl' }],
    ['resourceName', { resourceName: 'curl' }],
    ['myresource', { my_resource: 'curl' }],
    ['componentType', { componentType: 'curl' }],
    ['artifactNames', { artifactNames: 'curl' }],
    ['nothing', {}],
  ])('is none where no package is named: %s', (_key, name) => {
    expect(of({ ...known, ...name })).toBeUndefined();
  });

  it.each([
    ['packagePath', { pkgPath: '/x' }, '/x'],
    ['packagePath', { fileLocation: '/x' }, '/x'],
    ['packagePath', { artifact_location: '/x' }, '/x'],
    ['packagePath', { path: '/x' }, '/x'],
    ['packagePath', { filename: '/x' }, '/x'],
    ['packagePath', { pkgpath: '/x' }, '/x'],
    ['packagePath', { mypath: '/x' }, undefined],
    ['packagePath', { packagePaths: '/x', pathType: '/x' }, undefined],
    ['packagePath', { my_path: '/x' }, undefined],
    ['container', { container: 'c' }, 'c'],
    ['container', { containerName: 'c' }, 'c'],
    ['container', { containername: 'c' }, 'c'],
    ['container', { containers: 'c' }, undefined],
    ['package', { pkg: '@scope/core@1' }, '@scope/core@1'],
  ])('has its %s of %j', (field, more, expected) => {
    expect(of({ ...known, pkg: 'curl', ...more })?.details[field]).toBe(expected);
  });

  it.each([
    [
      { installedVersion: '1', fixedVersion: '2' },
      { installed: '1', fixed: '2' },
    ],
    [
      { currentVersion: '1', fixedIn: '2' },
      { installed: '1', fixed: '2' },
    ],
    [
      { detected_version: '1', fix: '2' },
      { installed: '1', fixed: '2' },
    ],
    [
      { pkgVersion: '1', patchedVersions: '2' },
      { installed: '1', fixed: '2' },
    ],
    [
      { componentVersion: '1', fixVersion: '2' },
      { installed: '1', fixed: '2' },
    ],
    [
      { installedversion: '1', fixversion: '2' },
      { installed: '1', fixed: '2' },
    ],
    [{ pkgversion: '1' }, { installed: '1' }],
    [{ installedVersions: '1', packageVersions: '2', versionType: '3' }, {}],
    [{ version: '1', fixed: 'true' }, { installed: '1' }],
    [{ engineVersion: '1', fixable: '2' }, {}],
    [{ installedVersion: '1', version: '3' }, { installed: '1' }],
  ])('has the versions of %j', (more, versions) => {
    expect(of({ ...known, pkg: 'curl', ...more })?.details.versions).toEqual([versions]);
  });

  it.each([
    ['CVE-2099-0001 in curl 1 at /x, fixed in 2 (container c)', { version: '1', path: '/x', fix: '2', container: 'c' }],
    ['CVE-2099-0001 in curl, no fix known (Deployment web)', {}],
  ])('is told as %s', (summary, more) => {
    expect(of({ ...known, pkg: 'curl', ...more })?.summary).toBe(summary);
  });

  it.each([
    ['x', { category: 'Vulnerabilities' }, 'scan'],
    ['x', { category: 'CVE' }, 'scan'],
    ['x', { category: 'MyCVE' }, undefined],
    ['x', { category: 'Best Practices' }, undefined],
  ])('may have an ID that nobody knows: %s %j', (_what, more, expected) => {
    expect(of({ pkg: 'curl' }, more)?.details.vulnerabilityID).toBe(expected);
    expect(of({ pkg: 'curl', advisoryId: 'A-1' }, more)?.details.vulnerabilityID).toBe(expected && 'A-1');
    expect(of({ pkg: 'curl', cveText: 'A-1' }, more)?.details.vulnerabilityID).toBe(expected);
  });

  it('stays the same finding when its path has another version', () => {
    const identity = (path: string) => of({ ...known, pkg: 'curl', path })?.identity;
    expect(identity('/lib/curl-1.2.3/x')).toEqual(identity('/lib/curl-11.10.0.4/x'));
    expect(identity('/lib/curl-1.2.3/x')?.properties).toContain('"path":"/lib/curl-*/x"');
    expect(identity('/lib/curl-1/x')).not.toEqual(identity('/lib/curl-2/x'));
  });
});

describe('slight vulnerabilities', () => {
  const counted = (rows: readonly object[]) =>
    kyverno.source.normalize(
      kyverno.source.schema.parse({
        apiVersion: 'wgpolicyk8s.io/v1alpha2',
        kind: 'PolicyReport',
        metadata: { name: 'r', namespace: 'shop' },
        scope: web,
        results: rows.map((row) => flaw({ severity: 'low', ...row })),
      }),
      { time: '2026-11-25T10:00:30Z', settings },
    ).findings;

  it('are counted by container and engine, with those that can be mended', () => {
    const [one, two, three] = counted([
      { policy: 'CVE-2099-0002', properties: { ...curl, container: 'a' }, timestamp: { seconds: 5 } },
      { policy: 'CVE-2099-0001', properties: { ...curl, container: 'a' }, timestamp: { seconds: 3 } },
      { policy: 'CVE-2099-0001', properties: { ...curl, container: 'a' }, timestamp: { seconds: 4 } },
      { policy: 'CVE-2099-0003', properties: { pkgName: 'x', container: 'a' } },
      { policy: 'CVE-2099-0003', properties: { pkgName: 'x', container: 'b' } },
      { policy: 'CVE-2099-0003', properties: { pkgName: 'x', container: 'b' }, source: 'Other' },
    ]);
    expect(one).toMatchObject({
      severity: 'LOW',
      rule: 'minor',
      summary: '3 LOW vulnerabilities, 2 with a fix (container a)',
      identity: { engine: 'image-scanner', container: 'a' },
      details: {
        vulnerabilities: 3,
        fixable: ['CVE-2099-0001 in curl 8.1.0, fixed in 8.1.2', 'CVE-2099-0002 in curl 8.1.0, fixed in 8.1.2'],
      },
      detectedAt: '1970-01-01T00:00:03.000Z',
    });
    expect(two?.details).toEqual({ engine: 'image-scanner', container: 'b', vulnerabilities: 1 });
    expect(three?.identity).toEqual({ engine: 'other', container: 'b' });
  });

  it('are about the same Pod of several, in whatever order they are told', () => {
    const pods = ['x2x9z', 'b2c4d'].map((end) => ({ ...replica, name: `web-7d9c5b6f4d-${end}` }));
    for (const resources of [pods, pods.toReversed()]) {
      expect(counted([{ resources }]).map(({ resource }) => resource?.name)).toEqual(['web-7d9c5b6f4d-b2c4d']);
    }
  });

  it('are named up to fifty', () => {
    const [finding] = counted(Array.from({ length: 52 }, (_, index) => ({ policy: `CVE-2099-${1000 + index}` })));
    const { fixable } = finding?.details ?? {};
    expect(Array.isArray(fixable) && [fixable.length, fixable.at(-1)]).toEqual([51, 'and 2 more']);
    const fifty = counted(Array.from({ length: 50 }, (_, index) => ({ policy: `CVE-2099-${1000 + index}` })))[0]
      ?.details.fixable;
    expect(Array.isArray(fifty) && fifty.length).toBe(50);
  });
});

describe('the properties that are shown', () => {
  const shownOf = (properties: object, more: object = {}) => {
    const [finding] = whole({ policy: 'p', source: 'x', properties, ...more }, { scope: web }).findings;
    return { shown: finding?.details.properties, advice: finding?.remediation, references: finding?.references };
  };
  const of = (shown?: object, advice?: string, references?: readonly string[]) => ({ shown, advice, references });

  it.each<[object, object, object?]>([
    [of({ a: 'x' }), { a: 'x' }],
    [of({ process: 'sh' }), { process: 'sh' }],
    [of(), { process: 'sh' }, { source: 'kyverno' }],
    [of(), { process: 'background scan' }],
    [of(), { process: 'admission review' }],
    [of({ processes: 'admission review' }), { processes: 'admission review' }, { source: 'kyverno' }],
    ...['remediation', 'myRemediations', 'resolution', 'solution', 'mitigation', 'recommendation'].map(
      (key): [object, object] => [of(undefined, 'do it'), { [key]: 'do it' }],
    ),
    [of({ solutionText: 'do it' }), { solutionText: 'do it' }],
    [of(undefined, 'b'), { aMitigation: 'c', mySolution: 'b' }],
    [of(undefined, 'a'), { bSolution: 'b', aSolution: 'a' }],
    [of(undefined, 'a'), { aSolution: 'a', bSolution: 'b' }],
    [of(undefined, undefined, ['https://a']), { url: 'https://a' }],
    [of(undefined, undefined, ['http://a', 'https://b']), { more: '["https://b", "http://a"]', again: 'https://b' }],
    [of(undefined, undefined, ['http://example.com/a']), { url: 'http://example.com/a' }],
    [of(), { url: 'https://' }],
    [of({ a: 'see:https://a' }), { a: 'see:https://a' }],
    [of({ a: 'see https://a' }), { a: 'see https://a' }],
    [of({ a: 'web has it' }), { a: 'web-7d9c5b6f4d-x2x9z has it' }, { resources: [replica] }],
    [
      of({ other: 'y' }, 'upgrade curl to 8.1.2'),
      { ...curl, container: 'c', path: '/x', other: 'y' },
      flaw({ properties: undefined }),
    ],
  ])('are %j of %j', (expected, properties, more = {}) => {
    expect(shownOf(properties, { ...more, properties })).toEqual(expected);
  });
});

describe('the kinds of reports', () => {
  it('are those of all groups and versions that engines write', () => {
    const { kinds } = functionInfoOf(kyverno, {}, []);
    expect(kinds.map(({ group, versions, kind }) => `${group} ${versions.join()} ${kind}`)).toEqual([
      'wgpolicyk8s.io v1beta1,v1alpha2,v1alpha1 PolicyReport',
      'wgpolicyk8s.io v1beta1,v1alpha2,v1alpha1 ClusterPolicyReport',
      'openreports.io v1alpha1 Report',
      'openreports.io v1alpha1 ClusterReport',
      'reports.x-k8s.io v1beta2 PolicyReport',
      'reports.x-k8s.io v1beta2 ClusterPolicyReport',
    ]);
  });
});

describe('one line of a result', () => {
  it.each([
    ['c: m (Deployment web)', { policy: ' ', rule: 'autogen-', category: 'c', message: 'm' }],
    [
      'p: sh in w-0: no shells (Deployment web)',
      { source: 'KubeArmor', message: 'no shells', properties: { pod: 'w-0', command: 'sh' } },
    ],
  ])('is %s', (summary, row) => {
    expect(whole(row, { scope: web }).findings.map((finding) => finding.summary)).toEqual([summary]);
  });

  it.each<[string, string]>([
    ['p (Deployment web): Limits', 'Limits.,;'],
    ['p (Deployment web): Limits (at /a)', 'Limits: rule r failed at path /a;.,'],
    ['p (Deployment web): Limits', 'validation rule x failed. Limits'],
    ['p (Deployment web): Limits are', 'Limits \n\t are'],
    ['p: fails at /a, /b (Deployment web)', 'rule r failed at path /a rule s failed at path /b'],
    ['p (Deployment web): Limits', 'Limits, rule r failed at path /'],
    ['p: fails for Deployment shop/web', ' rule r failed at path / '],
    ['p: fails at /a (Deployment web)', 'rule r failed at path / rule s failed at path /a'],
    ['p (Deployment web): Limits', '  validation error: Limits'],
    ['p (Deployment web): Limits are low Set them', 'Limits are low. rule r failed at path / Set them'],
    ['p: web. has none', 'web. has none'],
    ['p: (web) has none', '(web) has none'],
    ['p: web.. has none', 'web.. has none'],
    ['p (Deployment web): we.b has web.x', 'we.b has web.x'],
    ['p (Deployment web): Limits', 'validation error:Limits'],
    ['p (Deployment web): Limits: validation error: x', 'Limits: validation error: x'],
    ['p (Deployment web): Limits', '  Limits'],
    ['p (Deployment web): Limits. Are', 'Limits\n  Are'],
    ['p (Deployment web): webs have none', 'webs have none'],
    ['p (Deployment web): my.web has none', 'my.web has none'],
  ])('is %s', (summary, message) => {
    const [finding] = whole({ policy: 'p', source: 'kyverno', message }, { scope: web }).findings;
    const [said, or] = [finding?.summary, summary.replace(/^p \(Deployment web\): (.*)$/, 'p: $1 (Deployment web)')];
    expect([summary, or]).toContain(said);
  });
});
