import type { Severity } from '../../shared/finding/severity.ts';
import type { Deed } from './deed.ts';
import type { Preset } from './presets.ts';

/**
 * What makes one finding. `act`: each act of a person. `hour`, `day`: a person's, by namespace. `user-hour`: a person's, in
 * all namespaces. `object`: whoever it is by, for as long as it lasts. A machine's have no time in any of them but `object`.
 */
export type Grouping = 'act' | 'hour' | 'day' | 'user-hour' | 'object' | 'user' | 'all';

export interface Verdict {
  readonly severity: Severity;
  /** What was done to what, in the words that follow the actor. */
  readonly text: string;
  /** By default the detection's. */
  readonly by?: Grouping;
  /** By default the detection's name. */
  readonly eventType?: string;
  /** What else tells findings of this detection apart; shown in the details. */
  readonly parts?: Readonly<Record<string, string | undefined>>;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Counts only if no other row matches. */
  readonly isLastResort?: boolean;
}

/** What kube-apiserver must log for a detection, in the words of its Policy. */
export interface LogRule {
  readonly level: 'Metadata' | 'Request' | 'RequestResponse';
  readonly verbs?: readonly string[];
  readonly group?: string;
  /** Plurals, with `/subresource` where that is meant; all of the group if absent. */
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly userGroups?: readonly string[];
}

/** A row of the table. */
export interface Detection {
  /** Also the finding's eventType and rule. */
  readonly name: string;
  /** For the documentation: what it matches, and how bad that is. */
  readonly matches: string;
  readonly severity: string;
  /** https://attack.mitre.org/techniques/ */
  readonly technique: string;
  /** What it sees of the bodies of requests, for the documentation. */
  readonly bodies: string;
  /** The presets whose accounts it leaves alone. */
  readonly exempt: readonly Preset[];
  /** Looks at who: it also judges what was denied, and what the lists of noise leave out. */
  readonly isAboutWho?: true;
  readonly by: Grouping;
  /** What the default Policy logs for it; nothing if absent. */
  readonly logs?: readonly LogRule[];
  judge(deed: Deed): Verdict | undefined;
}

export const changes: readonly string[] = ['create', 'update', 'patch'];
export const deletions: readonly string[] = ['delete', 'deletecollection'];
export const writes: readonly string[] = [...changes, ...deletions];

/** From what nobody but a stranger is told. */
export const ofStrangers: readonly Preset[] = ['system', 'operators', 'deployers'];
