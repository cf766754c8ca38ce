import { isAccepted } from '../../shared/api/acceptance.ts';
import {
  affectedNamespace,
  announcementType,
  apiPathOf,
  changeSince,
  workloadText,
} from '../../shared/api/announcement.ts';
import { toldAnnotation } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { markOf, ownMarkAttribute } from '../../shared/api/own-mark.ts';
import { formatTold, type Told } from '../../shared/api/told.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';

export interface AnnouncementOptions {
  /** What was told last, if anything was. */
  readonly before: Told | undefined;
  /** What is told now. */
  readonly now: Told;
  /** What time it is, in milliseconds since 1970: whether an acceptance holds is judged by it. */
  readonly time: number;
  /** The name of the cluster; may be empty. */
  readonly cluster: string;
}

/** What a Trigger can select by: it sees attributes only. */
function attributesOf(observation: Observation): Record<string, string> {
  const { severity, category, source, rule } = observation.spec;
  const attributes = {
    severity,
    category,
    tool: source,
    rule,
    nspace: affectedNamespace(observation),
    workload: workloadText(observation),
    [ownMarkAttribute]: markOf(observation),
  };
  const given = Object.entries(attributes).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(given);
}

/** The annotation says what was told before, which a receiver may want to close. */
function dataOf(observation: Observation, before: Told | undefined): Observation {
  const { [toldAnnotation]: _told, ...rest } = observation.metadata.annotations;
  const annotations = before ? { ...rest, [toldAnnotation]: formatTold(before) } : rest;
  return { ...observation, metadata: { ...observation.metadata, annotations } };
}

/**
 * The event that tells of an Observation what is true now. Its id is that of the change, so that a redelivery, and what is
 * told again since nobody knows whether it arrived, are the same event.
 */
export function announcementOf(observation: Observation, options: AnnouncementOptions): CloudEvent {
  const { before, now, time, cluster } = options;
  const change = changeSince(before, now, isAccepted(observation.metadata.labels, time));
  const since = Number(now.since);
  return {
    id: `${markOf(observation)}/${now.since}`,
    source: cluster === '' ? 'zen-watcher' : encodeURI(cluster),
    type: announcementType(change),
    subject: apiPathOf(observation),
    time: new Date(Math.abs(since) <= 8.64e15 ? since : time).toISOString(),
    datacontenttype: 'application/json',
    extensions: attributesOf(observation),
    data: dataOf(observation, before),
  };
}
