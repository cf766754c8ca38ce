import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AlertRule, alertRules } from '../../knative/generator/alerts.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { freePort } from '../bench/measure.ts';
import { selfSigned } from '../transport/certificate.ts';
import { type Program, startProgram, temporaryFolder, within } from './program.ts';
import { type Prometheus, repeatUntil, startPrometheus } from './prometheus.ts';
import { skipWithout } from './skip-without.ts';

/**
 * A tenth of real life: a scrape every second in place of ten, windows of 30 s in place of five minutes, and processes that
 * live for a few seconds in place of 40.
 */
const scale = 1 / 10;

/** The alerts that users of the Go program have, word for word but for their windows. */
const plain: Readonly<Record<string, string>> = {
  drops: 'rate(zen_watcher_webhook_events_dropped_total[30s]) > 10',
  'create errors': 'rate(zen_watcher_observations_create_errors_total[30s]) > 1',
  'gc errors': 'zen_watcher_gc_errors_total > 0',
  'no watch': 'zen_watcher_informer_cache_synced < 1',
  duplicates:
    'rate(zen_watcher_observations_deduped_total[30s]) / rate(zen_watcher_observations_created_total[30s]) > 0.5',
};

const plainly = (name: string): string => `plain ${name}`;

const plainRules: readonly AlertRule[] = Object.entries(plain).map(([name, expr]) => ({
  ...{ alert: plainly(name), expr, labels: {} },
  annotations: { summary: name, description: name, runbook_url: '' },
}));

interface Fault {
  readonly name: string;
  /** Of ours. */
  readonly alert: string;
  readonly args: readonly string[];
  /** One function, with an API server that allows nothing. */
  readonly isFunction?: true;
  /** What one request is, and how many are too many. */
  readonly times: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: (index: number) => string;
}

const cloudEvent = { 'ce-specversion': '1.0', 'ce-source': '/tests', 'ce-id': 'e' };
const ping = { 'ce-type': 'dev.knative.sources.ping', 'ce-source': '/apis/v1/namespaces/zen-system/pingsources/gc' };
const local = ['--data', temporaryFolder()];
const again = JSON.stringify({ rule: 'again', priority: 'Error', time: '2026-03-01T10:00:00Z' });

const faults: readonly Fault[] = [
  {
    ...{ name: 'drops', alert: 'ZenWatcherWebhookDrops', args: local },
    ...{ times: 600, path: '/falco/webhook', body: () => 'no json' },
  },
  {
    ...{ name: 'create errors', alert: 'ZenWatcherCreateErrors', args: ['falco'], isFunction: true },
    ...{ times: 90, path: '/', headers: { ...cloudEvent, 'ce-type': 'falco.rule.output.v1' }, body: () => '{}' },
  },
  {
    ...{ name: 'gc errors', alert: 'ZenWatcherGCErrors', args: ['gc'], isFunction: true },
    ...{ times: 1, path: '/', headers: { ...cloudEvent, ...ping }, body: () => '' },
  },
  {
    ...{ name: 'no watch', alert: 'ZenWatcherInformerNotSynced', args: ['falco'], isFunction: true },
    ...{ times: 1, path: '/health', body: () => '' },
  },
  {
    ...{ name: 'duplicates', alert: 'ZenWatcherDuplicates', args: local },
    ...{ times: 20, path: '/falco/webhook', body: (index) => (index % 3 === 0 ? other() : again) },
  },
  {
    ...{ name: 'something CRITICAL', alert: 'ZenWatcherCriticalFindings', args: local },
    ...{ times: 1, path: '/falco/webhook', body: () => other('Critical') },
  },
];

let count = 0;
function other(priority = 'Error'): string {
  count += 1;
  return JSON.stringify({ rule: `alert ${count}`, priority, time: '2026-03-01T10:00:00Z' });
}

/** An API server that forbids everything, and what a pod has to sign in with. */
async function startForbidding(): Promise<{ readonly server: Server; readonly environment: Record<string, string> }> {
  const folder = temporaryFolder();
  const certificate = selfSigned(folder);
  writeFileSync(join(folder, 'ca.crt'), certificate.cert);
  writeFileSync(join(folder, 'token'), 'a token');
  const status = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason: 'Forbidden',
    code: 403,
  });
  const server = createServer(certificate, (_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' }).end(status);
  }).listen(0, 'localhost');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const environment = {
    ...{ KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: String(port), SERVICE_ACCOUNT_DIR: folder },
  };
  return { server, environment };
}

