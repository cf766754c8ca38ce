import * as z from 'zod';
import type { Condition } from '../shared/api/condition.ts';
import { group } from '../shared/api/group.ts';
import { observationExceptions } from '../shared/api/observation-exception.ts';
import { isPing } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { boundLabel, type CountRow } from '../shared/function/count-rows.ts';
import { defineTask } from '../shared/function/definitions.ts';
import type { KubernetesObject } from '../shared/function/stores.ts';
import { objects } from '../shared/function/triggers.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { currentCondition, failing, setConditions } from '../shared/pipeline/conditions.ts';
import { judgeStored } from '../shared/pipeline/judge-stored.ts';
import { listConfiguration } from '../shared/pipeline/list-configuration.ts';
import { acceptedCondition, type Exception, isException, readException } from '../shared/rules/exception.ts';
import { sourceKey } from '../shared/rules/filter.ts';

/** Changes in bursts are handled together. */
const intervalMilliseconds = 1000;

/** Limit for the label of a metric. */
const maxNamespaces = 500;

/**
 * Judges what is stored by the ObservationExceptions: what sources write is marked as accepted when it is written, and
 * what is there already is marked here, when an exception comes or changes. Takes the mark off where the exception has
 * ended, is gone, or matches less. Says in the status of each how much it matches, and whether it is in force.
 */
export default defineTask({
  name: 'exceptions',
  triggers: (settings) => [
    objects([observationExceptions], settings),
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
  ],
  settings: z.object({}),
  // Which of them tell of events, that no exception of a namespace holds for.
  seesOthers: true,
  permissions: [
    // No `create`: it writes nothing new. `record`, since the admission policy asks for it.
    { group, resources: ['observations'], verbs: ['list', 'patch', 'record'] },
    { group, resources: [observationExceptions.plural], verbs: ['list'] },
    { group, resources: [`${observationExceptions.plural}/status`], verbs: ['patch'] },
  ],
  async handle(event, context) {
    const isDone = await context.coalesce(intervalMilliseconds, async () => {
      await judgeAll(isPing(event), context);
      return true;
    });
    if (!isDone) context.event.tally.skipped('coalesced');
  },
});

/** An ObservationException, and what could be made of it. */
interface Judged {
  readonly object: KubernetesObject;
  readonly read: Exception | Condition;
  /** What its expression could not answer, if there is any such thing. */
  readonly failure: string | undefined;
}

async function judgeAll(isPass: boolean, context: Context): Promise<void> {
  const { settings, clock, event } = context;
  const failures = new Map<string, string>();
  const options = {
    settings,
    now: clock.earliest(),
    onFailure(name: string, failure: string): void {
      if (!failures.has(name)) failures.set(name, failure);
      context.expressionErrors.count(observationExceptions);
    },
  };
  const found = await listConfiguration(observationExceptions, context);
  const read = found
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .map((object) => ({ object, read: readException(object, options) }));
  const matched = await judgeStored(
    read.map((one) => one.read).filter((one) => isException(one)),
    context,
  );
  const byNamespace = new Map<string, number>();
  await forEachConcurrently(read, callsInFlight, async ({ object, read: one }) => {
    const { namespace = '', name } = object.metadata;
    const key = `${namespace}/${name}`;
    const count = matched.get(key) ?? 0;
    byNamespace.set(namespace, (byNamespace.get(namespace) ?? 0) + count);
    const conditions = conditionsOf({ object, read: one, failure: failures.get(key) }, { count, isPass }, context);
    await setConditions(observationExceptions, object, conditions, context, { matched: count });
  });
  const rows: CountRow<'namespace'>[] = [...byNamespace].map(([namespace, count]) => ({ namespace, count }));
  event.tally.excepted(boundLabel(rows, 'namespace', maxNamespaces));
}

function condition(type: Condition['type'], isTrue: boolean, reason: string, message = ''): Condition {
  return { type, status: isTrue ? 'True' : 'False', reason, message };
}

/** Whether what it matches of some severities waits for somebody to approve it. */
function pendingCondition(read: Exception | Condition, { settings }: Context): Condition {
  const needed = settings.EXCEPTION_NEEDS_APPROVAL;
  if (!isException(read) || needed.length === 0) return condition('Pending', false, 'NotNeeded');
  const { approvedBy, match } = read.spec;
  if (approvedBy !== undefined) return condition('Pending', false, 'Approved');
  const waiting = needed.filter((one) => match.severities?.includes(one) ?? true);
  if (waiting.length === 0) return condition('Pending', false, 'NotNeeded');
  return condition('Pending', true, 'NeedsApproval', `accepts no ${waiting.join(', ')} before spec.approvedBy is set`);
}

function expiredCondition(read: Exception | Condition, { clock }: Context): Condition {
  if (!isException(read) || read.endsAt > clock.earliest()) return condition('Expired', false, 'NotEnded');
  const message = `accepts nothing since spec.until (${read.spec.until}) has passed`;
  return condition('Expired', true, 'Ended', message);
}

/** Which of the sources that it names tell of events, where it can't hold for those; all such, if it names none. */
function outOfReach(read: Exception | Condition, { settings, functions }: Context) {
  if (!isException(read) || read.namespace === undefined || settings.TENANTS_FILTER_EVENTS) return undefined;
  const ofEvents = functions.filter(({ webhooks }) => webhooks.length > 0).map(({ name }) => name);
  const { sources } = read.spec.match;
  const names = sources
    ? sources.filter((source) => ofEvents.some((name) => sourceKey(name) === sourceKey(source)))
    : ofEvents;
  return { names, isAll: sources !== undefined && names.length === sources.length };
}

/** Whether it has never matched anything, as far as passes have seen; a match stays known until its spec changes. */
function neverMatchedCondition(
  { object, read }: Judged,
  { count, isPass }: { readonly count: number; readonly isPass: boolean },
  context: Context,
): Condition[] {
  const reach = outOfReach(read, context);
  const names = reach?.names.join(' and ');
  const never = `an exception of a namespace never holds for what ${names} tell${reach?.names.length === 1 ? 's' : ''}`;
  const place = `make it in ${context.settings.SYSTEM_NAMESPACE} for that`;
  if (reach?.isAll) return [condition('NeverMatched', true, 'OutOfReach', `${never}: ${place}`)];
  const before = currentCondition(object, 'NeverMatched');
  if (count > 0 || before?.status === 'False') return [condition('NeverMatched', false, 'Matched')];
  // What a pass has said stays.
  if (!isPass) return [];
  const message = 'nothing that is stored has matched so far: is it spelt as the findings are?';
  const more = names ? `; ${never}: ${place}` : '';
  return [condition('NeverMatched', true, 'NothingMatches', message + more)];
}

function conditionsOf(
  judged: Judged,
  seen: { readonly count: number; readonly isPass: boolean },
  context: Context,
): Condition[] {
  const { read, failure } = judged;
  const isFailing = failure !== undefined;
  return [
    acceptedCondition(read),
    isFailing ? failing(`spec.match.expression: ${failure}`) : condition('Failing', false, 'NoFailure'),
    pendingCondition(read, context),
    expiredCondition(read, context),
    ...neverMatchedCondition(judged, seen, context),
  ];
}
