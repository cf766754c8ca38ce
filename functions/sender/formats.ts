import { affectedNamespace, announcementType, apiPathOf, pageOf, workloadText } from '../../shared/api/announcement.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { markOf, ownMark, ownMarkAttribute } from '../../shared/api/own-mark.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { Change, SinkMessage } from '../../shared/function/definitions.ts';
import type { CommonSettings } from '../../shared/function/settings.ts';

export const formatNames = ['json', 'jsonl', 'slack', 'teams', 'cloudevent'] as const;

type Format = (observation: Observation, change: Change, settings: CommonSettings) => SinkMessage;

const json = 'application/json';

/** What a receiver of plain JSON reads: the change, and the whole Observation. */
export function recordOf(observation: Observation, { kind, id, time }: Change, settings: CommonSettings) {
  return {
    [ownMark]: markOf(observation),
    change: kind,
    id,
    time,
    cluster: settings.CLUSTER_NAME || undefined,
    namespace: affectedNamespace(observation),
    workload: workloadText(observation),
    page: settings.PAGE_URL && pageOf(observation, settings.PAGE_URL),
    observation,
  };
}

const icons: Readonly<Record<Severity, string>> = {
  CRITICAL: ':red_circle:',
  HIGH: ':large_orange_circle:',
  MEDIUM: ':large_yellow_circle:',
  LOW: ':large_blue_circle:',
  UNKNOWN: ':white_circle:',
};

/** What a person reads first, as plain text. */
function titleOf({ spec }: Observation, { kind }: Change): string {
  return `${spec.severity} ${kind}: ${spec.summary ?? spec.eventType}`;
}

function placeOf(observation: Observation, settings: CommonSettings): string {
  const parts = [settings.CLUSTER_NAME, affectedNamespace(observation), workloadText(observation)];
  return [...parts, observation.spec.source, observation.spec.rule].filter(Boolean).join(' · ');
}

/** https://docs.slack.dev/reference/surfaces/formatting: what a tool says must not become a mention or a link. */
function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Fields of our own would be refused. */
function slack(observation: Observation, change: Change, settings: CommonSettings): SinkMessage {
  const { spec } = observation;
  const title = slackText(titleOf(observation, change));
  const lines = [`${icons[spec.severity]} *${title}*`, slackText(placeOf(observation, settings))];
  const advice = spec.remediation === undefined ? [] : [slackText(spec.remediation)];
  const link = settings.PAGE_URL === undefined ? [] : [`<${pageOf(observation, settings.PAGE_URL)}|details>`];
  const text = { type: 'mrkdwn', text: [...lines, ...advice, ...link].join('\n') };
  // A block's id is the place for what only programs read.
  const block = { type: 'section', block_id: `${ownMark}=${markOf(observation)}`.slice(0, 255), text };
  return { contentType: json, body: JSON.stringify({ text: title, blocks: [block] }) };
}

/** https://adaptivecards.io/explorer, as workflows in Teams take it. */
function teams(observation: Observation, change: Change, settings: CommonSettings): SinkMessage {
  const { spec } = observation;
  const block = (text: string, more: object = {}) => ({ type: 'TextBlock', text, wrap: true, ...more });
  const content = {
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      block(titleOf(observation, change), { weight: 'Bolder', id: `${ownMark}=${markOf(observation)}` }),
      block(placeOf(observation, settings)),
      ...(spec.remediation === undefined ? [] : [block(spec.remediation)]),
    ],
    ...(settings.PAGE_URL !== undefined && {
      actions: [{ type: 'Action.OpenUrl', title: 'Details', url: pageOf(observation, settings.PAGE_URL) }],
    }),
  };
  const attachments = [{ contentType: 'application/vnd.microsoft.card.adaptive', content }];
  return { contentType: json, body: JSON.stringify({ type: 'message', attachments }) };
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md */
function cloudEvent(observation: Observation, { kind, id, time }: Change, settings: CommonSettings): SinkMessage {
  const event = {
    specversion: '1.0',
    id,
    source: settings.CLUSTER_NAME === '' ? 'zen-watcher' : encodeURI(settings.CLUSTER_NAME),
    type: announcementType(kind),
    subject: apiPathOf(observation),
    time,
    datacontenttype: json,
    [ownMarkAttribute]: markOf(observation),
    data: observation,
  };
  return { contentType: 'application/cloudevents+json', body: JSON.stringify(event) };
}

export const formats: Readonly<Record<(typeof formatNames)[number], Format>> = {
  json: (observation, change, settings) => ({
    contentType: json,
    body: JSON.stringify([recordOf(observation, change, settings)]),
  }),
  jsonl: (observation, change, settings) => ({
    contentType: 'application/x-ndjson',
    body: `${JSON.stringify(recordOf(observation, change, settings))}\n`,
  }),
  slack,
  teams,
  cloudevent: cloudEvent,
};
