import { type NewObservation, observationOf } from '../api/observation.ts';
import type { ResourceRef } from '../finding/finding.ts';
import { maskFinding } from '../finding/mask-finding.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal } from '../function/stores.ts';
import { withAcceptance } from './acceptance.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { expiry, isAnnounced } from './lifecycle.ts';

export interface Writer {
  /** The name of the source, as in `spec.source`. */
  readonly source: string;
  /** The value of the label `report`, for findings that have a state. */
  readonly slot?: string | undefined;
  /** The value of the annotation `reported-by` of a finding that has a state, by its name. */
  readonly reportedBy?: (name: string) => string | undefined;
  /** Where findings go, if not to the namespace that they belong to. */
  readonly place?: string | undefined;
  /** Whether a name is known to be taken, so that nothing new is written under it. */
  readonly isTaken?: ((name: string) => boolean) | undefined;
  /** Called for each finding that has a state and is not written, since there are too many Observations. */
  readonly onKeptOut?: ((name: string) => void) | undefined;
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
  {
    source,
    slot,
    reportedBy,
    controller,
  }: Pick<Writer, 'source' | 'slot' | 'reportedBy'> & { readonly controller: ResourceRef | undefined },
  { settings, clock, event, announcedFrom }: Context<Settings>,
): NewObservation {
  const now = clock.latest();
  return observationOf(settings.MASK_SECRETS ? maskFinding(named.finding) : named.finding, {
    source,
    namespace,
    name: named.name,
    state: slot === undefined ? undefined : { slot, digest: named.digest, reportedBy: reportedBy?.(named.name) },
    controller,
    correlationId: event.correlationId,
    ttl: settings.OBSERVATION_TTL_SECONDS,
    expiresAt: expiry(now, slot !== undefined, settings),
    now,
    isDue: isAnnounced(named.finding.severity, announcedFrom),
  });
}

export interface Created {
  readonly outcome: 'created' | 'exists';
  readonly namespace: string;
}

async function createIn(namespace: string, named: NamedFinding, writer: Writer, context: Context): Promise<Created> {
  const { slot } = writer;
  const controller = slot === undefined ? undefined : await controllerOf(named, context);
  const shaped = shape(named, namespace, { ...writer, controller }, context);
  const about = { namespace: named.namespace, hasState: slot !== undefined };
  const observation = withAcceptance(shaped, about, context);
  const outcome = await context.store.create(observation, context.event.signal);
  return { outcome, namespace };
}

/**
 * Whether it is this one Observation that can't be written where it is: its namespace can't take it, or it would be
 * invalid. Any other fault is everybody's.
 */
export function concernsOne(error: unknown): error is NamespaceRefusal | Refusal {
  return error instanceof NamespaceRefusal || (error instanceof Refusal && error.status === 422);
}

/**
 * Does something in a namespace that may refuse it, which is said once for each namespace and reason, and stops nothing
 * else.
 */
export async function unlessRefused(
  namespace: string | undefined,
  { event }: Pick<Context, 'event'>,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!concernsOne(error)) throw error;
    event.tally.warning(refusedBy(namespace, error));
  }
}

function refusedBy(namespace: string | undefined, { message, cause }: NamespaceRefusal | Refusal): string {
  return `namespace ${namespace}: ${typeof cause === 'string' ? `${message}: ${cause}` : message}`;
}

/**
 * If the finding's namespace is missing, closing or full, or denies it, the system namespace takes it: evidence must not
 * be lost with it. What is invalid may have been made so by a webhook of the namespace.
 */
async function create(named: NamedFinding, writer: Writer, context: Context): Promise<Created> {
  const systemNamespace = context.settings.SYSTEM_NAMESPACE;
  const place = writer.place ?? named.namespace;
  if (place === systemNamespace) return createIn(place, named, writer, context);
  try {
    return await createIn(place, named, writer, context);
  } catch (error) {
    if (!concernsOne(error)) throw error;
    const created = await createIn(systemNamespace, named, writer, context);
    // Who looks for it where it belongs must learn why it is not there.
    context.event.tally.warning(`${refusedBy(place, error)}, so ${systemNamespace} has it`);
    return created;
  }
}

