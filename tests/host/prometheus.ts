import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AlertRule, ruleGroups } from '../../knative/generator/alerts.ts';
import { freePort } from '../bench/measure.ts';
import { atEnd } from './at-end.ts';
import { temporaryFolder, within } from './program.ts';

export interface Prometheus {
  /** The values of a query by one label; none while Prometheus is not up. */
  query(text: string, label: string): Promise<Map<string, number>>;
  /** Whether an alert fires, with labels as PromQL writes them: `source="gc"`. */
  fires(alert: string, labels?: string): Promise<boolean>;
  /** What the last scrape of a job came to grief with; empty if it did not. */
  scrapeError(job: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

/** A real Prometheus that scrapes each job's `<host>:<port>` and evaluates the rules, both every second. */
export async function startPrometheus(
  jobs: Readonly<Record<string, string>>,
  rules: readonly AlertRule[],
): Promise<Prometheus> {
  const folder = temporaryFolder();
  const [ruleFile, file] = [join(folder, 'rules.json'), join(folder, 'prometheus.json')];
  writeFileSync(ruleFile, JSON.stringify(ruleGroups(rules, '1s')));
  const scrapes = Object.entries(jobs).map(([name, target]) => ({
    job_name: name,
    static_configs: [{ targets: [target] }],
  }));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [ruleFile],
    scrape_configs: scrapes,
  };
  writeFileSync(file, JSON.stringify(config));
  const port = await freePort();
  const api = `http://127.0.0.1:${port}/api/v1`;
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'tsdb')}`];
  const child = spawn('prometheus', [...args, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
  const hasEnded = atEnd(() => child.kill('SIGKILL'));

  const query: Prometheus['query'] = async (text, label) => {
    const response = await fetch(`${api}/query?query=${encodeURIComponent(text)}`).catch(() => undefined);
    if (!response?.ok) return new Map();
    const answer: { data: { result: { metric: Record<string, string>; value: [number, string] }[] } } = JSON.parse(
      await response.text(),
    );
    return new Map(answer.data.result.map(({ metric, value }) => [metric[label] ?? '', Number(value[1])]));
  };
  return {
    query,
    async fires(alert, labels = '') {
      const selector = [`alertname="${alert}"`, 'alertstate="firing"', labels].filter((part) => part !== '').join(',');
      return (await query(`ALERTS{${selector}}`, 'alertname')).size > 0;
    },
    async scrapeError(job) {
      const response = await fetch(`${api}/targets`);
      const { data }: { data: { activeTargets: { scrapePool: string; lastError: string }[] } } = JSON.parse(
        await response.text(),
      );
      return data.activeTargets.find(({ scrapePool }) => scrapePool === job)?.lastError;
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      hasEnded();
    },
  };
}

/** Does something ten times a second until something is so, for at most five times as many seconds. */
export async function repeatUntil(
  what: string,
  seconds: number,
  action: () => Promise<unknown>,
  isSo: () => Promise<boolean>,
): Promise<void> {
  let isOver = false;
  const repeated = (async () => {
    while (!isOver) {
      await action();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    await within(what, seconds, async () => (await isSo()) || undefined);
  } finally {
    isOver = true;
    await repeated;
  }
}
