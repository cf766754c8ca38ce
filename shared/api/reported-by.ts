import { escapeUnprintable } from '../finding/printable.ts';

/** Which kind of report a finding comes from, and where those are. */
export interface ReportedBy {
  /** Empty for cluster-scoped reports. */
  readonly namespace: string;
  readonly group: string;
  readonly kind: string;
}

/** As the annotation `reported-by` has it: `<namespace>/<Kind>.<group>`. */
export function formatReportedBy({ namespace, group, kind }: ReportedBy): string {
  return escapeUnprintable(`${namespace}/${kind}${group === '' ? '' : `.${group}`}`);
}

export function parseReportedBy(text: string): ReportedBy | undefined {
  const [, namespace, kind, group = ''] = /^([^/]*)\/([^./]+)(?:\.([^/]+))?$/.exec(text) ?? [];
  return namespace === undefined || kind === undefined ? undefined : { namespace, group, kind };
}
