// The page uses this, too: it imports nothing that a browser can't run.

/** A change that the annotation `history` tells of. */
export interface HistoryChange {
  readonly time?: string | number | undefined;
  readonly state?: string | undefined;
}

/** As many as the annotation has; older ones are dropped. */
const mostChanges = 10;

/** Milliseconds since 1970; NaN if it is no time. */
export function changeTime(time: string | number | undefined): number {
  return typeof time === 'number' || /^\d+$/.test(time ?? '') ? Number(time) : Date.parse(time ?? '');
}

/**
 * Since when an Observation is in its state, in milliseconds since 1970. That is not what its label `since` says, which also
 * moves when it is accepted or has another severity. The changes are the newest first.
 */
export function stateSince(
  state: string,
  changes: readonly HistoryChange[],
  { created, since }: { readonly created: number; readonly since: number },
): number {
  const before = changes.findIndex((change) => change.state !== state);
  const ofState = before === -1 ? changes : changes.slice(0, before);
  const wasAlwaysOpen = state === 'open' && before === -1 && changes.length < mostChanges;
  if (ofState.length > 0 && wasAlwaysOpen) return created;
  // The latest change is what the label is about.
  return ofState.length > 1 ? changeTime(ofState.at(-1)?.time) : since;
}
