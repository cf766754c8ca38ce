import { type CloudEvent, isPing } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { FunctionDefinition, RawRequest } from '../function/function-definition.ts';
import { Refusal } from '../function/refusal.ts';
import { emptySummary, type Summary } from '../function/summary.ts';
import { continueTrace, traceIdOf } from '../function/trace-context.ts';
import type { Log, LogFields } from './log.ts';
import type { Metrics } from './metrics.ts';
import { takesDeadLetters } from './routes.ts';

/** A function with everything that it needs from outside but what belongs to one event. */
export interface Hosted {
  readonly definition: FunctionDefinition;
  readonly context: Omit<Context, 'signal' | 'correlationId'>;
}

export interface Dispatcher {
  /** Resolves when everything derived from the event is stored; throws a Refusal, and nothing else, if not. */
  handle(hosted: Hosted, event: CloudEvent, signal: AbortSignal): Promise<void>;
  receive(hosted: Hosted, request: RawRequest, signal: AbortSignal): Promise<void>;
}

/** The trace where the sender says one, else the event's id. */
export function correlationIdOf({ id, extensions }: CloudEvent): string {
  return traceIdOf(extensions.traceparent) ?? id;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function fieldsOf(summary: Summary): LogFields {
  const counts: Record<string, number> = {
    observed: summary.observed,
    created: summary.created.reduce((sum, { count }) => sum + count, 0),
    duplicate: summary.duplicate,
    unchanged: summary.unchanged,
    filtered: total(summary.filtered),
    skipped: total(summary.skipped),
    dropped: summary.dropped,
    deleted: summary.deleted.reduce((sum, { count }) => sum + count, 0),
    ...summary.relabelled,
  };
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** What of a fault's cause may be logged: the words of our own errors, never a message that could quote a body. */
function causeOf(cause: unknown): string | undefined {
  if (typeof cause === 'string') return cause;
  if (!(cause instanceof Error)) return undefined;
  const code = 'code' in cause && typeof cause.code === 'string' ? ` ${cause.code}` : '';
  return `${cause.name}${code}`;
}

/** Where an unexpected fault was thrown; its message stays out of the log, since it could quote a body. */
function placeOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack?.split('\n    at ').slice(1, 4).join(' < ') : undefined;
}

export function createDispatcher(log: Log, metrics: Metrics): Dispatcher {
  async function run(name: string, fields: LogFields, work: () => Promise<Summary>): Promise<void> {
    const started = performance.now();
    let summary = emptySummary;
    try {
      summary = await work();
      log.info({ ...fields, ...fieldsOf(summary), milliseconds: Math.round(performance.now() - started) }, 'handled');
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(503, 'an unexpected fault', { cause: error });
      summary = refusal.summary ?? emptySummary;
      const { status, message: reason, path, cause } = refusal;
      metrics.countError(name, String(status));
      const why = { ...fields, ...fieldsOf(summary), status, reason, path, cause: causeOf(cause) };
      if (refusal === error) log.warn(why, 'refused');
      else log.error({ ...why, at: placeOf(error) }, 'refused');
      throw refusal;
    } finally {
      const seconds = (performance.now() - started) / 1000;
      metrics.countSummary(name, summary);
      metrics.observeDuration(name, seconds);
      if (summary.collection) metrics.observeCollection(seconds);
      for (const warning of summary.warnings) log.warn(fields, warning);
    }
  }

  return {
    async handle({ definition, context }, event, signal) {
      const correlationId = correlationIdOf(event);
      const fields = { operation: event.type, source: definition.name, correlation_id: correlationId };
      await run(definition.name, fields, async () => {
        // Only dead letters may be unreadable: they are about the fact that somebody could not read them.
        if (event.fault && !takesDeadLetters(definition) && !isPing(event)) throw event.fault;
        return definition.handle(event, { ...context, signal, correlationId });
      });
      if (isPing(event)) metrics.countPass(definition.name);
    },

    async receive({ definition, context }, request, signal) {
      const { endpoint } = request;
      const correlationId = continueTrace(request.traceparent).traceId;
      const fields = { operation: 'receive', source: definition.name, correlation_id: correlationId, path: endpoint };
      if (!definition.receive) throw new Refusal(404, 'no such path');
      const receive = definition.receive;
      await run(definition.name, fields, async () => {
        const summary = await receive(request, { ...context, signal, correlationId });
        if (summary.dropped > 0) metrics.countDropped(endpoint, summary.dropped);
        return summary;
      });
    },
  };
}
