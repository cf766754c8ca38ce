import { group } from '../api/group.ts';
import { labels } from '../api/labels.ts';
import type { Actor, ResourceRef } from '../finding/finding.ts';
import { workloadKey, workloadKinds } from '../finding/workload.ts';
import { yamlDocument } from './yaml-text.ts';

// The page writes exceptions with this, too: it imports nothing that a browser can't run, or that is large.

/** What an exception is made of. */
export interface Accepted {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly source: string;
    readonly eventType: string;
    readonly summary?: string | undefined;
    readonly rule?: string | undefined;
    readonly resource?: ResourceRef | undefined;
    readonly actor?: Pick<Actor, 'username'> | undefined;
  };
}

export interface ExceptionOptions {
  readonly reason: string;
  readonly justification?: string | undefined;
  readonly ticket?: string | undefined;
  /** RFC 3339; `undefined`: for ever. */
  readonly until: string | undefined;
  /** Whether it is accepted everywhere in its namespace; else on its workload only. */
  readonly isForNamespace?: boolean | undefined;
  /** Whether it is accepted whoever did it; else only if it was the same user. */
  readonly isByAnyone?: boolean | undefined;
  readonly systemNamespace: string;
}

/** The last second of a day such as `2026-03-01`: whoever names a day means all of it. */
export function endOfDay(day: string): string {
  return `${day}T23:59:59Z`;
}

/** What an exception is bound to: one of `resources`, and what an expression says. */
interface Binding {
  readonly resource?: Partial<ResourceRef>;
  readonly conditions: readonly string[];
}

/** Only what is about the same thing: the Pods and ReplicaSets of a workload come and go, so its name is what counts. */
function bindingTo(resource: ResourceRef | undefined): Binding {
  const { kind = '', name = '', namespace = '' } = resource ?? {};
  const place = namespace === '' ? {} : { namespace };
  if (resource && name !== '' && workloadKinds.includes(kind)) {
    const workload = workloadKey(resource);
    return {
      resource: place,
      conditions: [
        ...(namespace === '' ? ['namespace == ""'] : []),
        `workload.kind == ${JSON.stringify(workload.kind)}`,
        `workload.name == ${JSON.stringify(workload.name ?? '')}`,
      ],
    };
  }
  return {
    resource: { ...(kind !== '' && { kind }), ...(name !== '' && { name }), ...place },
    // A list of Secrets has no name: without this, it would stand for each of them.
    conditions: [...(kind === '' ? ['resource.kind == ""'] : []), ...(name === '' ? ['resource.name == ""'] : [])],
  };
}

/** Whether it is in a namespace, everywhere in which it may be accepted. */
export function isInNamespace({ spec: { resource } }: Accepted): boolean {
  return (resource?.namespace ?? '') !== '';
}

function matchOf(found: Accepted, { isForNamespace = false, isByAnyone = false }: ExceptionOptions) {
  const { source, rule, resource, actor } = found.spec;
  const isWide = isForNamespace && isInNamespace(found);
  const place: Binding = { resource: { namespace: resource?.namespace ?? '' }, conditions: [] };
  const binding = isWide ? place : bindingTo(resource);
  const conditions = [
    ...binding.conditions,
    ...(actor && !isByAnyone ? [`actor.username == ${JSON.stringify(actor.username)}`] : []),
  ];
  return {
    sources: [source],
    ...(rule !== undefined && rule !== '' && { rules: [rule] }),
    ...(Object.keys(binding.resource ?? {}).length > 0 && { resources: [binding.resource] }),
    ...(conditions.length > 0 && { expression: conditions.join(' && ') }),
  };
}

/** Where an exception has to be: a namespace's own exceptions don't reach what events tell. */
export function exceptionNamespace({ metadata }: Accepted, systemNamespace: string): string {
  return metadata.labels?.[labels.state] === undefined ? systemNamespace : metadata.namespace;
}

/** An ObservationException that accepts an Observation, and others of the same rule about the same workload, by the same user. */
export function exceptionFor(found: Accepted, options: ExceptionOptions): object {
  const { reason, justification, ticket, until } = options;
  return {
    apiVersion: `${group}/v1alpha1`,
    kind: 'ObservationException',
    metadata: {
      name: `accept-${found.metadata.name}`.slice(0, 253),
      namespace: exceptionNamespace(found, options.systemNamespace),
    },
    spec: {
      match: matchOf(found, options),
      reason,
      ...(justification && { justification }),
      ...(ticket && { ticket }),
      ...(until && { until }),
    },
  };
}

/** That exception as a file, which says in its first line what it accepts. */
export function exceptionText(found: Accepted, options: ExceptionOptions): string {
  const { summary, eventType } = found.spec;
  const line = (summary || eventType).replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return `# ${line}\n${yamlDocument(exceptionFor(found, options))}`;
}