/** Even the system namespace, the last resort, can't take something: that is retried until somebody has fixed it. */
export class LastRefusal extends Refusal {}

export function systemNamespaceFault({ reason, cause }: NamespaceRefusal): Refusal {
  const fault = reason === 'denying' ? 'denies it' : `is ${reason}`;
  return new LastRefusal(503, `the system namespace ${fault}`, { cause, retryAfter: 5 });
}

/** What could not be written, which kept nothing else from being written. */
export interface Unwritten {
  /** Findings that the store refused as invalid. */
  readonly invalid: readonly InvalidFinding[];
  /** Why the system namespace, which was the last resort, did not take others. */
  readonly refusals: readonly Refusal[];
}

/** Why something was not written, if anything was not: the fault that a retry may mend first. */
export function faultOf({ invalid: [invalid], refusals: [refusal] }: Unwritten): Refusal | undefined {
  return refusal ?? invalid?.refusal;
}

/** Where an Observation is that was stored before; `undefined` if it isn't known, or is gone. */
async function placeOfKnown(name: string, { known, store, event }: Context): Promise<string | undefined> {
  const found = known.find(name);
  if (!found || found.isRecent) return found?.namespace;
  if ((await store.find(found.namespace, name, event.signal)) === undefined) return undefined;
  known.add(name, found.namespace);
  return found.namespace;
}

/** Creates the Observation of a finding, unless it is known to exist. */
async function writeFinding(named: NamedFinding, writer: Writer, context: Context): Promise<void> {
  const { known, limit, event } = context;
  const hasState = writer.slot !== undefined;
  // Findings of state sources have been compared with the store already. Only events repeat within minutes.
  const place = hasState ? undefined : await placeOfKnown(named.name, context);
  if (place !== undefined) {
    writer.onStored?.(named, { outcome: 'exists', namespace: place });
    return event.tally.duplicate();
  }
  if (hasState && (await isKeptOut(named, writer, context))) return;
  const created = await create(named, writer, context);
  const { outcome, namespace } = created;
  if (!hasState) known.add(named.name, namespace);
  writer.onStored?.(named, created);
  if (outcome === 'exists') {
    event.tally.duplicate();
    return writer.onExists?.(named, namespace);
  }
  const { category, severity, rule } = named.finding;
  event.tally.created(category, severity, rule);
  if (isAnnounced(severity, context.announcedFrom)) event.tally.due();
  limit.created(named.namespace, namespace);
}

/** Whether the limit keeps a new finding out. That is counted. */
async function isKeptOut(named: NamedFinding, { isTaken, onKeptOut }: Writer, context: Context): Promise<boolean> {
  const { limit, event } = context;
  if (isTaken?.(named.name)) return false;
  const reached = await limit.against(named.namespace, named.finding.severity, event.signal);
  if (reached === undefined) return false;
  event.tally.filtered('limit');
  onKeptOut?.(named.name);
  return true;
}

/** Creates Observations of findings, several at a time. Any error that isn't one finding's own stops that. */
export async function writeFindings(
  findings: readonly NamedFinding[],
  writer: Writer,
  context: Context,
): Promise<Unwritten> {
  const invalid: InvalidFinding[] = [];
  const refusals: Refusal[] = [];
  await forEachConcurrently(findings, callsInFlight, async (named) => {
    try {
      await writeFinding(named, writer, context);
    } catch (error) {
      if (!concernsOne(error)) throw error;
      if (error instanceof Refusal) invalid.push({ finding: named, refusal: error });
      else refusals.push(systemNamespaceFault(error));
    }
  });
  return { invalid, refusals };
}
