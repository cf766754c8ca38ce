import * as z from 'zod';
import { apiServerSources } from '../../shared/api/knative-kinds.ts';
import { retry } from '../../shared/function/backoff.ts';
import { pingOf } from '../../shared/function/cloud-event.ts';
import type { Context, FunctionInfo } from '../../shared/function/context.ts';
import { Refusal } from '../../shared/function/refusal.ts';

/** An ApiServerSource that was just created or changed, and the function that it wakes. */
export interface ChangedSource {
  readonly name: string;
  readonly info: FunctionInfo;
}

/** A pass may take as long as Knative lets a request run. */
const pingMilliseconds = 590_000;

/** An adapter is there within seconds, unless its image has to be pulled or the cluster is full. */
const polls = 60;
const pollMilliseconds = 2000;

/** What collects garbage, and counts what there is. */
const collector = 'gc';

/**
 * An ApiServerSource does not report what existed before its adapter watched. So its function is pinged at once, for the
 * first findings, and again once the adapter watches, for what came meanwhile. The collector follows, so that its metrics
 * are there within minutes of an installation.
 */
export async function findFirst(changed: readonly ChangedSource[], context: Context): Promise<void> {
  const byFunction = Map.groupBy(changed, ({ info }) => info);
  context.event.tally.observed(byFunction.size);
  if (byFunction.size === 0) return;
  await Promise.all(
    [...byFunction].map(async ([info, sources]) => {
      await pingOrWarn(info, 'its pass runs at the next interval', context);
      const names = new Set(sources.map(({ name }) => name));
      if (await areReady(names, context)) await pingOrWarn(info, 'what came meanwhile is found by its pass', context);
      else
        context.event.tally.warning(
          `${[...names].join(', ')}: not ready yet, so only ${info.name}'s pass sees changes`,
        );
    }),
  );
  const info = context.functions.find(({ name }) => name === collector);
  if (info) await pingOrWarn(info, 'it runs at the next interval', context);
}

const statusSchema = z.object({
  metadata: z.object({ name: z.string(), generation: z.number().optional() }),
  status: z.object({
    observedGeneration: z.number().optional(),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })),
  }),
});

/** Whether Knative says so of the object as it is now, and not as it was before it changed. */
function isReady(source: unknown): boolean {
  const { data } = statusSchema.safeParse(source);
  if (!data) return false;
  const isCurrent = data.status.observedGeneration === data.metadata.generation;
  return isCurrent && data.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

/** Waits until these sources are ready; resolves to whether they are, within two minutes and the event's deadline. */
async function areReady(names: ReadonlySet<string>, context: Context): Promise<boolean> {
  const { cluster, clock, settings, event } = context;
  for (let poll = 0; poll < polls && !event.signal.aborted; poll += 1) {
    if (poll > 0) await clock.sleep(pollMilliseconds, event.signal);
    const ready = new Set<string>();
    for await (const source of cluster.objects.list(apiServerSources, settings.SYSTEM_NAMESPACE, event.signal)) {
      if (isReady(source)) ready.add(source.metadata.name);
    }
    if (names.isSubsetOf(ready)) return true;
  }
  return false;
}

async function pingOrWarn(info: FunctionInfo, otherwise: string, context: Context): Promise<void> {
  if (await ping(info, context)) return;
  context.event.tally.warning(`${info.name} did not take its first ping: ${otherwise}`);
}

/**
 * Pings a function, with a few attempts, since it may take seconds to start; resolves to whether it has taken the ping.
 */
async function ping({ name, url }: FunctionInfo, { broker, clock, settings, event }: Context): Promise<boolean> {
  const attempt = async (): Promise<void> => {
    const sent = pingOf(name, settings.SYSTEM_NAMESPACE, clock.now());
    const status = await broker.sendTo(url, sent, event.signal, pingMilliseconds);
    if (status < 200 || status >= 300) throw new Refusal(503, 'the function did not take the ping');
  };
  const options = { first: 1000, longest: 8000, attempts: 5, sleep: clock.sleep, signal: event.signal };
  return retry(attempt, options).then(
    () => true,
    () => false,
  );
}
