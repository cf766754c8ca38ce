import * as z from 'zod';
import { isAccepted } from '../shared/api/acceptance.ts';
import { affectedNamespace, isOpen, pageOf, workloadText } from '../shared/api/announcement.ts';
import { labels } from '../shared/api/labels.ts';
import type { Observation } from '../shared/api/observation.ts';
import { markOf, ownMarkLabel } from '../shared/api/own-mark.ts';
import { isBelow, type Severity } from '../shared/finding/severity.ts';
import type { SinkMessage, SinkOptions } from '../shared/function/definitions.ts';
import { outsideUrls } from '../shared/function/settings.ts';
import { defineSink } from '../shared/pipeline/sink.ts';

const settingsSchema = z.object({ ALERTMANAGER_URL: outsideUrls.optional() });

type Options = SinkOptions<z.infer<typeof settingsSchema>>;

/** https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: postableAlert */
interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly startsAt?: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

/** What happened is over after this time; nobody says so. */
const eventMilliseconds = 3_600_000;

/** How many of our passes an alert outlives: one may be late, and one may be lost. */
const passes = 3;

/**
 * Tells Prometheus' Alertmanager, which groups, routes, silences and passes on to Slack, PagerDuty, e-mail and others. Each
 * alert ends by itself unless the pass posts it again, since a finding may be deleted without a word. People route by the
 * severity, so it is a label, and an alert with another one is another alert: the old one is closed.
 */
export default defineSink<z.infer<typeof settingsSchema>>({
  name: 'alertmanager',
  settings: settingsSchema,
  ports: [9093, 443],
  receiver: ({ ALERTMANAGER_URL: urls, SINK_TOKEN_FILE: tokenFile, SINK_CA_FILE: caFile }) =>
    urls && { urls, tokenFile, caFile },
  request(observation, { isGone, formerSeverities }, options) {
    const { severity } = observation.spec;
    const isActive = !isGone && isFiring(observation, options);
    const endsAt = isActive ? endOf(observation, true, options) : options.now;
    // What was below the floor all the time was never posted.
    const isKnown = !isBelow(severity, options.floorOf(observation.spec.source));
    return messageOf([
      ...(isActive || isKnown ? [alertOf(observation, severity, endsAt, isActive, options)] : []),
      ...formerSeverities.map((former) => alertOf(observation, former, options.now, false, options)),
    ]);
  },
  refresh(observations, options) {
    const alerts = observations.flatMap((observation) => {
      const endsAt = endOf(observation, false, options);
      const isActive = isFiring(observation, options) && endsAt > options.now;
      if (!isActive && !isLatelyAccepted(observation, options)) return [];
      return [alertOf(observation, observation.spec.severity, isActive ? endsAt : options.now, isActive, options)];
    });
    return messageOf(alerts);
  },
});

function messageOf(alerts: readonly Alert[]): SinkMessage | undefined {
  if (alerts.length === 0) return undefined;
  return { path: '/api/v2/alerts', contentType: 'application/json', body: JSON.stringify(alerts) };
}

function isFiring(observation: Observation, { now, floorOf }: Options): boolean {
  const { severity, source } = observation.spec;
  return isOpen(observation, now) && !isBelow(severity, floorOf(source));
}

/** What was posted as open before that may have arrived after it was closed: it is closed again while its alert may last. */
function isLatelyAccepted({ metadata }: Observation, { now }: Options): boolean {
  return isAccepted(metadata.labels, now) && now - Number(metadata.labels[labels.since]) < eventMilliseconds;
}

/** When an alert ends that nobody posts again. What has no state is over an hour after it happened, or was told. */
function endOf({ metadata, spec, status }: Observation, isNews: boolean, { now, settings }: Options): number {
  if (metadata.labels[labels.state] !== undefined) return now + passes * settings.ANNOUNCE_INTERVAL_MINUTES * 60_000;
  const happened = Date.parse(status?.series?.lastObservedTime ?? spec.detectedAt);
  return eventMilliseconds + (isNews || Number.isNaN(happened) ? now : Math.min(happened, now));
}

/** Without members that are empty, which Alertmanager drops. */
function given(members: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(members).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(entries);
}

/** Labels say which finding it is, and how bad; all of them stay as they are while it is that one. */
function labelsOf(observation: Observation, severity: Severity, { settings }: Options): Record<string, string> {
  const { category, source, eventType, rule } = observation.spec;
  return given({
    alertname: eventType,
    severity: severity.toLowerCase(),
    category,
    source,
    rule,
    namespace: affectedNamespace(observation),
    workload: workloadText(observation),
    cluster: settings.CLUSTER_NAME,
    [ownMarkLabel]: markOf(observation),
  });
}

function annotationsOf({ spec }: Observation): Record<string, string> {
  const { summary, remediation, resource, actor, references = [] } = spec;
  return given({
    summary,
    description: remediation,
    resource: resource && [resource.kind, resource.name].filter(Boolean).join('/'),
    actor: actor?.username,
    reference: references[0],
  });
}

/** An end without a beginning is one of its own, so that it can't be before it. */
function alertOf(
  observation: Observation,
  severity: Severity,
  endsAt: number,
  isActive: boolean,
  options: Options,
): Alert {
  const { PAGE_URL: page } = options.settings;
  const since = Number(observation.metadata.labels[labels.since] ?? Date.parse(observation.spec.detectedAt));
  const begin = Number.isFinite(since) ? Math.min(since, options.now) : options.now;
  return {
    labels: labelsOf(observation, severity, options),
    annotations: annotationsOf(observation),
    ...(isActive && { startsAt: new Date(begin).toISOString() }),
    endsAt: new Date(endsAt).toISOString(),
    ...(page !== undefined && { generatorURL: pageOf(observation, page) }),
  };
}
