import type { Finding, ResourceRef } from '../finding/finding.ts';
import { observationName, subjectLabel } from '../finding/name.ts';
import { identityOf } from '../finding/values.ts';
import type { Context } from '../function/context.ts';
import { writeFindings } from './write.ts';

/** A finding about zen-watcher itself. It is never filtered. */
export interface OperationsReport {
  readonly eventType: 'undeliverable-event' | 'unreadable-object' | 'invalid-configuration';
  readonly resource?: ResourceRef | undefined;
  readonly identity: Readonly<Record<string, string | undefined>>;
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339: when it happened. */
  readonly detectedAt: string;
}

/** Stores an Observation of category `operations`. Its source is the name of the function that reports it. */
export async function recordOperations(source: string, report: OperationsReport, context: Context): Promise<void> {
  const finding: Finding = {
    category: 'operations',
    severity: 'HIGH',
    eventType: report.eventType,
    resource: report.resource,
    identity: identityOf(report.identity),
    details: report.details,
    detectedAt: report.detectedAt,
  };
  const named = {
    name: observationName(source, finding),
    subject: subjectLabel(source, report.resource),
    namespace: report.resource?.namespace ?? context.settings.SYSTEM_NAMESPACE,
    finding,
  };
  const [invalid] = await writeFindings([named], { source, hasState: false }, context);
  if (invalid) throw invalid.refusal;
}

/** Records an object that a source could not read, or whose finding the store refused, since nothing would retry it. */
export function recordUnreadable(
  source: string,
  resource: ResourceRef,
  reason: string,
  field: unknown,
  context: Context,
): Promise<void> {
  const { apiVersion, kind, namespace, name } = resource;
  return recordOperations(
    source,
    {
      eventType: 'unreadable-object',
      resource,
      identity: { object: [apiVersion, kind, namespace, name].join('/'), reason },
      details: { message: reason, field },
      detectedAt: new Date(context.clock.now()).toISOString(),
    },
    context,
  );
}
