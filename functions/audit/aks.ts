import { textAt } from './values.ts';

/** Some exports write an object in a column as its JSON; any other text remains one. */
export function unquoted(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/**
 * A row of the tables AKSAudit and AKSAuditAdmin, as Log Analytics exports it, as the audit event that it was made of;
 * `undefined` for anything else. https://learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit
 */
export function aksEventOf(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | undefined {
  if (textAt(row, 'AuditId') === undefined || row.Stage === undefined) return undefined;
  return {
    kind: 'Event',
    auditID: row.AuditId,
    stage: row.Stage,
    requestURI: row.RequestUri,
    verb: row.Verb,
    user: unquoted(row.User),
    sourceIPs: unquoted(row.SourceIps),
    userAgent: row.UserAgent,
    objectRef: unquoted(row.ObjectRef),
    responseStatus: unquoted(row.ResponseStatus),
    requestReceivedTimestamp: row.RequestReceivedTime,
    stageTimestamp: row.StageReceivedTime,
    annotations: unquoted(row.Annotations),
    requestObject: unquoted(row.RequestObject),
    responseObject: unquoted(row.ResponseObject),
  };
}
