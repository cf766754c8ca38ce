import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alertRules, ruleGroups } from '../../knative/alerts.ts';
import { loadFunctions } from '../../shared/host/load-functions.ts';
import { type Program, startProgram, temporaryFolder, within } from './program.ts';

function skipWithoutPrometheus(): boolean {
  if (spawnSync('prometheus', ['--version']).status === 0) return false;
  const reason = 'no scrape is tried: Prometheus is not installed';
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Every window of the rules is a sixtieth: minutes are seconds. */
const scale = 1 / 60;

describe.skipIf(skipWithoutPrometheus())('a real Prometheus that scrapes every second', () => {
  const folder = temporaryFolder();
  let prometheus: ChildProcess;
  let program: Program;
  let api = '';
  const args = ['--data', join(folder, 'data'), '--port'];

  beforeAll(async () => {
    program = await startProgram({ args: [...args, '0'], environment: { LOG_LEVEL: 'FATAL' } });
    const rules = alertRules(await loadFunctions(), { scale });
    writeFileSync(join(folder, 'rules.json'), JSON.stringify(ruleGroups(rules, '1s')));
    const scrape = { job_name: 'zen-watcher', static_configs: [{ targets: [new URL(program.url).host] }] };
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      ...{ rule_files: [join(folder, 'rules.json')], scrape_configs: [scrape] },
    };
    writeFileSync(join(folder, 'prometheus.json'), JSON.stringify(config));
    const port = await freePort();
    api = `http://127.0.0.1:${port}/api/v1`;
    prometheus = spawn(
      'prometheus',
      [
        ...[`--config.file=${join(folder, 'prometheus.json')}`, `--storage.tsdb.path=${join(folder, 'tsdb')}`],
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
  });

  afterAll(async () => {
    const ended = once(prometheus, 'exit');
    prometheus.kill('SIGTERM');
    await Promise.all([program.stop(), ended]);
  });

  /** The values of a query by one label; none while Prometheus is not up. */
  async function query(text: string, label: string): Promise<Map<string, number>> {
    const response = await fetch(`${api}/query?query=${encodeURIComponent(text)}`).catch(() => undefined);
    if (!response?.ok) return new Map();
    const answer: { data: { result: { metric: Record<string, string>; value: [number, string] }[] } } = JSON.parse(
      await response.text(),
    );
    return new Map(answer.data.result.map(({ metric, value }) => [metric[label] ?? '', Number(value[1])]));
  }

  const firing = (alert: string) => query(`ALERTS{alertname="${alert}",alertstate="firing"}`, 'alertname');
  const post = (body: string) =>
    fetch(`${program.url}/falco/webhook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    }).then((response) => response.arrayBuffer());

  it('understands all that it scrapes', { timeout: 60_000 }, async () => {
    await post(JSON.stringify({ rule: 'scraped', priority: 'Critical' }));
    const seen = await within('a scrape', 10, async () => {
      const found = await query('zen_watcher_events_total', 'severity');
      return found.size > 0 ? found : undefined;
    });
    expect(seen).toEqual(new Map([['CRITICAL', 1]]));
    expect(await query('up', 'job')).toEqual(new Map([['zen-watcher', 1]]));
    const response = await fetch(`${api}/targets`);
    const { data }: { data: { activeTargets: { lastError: string }[] } } = JSON.parse(await response.text());
    expect(data.activeTargets.map(({ lastError }) => lastError)).toEqual(['']);
  });

  it('says that events are turned away, and when they no longer are', { timeout: 120_000 }, async () => {
    let isOver = false;
    const flood = (async () => {
      while (!isOver) await Promise.all(Array.from({ length: 20 }, () => post('no json')));
    })();
    await within('the alert', 15, async () => (await firing('ZenWatcherWebhookDrops')).size === 1 || undefined);
    isOver = true;
    await flood;
    await within('its end', 15, async () => (await firing('ZenWatcherWebhookDrops')).size === 0 || undefined);
  });

  it('says that the webhooks are open, until a token is asked for', { timeout: 120_000 }, async () => {
    await within('the alert', 15, async () => (await firing('ZenWatcherWebhookOpen')).size === 1 || undefined);
    const { port } = new URL(program.url);
    await program.stop();
    program = await startProgram({ args: [...args, port], environment: { WEBHOOK_AUTH_TOKEN: 'a token' } });
    await within('its end', 15, async () => (await firing('ZenWatcherWebhookOpen')).size === 0 || undefined);
    // It ended because the gauge says so, and not because nothing is scraped.
    await within('a scrape', 10, async () => (await query('zen_watcher_webhook_open == 0', 'job')).size || undefined);
  });
});
