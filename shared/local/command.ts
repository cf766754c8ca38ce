import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { sleep } from '../host/sleep.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import { bySeverity, countsOf, tableOf } from '../view/table.ts';
import { UsageError } from './arguments.ts';

const usage = `Usage: npm run observations -- [--data DIR | --kubeconfig FILE] [--source S] [--severity S] [--namespace N]
                                   [--watch] [-o json|yaml|wide|counts]`;

const options = {
  data: { type: 'string' },
  kubeconfig: { type: 'string' },
  source: { type: 'string' },
  severity: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  watch: { type: 'boolean', short: 'w' },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean' },
} as const;

const watchMilliseconds = 1000;
const pageSize = 500;

type Output = 'table' | 'wide' | 'json' | 'yaml' | 'counts';

function outputOf(word: string | undefined): Output {
  if (word === undefined) return 'table';
  if (word === 'json' || word === 'yaml' || word === 'wide' || word === 'counts') return word;
  throw new UsageError(`-o takes json, yaml, wide or counts, not ${word}`, usage);
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({ args: [...args], options });
    const severity = values.severity?.toUpperCase();
    if (severity !== undefined && !severities.some((one) => one === severity)) {
      throw new UsageError(`--severity takes ${severities.join(', ')}`, usage);
    }
    if (values.data !== undefined && values.kubeconfig !== undefined) {
      throw new UsageError('--data and --kubeconfig exclude each other', usage);
    }
    return { ...values, severity, output: outputOf(values.output) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(error instanceof Error ? error.message : String(error), usage);
  }
}

type Parsed = ReturnType<typeof parse>;

async function openReader({ kubeconfig, data = '.data' }: Parsed): Promise<ObservationReader> {
  if (kubeconfig !== undefined) {
    const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
    const { connectCluster } = await import('../kubernetes/cluster.ts');
    const credentials = kubeconfigCredentials(kubeconfig);
    return connectCluster({ credentials, sleep, watchNamespace: undefined, defaultTtl: 0, attemptSeconds: 30 }).store;
  }
  if (!existsSync(data)) {
    throw new UsageError(`no store in ${data}: start zen-watcher first, or name its folder by --data`, usage);
  }
  const { createEmbeddedStore } = await import('./embedded-store.ts');
  return createEmbeddedStore({ data, now: Date.now });
}

async function readAll(reader: ObservationReader, { source, severity, namespace }: Parsed): Promise<Observation[]> {
  const all: Observation[] = [];
  let token: string | undefined;
  do {
    const page = await reader.read({ source, severity, namespace, limit: pageSize, continue: token });
    all.push(...page.items);
    token = page.continue;
  } while (token !== undefined);
  return all.sort(bySeverity);
}

async function print(objects: readonly Observation[], output: Output): Promise<void> {
  if (output === 'json' || output === 'yaml') {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const text = output === 'json' ? JSON.stringify(list, null, 2) : (await import('yaml')).stringify(list);
    process.stdout.write(`${text.trimEnd()}\n`);
  } else if (objects.length === 0) process.stderr.write('No observations found\n');
  else if (output === 'counts') process.stdout.write(`${countsOf(objects).join('\n')}\n`);
  else process.stdout.write(`${tableOf(objects, Date.now(), output === 'wide').join('\n')}\n`);
}

/** Prints what comes or changes after the first table, a line each, as kubectl does. */
async function watch(reader: ObservationReader, parsed: Parsed, first: readonly Observation[]): Promise<void> {
  const keyOf = ({ metadata }: Observation): string =>
    JSON.stringify([metadata.namespace, metadata.name, metadata.labels]);
  let seen = new Set(first.map(keyOf));
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  while (!stopping.signal.aborted) {
    await sleep(watchMilliseconds, stopping.signal);
    const all = await readAll(reader, parsed);
    const changed = all.filter((object) => !seen.has(keyOf(object)));
    seen = new Set(all.map(keyOf));
    const [, ...lines] = tableOf(changed, Date.now(), parsed.output === 'wide');
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  }
}

async function main(): Promise<void> {
  const parsed = parse(process.argv.slice(2));
  if (parsed.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const reader = await openReader(parsed);
  const objects = await readAll(reader, parsed);
  await print(objects, parsed.output);
  if (parsed.watch) await watch(reader, parsed, objects);
}

main().catch((error: unknown) => {
  process.stderr.write(`observations: ${error instanceof Error ? error.message : error}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
