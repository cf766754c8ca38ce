import { observationOf } from '../api/observation.ts';
import type { Finding } from '../finding/finding.ts';
import { maskSecrets } from '../finding/mask-secrets.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { expiry } from './lifecycle.ts';

export interface Writer {
  /** The function's name: the source of what it writes. */
  readonly source: string;
  readonly hasState: boolean;
}

/** A finding whose Observation the store calls invalid, with the store's reason. */
export interface Invalid {
  readonly finding: NamedFinding;
  readonly refusal: Refusal;
}

function maskDetails(details: Finding['details']): Finding['details'] {
  return Object.fromEntries(Object.entries(details).map(([key, value]) => [key, maskSecrets(value)]));
}

async function createIn(namespace: string, named: NamedFinding, writer: Writer, context: Context) {
  const { settings, clock, event, store } = context;
  const now = clock.now();
  const { finding } = named;
  // Events tell of command lines and requests; reports of what is wrong, where such words are no secrets.
  const mustMask = settings.MASK_SECRETS && !writer.hasState;
  const shown = mustMask ? { ...finding, details: maskDetails(finding.details) } : finding;
  const observation = observationOf(shown, {
    source: writer.source,
    namespace,
    name: named.name,
    subject: writer.hasState ? named.subject : undefined,
    correlationId: event.correlationId,
    ttl: settings.OBSERVATION_TTL_SECONDS,
    expiresAt: expiry(now, writer.hasState, settings),
    now,
  });
  return store.create(observation, event.signal);
}

/** Evidence must not die with its namespace: where that is gone, closing or full, the system namespace takes it. */
async function create(named: NamedFinding, writer: Writer, context: Context): Promise<'created' | 'exists'> {
  const system = context.settings.SYSTEM_NAMESPACE;
  try {
    return await createIn(named.namespace, named, writer, context);
  } catch (error) {
    if (!(error instanceof NamespaceRefusal) || named.namespace === system) throw setUpFault(error);
  }
  try {
    return await createIn(system, named, writer, context);
  } catch (error) {
    throw setUpFault(error);
  }
}

/**
 * Where the system namespace itself can't take it there is nowhere else: somebody must mend that, then it is retried.
 */
function setUpFault(error: unknown): unknown {
  if (!(error instanceof NamespaceRefusal)) return error;
  return new Refusal(503, `the system namespace is ${error.reason}`, { cause: error.cause, retryAfter: 5 });
}

/**
 * Creates what is not known to exist, a few at once. An invalid one does not keep the others from being written; any
 * other fault stops it, and is thrown. Resolves to those that the store calls invalid.
 */
export async function writeFindings(
  findings: readonly NamedFinding[],
  writer: Writer,
  context: Context,
): Promise<readonly Invalid[]> {
  const { known, event } = context;
  const invalid: Invalid[] = [];
  await forEachConcurrently(findings, callsInFlight, async (named) => {
    // A state source has compared with what is stored; only events come again and again within minutes.
    if (!writer.hasState && known.has(named.name)) return event.tally.duplicate();
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
