import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Program, until } from '../host/program.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { eventHeaders, startFunction } from './functions.ts';
import { writerRules } from './rules.ts';

const headers = eventHeaders('falco.rule.output.v1');

const refusal = z.object({ error: z.string() });

/** The answer names what is missing, nothing is acknowledged, and the function recovers by itself once it is there. */
describe.skipIf(skipWithoutCluster())('what is missing', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let program: Program;

  const alert = (rule: string, namespace?: string): string =>
    JSON.stringify({
      ...{ rule, priority: 'Error', time: '2026-03-01T10:00:00Z' },
      output_fields: namespace === undefined ? {} : { 'k8s.ns.name': namespace, 'k8s.pod.name': 'p' },
    });

  async function send(body: string) {
    const response = await fetch(program.url, { method: 'POST', headers, body });
    const text = await response.text();
    const error = text === '' ? undefined : refusal.parse(JSON.parse(text)).error;
    return { status: response.status, retryAfter: response.headers.get('retry-after'), error };
  }

  /** Tries again until what was missing is there, as all senders but Falco do. */
  async function sendUntilTaken(body: string): Promise<void> {
    await until('it is taken', async () => (await send(body)).status === 204);
  }

  /** The first answer that no longer says this. */
  async function untilOther(reason: string): ReturnType<typeof send> {
    const ask = () => send(alert('not ready', 'shop'));
    let answer = await ask();
    await until(`it no longer says ${reason}`, async () => {
      answer = await ask();
      return !answer.error?.includes(reason);
    });
    return answer;
  }

  async function rulesStored(): Promise<string[]> {
    const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/observations');
    const items: { metadata: { namespace: string }; spec: { rule: string } }[] = body.items;
    return items.map(({ metadata, spec }) => `${metadata.namespace}: ${spec.rule}`).sort();
  }

  beforeAll(async () => {
    cluster = await startCluster();
    for (const name of ['accounts', 'shop']) await cluster.namespace(name);
    const { folder } = await cluster.serviceAccount('falco', [], 'accounts');
    program = await startFunction('falco', { server: cluster.server, folder });
  }, 900_000);

  afterAll(async () => {
    await program.stop();
    await cluster.stop();
  });

  it('is the permission', async () => {
    expect(await untilOther('has not been read yet')).toEqual({
      ...{ status: 503, retryAfter: '5' },
      error: 'not ready: listing observationfilters.zen.kube-zen.io was refused (Forbidden): check the Role',
    });
    expect(await (await fetch(`${program.url}/ready`)).text()).toContain('check the Role');
    const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/accounts-falco';
    const rules = { rules: writerRules };
    await cluster.request('PATCH', role, rules, { contentType: 'application/merge-patch+json' });
  });

  it('is the CRD', async () => {
    expect(await untilOther('Forbidden')).toEqual({
      ...{ status: 503, retryAfter: '5' },
      error: 'not ready: listing observationfilters.zen.kube-zen.io is not served: is its CRD installed?',
    });
    await applyCrds(cluster);
    await sendUntilTaken(alert('no CRD', 'shop'));
  });

  it('is the system namespace', async () => {
    expect(await send(alert('no system namespace'))).toMatchObject({
      status: 503,
      error: 'the system namespace is missing',
    });
    await cluster.namespace('zen-system');
    await sendUntilTaken(alert('no system namespace'));
  });

  it('is room in a namespace: the Observation goes to the system namespace', async () => {
    await cluster.namespace('closing');
    await cluster.request('DELETE', '/api/v1/namespaces/closing');
    expect((await send(alert('closing', 'closing'))).status).toBe(204);
    expect((await send(alert('gone', 'gone'))).status).toBe(204);
    expect(await rulesStored()).toEqual([
      'shop: no CRD',
      'zen-system: closing',
      'zen-system: gone',
      'zen-system: no system namespace',
    ]);
  });

  it('is the system namespace, closing', async () => {
    await cluster.request('DELETE', '/api/v1/namespaces/zen-system');
    expect(await send(alert('too late'))).toMatchObject({ status: 503, error: 'the system namespace is closing' });
    expect(await send(alert('elsewhere', 'shop'))).toMatchObject({ status: 204 });
    expect(await rulesStored()).not.toContain('zen-system: too late');
  });

  it('is counted', async () => {
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    expect(metrics).toMatch(/zen_watcher_observations_create_errors_total\{source="falco",error_type="503"\} \d+/);
  });
});
