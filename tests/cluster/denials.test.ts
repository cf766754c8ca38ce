import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import kyverno from '../../functions/kyverno.ts';
import { labels } from '../../shared/api/labels.ts';
import type { HandlerDefinition } from '../../shared/function/definitions.ts';
import { until } from '../host/program.ts';
import { createTestContext, eventOf, handled, ping, referenceTo } from '../pipeline/test-context.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { policyReport, reportCrds } from './report-crds.ts';
import { writerRules } from './rules.ts';

/** What a tenant's webhook answers; `hang up` is no answer at all. */
type Denial = { readonly code: number; readonly reason?: string; readonly details?: object } | 'hang up';

interface Webhook {
  readonly url: string;
  /** What it does to each operation; the others are allowed. */
  readonly denials: Map<string, Denial>;
  stop(): void;
}

/** A webhook as a tenant's policy engine runs one. It has the API server's certificate, which is good for 127.0.0.1. */
async function startWebhook(certificates: string): Promise<Webhook> {
  const denials = new Map<string, Denial>();
  const read = (file: string): Buffer => readFileSync(join(certificates, file));
  const server: Server = createServer(
    { cert: read('apiserver.crt'), key: read('apiserver.key') },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review: { request: { uid: string; operation: string } } = JSON.parse(Buffer.concat(chunks).toString());
        const { uid, operation } = review.request;
        const denial = denials.get(operation);
        if (denial === 'hang up') return request.socket.destroy();
        const answer = denial ? { allowed: false, status: { message: 'not here', ...denial } } : { allowed: true };
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...answer } }),
        );
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}/`, denials, stop: () => server.close() };
}

const registration = '/apis/admissionregistration.k8s.io/v1';
const observationRule = { apiGroups: ['zen.kube-zen.io'], apiVersions: ['*'], resources: ['observations'] };
const inNamespace = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });

/** A policy of the API server's own that lets nobody write Observations in a namespace. */
function policyFor(namespace: string, validation: object): readonly [policy: object, binding: object] {
  const matchConstraints = {
    namespaceSelector: inNamespace(namespace),
    resourceRules: [{ ...observationRule, operations: ['CREATE', 'UPDATE'] }],
  };
  const metadata = { name: `no-observations-in-${namespace}` };
  return [
    { metadata, spec: { failurePolicy: 'Fail', matchConstraints, validations: [validation] } },
    { metadata, spec: { policyName: metadata.name, validationActions: ['Deny'] } },
  ];
}

const alertIn = (namespace: string, rule: string) =>
  eventOf('falco.rule.output.v1', {
    ...{ rule, priority: 'Error', time: '2026-03-01T12:00:00Z' },
    output_fields: { 'k8s.ns.name': namespace, 'k8s.pod.name': 'p' },
  });

describe.skipIf(skipWithoutCluster())('a namespace that denies what is written there', { timeout: 60_000 }, () => {
  let cluster: Cluster;
  let webhook: Webhook;
  let connection: ReturnType<typeof connectAs>;
  const clock = { now: Date.now() };

  /** Handles an event with the real store, as a function of this name would. */
  function handle(definition: HandlerDefinition, event: ReturnType<typeof eventOf>) {
    const { store, objects, owners } = connection;
    const overrides = { store, objects, owners, now: () => clock.now, signal: AbortSignal.timeout(15_000) };
    return handled(definition, event, createTestContext(definition, { context: overrides }).context);
  }
  const observationsOf = async (rule: string): Promise<{ place: string; state: string | undefined; uid: string }[]> => {
    const { body } = await cluster.request(
      'GET',
      `/apis/zen.kube-zen.io/v1/observations?fieldSelector=spec.rule=${rule}`,
    );
    const items: { metadata: { namespace: string; uid: string; labels: Record<string, string> } }[] = body.items;
    return items.map(({ metadata }) => ({
      place: metadata.namespace,
      state: metadata.labels[labels.state],
      uid: metadata.uid,
    }));
  };
  const placesOf = async (rule: string): Promise<string[]> => (await observationsOf(rule)).map(({ place }) => place);
  const statesOf = async (rule: string): Promise<string[]> =>
    (await observationsOf(rule)).map(({ place, state }) => `${place} ${state}`).sort();
  const reportsIn = (namespace: string): string =>
    `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`;
  async function report(namespace: string, rules: readonly string[]) {
    const object = policyReport(`r-${namespace}`, namespace, rules);
    await cluster.request('DELETE', `${reportsIn(namespace)}/${object.metadata.name}`);
    expect((await cluster.request('POST', reportsIn(namespace), object)).status).toBe(201);
    return object;
  }

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'denied', 'pay', 'forbidden', 'invalid', 'broken']) await cluster.namespace(name);
    connection = connectAs(cluster.server, (await cluster.serviceAccount('functions', writerRules)).folder);
    webhook = await startWebhook(cluster.certificates);
    const clientConfig = { url: webhook.url, caBundle: readFileSync(cluster.caFile).toString('base64') };
    const answer = await cluster.request('POST', `${registration}/validatingwebhookconfigurations`, {
      metadata: { name: 'tenant' },
      webhooks: [
        {
          ...{ name: 'tenant.example.com', admissionReviewVersions: ['v1'], sideEffects: 'None', clientConfig },
          ...{ failurePolicy: 'Fail', namespaceSelector: inNamespace('denied') },
          rules: [{ ...observationRule, operations: ['CREATE', 'UPDATE', 'DELETE'] }],
        },
      ],
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    for (const [namespace, validation] of [
      ['forbidden', { expression: 'false', message: 'no', reason: 'Forbidden' }],
      ['invalid', { expression: 'false', message: 'no', reason: 'Invalid' }],
      ['broken', { expression: 'object.spec.noSuchField == 1' }],
    ] as const) {
      const [policy, binding] = policyFor(namespace, validation);
      expect((await cluster.request('POST', `${registration}/validatingadmissionpolicies`, policy)).status).toBe(201);
      const bindings = `${registration}/validatingadmissionpolicybindings`;
      expect((await cluster.request('POST', bindings, binding)).status).toBe(201);
    }
    webhook.denials.set('CREATE', { code: 403 });
    await until('all of them act', async () => {
      const spec = { source: 'probe', category: 'security', severity: 'LOW', eventType: 'probe' };
      const statuses = ['denied', 'forbidden', 'invalid', 'broken'].map(async (namespace) => {
        const path = `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations?dryRun=All`;
        const typed = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata: { name: 'probe' } };
        return (await cluster.request('POST', path, { ...typed, spec })).status;
      });
      return (await Promise.all(statuses)).every((status) => status >= 400);
    });
  }, 900_000);

  afterAll(async () => {
    connection.close();
    webhook.stop();
    await cluster.stop();
  });

  it.each<[string, Denial]>([
    ['400', { code: 400 }],
    ['401, as if the token were wrong', { code: 401, reason: 'Unauthorized' }],
    ['403', { code: 403, reason: 'Forbidden' }],
    ['404, as if there were no such namespace', { code: 404, reason: 'NotFound' }],
    ['404, as if Observations were not served', { code: 404, details: { kind: 'observations' } }],
    ['409, as if the name were taken', { code: 409, reason: 'AlreadyExists' }],
    ['409, as if a quota were counted', { code: 409, reason: 'Conflict', details: { kind: 'resourcequotas' } }],
    ['413', { code: 413 }],
    ['418', { code: 418 }],
    ['422, as if it were invalid', { code: 422, reason: 'Invalid' }],
    ['429, as if it were busy', { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 1 } }],
    ['500', { code: 500, reason: 'InternalError' }],
    ['503', { code: 503, reason: 'ServiceUnavailable' }],
    ['nothing', 'hang up'],
  ])('loses no alert if its webhook answers %s', async (what, denial) => {
    webhook.denials.clear();
    webhook.denials.set('CREATE', denial);
    const rule = `webhook-${what.replaceAll(/[^0-9a-z]+/gi, '-')}`;
    expect(await handle(falco, alertIn('denied', rule))).toMatchObject({ created: [{ count: 1 }] });
    expect(await placesOf(rule)).toEqual(['zen-system']);
  });

  it.each(['forbidden', 'invalid', 'broken'])('loses no alert if a policy says that it is %s', async (namespace) => {
    expect(await handle(falco, alertIn(namespace, `policy-${namespace}`))).toMatchObject({ created: [{ count: 1 }] });
    expect(await placesOf(`policy-${namespace}`)).toEqual(['zen-system']);
  });

  it('does not stop a pass, whether what it denies is a create, a change or a deletion', async () => {
    webhook.denials.clear();
    webhook.denials.set('CREATE', { code: 403 });
    await report('denied', ['deny-new']);
    await report('pay', ['pay-new']);
    await handle(kyverno, ping);
    expect([await placesOf('p/deny-new'), await placesOf('p/pay-new')]).toEqual([['zen-system'], ['pay']]);

    webhook.denials.clear();
    await report('denied', ['deny-new', 'deny-changed']);
    await handle(kyverno, ping);
    await report('denied', ['deny-new']);
    await handle(kyverno, ping);
    expect(await statesOf('p/deny-changed')).toEqual(['denied missing']);

    // Now the namespace lets nobody say that it is back: the system namespace does.
    webhook.denials.set('UPDATE', { code: 409, reason: 'Conflict' });
    await report('denied', ['deny-new', 'deny-changed']);
    await report('pay', ['pay-new', 'pay-more']);
    const summary = await handle(kyverno, ping);
    expect(await statesOf('p/deny-changed')).toEqual(['denied missing', 'zen-system open']);
    expect(await placesOf('p/pay-more')).toEqual(['pay']);
    expect(summary.warnings).toEqual([]);
    // And it stays so, however often it is looked at.
    await handle(kyverno, ping);
    await handle(kyverno, referenceTo(policyReport('r-denied', 'denied', [])));
    expect(await statesOf('p/deny-changed')).toEqual(['denied missing', 'zen-system open']);
    // Once it lets it be said, the copy goes.
    webhook.denials.clear();
    await handle(kyverno, ping);
    await handle(kyverno, ping);
    expect(await statesOf('p/deny-changed')).toEqual(['denied open']);
  });

  it('keeps nothing open that is over elsewhere, and is named at the end of the pass', async () => {
    webhook.denials.clear();
    await report('denied', ['over-there']);
    await report('pay', ['over-here']);
    await handle(kyverno, ping);
    webhook.denials.set('UPDATE', { code: 422 });
    webhook.denials.set('DELETE', { code: 500 });
    await report('denied', ['else-there']);
    await report('pay', ['else-here']);
    const { warnings } = await handle(kyverno, ping);
    expect(warnings).toEqual([expect.stringMatching(/^namespace denied: .*tenant\.example\.com/)]);
    expect([await statesOf('p/over-there'), await statesOf('p/over-here')]).toEqual([['denied open'], ['pay missing']]);
    webhook.denials.clear();
    await handle(kyverno, ping);
    expect(await statesOf('p/over-there')).toEqual(['denied missing']);
  });
});
