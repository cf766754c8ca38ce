import { workloadKey } from '../finding/workload.ts';
import { isAccepted } from './acceptance.ts';
import { group } from './group.ts';
import { labels } from './labels.ts';
import type { Observation } from './observation.ts';
import type { Told } from './told.ts';

/** What may have changed of an Observation, in the types of the events that say so. */
export const changes = ['opened', 'reopened', 'changed', 'accepted', 'missing', 'resolved'] as const;

export type ChangeKind = (typeof changes)[number];

/** What the types of all announcements begin with, and those of no other events. */
export const announcementPrefix = 'io.kube-zen.observation.';

/** The type of the event that says that something is to be told. It is a hint: nothing depends on it. */
export const dueEventType = 'io.kube-zen.outbox.due.v1';

export function announcementType(change: ChangeKind): string {
  return `${announcementPrefix}${change}.v1`;
}

/** `undefined` if the type is no announcement's. */
export function changeOfType(type: string): ChangeKind | undefined {
  return changes.find((change) => announcementType(change) === type);
}

/**
 * What has changed since something was told last. `isAcceptedNow` says whether its acceptance holds at the moment. Where
 * nothing has but the time, it went and came again: that is told as what it is now.
 */
export function changeSince(told: Told | undefined, now: Told, isAcceptedNow: boolean): ChangeKind {
  const isNewlyAccepted = isAcceptedNow && told?.accepted !== now.accepted;
  if (now.state === 'missing' || now.state === 'resolved') {
    return isNewlyAccepted && told?.state === now.state ? 'accepted' : now.state;
  }
  if (isNewlyAccepted) return 'accepted';
  if (told === undefined) return 'opened';
  if (told.state !== 'open' || (told.accepted !== '' && !isAcceptedNow)) return isAcceptedNow ? 'accepted' : 'reopened';
  if (told.severity !== now.severity) return 'changed';
  return isAcceptedNow ? 'accepted' : 'opened';
}

/** Whether somebody should mend it at `now` (milliseconds since 1970): it is open, or an event, and nobody has accepted it. */
export function isOpen({ metadata }: Pick<Observation, 'metadata'>, now: number): boolean {
  const state = metadata.labels[labels.state] ?? 'open';
  return state === 'open' && !isAccepted(metadata.labels, now);
}

/** The path of an Observation at the API server. */
export function apiPathOf({ metadata: { namespace, name } }: Pick<Observation, 'metadata'>): string {
  return `/apis/${group}/v1/namespaces/${namespace}/observations/${name}`;
}

/** Words of people for what `workloadKey` calls them. */
const workloadWords: Readonly<Record<string, string>> = {
  rollout: 'deployment',
  cron: 'cronjob',
  stateful: 'statefulset',
};

/** The workload that an Observation is about, as `deployment/web`; `undefined` if it is about none. */
export function workloadText({ spec: { resource } }: Pick<Observation, 'spec'>): string | undefined {
  if (!resource) return undefined;
  const { kind, name } = workloadKey(resource);
  const word = kind === 'set' ? resource.kind : (workloadWords[kind] ?? kind);
  return name === undefined ? undefined : `${word.toLowerCase()}/${name}`;
}

/** The namespace of what an Observation is about. */
export function affectedNamespace({ metadata }: Pick<Observation, 'metadata'>): string {
  return metadata.labels[labels.namespace] ?? metadata.namespace;
}

/** Where a person sees an Observation. */
export function pageOf({ metadata: { namespace, name } }: Pick<Observation, 'metadata'>, page: string): string {
  return `${page.replace(/\/$/, '')}/?${new URLSearchParams({ finding: `${namespace}/${name}` })}`;
}
