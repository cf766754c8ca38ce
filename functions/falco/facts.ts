import type { Actor, ResourceRef } from '../../shared/finding/finding.ts';
import { isClusterScoped, kindOf } from '../../shared/finding/kubernetes-kinds.ts';
import { maskText } from '../../shared/finding/mask-secrets.ts';
import { text } from '../../shared/finding/values.ts';
import { type Fields, fieldOf, shortened, sourcePort, stableFields, stableName } from './fields.ts';
import {
  actionFields,
  addressFields,
  agentFields,
  kubernetesPrefixes,
  linkTargetFields,
  objectFields,
  otherUserField,
  pluginField,
  userFields,
  workloadFields,
} from './tables.ts';

/** What an alert says besides its fields. */
export interface AlertTexts {
  readonly rule: string;
  readonly output?: string | null | undefined;
  readonly message?: string | null | undefined;
  readonly source?: string | null | undefined;
  readonly hostname?: string | null | undefined;
}

/** What is known of an event. What is not known is absent. */
export interface Facts {
  readonly rule: string;
  /** The sentence of the rule, without the time and the priority. */
  readonly output: string | undefined;
  /** Whether a plugin saw it, in an audit log: then neither Falco's host nor a process has to do with it. */
  readonly isPlugin: boolean;
  readonly pod: string | undefined;
  /** A container's name in its Pod, else its ID. */
  readonly container: string | undefined;
  /** A container's name. */
  readonly containerName: string | undefined;
  readonly host: string | undefined;
  readonly resource: ResourceRef | undefined;
  readonly workload: string | undefined;
  readonly image: string | undefined;
  readonly process: string | undefined;
  readonly executable: string | undefined;
  readonly commandLine: string | undefined;
  readonly parent: string | undefined;
  readonly user: string | undefined;
  readonly userId: string | undefined;
  readonly actor: Actor | undefined;
  readonly action: string | undefined;
  /** A file, connection or URI. */
  readonly object: string | undefined;
  /** What a link leads to. */
  readonly target: string | undefined;
  /** Every stable field, where the facts above don't tell events apart. */
  readonly fields: Readonly<Record<string, string>>;
}

export function factsOf(alert: AlertTexts, fields: Fields): Facts {
  const field = (...names: string[]): string | undefined => fieldOf(fields, names);
  const isPlugin = isPluginAlert(alert, fields);
  const host = isPlugin ? undefined : text(alert.hostname);
  const pod = podOf(fields);
  const user = userOf(fields, isPlugin);
  const commandLine = field('proc.cmdline');
  const process = field('proc.name');
  const object = namedObject(fields);
  const executable = field('proc.exepath');
  const tellsApart = !isPlugin && (process ?? user ?? object ?? executable) !== undefined;
  return {
    rule: alert.rule.replaceAll(/\s+/g, ' ').trim(),
    output: sentenceOf(alert),
    isPlugin,
    pod: pod && [pod.namespace, pod.name].filter(Boolean).join('/'),
    container: containerOf(fields, pod !== undefined),
    containerName: containerName(fields),
    host,
    resource: pod ?? targetOf(fields) ?? workloadOf(fields) ?? nodeOf(host),
    workload: describeResource(workloadOf(fields)),
    image: imageOf(fields),
    // A command line begins with the name of the process.
    process: process ?? commandLine?.split(/\s/, 1)[0],
    executable,
    commandLine,
    parent: field('proc.pname'),
    user,
    userId: field('user.uid'),
    actor: actorOf(user, fields),
    action: field(...actionFields),
    object,
    target: field(...linkTargetFields),
    fields: tellsApart ? {} : stableFields(fields, pod !== undefined),
  };
}

/** `syscalls` is what falcosidekick writes for the alerts of old versions of Falco, which have no source. */
function isPluginAlert({ source }: AlertTexts, fields: Fields): boolean {
  const word = text(source)?.trim().toLowerCase();
  if (word !== undefined && word !== 'syscall' && word !== 'syscalls') return true;
  return word !== 'syscall' && [...fields.keys()].some((name) => pluginField.test(name));
}

function kubernetesField(fields: Fields, name: string): string | undefined {
  return fieldOf(
    fields,
    kubernetesPrefixes.map((prefix) => `${prefix}.${name}`),
  );
}

