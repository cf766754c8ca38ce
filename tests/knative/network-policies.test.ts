import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { eventPolicy } from '../../knative/generator/event-policy.ts';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { networkPolicies, standalonePolicies } from '../../knative/generator/network-policies.ts';
import { standaloneSinkPolicies } from '../../knative/generator/standalone.ts';
import { type FunctionDefinition, marksNews } from '../../shared/function/definitions.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { createNetwork, type Party, type Pod } from './network.ts';

const root = join(import.meta.dirname, '..', '..');
const functions = await loadFunctions();

function pod(namespace: string, labels: Pod['labels'] = {}): Pod {
  return { namespace, labels };
}

/** A function's pod, with the labels that Knative adds to those of the template. */
function ours(name: string, namespace = 'zen-system'): Pod {
  return pod(namespace, {
    ...{ 'app.kubernetes.io/part-of': 'zen-watcher', 'app.kubernetes.io/name': name },
    ...{ app: `${name}-00001`, 'serving.knative.dev/service': name },
  });
}

function adapter(namespace: string): Pod {
  return pod(namespace, { 'eventing.knative.dev/source': 'apiserver-source-controller' });
}

/** Queue-proxy's ports, for events (8012, 8013, 8112), its end (8022), metrics and pprof; and the function's own. */
const ports = [8008, 8012, 8013, 8022, 8080, 8112, 9090, 9091];
const events = [8012, 8112];
const serving = 'knative-serving';
const eventing = 'knative-eventing';

const senders: readonly [who: string, Party, open: readonly number[]][] = [
  ["Kourier's gateway", pod('kourier-system', { app: '3scale-kourier-gateway' }), events],
  ["OpenShift Serverless' gateway", pod('knative-serving-ingress'), events],
  ["Istio's gateway", pod('istio-system', { istio: 'ingressgateway' }), events],
  ["Contour's gateways", pod('contour-internal', { app: 'envoy' }), events],
  ["Contour's gateway for outside", pod('contour-external', { app: 'envoy' }), events],
  ['the activator', pod(serving, { app: 'activator' }), events],
  ['the autoscaler', pod(serving, { app: 'autoscaler' }), [9090]],
  ["Serving's other pods", pod(serving, { app: 'controller' }), []],
  ["the Broker's filter", pod(eventing, { 'eventing.knative.dev/brokerRole': 'filter' }), events],
  ['the PingSource adapter', pod(eventing, { 'eventing.knative.dev/source': 'ping-source-controller' }), events],
  ['an ApiServerSource of ours', adapter('zen-system'), events],
  ["an ApiServerSource in a tool's namespace", adapter('checkov'), events],
  ["an ApiServerSource in a tenant's namespace", adapter('shop'), []],
  ['sources', ours('sources'), events],
  ['deadletter', ours('deadletter'), events],
  ['webhook', ours('webhook'), events],
  ['another function', ours('falco'), []],
  ['any other pod in our namespace', pod('zen-system', { 'app.kubernetes.io/name': 'sources' }), []],
  ['Prometheus', pod('monitoring'), [8080, 9091]],
  ["OpenShift's Prometheus", pod('openshift-user-workload-monitoring'), [8080, 9091]],
  ["a tenant's pod", pod('shop', { app: 'web' }), []],
  ["a tenant's pod with our labels", ours('sources', 'shop'), []],
  ["a tenant's pod that is called activator", pod('shop', { app: 'activator' }), []],
  ["a pod in a tool's namespace", pod('checkov', { app: 'checkov' }), []],
  ["a pod in Falco's namespace", pod('falco', { app: 'falco' }), []],
  ['a node', { address: '192.0.2.1' }, []],
  ['the rest of the world', { address: '203.0.113.1' }, []],
];

const everybodys = ['API server 443', 'API server 6443', 'DNS', 'DNS over UDP', "node's cache", "OpenShift's DNS"];
const functionsWay = ['gateway', "Istio's gateway", 'activator', 'a function'];
const mayReach: Readonly<Record<string, readonly string[]>> = {
  webhook: ['Broker', 'Broker over TLS', ...functionsWay],
  deadletter: functionsWay,
  sources: functionsWay,
};

