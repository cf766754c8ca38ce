import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal } from '../function/stores.ts';
import { addSummaries, type CreatedCount, type Summary, summaryOf } from '../function/summary.ts';
import { maskSecrets } from '../observation/mask-secrets.ts';
import type { Observation } from '../observation/observation.ts';
import { observationObject } from '../observation/observation-object.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { Derived } from './derive.ts';
import { expiry } from './lifecycle.ts';

export interface Writer {
  /** The function's name: the source of what it writes. */
  readonly source: string;
  readonly hasState: boolean;
}

/** An Observation that the store calls invalid, with the store's reason. */
export interface Invalid {
  readonly derived: Derived;
  readonly refusal: Refusal;
}

export interface Written {
  readonly summary: Summary;
  readonly invalid: readonly Invalid[];
}

function maskDetails(details: Observation['details']): Observation['details'] {
  return Object.fromEntries(Object.entries(details).map(([key, value]) => [key, maskSecrets(value)]));
}

async function createIn(namespace: string, derived: Derived, writer: Writer, context: Context) {
  const { settings, now, correlationId, signal } = context;
  const time = now();
  const { observation } = derived;
  // Events tell of command lines and requests; reports of what is wrong, where such words are no secrets.
  const mustMask = settings.MASK_SECRETS && !writer.hasState;
  const shown = mustMask ? { ...observation, details: maskDetails(observation.details) } : observation;
  const object = observationObject(shown, {
    ...writer,
    namespace,
    name: derived.name,
    subject: writer.hasState ? derived.subject : undefined,
    correlationId,
    ttl: settings.OBSERVATION_TTL_SECONDS,
    expiresAt: expiry(time, writer.hasState, settings),
    now: time,
  });
  return context.store.create(object, signal);
}

/** Evidence must not die with its namespace: where that is gone, closing or full, the system namespace takes it. */
async function create(derived: Derived, writer: Writer, context: Context): Promise<'created' | 'exists'> {
  const system = context.settings.SYSTEM_NAMESPACE;
  try {
    return await createIn(derived.namespace, derived, writer, context);
  } catch (error) {
    if (!(error instanceof NamespaceRefusal) || derived.namespace === system) throw setUpFault(error);
  }
  try {
    return await createIn(system, derived, writer, context);
  } catch (error) {
    throw setUpFault(error);
  }
}

/** Where the system namespace itself can't take it there is nowhere else: somebody must mend that, then it is retried. */
function setUpFault(error: unknown): unknown {
  if (!(error instanceof NamespaceRefusal)) return error;
  return new Refusal(503, `the system namespace is ${error.reason}`, { cause: error.cause, retryAfter: 5 });
}

/**
 * Creates what is not known to exist, a few at once. An invalid one does not keep the others from being written; any
 * other fault stops it, as a Refusal with the Summary of what was written.
 */
export async function writeObservations(all: readonly Derived[], writer: Writer, context: Context): Promise<Written> {
  const invalid: Invalid[] = [];
  const created = new Map<string, CreatedCount>();
  let duplicate = 0;
  const countCreated = ({ category, severity }: Observation): void => {
    const key = `${category} ${severity}`;
    created.set(key, { category, severity, count: (created.get(key)?.count ?? 0) + 1 });
  };
  const summary = (): Summary => summaryOf({ created: [...created.values()], duplicate });
  const write = async (derived: Derived): Promise<void> => {
    // A state source has compared with what is stored; only events come again and again within minutes.
    if (!writer.hasState && context.known.has(derived.name)) {
      duplicate += 1;
      return;
    }
    try {
      const result = await create(derived, writer, context);
      context.known.add(derived.name);
      if (result === 'created') countCreated(derived.observation);
      else duplicate += 1;
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 422) throw error;
      invalid.push({ derived, refusal: error });
    }
  };
  try {
    await forEachConcurrently(all, callsInFlight, write);
  } catch (error) {
    throw withSummary(error, summary());
  }
  return { summary: summary(), invalid };
}

/** The same fault, with what was done before it. */
export function withSummary(error: unknown, done: Summary): Refusal {
  const refusal = error instanceof Refusal ? error : new Refusal(503, 'an unexpected fault', { cause: error });
  const summary = refusal.summary ? addSummaries(done, refusal.summary) : done;
  const { status, message, path, retryAfter, cause } = refusal;
  return new Refusal(status, message, { path, retryAfter, cause, summary });
}
