import type * as z from 'zod';
import type { ChangeKind } from '../api/announcement.ts';
import { controlledKinds } from '../api/controllers.ts';
import { group } from '../api/group.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import { ownBroker } from '../api/knative-kinds.ts';
import { leases } from '../api/lease.ts';
import type { Observation } from '../api/observation.ts';
import type { Finding, Normalized, ResourceRef } from '../finding/finding.ts';
import type { ObjectMetadata } from '../finding/object-schema.ts';
import type { Severity } from '../finding/severity.ts';
import type { AccessOptions } from './access-options.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Context } from './context.ts';
import type { CommonSettings } from './settings.ts';
import type { Trigger } from './triggers.ts';

/** A rule of the function's Role, in addition to those that follow from its triggers. */
export interface Permission {
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** `system`: in the system namespace only. `cluster`: for a cluster-scoped kind, which a tenant's Roles leave out. */
  readonly scope?: 'system' | 'cluster';
  /** Whether it is about Knative's objects, so that nobody has them without Knative. */
  readonly isForKnative?: true;
}

/**
 * What a function needs to write Observations, unless it is a source. `get`, because a namespace over its quota gives
 * the same answer whether the name exists or not. `record`, because the admission policy requires it of whoever uses
 * our names.
 */
export const observationWrites: Permission = {
  group,
  resources: ['observations'],
  verbs: ['create', 'get', 'record'],
};

/** What it takes to count repeats of events: they are read from the Observation, which `observationWrites` allows. */
export const seriesWrites: Permission = { group, resources: ['observations/status'], verbs: ['patch'] };

/**
 * What it takes to keep what is stored of findings with a state as their reports say. `delete`, for a pass that finds one
 * stored twice, or what an older version has left.
 */
export const stateWrites: Permission = {
  ...observationWrites,
  verbs: [...observationWrites.verbs, 'list', 'patch', 'delete'],
};

/** What it takes to show on a filter that its expression can't be answered. */
export const failureWrites: Permission = { group, resources: ['observationfilters/status'], verbs: ['patch'] };

/** What it takes to show that a source is alive. */
export const leaseWrites: Permission = {
  ...{ group: leases.group, resources: [leases.plural], scope: 'system' },
  verbs: ['get', 'create', 'patch'],
};

/** What it takes to ask who controls Pods, and who controls that: what is shown of them is the controller. */
export const controllerReads: readonly Permission[] = [...Map.groupBy(controlledKinds, ({ group }) => group)].map(
  ([group, kinds]) => ({ group, resources: kinds.map(({ plural }) => plural).sort(), verbs: ['get'] }),
);

/** What every kind of function declares. */
interface Declaration<Settings> {
  readonly name: string;
  /** A zod object whose keys are the names of the function's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  readonly permissions: readonly Permission[];
  /** Kinds that are read before the function is ready, and watched while it runs: `context.cluster.watched`. */
  watches?(settings: Settings & CommonSettings): readonly KindSelector[];
  /** Whether `context.functions` holds what the other functions declare. */
  readonly seesOthers?: boolean;
  /**
   * Whether it sends requests to other functions: events (`context.broker.sendTo`), or, a gateway, what wakes those that its
   * events go to. The network lets no other function do that.
   */
  readonly callsFunctions?: boolean;
  /** Whether it does everything that there is to do whenever it is woken, so that two Pods would only do it twice. */
  readonly runsAlone?: boolean;
  /** Whether it is off unless somebody asks for it. */
  readonly isOptional?: boolean;
}

/**
 * Handles CloudEvents. `handle` resolves only after everything that it derived from the event is stored, and throws a
 * Refusal if something could not be. Either way, `context.event.tally` holds what it has done.
 */
interface Handler<Settings> {
  handle(event: CloudEvent, context: Context<Settings>): Promise<void>;
}

interface Triggered<Settings> {
  triggers(settings: Settings & CommonSettings): readonly Trigger[];
}

/** Work of zen-watcher itself, started by changes of objects, the clock, the start of its process, or events. */
export interface TaskDefinition<Settings = unknown>
  extends Declaration<Settings>,
    Handler<Settings>,
    Triggered<Settings> {
  readonly kind: 'task';
  /** Whether it collects the Observations of all sources, and counts what there is. */
  readonly collects?: true;
  /** Whether it tells others what has changed. */
  readonly announces?: true;
}

/** A source, made into a function by `defineSource`. */
export interface SourceFunction extends Declaration<unknown>, Handler<unknown>, Triggered<unknown> {
  readonly kind: 'source';
  readonly source: SourceDefinition<unknown, unknown>;
}

