import { maskSecrets, maskText } from '../../shared/finding/mask-secrets.ts';
import { oneLine } from '../../shared/finding/one-line.ts';
import { describeResource, type Facts, storedText } from './facts.ts';
import { flatten } from './fields.ts';
import { actionFields, addressFields, agentFields, objectFields, pluginField, userFields } from './tables.ts';

/** Longer sentences leave no room for what a person must know first. */
const maxSentence = 48;

/** Where the rule's sentence ends and its fields begin: ` | file=`, ` (user=`, ` k8s.ns=`. */
const outputFields = /\s\|\s.*|\(\s*[\w.[\]]+=.*|\s[\w.[\]]+=\S.*/s;

function cut(value: string | undefined, max: number): string | undefined {
  const stored = storedText(value);
  return stored === undefined ? undefined : oneLine(stored, max);
}

/** What the rule saw: its sentence if that is short, else its name. */
function seen({ rule, output = '' }: Facts): string {
  const sentence = oneLine(output.replace(outputFields, ''), 512).replace(/[\s:;,.|-]+$/, '');
  const isSentence = sentence.includes(' ') && sentence.length <= Math.max(maxSentence, rule.length);
  return isSentence ? sentence : oneLine(rule, 80);
}

function place({ pod, workload, container, containerName, host }: Facts): string | undefined {
  if ((pod ?? workload) !== undefined) return cut(pod ?? workload, 80);
  if (container !== undefined) return `container ${cut(containerName ?? container, 48)}`;
  return host && `host ${cut(host, 48)}`;
}

/** Parts in brackets, or nothing. */
function aside(...parts: readonly (string | undefined)[]): string {
  const given = parts.filter((part) => part !== undefined);
  return given.length > 0 ? ` (${given.join(', ')})` : '';
}

function ofProcess(facts: Facts): string | undefined {
  const { process, commandLine, object, executable, parent, target } = facts;
  const from = parent && `parent ${cut(parent, 32)}`;
  if (object === undefined) {
    const command = cut(commandLine ?? process, 72);
    return command && command + aside(cut(executable, 60), from);
  }
  const link = target === undefined ? '' : ` -> ${cut(target, 48)}`;
  const by = process === undefined ? '' : ` by ${cut(process, 32)}${aside(from)}`;
  return `${cut(object, 80)}${link}${by}`;
}

/**
 * The members of a JSON object: `instanceId=i-1, instanceType.value=t3.large`; plugins tell requests so. What is secret in
 * it is masked as long as its name is beside it.
 */
function withoutJson(object: string): string {
  if (!object.startsWith('{')) return object;
  try {
    const members = flatten(Object.assign({}, maskSecrets(JSON.parse(object))));
    return [...members]
      .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
      .join(', ');
  } catch {
    // It has been cut.
    return maskText(object).replaceAll(/[{}"]/g, '');
  }
}

function ofRequest({ action, object, resource }: Facts): string | undefined {
  const about = cut(describeResource(resource) ?? (object && withoutJson(object)), 80);
  return [cut(action, 48), about].filter(Boolean).join(' ') || undefined;
}

function byWhom({ isPlugin, process, actor, user, userId }: Facts): string | undefined {
  const name = cut(user, 64) ?? (userId && `uid ${cut(userId, 16)}`);
  if (name === undefined) return undefined;
  const via = actor?.via === undefined ? '' : ` as ${cut(actor.via, 64)}`;
  const from = actor?.sourceIP === undefined ? '' : ` from ${cut(actor.sourceIP, 45)}`;
  return `${!isPlugin && process !== undefined ? 'as' : 'by'} ${name}${via}${from}`;
}

const shown: ReadonlySet<string> = new Set([
  ...userFields,
  ...actionFields,
  ...addressFields,
  ...agentFields,
  ...objectFields,
  ...['proc.cmdline', 'proc.pname', 'ka.sourceips', 'ka.user.groups', 'ka.impuser.name'],
]);

/** The fields that the resource comes from. */
const ofResource = /^(?:k8s|k8smeta|container|ka\.target|ka\.resp)\./;

/** What tells events apart that name no process and no file. */
function others({ fields, user, resource }: Facts): string[] {
  const isShown = ([name, value]: readonly [string, string]): boolean =>
    shown.has(name) || value === user || (resource !== undefined && ofResource.test(name));
  return Object.entries(fields)
    .filter((field) => !isShown(field))
    .map(([name, value]) => `${name.replace(pluginField, '')}=${cut(value, 48)}`);
}

/** One line: what, where, on what, by whom. */
export function summaryOf(facts: Facts): string {
  const { isPlugin, image, output, process, object, user, fields } = facts;
  const isBare = (process ?? object ?? user) === undefined && Object.keys(fields).length === 0;
  const what = isBare && output !== undefined ? oneLine(output, 256) : seen(facts);
  const act = [isPlugin ? ofRequest(facts) : ofProcess(facts), byWhom(facts)].filter(Boolean).join(' ');
  const rest = [act, image && `image ${cut(image, 72)}`, ...others(facts)].filter(Boolean).join(', ');
  return `${what}${isBare && what !== seen(facts) ? '' : aside(place(facts))}${rest && `: ${rest}`}`;
}