const receivers: readonly [what: string, Party, port: number, protocol?: 'UDP'][] = [
  ['API server 443', { address: '192.0.2.1' }, 443],
  ['API server 6443', { address: '192.0.2.1' }, 6443],
  ['API server elsewhere', { address: '192.0.2.1' }, 16443],
  ['DNS', pod('kube-system', { 'k8s-app': 'kube-dns' }), 53],
  ['DNS over UDP', pod('kube-system', { 'k8s-app': 'kube-dns' }), 53, 'UDP'],
  ["node's cache", { address: '169.254.20.10' }, 53, 'UDP'],
  ["OpenShift's DNS", pod('openshift-dns'), 5353, 'UDP'],
  ['Broker', pod(eventing, { 'eventing.knative.dev/brokerRole': 'ingress' }), 8080],
  ['Broker over TLS', pod(eventing, { 'eventing.knative.dev/brokerRole': 'ingress' }), 8443],
  ["the Broker's metrics", pod(eventing, { 'eventing.knative.dev/brokerRole': 'ingress' }), 9092],
  ['gateway', pod('kourier-system'), 8081],
  ["Istio's gateway", pod('istio-system'), 8444],
  ['activator', pod(serving, { app: 'activator' }), 8012],
  ['autoscaler', pod(serving, { app: 'autoscaler' }), 8080],
  ['a function', ours('trivy'), 8012],
  ["a function's own port", ours('trivy'), 8080],
  ["a function's end", ours('trivy'), 8022],
  ['any other pod in our namespace', pod('zen-system'), 8012],
  ["a tenant's pod", pod('shop'), 8080],
  ['web', { address: '203.0.113.1' }, 80],
  ["cloud's metadata", { address: '169.254.169.254' }, 80],
];

describe('networkPolicies', () => {
  const network = createNetwork(networkPolicies(functions));

  describe.each(functions)('for $name', ({ name }) => {
    it.each(senders)('open to %s what it must reach, and no more', (_who, party, open) => {
      expect(ports.filter((port) => network.admits(ours(name), party, port))).toEqual(open);
    });

    it('let it out to what it must reach, and no further', () => {
      const reached = receivers.filter(([, party, port, protocol]) =>
        network.letsOut(ours(name), party, port, protocol),
      );
      expect(reached.map(([what]) => what)).toEqual([...everybodys, ...(mayReach[name] ?? [])]);
    });
  });

  it('say nothing about pods that are not ours', () => {
    const [other, web] = [pod('zen-system'), pod('shop')];
    expect(network.admits(other, web, 8012)).toBe(true);
    expect(network.letsOut(other, web, 8080)).toBe(true);
    expect(network.letsOut(adapter('zen-system'), web, 8080)).toBe(true);
  });

  it('know who calls whom, as the code does', () => {
    const code = (name: string): string =>
      globSync(`{${name}.ts,${name}/**/*.ts}`, { cwd: join(root, 'functions') })
        .map((file) => readFileSync(join(root, 'functions', file), 'utf8'))
        .join('');
    const using = (call: string): FunctionDefinition[] => functions.filter(({ name }) => code(name).includes(call));
    const calling = new Set([...using('broker.sendTo('), ...functions.filter(({ kind }) => kind === 'gateway')]);
    expect(calling.size).toBe(3);
    expect(new Set(functions.filter(({ callsFunctions }) => callsFunctions))).toEqual(calling);
    const publishing = using('broker.publish(');
    expect(publishing.map(({ name }) => name)).toEqual(['announce', 'webhook']);
    // Whoever writes tells the Broker that something is to be told.
    const all = functions.filter((one) => publishing.includes(one) || marksNews(one));
    const accounts = all.map(({ name }) => ({ sub: `system:serviceaccount:zen-system:${name}` }));
    expect(eventPolicy(functions).spec).toMatchObject({ from: accounts });
  });

  it("are the tenant's in its own namespace", () => {
    const tenants = createNetwork(networkPolicies(functions, 'namespace'));
    const admits = (party: Party): boolean => tenants.admits(ours('trivy'), party, 8012);
    expect(admits(adapter('zen-system'))).toBe(true);
    expect(admits(adapter('checkov'))).toBe(false);
    expect(admits(ours('sources'))).toBe(true);
    expect(admits(pod('zen-system', { app: 'web' }))).toBe(false);
    expect(admits(pod('kourier-system'))).toBe(true);
  });
});

