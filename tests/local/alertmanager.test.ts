import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { skipWithoutAlertmanager, startAlertmanager } from '../host/alertmanager.ts';
import { atEnd } from '../host/at-end.ts';
import { observationsOf, type Program, startProgram, temporaryFolder, until, within } from '../host/program.ts';

const alertmanagerIngester = `
apiVersion: zen.kube-zen.io/v1alpha1
kind: Ingester
metadata: { name: alertmanager, namespace: zen-system }
spec:
  source: alertmanager
  ingester: webhook
  webhook: { path: alertmanager }
  items: .alerts
  mappings: { severity: .labels.severity, category: operational, eventType: alert }
  identity: [.fingerprint]
`;

function reportOf(rules: readonly { readonly rule: string; readonly severity: string }[]): string {
  return JSON.stringify({
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name: 'web', namespace: 'shop', creationTimestamp: '2026-03-01T11:00:00Z' },
    scope: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' },
    results: rules.map(({ rule, severity }) => ({ policy: 'p', rule, severity, result: 'fail', message: rule })),
  });
}

/** Local mode with a folder of reports, and what it tells Alertmanager. */
async function startWorld(environment: Record<string, string>, config?: string) {
  const folder = temporaryFolder();
  const [objects, data] = [join(folder, 'objects'), join(folder, 'data')];
  mkdirSync(objects);
  const file = join(objects, 'report.json');
  const args = [
    '--port',
    '0',
    '--data',
    data,
    '--objects',
    objects,
    ...(config === undefined ? [] : ['--config', config]),
  ];
  return {
    start: (): Promise<Program> => startProgram({ args, environment }),
    report: (...rules: { readonly rule: string; readonly severity: string }[]) => writeFileSync(file, reportOf(rules)),
    remove: () => rmSync(file),
  };
}

const high = (rule: string) => ({ rule, severity: 'high' });

describe.skipIf(skipWithoutAlertmanager())('local mode with a real Alertmanager', { timeout: 120_000 }, () => {
  it('keeps its alerts as the open findings are', async () => {
    const alertmanager = await startAlertmanager();
    const world = await startWorld({
      ALERTMANAGER_URL: alertmanager.url,
      CLUSTER_NAME: 'prod',
      PAGE_URL: 'https://zen.example.com/',
    });
    const rules = async () =>
      [...(await alertmanager.active()).values()].map(({ labels }) => `${labels.rule} ${labels.severity}`).sort();
    const shows = (what: string, wanted: readonly string[]) =>
      within(what, 5, async () => (JSON.stringify(await rules()) === JSON.stringify(wanted) ? true : undefined));
    world.report(high('a'), high('b'), { rule: 'c', severity: 'low' });
    const program = await world.start();
    await shows('what is open and bad enough is an alert', ['p/a high', 'p/b high']);
    const [alert] = (await alertmanager.active()).values();
    expect(alert).toMatchObject({
      labels: {
        alertname: 'policy-violation',
        cluster: 'prod',
        namespace: 'shop',
        workload: 'deployment/web',
        source: 'kyverno',
        category: 'security',
      },
      annotations: { summary: expect.stringContaining('Deployment') },
      generatorURL: expect.stringMatching(/^https:\/\/zen\.example\.com\/\?finding=shop%2Fkyverno-/),
    });
    const ends = Date.parse(alert?.endsAt ?? '') - Date.now();
    expect(ends).toBeGreaterThan(25 * 60_000);
    expect(ends).toBeLessThanOrEqual(30 * 60_000);
    world.report(high('a'), { rule: 'b', severity: 'critical' }, high('c'));
    await shows('a severity that changes closes the alert with the old one', ['p/a high', 'p/b critical', 'p/c high']);
    world.report(high('a'));
    await shows('what is no longer reported is closed', ['p/a high']);
    world.report(high('a'), high('b'));
    await shows('what is back is an alert again', ['p/a high', 'p/b high']);
    expect(alertmanager.tool('alert', 'query', 'rule=p/a')).toContain('policy-violation');
    alertmanager.tool('silence', 'add', '--author=me', '--comment=x', 'rule=p/a');
    await shows('a rule can be silenced', ['p/b high']);
    expect(await program.stop()).toBe(0);
  });

  it('gets what it has lost, and what was there before, from the pass', async () => {
    const alertmanager = await startAlertmanager();
    const world = await startWorld({ ALERTMANAGER_URL: alertmanager.url });
    world.report(high('a'), high('b'));
    const first = await world.start();
    await until('it has two alerts', async () => (await alertmanager.active()).size === 2);
    await first.stop();
    await alertmanager.kill();
    await alertmanager.restart();
    expect((await alertmanager.active()).size).toBe(0);
    const second = await world.start();
    await until('it has them again', async () => (await alertmanager.active()).size === 2);
    expect(second.log.join('\n')).not.toContain('"told"');
    await second.stop();
  });

  it('is told when it is back, although it was away when something changed', async () => {
    const alertmanager = await startAlertmanager();
    const world = await startWorld({ ALERTMANAGER_URL: alertmanager.url });
    const program = await world.start();
    await alertmanager.kill();
    world.report(high('a'));
    await until('it is stored', async () => (await observationsOf(program.url)).length === 1);
    await until('somebody has tried', () => program.log.some((line) => line.includes('the receiver did not take it')));
    await alertmanager.restart();
    await until('it is told', async () => (await alertmanager.active()).size === 1);
    await until('it is due no more', async () => {
      const [one] = await observationsOf(program.url);
      return one?.metadata.labels['zen.kube-zen.io/outbox'] === undefined;
    });
    await program.stop();
  });

  it('makes no finding of what comes back from it', async () => {
    const posted: string[] = [];
    let target: string | undefined;
    const relay = createServer(async (request, response) => {
      const body = await text(request);
      const answer = await fetch(`${target}/ingest/alertmanager`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      posted.push(body);
      response.writeHead(answer.status).end();
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    atEnd(() => relay.close());
    const { port } = relay.address() as AddressInfo;
    const alertmanager = await startAlertmanager(`http://127.0.0.1:${port}`);
    const config = temporaryFolder();
    writeFileSync(join(config, 'ingester.yaml'), alertmanagerIngester);
    const world = await startWorld({ ALERTMANAGER_URL: alertmanager.url, MASK_SECRETS: 'true' }, config);
    world.report(high('a'));
    const program = await world.start();
    target = program.url;
    await until('Alertmanager has told us', () => posted.length > 0);
    const metrics = async (): Promise<string> => (await fetch(`${program.url}/metrics`)).text();
    await until('that is counted', async () => /filtered_total\{[^}]*reason="self"[^}]*\} [1-9]/.test(await metrics()));
    expect(await observationsOf(program.url)).toHaveLength(1);
    expect(posted[0]).toContain('zen_kube_zen_io_observation');
    relay.closeAllConnections();
    await program.stop();
  });
});
