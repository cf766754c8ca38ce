import { type NewObservation, observationOf } from '../api/observation.ts';
import type { ResourceRef } from '../finding/finding.ts';
import { maskFinding } from '../finding/mask-finding.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { expiry } from './lifecycle.ts';

export interface Writer {
  /** The name of the source, as in `spec.source`. */
  readonly source: string;
  /** The value of the label `report`, for findings that have a state. */
  readonly slot?: string | undefined;
  /** Called when a name is taken, in the namespace where it is. */
  readonly onExists?: (named: NamedFinding, namespace: string) => Promise<void>;
  /** Called for each finding that is in the store, whether it was before or not. */
  readonly onStored?: (named: NamedFinding, stored: Created) => void;
}

/** A finding that the store refused as invalid. */
export interface InvalidFinding {
  readonly finding: NamedFinding;
  readonly refusal: Refusal;
}

/**
 * What is shown in place of the resource of a finding that has a state, since it is the controller's to mend; `undefined`
 * if that can't be found out. Of an event, the Pod that it happened in is what to look at.
 */
export async function controllerOf<Settings>(
  { finding: { resource } }: NamedFinding,
  { controllers }: Context<Settings>,
): Promise<ResourceRef | undefined> {
  return resource && controllers.of(resource);
}

/** A finding in the form in which it is stored. */
export function shape<Settings>(
  named: NamedFinding,
  namespace: string,
  { source, slot, controller }: Pick<Writer, 'source' | 'slot'> & { readonly controller: ResourceRef | undefined },
  { settings, clock, event }: Context<Settings>,
): NewObservation {
  const now = clock.now();
  return observationOf(settings.MASK_SECRETS ? maskFinding(named.finding) : named.finding, {
    source,
    namespace,
    name: named.name,
    state: slot === undefined ? undefined : { slot, digest: named.digest },
    controller,
    correlationId: event.correlationId,
    ttl: settings.OBSERVATION_TTL_SECONDS,
    expiresAt: expiry(now, slot !== undefined, settings),
    now,
  });
}

export interface Created {
  readonly outcome: 'created' | 'exists';
  readonly namespace: string;
}

async function createIn(namespace: string, named: NamedFinding, writer: Writer, context: Context): Promise<Created> {
  const { source, slot } = writer;
  const controller = slot === undefined ? undefined : await controllerOf(named, context);
  const observation = shape(named, namespace, { source, slot, controller }, context);
  const outcome = await context.store.create(observation, context.event.signal);
  return { outcome, namespace };
}

/**
 * If the finding's namespace is missing, closing or full, the system namespace takes it: evidence must not be lost with
 * it.
 */
async function create(named: NamedFinding, writer: Writer, context: Context): Promise<Created> {
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
  const hasState = writer.slot !== undefined;
  await forEachConcurrently(findings, callsInFlight, async (named) => {
    // Findings of state sources have been compared with the store already. Only events repeat within minutes.
    const place = hasState ? undefined : known.namespaceOf(named.name);
    if (place !== undefined) {
      writer.onStored?.(named, { outcome: 'exists', namespace: place });
      return event.tally.duplicate();
    }
    try {
      const created = await create(named, writer, context);
      const { outcome, namespace } = created;
      if (!hasState) known.add(named.name, namespace);
      writer.onStored?.(named, created);
      if (outcome === 'created')
        event.tally.created(named.finding.category, named.finding.severity, named.finding.rule);
      else event.tally.duplicate();
      if (outcome === 'exists') await writer.onExists?.(named, namespace);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 422) throw error;
      invalid.push({ finding: named, refusal: error });
    }
  });
  return invalid;
}