describe('standalonePolicies', () => {
  const one = pod('zen-system', {
    ...{ 'app.kubernetes.io/part-of': 'zen-watcher', 'app.kubernetes.io/name': 'zen-watcher' },
  });
  const own = [8080, 8443];
  const anywhere = { address: '203.0.113.1' };

  it('open to everybody the ports for posts, and no other', () => {
    const network = createNetwork(standalonePolicies());
    for (const [, party] of senders) {
      expect([...ports, 8443].filter((port) => network.admits(one, party, port))).toEqual(own);
    }
  });

  it('let it out to the API server and DNS', () => {
    const network = createNetwork(standalonePolicies());
    const reached = receivers.filter(([, party, port, protocol]) => network.letsOut(one, party, port, protocol));
    expect(reached.map(([what]) => what)).toEqual(everybodys);
  });

  it.each(functions.filter(({ kind }) => kind === 'sink'))(
    'let it out to the receiver of $name with its own',
    (sink) => {
      const before = createNetwork(standalonePolicies());
      const network = createNetwork([...standalonePolicies(), ...standaloneSinkPolicies(sink)]);
      const [port = 0] = sink.kind === 'sink' ? sink.sink.ports.filter((number) => number !== 443) : [];
      expect([before.letsOut(one, anywhere, port), network.letsOut(one, anywhere, port)]).toEqual([false, true]);
      expect(network.letsOut(one, anywhere, 8081)).toBe(false);
    },
  );
});

function documents(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS());
}

describe('the example network.yaml', () => {
  const example = documents(readFileSync(join(root, 'knative', 'examples', 'network.yaml'), 'utf8'));
  const network = createNetwork([...networkPolicies(functions), ...example]);

  it.each(functions)('lets $name be reached, and reach, where a cluster is built otherwise', ({ name }) => {
    const one = ours(name);
    expect(ports.filter((port) => network.admits(one, pod('my-gateway'), port))).toEqual(events);
    expect(ports.filter((port) => network.admits(one, pod('my-monitoring'), port))).toEqual([8080, 9091]);
    expect(network.letsOut(one, { address: '192.0.2.1' }, 16443)).toBe(true);
    expect(network.letsOut(one, { address: '203.0.113.1' }, 16443)).toBe(false);
    expect(network.letsOut(one, pod('my-monitoring'), 4317)).toBe(true);
    expect(network.admits(one, pod('shop'), 8012)).toBe(false);
  });
});

describe.skipIf(!hasKubectl())('the overlays', () => {
  it.each([
    ['default', 'zen-system'],
    ['production', 'zen-system'],
    ['kafka', 'zen-system'],
    ['constrained', 'zen-system'],
    ['namespaced', 'tenant-a'],
  ])('%s cuts off every function in %s from whoever need not reach it', (overlay, namespace) => {
    const folder = join(root, 'knative', 'overlays', overlay);
    const manifests = documents(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' }));
    const network = createNetwork(manifests);
    const services = manifests.filter(({ apiVersion, kind }) => kind === 'Service' && apiVersion.includes('serving'));
    expect(services.length).toBeGreaterThan(5);
    for (const { metadata } of services) {
      const one = ours(metadata.name, namespace);
      expect(network.admits(one, pod('kourier-system'), 8012)).toBe(true);
      expect(network.admits(one, adapter(namespace), 8012)).toBe(true);
      expect(ports.some((port) => network.admits(one, pod('shop'), port))).toBe(false);
      expect(network.letsOut(one, pod('shop'), 8080)).toBe(false);
      expect(network.letsOut(one, { address: '192.0.2.1' }, 443)).toBe(true);
    }
  });
});
