import type { Context } from '../function/context.ts';
import type { Summary } from '../function/summary.ts';
import type { Observation, ResourceRef } from '../observation/observation.ts';
import { observationName, subjectOf } from '../observation/observation-name.ts';
import { identityOf } from '../observation/values.ts';
import { writeObservations } from './write.ts';

/** What zen-watcher has to say about itself. Never filtered. */
export interface OperationsReport {
  readonly eventType: 'undeliverable-event' | 'unreadable-object' | 'invalid-configuration';
  readonly resource?: ResourceRef | undefined;
  readonly identity: Readonly<Record<string, string | undefined>>;
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339. */
  readonly detectedAt: string;
}

/** Stores an Observation of category `operations`, whose source is the function's own name. */
export async function recordOperations(source: string, report: OperationsReport, context: Context): Promise<Summary> {
  const observation: Observation = {
    category: 'operations',
    severity: 'HIGH',
    eventType: report.eventType,
    resource: report.resource,
    identity: identityOf(report.identity),
    details: report.details,
    detectedAt: report.detectedAt,
  };
  const system = context.settings.SYSTEM_NAMESPACE;
  const derived = {
    name: observationName(source, observation),
    subject: subjectOf(source, report.resource),
    namespace: report.resource?.namespace ?? system,
    observation,
  };
  const { summary, invalid } = await writeObservations([derived], { source, hasState: false }, context);
  if (invalid[0]) throw invalid[0].refusal;
  return summary;
}

/** An object that a Kubernetes source could not read, or whose finding the store refused: nobody would retry it. */
export function recordUnreadable(
  source: string,
  resource: ResourceRef,
  reason: string,
  detail: unknown,
  context: Context,
): Promise<Summary> {
  const { apiVersion, kind, namespace, name } = resource;
  return recordOperations(
    source,
    {
      eventType: 'unreadable-object',
      resource,
      identity: { object: [apiVersion, kind, namespace, name].join('/'), reason },
      details: { message: reason, field: detail },
      detectedAt: new Date(context.now()).toISOString(),
    },
    context,
  );
}
