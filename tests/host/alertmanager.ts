import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { freePort } from '../bench/measure.ts';
import { atEnd } from './at-end.ts';
import { temporaryFolder, until } from './program.ts';
import { skipWithout } from './skip-without.ts';

const command = 'prometheus-alertmanager';

const alertSchema = z.object({
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()),
  endsAt: z.string(),
  startsAt: z.string(),
  generatorURL: z.string().optional(),
  status: z.object({ state: z.string() }),
});

/** An alert as Alertmanager shows it. */
export type ShownAlert = z.infer<typeof alertSchema>;

export interface Alertmanager {
  readonly url: string;
  /** What is active now, by our mark and the severity. */
  active(): Promise<Map<string, ShownAlert>>;
  /** What amtool says of it. */
  tool(...args: string[]): string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** On the same address, with what it had kept. */
  restart(): Promise<void>;
}

export function skipWithoutAlertmanager(): boolean {
  return skipWithout(command, 'Alertmanager') || skipWithout('amtool', 'amtool');
}

/** A real Alertmanager that tells `webhook`, if it is given, at once. */
export async function startAlertmanager(webhook?: string): Promise<Alertmanager> {
  const folder = temporaryFolder();
  const file = join(folder, 'config.json');
  const receiver = {
    name: 'all',
    ...(webhook !== undefined && { webhook_configs: [{ url: webhook, send_resolved: true }] }),
  };
  const waits = { group_wait: '1s', group_interval: '1s', repeat_interval: '1h', group_by: ['alertname'] };
  writeFileSync(file, JSON.stringify({ route: { receiver: 'all', ...waits }, receivers: [receiver] }));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [
    `--config.file=${file}`,
    `--storage.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
    '--data.maintenance-interval=1s',
    '--log.level=error',
  ];
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const started = spawn(command, args, { stdio: 'ignore' });
    child = started;
    const ended = atEnd(() => started.kill('SIGKILL'));
    started.once('exit', ended);
    await until(
      'Alertmanager is ready',
      async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok ?? false,
    );
  }

  await start();
  return {
    url,
    async active() {
      const response = await fetch(`${url}/api/v2/alerts?active=true&silenced=false&inhibited=false`);
      const alerts = z.array(alertSchema).parse(JSON.parse(await response.text()));
      return new Map(
        alerts.map((alert) => [`${alert.labels.zen_kube_zen_io_observation} ${alert.labels.severity}`, alert]),
      );
    },
    tool: (...rest) => execFileSync('amtool', [`--alertmanager.url=${url}`, ...rest], { encoding: 'utf8' }),
    async kill() {
      const gone = child && once(child, 'exit');
      child?.kill('SIGKILL');
      await gone;
    },
    restart: start,
  };
}