/** A request to a webhook path, whose body is not a CloudEvent. */
export interface RawRequest {
  /** The path without the query. */
  readonly path: string;
  /**
   * The path of the Webhook trigger, which may end with `/*`. There are only a few, so it is safe as a metric's label.
   */
  readonly endpoint: string;
  /** Returns the decompressed body, once, so that the caller decides how long it stays in memory. */
  takeBody(): Uint8Array;
  /** Gives the sender JSON to read, with 200, once the request has been received; by default it gets 204. */
  answerWith(json: Readonly<Record<string, unknown>>): void;
  /** The sender's trace context, or a new one. Events that are made from the request continue it. */
  readonly traceparent: string;
}

/** The function that serves the paths of Webhook triggers, and turns what is posted there into events. There is one. */
export interface GatewayDefinition<Settings = unknown> extends Declaration<Settings> {
  readonly kind: 'gateway';
  /** Who may post to the paths. */
  access(settings: Settings): AccessOptions;
  /** Resolves once the Broker has every event that was made from the request; throws a Refusal if it doesn't. */
  receive(request: RawRequest, context: Context<Settings>): Promise<void>;
}

/** The function that takes events that the Broker could not deliver, whatever they are. There is one. */
export interface DeadLetterSinkDefinition<Settings = unknown> extends Declaration<Settings>, Handler<Settings> {
  readonly kind: 'dead-letter-sink';
}

