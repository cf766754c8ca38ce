import * as z from 'zod';
import { affectedNamespace, type ChangeKind, pageOf, workloadText } from '../shared/api/announcement.ts';
import type { Observation } from '../shared/api/observation.ts';
import { markOf, ownMark } from '../shared/api/own-mark.ts';
import type { Severity } from '../shared/finding/severity.ts';
import type { SinkOptions } from '../shared/function/definitions.ts';
import { outsideUrl } from '../shared/function/settings.ts';
import { defineSink } from '../shared/pipeline/sink.ts';

const settingsSchema = z.object({ FALCOSIDEKICK_URL: outsideUrl.optional() });

/** Falco's words, by which falcosidekick's outputs have their thresholds. */
const priorities: Readonly<Record<Severity, string>> = {
  CRITICAL: 'Critical',
  HIGH: 'Error',
  MEDIUM: 'Warning',
  LOW: 'Notice',
  UNKNOWN: 'Notice',
};

/** What is over, or accepted, needs nobody. */
const quiet: ReadonlySet<ChangeKind> = new Set(['accepted', 'missing', 'resolved']);

/**
 * Tells falcosidekick, as Falco would, and so each of its outputs: https://github.com/falcosecurity/falcosidekick. It takes
 * single alerts, so what is over is an alert of its own, of priority Informational.
 */
export default defineSink<z.infer<typeof settingsSchema>>({
  name: 'falcosidekick',
  settings: settingsSchema,
  ports: [2801, 443],
  receiver: ({ FALCOSIDEKICK_URL: url, SINK_TOKEN_FILE: tokenFile, SINK_CA_FILE: caFile }) =>
    url === undefined ? undefined : { urls: [url], tokenFile, caFile },
  request(observation, { kind, time }, { settings }) {
    const { spec } = observation;
    const isQuiet = quiet.has(kind);
    const alert = {
      output: isQuiet ? `${kind}: ${textOf(observation)}` : textOf(observation),
      priority: isQuiet ? 'Informational' : priorities[spec.severity],
      rule: spec.rule ?? spec.eventType,
      time,
      source: 'zen-watcher',
      tags: [spec.source, spec.category],
      output_fields: fieldsOf(observation, kind, settings),
    };
    return { contentType: 'application/json', body: JSON.stringify(alert) };
  },
});

function textOf({ spec }: Observation): string {
  return spec.summary ?? spec.eventType;
}

function fieldsOf(observation: Observation, kind: ChangeKind, settings: SinkOptions<object>['settings']): object {
  const { spec } = observation;
  const { resource, actor } = spec;
  const isPod = resource?.kind === 'Pod';
  return {
    [ownMark]: markOf(observation),
    change: kind,
    severity: spec.severity,
    tool: spec.source,
    'event.type': spec.eventType,
    'k8s.ns.name': affectedNamespace(observation),
    ...(isPod && { 'k8s.pod.name': resource.name }),
    workload: workloadText(observation),
    user: actor?.username,
    remediation: spec.remediation,
    cluster: settings.CLUSTER_NAME || undefined,
    page: settings.PAGE_URL && pageOf(observation, settings.PAGE_URL),
  };
}
