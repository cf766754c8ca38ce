import { maskText } from '../finding/mask-secrets.ts';
import { oneLine } from '../finding/one-line.ts';
import { type CloudEvent, isPing } from '../function/cloud-event.ts';
import type { EventContext } from '../function/context.ts';
import type { GatewayDefinition, RawRequest } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import { createTally, type Summary } from '../function/tally.ts';
import { continueTrace, traceIdOf } from '../function/trace-context.ts';
import type { BoundFunction, BoundHandler } from './context.ts';
import type { Log, LogFields } from './log.ts';
import { collectingEarly } from './memory.ts';
import type { Metrics } from './metrics.ts';

export interface Dispatcher {
  /** Resolves when everything derived from the event is stored; throws a Refusal, and nothing else, if not. */
  handle(handler: BoundHandler, event: CloudEvent, signal: AbortSignal): Promise<void>;
  receive(gateway: BoundFunction<GatewayDefinition>, request: RawRequest, signal: AbortSignal): Promise<void>;
}

/** Of an id, which may be as long as an event. */
const maxCorrelationId = 256;

/** The sender's trace id if there is one, else the event's id. */
function correlationIdOf({ id, extensions }: CloudEvent): string {
  return traceIdOf(extensions.traceparent) ?? oneLine(id, maxCorrelationId);
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

const maxRuleLength = 120;

function fieldsOf(summary: Summary): LogFields {
  const counts: Record<string, number> = {
    observed: summary.observed,
    created: summary.created.reduce((sum, { count }) => sum + count, 0),
    duplicate: summary.duplicate,
    unchanged: summary.unchanged,
    filtered: total(summary.filtered),
    skipped: total(summary.skipped),
    dropped: summary.dropped,
    due: summary.due,
    deleted: summary.deleted.reduce((sum, { count }) => sum + count, 0),
    ...summary.relabelled,
    ...summary.announced,
  };
  // What a tool calls its rules is its text: it may hold anything.
  const rules = summary.rules.map((rule) => maskText(oneLine(rule, maxRuleLength))).join(', ');
  return {
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ...(rules !== '' && { rules }),
  };
}

/**
 * What may be logged about a fault's cause: our own words, or an error's name and code; its message could quote a body.
 */
function causeOf(cause: unknown): string | undefined {
  if (typeof cause === 'string') return cause;
  if (!(cause instanceof Error)) return undefined;
  const code = 'code' in cause && typeof cause.code === 'string' ? ` ${cause.code}` : '';
  return `${cause.name}${code}`;
}

/** Where an unexpected error was thrown. Its message stays out of the log, since it could quote a body. */
function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack?.split('\n    at ').slice(1, 4).join(' < ') : undefined;
}

/** What is known about the work before it begins. */
interface Job {
  /** The function's name. */
  readonly name: string;
  readonly operation: string;
  readonly correlationId: string;
  readonly signal: AbortSignal;
  /** The trigger's path, if this is a raw request. */
  readonly endpoint?: string;
}

function logRefusal(log: Log, refusal: Refusal, error: unknown, fields: LogFields): void {
  const { status, message: reason, path, cause } = refusal;
  const why = { ...fields, status, reason, path, cause: causeOf(cause) };
  if (refusal.isRepeated) log.debug(why, 'refused');
  else if (refusal === error) log.warn(why, 'refused');
  else log.error({ ...why, at: stackOf(error) }, 'refused');
}

/** Counts what came of the work, whether it succeeded or not. */
function countOutcome(metrics: Metrics, { name, endpoint }: Job, summary: Summary, seconds: number): void {
  metrics.countSummary(name, summary);
  metrics.observeDuration(name, seconds);
  if (summary.collection) metrics.observeCollection(seconds);
  if (endpoint !== undefined && summary.dropped > 0) metrics.countDropped(endpoint, summary.dropped);
}

/** Hands functions their events and requests; logs and counts the outcome, whatever it is. */
export function createDispatcher(log: Log, metrics: Metrics): Dispatcher {
  async function run(job: Job, work: (event: EventContext) => Promise<void>): Promise<void> {
    const { name, operation, correlationId, signal, endpoint } = job;
    const fields = {
      operation,
      source: name,
      correlation_id: correlationId,
      ...(endpoint !== undefined && { path: endpoint }),
    };
    const tally = createTally();
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    try {
      await work({ signal, correlationId, tally });
      log.info({ ...fields, ...fieldsOf(tally.read()), milliseconds: Math.round(seconds() * 1000) }, 'handled');
    } catch (error) {
      const refusal = Refusal.from(error);
      metrics.countError(name, String(refusal.status));
      logRefusal(log, refusal, error, { ...fields, ...fieldsOf(tally.read()) });
      throw refusal;
    } finally {
      const summary = tally.read();
      countOutcome(metrics, job, summary, seconds());
      for (const warning of summary.warnings) log.warn(fields, warning);
    }
  }

  return {
    async handle({ definition, context, hint }, event, signal) {
      const { name } = definition;
      const job = { name, operation: event.type, correlationId: correlationIdOf(event), signal };
      await run(job, async (eventContext) => {
        // Only a dead-letter sink takes unreadable events: that nobody could read them is what it reports.
        if (event.fault && definition.kind !== 'dead-letter-sink' && !isPing(event)) throw event.fault;
        const whole = { ...context, event: eventContext };
        try {
          const handle = (): Promise<void> => definition.handle(event, whole);
          await (isPing(event) ? collectingEarly(handle) : handle());
        } finally {
          await context.expressionErrors.settle(whole);
          // Whatever else failed, this much is stored.
          if (eventContext.tally.read().due > 0) hint();
        }
      });
      if (isPing(event)) metrics.countPass(name);
    },

    async receive({ definition, context }, request, signal) {
      const { endpoint, traceparent } = request;
      const correlationId = continueTrace(traceparent).traceId;
      await run({ name: definition.name, operation: 'receive', correlationId, signal, endpoint }, (event) =>
        definition.receive(request, { ...context, event }),
      );
    },
  };
}
