import type { Observation } from '../api/observation.ts';
import { commonSchema } from '../function/settings.ts';
import { sleep } from '../host/sleep.ts';
import { totalOf } from '../view/counts.ts';
import { createEffects } from '../view/effects.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import { type Sort, sortObservations } from '../view/order.ts';
import type { Selection } from '../view/selection.ts';
import { UsageError } from './arguments.ts';
import { type ObservationsArguments, type Place, parseObservationsArguments, usage } from './observations-arguments.ts';
import {
  candidateLines,
  createChangePrinter,
  createCountsPrinter,
  printCounts,
  printEffects,
  printException,
  printList,
  printOne,
} from './observations-printer.ts';
import { endWithReader } from './standard-streams.ts';
import { blaming } from './start-errors.ts';

const watchMilliseconds = 1000;
/** Large, since a page that ends in the middle of one of the API server's makes that read the same one again. */
const pageSize = 5000;
const maxCandidates = 20;

async function openReader({ data, kubeconfig, context }: Place): Promise<ObservationReader> {
  if (kubeconfig !== undefined) {
    const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
    const { connectCluster } = await import('../kubernetes/cluster.ts');
    const credentials = blaming(`--kubeconfig ${kubeconfig}`, () => kubeconfigCredentials(kubeconfig, context));
    return connectCluster({ credentials, sleep, watchNamespace: undefined, defaultTtl: 0, attemptSeconds: 30 }).store;
  }
  const { checkDatabase } = await import('./check-database.ts');
  if (!checkDatabase(data)) {
    throw new Error(`no store in ${data}: start zen-watcher first ("npm start"), or name its folder with --data`);
  }
  const { openEmbeddedReader } = await import('./embedded-store.ts');
  return openEmbeddedReader(data);
}

type One = Extract<ObservationsArguments, { mode: 'one' }>;
type Many = Extract<ObservationsArguments, { mode: 'list' | 'counts' }>;

async function showOne(reader: ObservationReader, { place, name, namespace, output, accept }: One): Promise<void> {
  // A table on a narrow terminal ends names with this mark.
  const text = name.replace(/…$/, '');
  const found = await reader.findByName(text, namespace, maxCandidates + 1);
  const [first, second] = found;
  if (first === undefined) throw new Error(`no Observation has ${text} in its name`);
  if (second === undefined) {
    if (accept === undefined) printOne(first, output);
    else {
      const { SYSTEM_NAMESPACE: systemNamespace } = commonSchema.parse(process.env);
      const { untilAt, ...said } = accept;
      printException(first, { ...said, until: untilAt(Date.now()), systemNamespace });
      // Not on standard output, which is the file.
      process.stderr.write(
        place.kubeconfig === undefined
          ? 'Nothing is accepted yet: save this as a .yaml file in the folder that npm start -- --config FOLDER reads\n'
          : 'Nothing is accepted yet: save this as a file, and kubectl apply -f FILE\n',
      );
    }
    return;
  }
  const shown = found.slice(0, maxCandidates);
  const many = found.length > shown.length ? `more than ${shown.length}` : String(shown.length);
  throw new Error([`${many} Observations have ${text} in their names:`, ...candidateLines(shown)].join('\n'));
}

/** What is selected, in the order in which the store has it, or sorted by it; no more than so many. */
async function* readPages(
  reader: ObservationReader,
  selection: Selection,
  { sort, limit = Number.POSITIVE_INFINITY }: { readonly sort?: Sort; readonly limit?: number | undefined },
): AsyncGenerator<readonly Observation[]> {
  let count = 0;
  let token: string | undefined;
  do {
    const page = await reader.read({
      ...selection,
      ...(sort !== undefined && { sort }),
      limit: Math.min(pageSize, limit - count),
      continue: token,
    });
    count += page.items.length;
    yield page.items;
    token = page.continue;
  } while (token !== undefined && count < limit);
}