/** A sink, made into a function by `defineSink`. */
export interface SinkFunction extends Declaration<unknown>, Handler<unknown>, Triggered<unknown> {
  readonly kind: 'sink';
  readonly sink: SinkDefinition<unknown>;
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The function that shows people what is stored, each what they may see. It takes no events. There is one. */
export interface PageDefinition<Settings = unknown> extends Declaration<Settings> {
  readonly kind: 'page';
  /** The token for the API server of whoever asks; `undefined` if none came along. */
  tokenOf(headers: Headers): string | undefined;
  /** What somebody without one is told. */
  readonly signIn: string;
}

export type HandlerDefinition = SourceFunction | TaskDefinition | DeadLetterSinkDefinition | SinkFunction;

export type FunctionDefinition = HandlerDefinition | GatewayDefinition | PageDefinition;

// The host gives a function only settings that its own schema has parsed, so it is safe to forget their type here.

export function defineTask<Settings>(definition: Omit<TaskDefinition<Settings>, 'kind'>): TaskDefinition {
  return { kind: 'task', ...definition } as unknown as TaskDefinition;
}

export function defineGateway<Settings>(definition: Omit<GatewayDefinition<Settings>, 'kind'>): GatewayDefinition {
  return { kind: 'gateway', ...definition } as unknown as GatewayDefinition;
}

export function definePage<Settings>(definition: Omit<PageDefinition<Settings>, 'kind'>): PageDefinition {
  return { kind: 'page', ...definition } as unknown as PageDefinition;
}

export function defineDeadLetterSink<Settings>(
  definition: Omit<DeadLetterSinkDefinition<Settings>, 'kind'>,
): DeadLetterSinkDefinition {
  return { kind: 'dead-letter-sink', ...definition } as unknown as DeadLetterSinkDefinition;
}

function mayObservations(verb: string, { permissions }: FunctionDefinition): boolean {
  return permissions.some(({ resources, verbs }) => resources.includes('observations') && verbs.includes(verb));
}

/** Whether it may write new Observations. */
export function writesObservations(definition: FunctionDefinition): boolean {
  return definition.kind === 'source' || mayObservations('create', definition);
}

/** Whether it marks what others are to be told: all that write Observations or change them, but who takes the mark off. */
export function marksNews(definition: FunctionDefinition): boolean {
  if (definition.kind === 'task' && definition.announces) return false;
  return writesObservations(definition) || mayObservations('patch', definition);
}

/**
 * What a function watches: what it declares, and the Broker if it tells that it has written something. Whoever posts to
 * the Broker must know where that is.
 */
export function watchesOf(definition: FunctionDefinition, settings: CommonSettings): readonly KindSelector[] {
  const declared = definition.watches?.(Object.assign({}, settings)) ?? [];
  const isTelling = settings.ANNOUNCE && marksNews(definition);
  return isTelling ? [...declared, ...ownBroker(settings)] : declared;
}

/** From which severity on others are told of what a function writes. */
export function announcementFloor(definition: FunctionDefinition, settings: CommonSettings): Severity {
  const declared = definition.kind === 'source' ? definition.source.announcedFrom : undefined;
  return settings.ANNOUNCE_MIN_SEVERITY ?? declared ?? defaultFloor;
}

/** For what no function declares, such as the source of a mapping. */
export const defaultFloor: Severity = 'MEDIUM';

/**
 * What starts a function. Dead-letter sinks and gateways have no triggers: failed deliveries and requests start them.
 */
export function triggersOf(definition: FunctionDefinition, settings: CommonSettings): readonly Trigger[] {
  return 'triggers' in definition ? definition.triggers(Object.assign({}, settings)) : [];
}

export interface NormalizeOptions<Settings> {
  /** RFC 3339: the CloudEvent's time, or the object's creationTimestamp. */
  readonly time: string;
  readonly settings: Settings & CommonSettings;
}

/**
 * Makes one finding of those that have one name. Depends on their contents alone, and merging what has been merged
 * changes nothing.
 */
export type MergeFindings = (findings: readonly [Finding, ...Finding[]]) => Finding;

/** What a report is about for as long as that exists, however often the report is made anew, and under whatever name. */
export interface Slot {
  /** The resource; its workload counts. */
  readonly about?: ResourceRef | undefined;
  /** What else tells slots apart, such as the container. */
  readonly parts?: Readonly<Record<string, string | undefined>>;
}

/** What a source declares: the schema of its tool's data, and a pure `normalize`. */
export interface SourceDefinition<Data, Settings> extends Triggered<Settings> {
  readonly name: string;
  /** A zod object whose keys are the names of the source's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  /** Whether its findings may be about Pods, or what makes them, as most are. If not, it asks for no controllers. */
  readonly looksIntoPods?: false;
  /** How long it may be silent before that is told, in minutes: 26 hours unless it says otherwise. */
  readonly silentMinutes?: number;
  /** From which severity on others are told of its findings, where the user says nothing: MEDIUM unless it says otherwise. */
  readonly announcedFrom?: Severity;
  /** Whether events may go on without a time in their identity, so that their Observations are renewed (`isOngoing`). */
  readonly hasOngoingFindings?: true;
  /** The schema of what the tool sends. Unknown fields are ignored. */
  readonly schema: z.ZodType<Data>;
  /**
   * Depends on its arguments only: no clock, random numbers, environment or log. Never throws on what `schema` accepts.
   */
  normalize(data: Data, options: NormalizeOptions<Settings>): Normalized;
  /**
   * What a report is about, told by its metadata alone; `undefined` if that is no single thing. Then all such reports of
   * a namespace are one slot.
   */
  slotOf?(kind: Pick<KindSelector, 'group' | 'kind'>, metadata: ObjectMetadata): Slot | undefined;
  /** For rows of a report, and for the reports of a slot, newest first. By default messages and references are united. */
  readonly merge?: MergeFindings;
}

/** Where a sink sends to. What is secret of that is in mounted files, and nowhere else. */
export interface Receiver {
  /** Each gets everything. Who has one gives it, or the file that has it. */
  readonly urls: readonly (string | { readonly file: string })[];
  readonly tokenFile: string | undefined;
  readonly caFile: string | undefined;
}

/** What has changed of an Observation. */
export interface Change {
  readonly kind: ChangeKind;
  /** The same for the same change, however often it is told. */
  readonly id: string;
  /** RFC 3339: when it changed. */
  readonly time: string;
  /** The severities that it was told with before, if they are not the one that it has now. */
  readonly formerSeverities: readonly Severity[];
  /** Whether it has been deleted meanwhile. */
  readonly isGone: boolean;
}

export interface SinkOptions<Settings> {
  readonly settings: Settings & CommonSettings;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** From which severity on others are told of what a source finds. */
  readonly floorOf: (source: string) => Severity;
}

/** The body of a request to a receiver. It bears our mark (`markOf`), since it may come back to us. */
export interface SinkMessage {
  /** To be added to the receiver's URL, such as `/api/v2/alerts`. */
  readonly path?: string;
  readonly contentType: string;
  readonly body: string;
}

/** What a sink declares: where its receiver is, and a pure `request` that makes what it is sent. */
export interface SinkDefinition<Settings> {
  readonly name: string;
  /** A zod object whose keys are the names of the sink's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  /** `undefined` until the user has said where it is. */
  receiver(settings: Settings & CommonSettings): Receiver | undefined;
  /** Where receivers usually listen: what the network lets it reach. */
  readonly ports: readonly number[];
  /** What to send; `undefined` if its receiver isn't interested. */
  request(observation: Observation, change: Change, options: SinkOptions<Settings>): SinkMessage | undefined;
  /**
   * For a receiver that keeps a state, of which everything ends by itself unless it is sent again: what to send of those
   * that are open at or above the floor. Such a receiver is told what is true now, not what an event has said.
   */
  refresh?(observations: readonly Observation[], options: SinkOptions<Settings>): SinkMessage | undefined;
}
