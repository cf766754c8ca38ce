import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alertRules } from '../../knative/generator/alerts.ts';
import { dashboards } from '../../knative/generator/dashboards.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { freePort } from '../bench/measure.ts';
import { type Program, startProgram, temporaryFolder, within } from './program.ts';
import { type Prometheus, repeatUntil, startPrometheus } from './prometheus.ts';
import { skipWithout } from './skip-without.ts';

const pingSourceOf = (name: string) => `/apis/v1/namespaces/zen-system/pingsources/${name}`;

/** Every window of the rules is a sixtieth: minutes are seconds. */
const scale = 1 / 60;

describe.skipIf(skipWithout('prometheus', 'a scrape is'))('a real Prometheus that scrapes every second', () => {
  const folder = temporaryFolder();
  let prometheus: Prometheus;
  let program: Program;
  let shortLivedPort = 0;
  const args = ['--data', join(folder, 'data'), '--port'];

  beforeAll(async () => {
    // With findings that last, for the passes to find again.
    program = await startProgram({
      args: ['--samples', ...args, '0'],
      environment: { LOG_LEVEL: 'FATAL' },
    });
    shortLivedPort = await freePort();
    prometheus = await startPrometheus(
      { 'zen-watcher': new URL(program.url).host, 'short-lived': `127.0.0.1:${shortLivedPort}` },
      alertRules(await loadFunctions(), { scale }),
    );
  });

  afterAll(async () => {
    await Promise.all([program.stop(), prometheus.stop()]);
  });

  const query: Prometheus['query'] = (text, label) => prometheus.query(text, label);
  const fires = async (alert: string) => (await prometheus.fires(alert)) || undefined;
  const isSilent = async (alert: string) => !(await prometheus.fires(alert)) || undefined;
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
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-source': '/tests',
        'ce-id': 'e',
        'ce-type': type,
        ...more,
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
    expect(await prometheus.scrapeError('zen-watcher')).toBe('');
  });

  it('says that events are turned away, and when they no longer are', { timeout: 120_000 }, async () => {
    const flood = () => Promise.all(Array.from({ length: 20 }, () => post('no json')));
    await repeatUntil('the alert', 15, flood, () => prometheus.fires('ZenWatcherWebhookDrops'));
    await within('its end', 15, () => isSilent('ZenWatcherWebhookDrops'));
  });

  it('sees what a process has counted that was gone soon after', { timeout: 120_000 }, async () => {
    const shortLived = await startProgram({
      args: ['--port', String(shortLivedPort), '--data', temporaryFolder()],
      environment: { LOG_LEVEL: 'FATAL' },
    });
    await event('falco.rule.output.v1', deadLetter, '{}', shortLived.url);
    // Its first value is its last: a rate would say that nothing has happened.
    const counted = 'zen_watcher_deadletters_total{job="short-lived"} > 0';
    await within('a scrape', 10, async () => (await query(counted, 'job')).size || undefined);
    await shortLived.stop();
    await within('the alert', 15, () => fires('ZenWatcherDeadLetters'));
    await within('its end', 30, () => isSilent('ZenWatcherDeadLetters'));
  });

  it('has data for every panel of the dashboards', { timeout: 180_000 }, async () => {
    let count = 0;
    // Of each kind of event some, again and again, since rates need counters that move.
    const traffic = async (): Promise<void> => {
      count += 1;
      await post(JSON.stringify({ rule: `panel ${count}`, priority: 'Critical' }));
      await post(JSON.stringify({ rule: 'the same', priority: 'Error', time: '2026-03-01T10:00:00Z' }));
      await post(JSON.stringify({ rule: 'debug', priority: 'Debug' }));
      await post('no json');
      await event('falco.rule.output.v1', {}, '{"priority":"Error"}');
      await event('falco.rule.output.v1', deadLetter, '{}');
      await event('dev.knative.sources.ping', { 'ce-source': pingSourceOf('gc') }, '');
      await event('dev.knative.sources.ping', { 'ce-source': pingSourceOf('kyverno') }, '');
    };
    const panels = dashboards({ rate: 10, recent: '60s', collection: '60s' }).flatMap((one) => one.panels);
    const empty = new Set(panels.map(({ title }) => title));
    const isFilled = async (): Promise<boolean> => {
      for (const { title, targets } of panels) {
        for (const { expr } of targets) {
          const values = await query(expr, 'source');
          if ([...values.values()].some((value) => Number.isFinite(value))) empty.delete(title);
        }
      }
      return empty.size === 0;
    };
    await repeatUntil('data for all panels', 15, traffic, isFilled).catch(() => undefined);
    expect([...empty]).toEqual([]);
  });

  it('says that the webhooks are open, until a token is asked for', { timeout: 120_000 }, async () => {
    await within('the alert', 15, () => fires('ZenWatcherWebhookOpen'));
    const { port } = new URL(program.url);
    await program.stop();
    program = await startProgram({ args: [...args, port], environment: { WEBHOOK_AUTH_TOKEN: 'a token' } });
    await within('its end', 15, () => isSilent('ZenWatcherWebhookOpen'));
    // It ended because the gauge says so, and not because nothing is scraped.
    await within('a scrape', 10, async () => (await query('zen_watcher_webhook_open == 0', 'job')).size || undefined);
  });
});
