import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { sleep } from '../host/sleep.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import { bySeverity } from '../view/table.ts';
import { defaultData, parseCommand, UsageError } from './arguments.ts';
import { takenByNpm } from './npm-flags.ts';
import { createPrinter, type Output, outputs } from './observations-printer.ts';
import { endWithReader } from './standard-streams.ts';

const usage = `Usage: npm run observations -- [options]
  Prints the stored observations, worst first.

Options:
  --source S             from this source only
  --severity S           ${severities.join(', ')}
  -n, --namespace N      in this namespace only
  -o, --output FORMAT    ${outputs.join(', ')}
  -w, --watch            keep printing what is new or has changed
  --data DIR             folder of the embedded store (${defaultData})
  --kubeconfig FILE      read that cluster instead
  --help                 show this`;

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

function outputOf(word: string | undefined): Output {
  const output = outputs.find((one) => one === (word ?? 'table'));
  if (output === undefined) throw new UsageError(`-o takes ${outputs.join(', ')}, not ${word}`, usage);
  return output;
}

function parse(args: readonly string[]) {
  const taken = takenByNpm(process.env, options, 'npm run observations');
  if (taken !== undefined) throw new UsageError(taken, usage);
  const { values } = parseCommand({ args: [...args], options }, usage);
  const severity = values.severity?.toUpperCase();
  if (severity !== undefined && !severities.some((one) => one === severity)) {
    throw new UsageError(`--severity takes ${severities.join(', ')}`, usage);
  }
  if (values.data !== undefined && values.kubeconfig !== undefined) {
    throw new UsageError("--data and --kubeconfig can't be used together", usage);
  }
  return { ...values, severity, output: outputOf(values.output) };
}

type Parsed = ReturnType<typeof parse>;

async function openReader({ kubeconfig, data = defaultData }: Parsed): Promise<ObservationReader> {
  if (kubeconfig !== undefined) {
    const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
    const { connectCluster } = await import('../kubernetes/cluster.ts');
    const credentials = kubeconfigCredentials(kubeconfig);
    return connectCluster({ credentials, sleep, watchNamespace: undefined, defaultTtl: 0, attemptSeconds: 30 }).store;
  }
  const { checkDatabase } = await import('./check-database.ts');
  if (!checkDatabase(data)) {
    throw new Error(`no store in ${data}: start zen-watcher first ("npm start"), or name its folder with --data`);
  }
  const { createEmbeddedStore } = await import('./embedded-store.ts');
  return createEmbeddedStore({ data, now: Date.now, isReadOnly: true });
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

async function main(): Promise<void> {
  endWithReader('observations');
  const parsed = parse(process.argv.slice(2));
  if (parsed.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const reader = await openReader(parsed);
  const print = createPrinter(parsed.output, parsed.watch ?? false);
  print(await readAll(reader, parsed));
  if (!parsed.watch) return;
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  for (;;) {
    await sleep(watchMilliseconds, stopping.signal);
    if (stopping.signal.aborted) return;
    print(await readAll(reader, parsed));
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`observations: ${error instanceof Error ? error.message : error}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
