import { eventOf, type Sample } from './audit-requests.ts';

/** What no hop may show: so many secrets, each another one. */
export const plantedCount = 100;

let count = 0;
const secret = (): string => {
  count += 1;
  return `PLANTED-SECRET-${count}`;
};
const secrets = <Value>(many: number, make: (text: string, index: number) => Value): Value[] =>
  Array.from({ length: many }, (_, index) => make(secret(), index));
const members = (many: number): Record<string, string> =>
  Object.fromEntries(secrets(many, (text, index) => [`key${index}`, text]));

const env = (many: number) => secrets(many, (value, index) => ({ name: `E${index}`, value }));
const pod = (container: object, annotations = {}) => ({
  metadata: { name: 'web', annotations },
  spec: { hostPID: true, containers: [{ name: 'web', ...container }] },
});
const query = (words: readonly string[]): string =>
  words.map((word) => `command=${encodeURIComponent(word)}`).join('&');

function requests(): Sample[] {
  const stored = { metadata: { name: 'x', annotations: members(3) }, data: members(10), stringData: members(5) };
  const config = { metadata: { annotations: members(3) }, data: members(10) };
  return [
    { by: 'eve', does: 'create pods shop/web', body: pod({ env: env(15) }, members(7)) },
    {
      by: 'eve',
      does: 'create apps:deployments kube-system/web',
      body: {
        spec: { template: pod({ args: secrets(8, (text) => `--token=${text}`), command: secrets(4, (text) => text) }) },
      },
    },
    { by: 'eve', does: 'create secrets shop/x', body: stored, result: stored },
    { by: 'eve', does: 'update configmaps kube-system/coredns', body: config, result: config },
    {
      by: 'eve',
      does: 'patch apps:deployments kube-system/web',
      body: secrets(4, (value, index) => ({
        ...{ op: 'add', path: `/spec/template/spec/containers/0/env/${index}` },
        value: { name: 'A', value },
      })),
    },
    {
      by: 'eve',
      does: 'patch apps:statefulsets kube-system/db',
      body: { spec: { template: pod({ env: env(4), args: secrets(2, (text) => text) }) } },
    },
    {
      by: 'eve',
      does: 'patch namespaces shop',
      body: {
        metadata: { annotations: members(4), labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
      },
    },
    ...secrets(
      3,
      (text, index): Sample => ({
        by: 'eve',
        does: `get pods/exec shop/web-${index}`,
        query: query(['curl', '-H', `Authorization: Bearer ${text}`, 'https://example.com']),
      }),
    ),
    {
      by: 'eve',
      does: 'get pods/exec shop/db',
      query: query(['mysql', ...secrets(2, (text) => `--password=${text}`)]),
    },
    ...secrets(
      3,
      (text, index): Sample => ({
        by: 'eve',
        does: `get services/proxy shop/web-${index}`,
        path: `/api/v1/namespaces/shop/services/web-${index}/proxy/login`,
        query: `token=${text}`,
      }),
    ),
    ...secrets(
      4,
      (text, index): Sample => ({
        by: 'eve',
        does: `delete apps:deployments shop/web-${index}`,
        agent: `deploy/1.2 (token=${text})`,
      }),
    ),
    ...secrets(
      4,
      (text, index): Sample => ({
        by: 'eve',
        does: `create pods shop/refused-${index}`,
        code: 403,
        message: `admission webhook "guard.example.com" denied the request: password=${text} is not allowed`,
        body: pod({ image: 'busybox' }),
      }),
    ),
    ...secrets(
      3,
      (text, index): Sample => ({
        by: 'eve',
        does: `create pods shop/noted-${index}`,
        annotations: {
          'pod-security.kubernetes.io/audit-violations': `would violate PodSecurity "restricted:latest": env DB_PASSWORD=${text}`,
          'authorization.k8s.io/reason': `because of --token=${text}`,
        },
      }),
    ),
    { by: 'eve', does: 'create serviceaccounts/token shop/x', result: { status: { token: secret() } } },
    { by: 'eve', does: 'delete secrets shop/y', extra: { token: [secret()] } },
  ];
}

/** Audit events that hold them wherever a request can: bodies, queries, headers, answers. Each of them is told. */
export function plantedRequests(): Record<string, unknown>[] {
  count = 0;
  const events = requests().map((sample) => eventOf(sample));
  if (count !== plantedCount) throw new Error(`${count} secrets instead of ${plantedCount}`);
  return events;
}
