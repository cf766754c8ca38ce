import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alertRules, ruleGroups } from '../../knative/alerts.ts';
import { dashboards } from '../../knative/dashboards.ts';
import { loadFunctions } from '../../shared/host/load-functions.ts';
import { freePort } from '../bench/measure.ts';
import { type Program, startProgram, temporaryFolder, within } from './program.ts';
import { skipWithout } from './skip-without.ts';

const pingSourceOf = (name: string) => `/apis/v1/namespaces/zen-system/pingsources/${name}`;

/** Every window of the rules is a sixtieth: minutes are seconds. */
const scale = 1 / 60;

describe.skipIf(skipWithout('prometheus', 'a scrape is'))('a real Prometheus that scrapes every second', () => {
  const folder = temporaryFolder();
  let prometheus: ChildProcess;
  let program: Program;
  let api = '';
  let shortLivedPort = 0;
  const args = ['--data', join(folder, 'data'), '--port'];

  beforeAll(async () => {
    // With findings that last, for the passes to find again.
    program = await startProgram({
      ...{ args: ['--samples', ...args, '0'], environment: { LOG_LEVEL: 'FATAL' }, fromSources: true },
    });
    const rules = alertRules(await loadFunctions(), { scale });
    writeFileSync(join(folder, 'rules.json'), JSON.stringify(ruleGroups(rules, '1s')));
    shortLivedPort = await freePort();
    const scrapes = [
      { job_name: 'zen-watcher', static_configs: [{ targets: [new URL(program.url).host] }] },
      { job_name: 'short-lived', static_configs: [{ targets: [`127.0.0.1:${shortLivedPort}`] }] },
    ];
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      ...{ rule_files: [join(folder, 'rules.json')], scrape_configs: scrapes },
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

  const deadLetter = { 'ce-knativeerrordest': 'http://x/', 'ce-knativeerrorcode': '422' };
  const event = (type: string, more: Record<string, string>, body: string, url = program.url) =>
    fetch(url, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-source': '/tests', 'ce-id': 'e' },
        ...{ 'ce-type': type, ...more },
      },
      body,
    }).then((response) => response.arrayBuffer());

  it('understands all that it scrapes', { timeout: 60_000 }, async () => {
    await post(JSON.stringify({ rule: 'scraped', priority: 'Critical' }));
    const seen = await within('a scrape', 10, async () => {
      const found = await query('zen_watcher_events_total', 'severity');
      return found.size > 0 ? found : undefined;
    });
    expect(seen.get('CRITICAL')).toBeGreaterThan(0);
    expect(await query('up{job="zen-watcher"}', 'job')).toEqual(new Map([['zen-watcher', 1]]));
    const response = await fetch(`${api}/targets`);
    const { data }: { data: { activeTargets: { scrapePool: string; lastError: string }[] } } = JSON.parse(
      await response.text(),
    );
    expect(data.activeTargets.find(({ scrapePool }) => scrapePool === 'zen-watcher')?.lastError).toBe('');
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

  it('sees what a process has counted that was gone soon after', { timeout: 120_000 }, async () => {
    const shortLived = await startProgram({
      args: ['--port', String(shortLivedPort), '--data', temporaryFolder()],
      environment: { LOG_LEVEL: 'FATAL' },
    });
    await event('falco.rule.output.v1', deadLetter, '{}', shortLived.url);
    // Its first value is its last: a rate would say that nothing has happened.
    await within('a scrape', 10, async () => (await query('zen_watcher_deadletters_total', 'job')).size || undefined);
    await shortLived.stop();
    await within('the alert', 15, async () => (await firing('ZenWatcherDeadLetters')).size === 1 || undefined);
    await within('its end', 30, async () => (await firing('ZenWatcherDeadLetters')).size === 0 || undefined);
  });

  it('has data for every panel of the dashboards', { timeout: 180_000 }, async () => {
    let count = 0;
    let isOver = false;
    // Of each kind of event some, again and again, since rates need counters that move.
    const traffic = (async () => {
      while (!isOver) {
        count += 1;
        await post(JSON.stringify({ rule: `panel ${count}`, priority: 'Critical' }));
        await post(JSON.stringify({ rule: 'the same', priority: 'Error', time: '2026-03-01T10:00:00Z' }));
        await post(JSON.stringify({ rule: 'debug', priority: 'Debug' }));
        await post('no json');
        await event('falco.rule.output.v1', {}, '{"priority":"Error"}');
        await event('falco.rule.output.v1', deadLetter, '{}');
        await event('dev.knative.sources.ping', { 'ce-source': pingSourceOf('gc') }, '');
        await event('dev.knative.sources.ping', { 'ce-source': pingSourceOf('kyverno') }, '');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    const panels = dashboards({ rate: '10s', recent: '60s', collection: '60s' }).flatMap((one) => one.panels);
    const empty = new Set(panels.map(({ title }) => title));
    const filled = within('data for all panels', 15, async () => {
      for (const { title, targets } of panels) {
        for (const { expr } of targets) {
          const values = await query(expr, 'source');
          if ([...values.values()].some((value) => Number.isFinite(value))) empty.delete(title);
        }
      }
      return empty.size === 0 || undefined;
    });
    await filled.catch(() => undefined);
    isOver = true;
    await traffic;
    expect([...empty]).toEqual([]);
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
