import { observationOf } from '../api/observation.ts';
import type { Finding } from '../finding/finding.ts';
import { maskSecrets, maskText } from '../finding/mask-secrets.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { expiry } from './lifecycle.ts';

export interface Writer {
  /** The name of the source, as in `spec.source`. */
  readonly source: string;
  /** The slot that reports the findings, if they have a state. */
  readonly slotOf?: ((name: string) => string) | undefined;
}

/** A finding that the store refused as invalid. */
export interface InvalidFinding {
  readonly finding: NamedFinding;
  readonly refusal: Refusal;
}

/** Command lines, requests and what a report shows of a value may hold secrets. */
function maskFinding(finding: Finding): Finding {
  const { summary, remediation, details } = finding;
  return {
    ...finding,
    summary: maskText(summary),
    ...(remediation !== undefined && { remediation: maskText(remediation) }),
    details: Object.fromEntries(Object.entries(details).map(([key, value]) => [key, maskSecrets(value)])),
  };
}

async function createIn(namespace: string, named: NamedFinding, writer: Writer, context: Context) {
  const { settings, clock, controllers, event, store } = context;
  const { finding } = named;
  const shown = settings.MASK_SECRETS ? maskFinding(finding) : finding;
  const slot = writer.slotOf?.(named.name);
  // What has a state is the controller's to mend. Of an event, the Pod that it happened in is what to look at.
  const controller = slot !== undefined && finding.resource ? await controllers.of(finding.resource) : undefined;
  const now = clock.now();
  const observation = observationOf(shown, {
    source: writer.source,
    namespace,
    name: named.name,
    state: slot === undefined ? undefined : { slot, digest: named.digest },
    controller,
    correlationId: event.correlationId,
    ttl: settings.OBSERVATION_TTL_SECONDS,
    expiresAt: expiry(now, slot !== undefined, settings),
    now,
  });
  return store.create(observation, event.signal);
}

/**
 * If the finding's namespace is missing, closing or full, the system namespace takes it: evidence must not be lost with
 * it.
 */
async function create(named: NamedFinding, writer: Writer, context: Context): Promise<'created' | 'exists'> {
  const systemNamespace = context.settings.SYSTEM_NAMESPACE;
  try {
    return await createIn(named.namespace, named, writer, context);
  } catch (error) {
    if (!(error instanceof NamespaceRefusal) || named.namespace === systemNamespace) throw systemNamespaceFault(error);
  }
  try {
    return await createIn(systemNamespace, named, writer, context);
  } catch (error) {
    throw systemNamespaceFault(error);
  }
}

/** If even the system namespace can't take it, the event is retried until somebody has fixed that. */
function systemNamespaceFault(error: unknown): unknown {
  if (!(error instanceof NamespaceRefusal)) return error;
  return new Refusal(503, `the system namespace is ${error.reason}`, { cause: error.cause, retryAfter: 5 });
}

/**
 * Creates Observations of findings, several at a time. Resolves to the findings that the store refused as invalid,
 * which don't keep the others from being written; any other error stops the writing and is thrown.
 */
export async function writeFindings(
  findings: readonly NamedFinding[],
  writer: Writer,
  context: Context,
): Promise<readonly InvalidFinding[]> {
  const { known, event } = context;
  const invalid: InvalidFinding[] = [];
  await forEachConcurrently(findings, callsInFlight, async (named) => {
    // Findings of state sources have been compared with the store already. Only events repeat within minutes.
    if (!writer.slotOf && known.has(named.name)) return event.tally.duplicate();
    try {
      const result = await create(named, writer, context);
      known.add(named.name);
      if (result === 'created') event.tally.created(named.finding.category, named.finding.severity);
      else event.tally.duplicate();
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 422) throw error;
      invalid.push({ finding: named, refusal: error });
    }
  });
  return invalid;
}