describe.skipIf(skipWithout('prometheus', 'what lives shortly is'))(
  'a process that lives shortly',
  {
    timeout: 60_000,
  },
  () => {
    let prometheus: Prometheus;
    let forbidding: Awaited<ReturnType<typeof startForbidding>>;
    const rows: string[] = [];
    const ports = new Map<string, number>();

    beforeAll(async () => {
      forbidding = await startForbidding();
      for (const { name } of faults) for (const one of [name, plainly(name)]) ports.set(one, await freePort());
      const jobs = Object.fromEntries([...ports].map(([name, port]) => [name, `127.0.0.1:${port}`]));
      prometheus = await startPrometheus(jobs, [...alertRules(await loadFunctions(), { scale }), ...plainRules]);
    });

    afterAll(async () => {
      console.log(`| fault | alert | fires after |\n|---|---|---|\n${rows.join('\n')}`);
      await prometheus.stop();
      forbidding.server.close();
      forbidding.server.closeAllConnections();
    });

    const start = (fault: Fault, name: string): Promise<Program> => {
      const port = String(ports.get(name));
      const { isFunction = false } = fault;
      return startProgram({
        args: isFunction ? fault.args : [...fault.args, '--port', port],
        environment: { LOG_LEVEL: 'FATAL', ...(isFunction && { ...forbidding.environment, PORT: port }) },
      });
    };

    const happen = async ({ times, path, headers, body }: Fault, url: string): Promise<void> => {
      const type = { 'content-type': 'application/json', ...headers };
      const posts = Array.from({ length: times }, (_, index) =>
        fetch(url + path, {
          method: path === '/health' ? 'GET' : 'POST',
          headers: type,
          ...(path !== '/health' && { body: body(index) }),
        }),
      );
      for (const response of await Promise.all(posts)) await response.arrayBuffer();
    };
    /** Resolves after a scrape that has begun since: an earlier one may have found nothing counted yet. */
    const isScraped = (name: string) => {
      const since = Date.now() / 1000;
      const scrape = `timestamp(up{job="${name}"}) > ${since} and up{job="${name}"} == 1`;
      return within('a scrape', 10, async () => (await prometheus.query(scrape, 'job')).size || undefined);
    };
    const fires = async (alert: string): Promise<boolean> => prometheus.fires(alert);

    it.each(faults)('and works at once is seen, after its end, by $alert', async (fault) => {
      const started = performance.now();
      const program = await start(fault, fault.name);
      await happen(fault, program.url);
      // What was counted before the first scrape is all that there will ever be.
      await isScraped(fault.name);
      await program.stop();
      await within(`${fault.alert} fires`, 15, async () => (await fires(fault.alert)) || undefined);
      rows.push(`| ${fault.name} | ${fault.alert} | ${((performance.now() - started) / 1000).toFixed(1)} s |`);
    });

    it.each(faults.filter(({ name }) => Object.hasOwn(plain, name)))(
      'is seen by the plain alert of $name if the fault lasts for two scrapes',
      async (fault) => {
        const program = await start(fault, plainly(fault.name));
        const started = performance.now();
        await isScraped(plainly(fault.name));
        await repeatUntil(
          `plain ${fault.name}`,
          15,
          () => happen(fault, program.url),
          () => prometheus.fires(plainly(fault.name), `job="${plainly(fault.name)}"`),
        );
        rows.push(`| ${fault.name} | ${plain[fault.name]} | ${((performance.now() - started) / 1000).toFixed(1)} s |`);
        await program.stop();
      },
    );

    it('is seen by no other alert than that of its fault', async () => {
      for (const alert of ['ZenWatcherObservationsLimit', 'ZenWatcherFindingsKeptOut', 'ZenWatcherDeadLetters']) {
        expect(await fires(alert), alert).toBe(false);
      }
    });
  },
);