function podOf(fields: Fields): ResourceRef | undefined {
  const name = kubernetesField(fields, 'pod.name');
  const namespace = kubernetesField(fields, 'ns.name');
  return name === undefined ? undefined : { apiVersion: 'v1', kind: 'Pod', namespace, name };
}

function workloadOf(fields: Fields): ResourceRef | undefined {
  const namespace = kubernetesField(fields, 'ns.name');
  for (const { field, ...type } of workloadFields) {
    const name = kubernetesField(fields, field);
    if (name !== undefined) return { ...type, namespace, name };
  }
  return undefined;
}

/** The object of a request to the API server. One that is created with `generateName` has its name in the response. */
function targetOf(fields: Fields): ResourceRef | undefined {
  const plural = fieldOf(fields, ['ka.target.resource']);
  const name = fieldOf(fields, ['ka.target.name', 'ka.resp.name']);
  if (plural === undefined || name === undefined) return undefined;
  const kind = kindOf(plural);
  return { kind, namespace: isClusterScoped(kind) ? undefined : fieldOf(fields, ['ka.target.namespace']), name };
}

function nodeOf(host: string | undefined): ResourceRef | undefined {
  return host === undefined ? undefined : { apiVersion: 'v1', kind: 'Node', name: host };
}

export function describeResource(resource: ResourceRef | undefined): string | undefined {
  return resource && `${resource.kind} ${[resource.namespace, resource.name].filter(Boolean).join('/')}`;
}

/** Docker's name of a Pod's container is `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`. */
const dockerName = /^k8s_([^_]+)_/;

function containerName(fields: Fields): string | undefined {
  const name = fieldOf(fields, ['container.name']);
  return name === undefined || name === 'host' ? undefined : (dockerName.exec(name)?.[1] ?? name);
}

/** A restarted container of a Pod has another ID. */
function containerOf(fields: Fields, isInPod: boolean): string | undefined {
  const id = isInPod ? undefined : fieldOf(fields, ['container.id']);
  return id === 'host' ? undefined : (id ?? containerName(fields));
}

function imageOf(fields: Fields): string | undefined {
  const repository = fieldOf(fields, ['container.image.repository']);
  const tag = fieldOf(fields, ['container.image.tag']);
  if (repository === undefined) return fieldOf(fields, ['container.image']);
  return tag === undefined ? repository : `${repository}:${tag}`;
}

function userOf(fields: Fields, isPlugin: boolean): string | undefined {
  const known = fieldOf(fields, userFields);
  if (known !== undefined || !isPlugin) return known;
  return fieldOf(fields, [...fields.keys()].filter((name) => otherUserField.test(name)).sort());
}

function listOf(value: string | undefined): string[] {
  return (value ?? '').split(/[\s,()]/).filter((item) => item !== '');
}

function actorOf(username: string | undefined, fields: Fields): Actor | undefined {
  if (username === undefined) return undefined;
  const groups = listOf(fieldOf(fields, ['ka.user.groups']));
  return {
    username,
    groups: groups.length > 0 ? groups : undefined,
    // The others are the client's word.
    sourceIP: listOf(fieldOf(fields, ['ka.sourceips'])).at(-1) ?? fieldOf(fields, addressFields),
    userAgent: fieldOf(fields, agentFields),
    via: fieldOf(fields, ['ka.impuser.name']),
  };
}

function namedObject(fields: Fields): string | undefined {
  for (const name of objectFields) {
    const value = fieldOf(fields, [name]);
    const stable = value === undefined ? undefined : stableName(value);
    if (stable !== undefined) return stable;
  }
  return undefined;
}

const outputTime = /^(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?:?\s+/;
const outputPriorityAfterTime = /^(?:emergency|alert|critical|error|warning|notice|informational|info|debug|[0-7])\s+/i;
const outputPriority = /^(?:Emergency|Alert|Critical|Error|Warning|Notice|Informational|Debug) +(?=[A-Z])/;

/** The text of an alert without its time and priority, masked. Connections are without the client's port. */
function sentenceOf({ output, message }: AlertTexts): string | undefined {
  const whole = text(output)?.trim() ?? text(message)?.trim();
  if (whole === undefined) return undefined;
  const timeless = whole.replace(outputTime, '');
  const priority = timeless === whole ? outputPriority : outputPriorityAfterTime;
  return text(maskText(timeless.replace(priority, '').replaceAll(sourcePort, '->')));
}

export function storedText(value: string | undefined): string | undefined {
  return value === undefined ? undefined : maskText(shortened(value));
}
