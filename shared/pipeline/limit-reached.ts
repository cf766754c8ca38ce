import { labels } from '../api/labels.ts';
import { contentHash } from '../finding/canonical-json.ts';
import { type Severity, severities } from '../finding/severity.ts';
import type { Context, LimitReached, ObservationLimit } from '../function/context.ts';
import type { Stored } from '../function/stores.ts';
import { type OperationsReport, operationsFinding } from './operations.ts';
import { faultOf } from './write.ts';
import { changeUnreported, writeSlot } from './write-slot.ts';

const setting = 'MAX_OBSERVATIONS';

/** Of those whose findings are kept out, and of those that hold too many. */
const mostNamespaces = 1000;
const mostNamed = 5;

/** What the limit kept out while some work was done. */
export interface KeptOut {
  isEmpty(): boolean;
  /** Severities of which nothing new is stored. */
  severities(): readonly Severity[];
  /** The namespaces that most of what was kept out is about. */
  namespaces(): readonly string[];
  /** Namespaces that hold too many. */
  full(): readonly string[];
}

/** A context that notes what the limit keeps out. */
export function notingKeptOut<Settings>(context: Context<Settings>): {
  readonly context: Context<Settings>;
  readonly keptOut: KeptOut;
} {
  const kept = new Set<Severity>();
  const counts = new Map<string, number>();
  const full = new Set<string>();
  const note = (reached: LimitReached, namespace: string): void => {
    if ('namespace' in reached) {
      if (full.size < mostNamespaces) full.add(reached.namespace);
      return;
    }
    for (const severity of reached.severities) kept.add(severity);
    if (counts.has(namespace) || counts.size < mostNamespaces) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  };
  const limit: ObservationLimit = {
    ...context.limit,
    async against(namespace, severity, signal) {
      const reached = await context.limit.against(namespace, severity, signal);
      if (reached) note(reached, namespace);
      return reached;
    },
  };
  const keptOut: KeptOut = {
    isEmpty: () => kept.size === 0 && full.size === 0,
    severities: () => severities.filter((severity) => kept.has(severity)),
    namespaces: () =>
      [...counts]
        .sort(([a, some], [b, others]) => others - some || (a < b ? -1 : 1))
        .slice(0, mostNamed)
        .map(([namespace]) => namespace)
        .sort(),
    full: () => [...full].sort(),
  };
  return { context: { ...context, limit }, keptOut };
}

function severityReport(keptOut: KeptOut, maximum: number, detectedAt: string): OperationsReport {
  const words = keptOut.severities();
  const namespaces = keptOut.namespaces();
  const which = words.length === severities.length ? 'no new findings' : `no new findings of ${words.join(', ')}`;
  return {
    eventType: 'limit-reached',
    summary: `${which} are stored: too many Observations for ${setting} (${maximum}); left out in ${namespaces.join(', ')}`,
    identity: { limit: setting },
    details: { limit: setting, maximum, severities: words, namespaces },
    detectedAt,
  };
}

function namespaceReport(namespace: string, maximum: number, detectedAt: string): OperationsReport {
  return {
    eventType: 'limit-reached',
    summary: `no new findings in namespace ${namespace} are stored: it holds a tenth of ${setting} (${maximum}), half of which is used`,
    resource: { apiVersion: 'v1', kind: 'Namespace', name: namespace },
    identity: { limit: setting, namespace },
    details: { limit: setting, maximum, namespace },
    detectedAt,
  };
}

function reportsOf(keptOut: KeptOut, { settings, clock }: Context): readonly OperationsReport[] {
  const { MAX_OBSERVATIONS: maximum } = settings;
  const now = new Date(clock.now()).toISOString();
  return [
    ...(keptOut.severities().length > 0 ? [severityReport(keptOut, maximum, now)] : []),
    ...keptOut.full().map((namespace) => namespaceReport(namespace, maximum, now)),
  ];
}

/** The value of the label `report` of what says that something of a source is kept out. */
export function limitSlot(source: string): string {
  return contentHash({ source, limit: setting });
}

/** Writes what is kept out, which nothing keeps out. Resolves to what is stored, but was not reported. */
async function writeReports(
  source: string,
  reports: readonly OperationsReport[],
  isNeeded: (stored: Stored | undefined) => boolean,
  context: Context,
): Promise<readonly Stored[]> {
  const { store, settings, event, limit } = context;
  const label = limitSlot(source);
  const stored = new Map<string, Stored>();
  const query = { source, slots: [label], namespace: settings.SYSTEM_NAMESPACE };
  for await (const one of store.names(query, event.signal)) stored.set(one.ref.name, one);
  const findings = reports.map((report) => operationsFinding(source, report, context));
  const wanted = new Map(
    findings.filter(({ name }) => isNeeded(stored.get(name))).map((named) => [named.name, named] as const),
  );
  const none = new Map<string, string>();
  const contents = { source, label, stored, wanted, accepted: none, held: none, isHeld: false };
  const unlimited = { ...context, limit: { ...limit, against: async () => undefined } };
  const outcome = await writeSlot({ ...contents, reportOf: () => undefined }, unlimited);
  const fault = faultOf(outcome.unwritten);
  if (fault) throw fault;
  return outcome.unreported;
}

/**
 * Tells that an event's findings were kept out, unless that is told already, at most once a minute. It is over once a
 * pass keeps nothing out.
 */
export async function tellKeptOut(source: string, keptOut: KeptOut, context: Context): Promise<void> {
  const what = JSON.stringify([source, keptOut.severities(), keptOut.full()]);
  if (keptOut.isEmpty() || !context.limit.mayTell(what)) return;
  const isClosed = (stored: Stored | undefined): boolean => stored?.labels[labels.state] !== 'open';
  await writeReports(source, reportsOf(keptOut, context), isClosed, context);
}

/** Keeps open what a pass has kept out, and resolves what it has not. `isTold` tells whether there is anything to resolve. */
export async function settleKeptOut(
  source: string,
  keptOut: KeptOut,
  isTold: boolean,
  context: Context,
): Promise<void> {
  if (keptOut.isEmpty() && !isTold) return;
  const unreported = await writeReports(source, reportsOf(keptOut, context), () => true, context);
  for (const one of unreported) await changeUnreported(one, 'mended', context);
}
