import { groupVersionOf } from '../api/kind-selector.ts';
import { operationsCategory } from '../api/observation.ts';
import type { BadRow, Finding, ResourceRef } from '../finding/finding.ts';
import { observationName } from '../finding/name.ts';
import { identityOf } from '../finding/values.ts';
import type { Context } from '../function/context.ts';
import { type NamedFinding, namedFinding } from './derive.ts';
import { faultOf, writeFindings } from './write.ts';

/** A finding about zen-watcher itself. */
export interface OperationsReport {
  readonly eventType:
    | 'undeliverable-event'
    | 'unreadable-object'
    | 'invalid-configuration'
    | 'limit-reached'
    | 'source-silent';
  readonly summary: string;
  readonly resource?: ResourceRef | undefined;
  readonly identity: Readonly<Record<string, string | undefined>>;
  readonly details: Readonly<Record<string, unknown>>;
  /** RFC 3339: when it happened. */
  readonly detectedAt: string;
}

export function operationsFinding<Settings>(
  source: string,
  report: OperationsReport,
  { settings }: Context<Settings>,
): NamedFinding {
  const finding: Finding = {
    category: operationsCategory,
    severity: 'HIGH',
    eventType: report.eventType,
    rule: report.eventType,
    summary: report.summary,
    resource: report.resource,
    identity: identityOf(report.identity),
    details: report.details,
    detectedAt: report.detectedAt,
  };
  return namedFinding(observationName(source, finding), finding, { systemNamespace: settings.SYSTEM_NAMESPACE });
}

/** Stores an Observation of category `operations`. Its source is the name of the function that reports it. */
export async function recordOperations(source: string, report: OperationsReport, context: Context): Promise<void> {
  const named = operationsFinding(source, report, context);
  const fault = faultOf(await writeFindings([named], { source }, context));
  if (fault) throw fault;
}

export interface Named {
  readonly name: string;
}

/**
 * Says that an object can't be read, or that the store refuses what it says. There is one such finding an object, and it
 * is over once the object has been mended or is gone.
 */
export function unreadableFinding<Settings>(
  source: string,
  resource: ResourceRef & Named,
  reason: string,
  field: string | undefined,
  context: Context<Settings>,
): NamedFinding {
  const { apiVersion, kind, namespace, name } = resource;
  return operationsFinding(
    source,
    {
      eventType: 'unreadable-object',
      summary: `${kind} ${name} can't be read: ${reason}`,
      resource,
      identity: { object: [apiVersion && groupVersionOf(apiVersion).group, kind, namespace, name].join('/') },
      details: { message: reason, field },
      detectedAt: new Date(context.clock.now()).toISOString(),
    },
    context,
  );
}

const maxBadRowsShown = 5;

/** The same for rows of an object. */
export function badRowsFinding<Settings>(
  source: string,
  resource: ResourceRef & Named,
  badRows: readonly [BadRow, ...BadRow[]],
  context: Context<Settings>,
): NamedFinding {
  const shown = badRows.slice(0, maxBadRowsShown).map(({ path, message }) => `${path} ${message}`);
  const rows = badRows.length === 1 ? '1 row' : `${badRows.length} rows`;
  return unreadableFinding(source, resource, `${rows}: ${shown.join('; ')}`, badRows[0].path, context);
}