async function readSelected(
  reader: ObservationReader,
  selection: Selection,
  { sort, limit }: Many,
): Promise<Observation[]> {
  const isOrdered = reader.sortsAcrossPages;
  const pages = readPages(reader, selection, isOrdered ? { sort, limit } : {});
  const all = (await Array.fromAsync(pages)).flat();
  return isOrdered ? all : sortObservations(all, sort).slice(0, limit);
}

/** Tells how many are left out because they are resolved, or accepted. */
async function tellHidden(reader: ObservationReader, { hidesSettled, selectionAt }: Many): Promise<void> {
  if (!hidesSettled) return;
  const now = Date.now();
  const selection = selectionAt(now);
  const resolved = totalOf(
    await reader.counts({ ...selection, states: ['resolved'], acceptance: undefined }, 'source'),
  );
  const accepted = totalOf(await reader.counts({ ...selection, acceptance: { isAccepted: true, at: now } }, 'source'));
  const hidden = [...(resolved > 0 ? [`${resolved} resolved`] : []), ...(accepted > 0 ? [`${accepted} accepted`] : [])];
  if (hidden.length === 0) return;
  const how = [
    ...(resolved > 0 ? ['--state resolved'] : []),
    ...(accepted > 0 ? ['--accepted'] : []),
    'or --state all',
  ];
  process.stderr.write(`${hidden.join(' and ')} not shown: add ${how.join(', ')}\n`);
}

/** Tells of how many these are the first. */
async function tellRest(shown: number, reader: ObservationReader, { selectionAt, limit }: Many): Promise<void> {
  if (limit === undefined || shown < limit) return;
  const all = totalOf(await reader.counts(selectionAt(Date.now()), 'source'));
  if (all > shown) process.stderr.write(`the first ${shown} of ${all}\n`);
}

/** Calls `show` until the user has had enough. */
async function repeatedly(show: () => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  while (!stopping.signal.aborted) {
    await show();
    await sleep(watchMilliseconds, stopping.signal);
  }
}

async function showCounts(reader: ObservationReader, request: Many): Promise<void> {
  const { selectionAt, by, isWatching } = request;
  const count = () => reader.counts(selectionAt(Date.now()), by);
  if (isWatching) {
    const print = createCountsPrinter(request);
    await repeatedly(async () => print(await count()));
    return;
  }
  printCounts(await count(), request);
  await tellHidden(reader, request);
}

async function showList(reader: ObservationReader, request: Many): Promise<void> {
  const { selectionAt, hidesSettled, output, isWatching } = request;
  if (!isWatching) {
    const selected = await readSelected(reader, selectionAt(Date.now()), request);
    printList(selected, output);
    await tellRest(selected.length, reader, request);
    await tellHidden(reader, request);
    return;
  }
  const printer = createChangePrinter(output, hidesSettled);
  await repeatedly(async () => {
    const now = selectionAt(Date.now());
    printer.print(
      await readSelected(reader, hidesSettled ? { ...now, states: undefined, acceptance: undefined } : now, request),
    );
  });
}

async function showEffects(reader: ObservationReader, request: Many, file: string): Promise<void> {
  const { readFilterFile } = await import('./filter-file.ts');
  const now = Date.now();
  const tried = blaming(`--would-drop ${file}`, () => readFilterFile(file, now));
  const effects = createEffects(tried, now);
  const selection = request.selectionAt(now);
  // As if nothing were accepted yet: what is in the file may be in force already.
  const selected = request.hidesSettled ? { ...selection, acceptance: undefined } : selection;
  for await (const page of readPages(reader, selected, {})) {
    for (const observation of page) effects.add(observation);
  }
  printEffects(effects.all(), request);
}

async function main(): Promise<void> {
  endWithReader('observations');
  const request = parseObservationsArguments(process.argv.slice(2), process.env);
  if (request.mode === 'help') {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const reader = await openReader(request.place);
  if (request.mode === 'one') await showOne(reader, request);
  else if (request.filterFile !== undefined) await showEffects(reader, request, request.filterFile);
  else if (request.mode === 'counts') await showCounts(reader, request);
  else await showList(reader, request);
}

main().catch((error: unknown) => {
  process.stderr.write(`observations: ${error instanceof Error ? error.message : error}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
