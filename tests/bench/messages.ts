import type { Post } from './measure.ts';

/** A structured CloudEvent of 1.5 KB with an alert, a different one for each index. */
export function alert(index: number, priority = 'Error'): Post {
  const data = {
    ...{ rule: `Terminal shell in container ${index}`, priority, source: 'syscall', hostname: 'node-1' },
    ...{
      time: '2026-03-01T10:00:00.123456789Z',
      output: 'A shell was spawned in a container with an attached terminal '.repeat(8),
    },
    tags: ['container', 'shell', 'mitre_execution', 'T1059'],
    output_fields: {
      ...{
        'container.id': '82a64fb56557',
        'container.image.repository': 'docker.io/library/nginx',
        'k8s.ns.name': 'shop',
      },
      ...{
        'k8s.pod.name': 'cart-7d9c5b6f4d-x2x9z',
        'proc.name': 'sh',
        'proc.cmdline': 'sh -c id',
        'user.name': 'root',
      },
      ...{
        'evt.time': 1772359200123456,
        'proc.tty': 34816,
        'proc.exepath': '/bin/busybox',
        'proc.pname': 'containerd-shim',
      },
    },
  };
  const event = { specversion: '1.0', id: `e-${index}`, source: '/bench', type: 'falco.rule.output.v1', data };
  return { path: '/', headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(event) };
}

/** Alerts in one request, as CloudEvents in batch mode. */
export function alertBatch(from: number, count: number): Post {
  const events = Array.from({ length: count }, (_, index) => alert(from + index).body);
  return {
    path: '/',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: `[${events.join(',')}]`,
  };
}

/** What kube-apiserver posts when it is busy: 400 events of 1.2 KB each, of which 5 match a rule. */
export function auditBatch(number: number, count = 400, wanted = 5): Post {
  const items = Array.from({ length: count }, (_, index) => ({
    ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', stage: 'ResponseComplete' },
    auditID: `5f3a8c1e-0000-4000-8000-${String(number * count + index).padStart(12, '0')}`,
    requestURI: `/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/cart-${index}?fieldManager=kubectl-client-side-apply&fieldValidation=Strict`,
    verb: index % Math.floor(count / wanted) === 0 ? 'delete' : 'get',
    user: {
      ...{ username: 'alice@example.com', uid: '0b6d0e5f-1c00-4000-8000-000000000001' },
      groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=2f3a8c1e-0000-4000-8000-000000000001'] },
    },
    sourceIPs: ['10.0.12.7'],
    userAgent: 'controller/v1.36.3 (linux/amd64) kubernetes/0123456/system:serviceaccount:shop:controller',
    objectRef: {
      resource: 'roles',
      apiGroup: 'rbac.authorization.k8s.io',
      namespace: 'shop',
      name: `cart-${index}`,
      apiVersion: 'v1',
      resourceVersion: '12',
    },
    responseStatus: { metadata: {}, code: 200 },
    ...{ requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z', stageTimestamp: '2026-03-01T10:00:00.004201Z' },
    annotations: {
      'authorization.k8s.io/decision': 'allow',
      'authorization.k8s.io/reason': 'RBAC: allowed by ClusterRoleBinding "controller" of ClusterRole "controller"',
    },
  }));
  return {
    path: '/audit/webhook',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items }),
  };
}
