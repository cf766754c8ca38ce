import { contentHash } from '../finding/canonical-json.ts';
import type { ResourceRef } from '../finding/finding.ts';
import type { Context } from '../function/context.ts';
import type { Stored } from '../function/stores.ts';
import { type OperationsReport, operationsFinding } from './operations.ts';
import { faultOf } from './write.ts';
import { changeUnreported, writeSlot } from './write-slot.ts';

/** The value of the label `report` of what is said about an object. */
export function operationsSlot(source: string, { kind, namespace, name }: ResourceRef): string {
  return contentHash({ source, object: { kind, namespace, name } });
}

/**
 * Keeps open what is wrong with an object now, and resolves what was wrong with it before: once it has been mended, or is
 * gone, there are no more reports.
 */
export async function settleOperations(
  source: string,
  about: ResourceRef,
  reports: readonly OperationsReport[],
  context: Context,
): Promise<void> {
  const { store, settings, event } = context;
  const label = operationsSlot(source, about);
  const stored = new Map<string, Stored>();
  const query = { source, slots: [label], namespace: about.namespace ?? settings.SYSTEM_NAMESPACE };
  for await (const one of store.names(query, event.signal)) stored.set(one.ref.name, one);
  const findings = reports.map((report) => operationsFinding(source, report, context));
  const wanted = new Map(findings.map((named) => [named.name, named]));
  const accepted = new Map<string, string>();
  const contents = {
    source,
    label,
    stored,
    wanted,
    accepted,
    held: new Map(),
    isHeld: false,
    reportOf: () => undefined,
  };
  const { unreported, unwritten } = await writeSlot(contents, context);
  for (const one of unreported) await changeUnreported(one, 'mended', context);
  const fault = faultOf(unwritten);
  if (fault) throw fault;
}
