import type { BadRow, Finding, ResourceRef } from '../finding/finding.ts';
import { observationName } from '../finding/name.ts';
import { identityOf } from '../finding/values.ts';
import type { Context } from '../function/context.ts';
import { namedFinding } from './derive.ts';
import { writeFindings } from './write.ts';

/** A finding about zen-watcher itself. It is never filtered. */
export interface OperationsReport {
  readonly eventType: 'undeliverable-event' | 'unreadable-object' | 'invalid-configuration';
  readonly summary: string;
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
    rule: report.eventType,
    summary: report.summary,
    resource: report.resource,
    identity: identityOf(report.identity),
    details: report.details,
    detectedAt: report.detectedAt,
  };
  const named = namedFinding(observationName(source, finding), finding, {
    systemNamespace: context.settings.SYSTEM_NAMESPACE,
  });
  const [invalid] = await writeFindings([named], { source }, context);
  if (invalid) throw invalid.refusal;
}

const maxBadRowsShown = 5;

/** Records the rows of an object that could not be read. */
export function recordBadRows(
  source: string,
  resource: ResourceRef,
  badRows: readonly BadRow[],
  context: Context,
): Promise<void> {
  const shown = badRows.slice(0, maxBadRowsShown).map(({ path, message }) => `${path} ${message}`);
  const rows = badRows.length === 1 ? '1 row' : `${badRows.length} rows`;
  return recordUnreadable(source, resource, `${rows}: ${shown.join('; ')}`, badRows[0]?.path, context);
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
      summary: `${source} can't read ${kind} ${name ?? ''}: ${reason}`,
      resource,
      identity: { object: [apiVersion, kind, namespace, name].join('/'), reason },
      details: { message: reason, field },
      detectedAt: new Date(context.clock.now()).toISOString(),
    },
    context,
  );
}
