import { group } from '../api/group.ts';
import { parseDuration } from '../api/ingester.ts';
import { labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { observationExceptions } from '../api/observation-exception.ts';

export interface ExceptionOptions {
  readonly reason: string;
  /** RFC 3339. */
  readonly until: string;
  readonly systemNamespace: string;
}

/** A day, a time by RFC 3339, or a duration from now as RFC 3339; `undefined` if it is none of them. */
export function untilOf(text: string, now: number): string | undefined {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return timeOf(now + seconds * 1000);
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = Date.parse(text);
  return isTime && !Number.isNaN(time) ? timeOf(time) : undefined;
}

function timeOf(milliseconds: number): string | undefined {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : `${date.toISOString().slice(0, 19)}Z`;
}

/** An ObservationException that accepts an Observation, and others of the same rule about the same resource. */
export function exceptionFor(
  { metadata, spec }: Observation,
  { reason, until, systemNamespace }: ExceptionOptions,
): object {
  const { kind, name, namespace } = spec.resource ?? {};
  const fields = { kind: kind || undefined, name, namespace };
  const resource = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  // A namespace's own exceptions don't reach what events tell.
  const hasState = metadata.labels[labels.state] !== undefined;
  return {
    apiVersion: `${group}/${observationExceptions.versions[0]}`,
    kind: observationExceptions.kind,
    metadata: {
      name: `accept-${metadata.name}`.slice(0, 253),
      namespace: hasState ? metadata.namespace : systemNamespace,
    },
    spec: {
      match: {
        sources: [spec.source],
        ...(spec.rule !== undefined && { rules: [spec.rule] }),
        ...(Object.keys(resource).length > 0 && { resources: [resource] }),
      },
      reason,
      until,
    },
  };
}
