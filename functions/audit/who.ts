import type { Actor } from '../../shared/finding/finding.ts';
import { maskText } from '../../shared/finding/mask-secrets.ts';
import { text } from '../../shared/finding/values.ts';
import type { AuditEvent } from './event.ts';
import type { NameTests } from './names.ts';
import type { Preset } from './presets.ts';

export interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** Who did something: as an actor, as the presets know it, and as its rights. */
export interface Who {
  readonly actor: Actor | undefined;
  /** The user's name, with the impersonated one: `alice as system:admin`; `nobody` if there is none. */
  readonly identity: string;
  /** The same, short enough for the beginning of a summary. */
  readonly label: string;
  readonly account: Account | undefined;
  readonly isNode: boolean;
  readonly isAnonymous: boolean;
  /** No ServiceAccount, no node, not anonymous, and in no preset. */
  readonly isPerson: boolean;
  /** Empty for a ServiceAccount or node whose client is a person's. */
  readonly presets: ReadonlySet<Preset>;
  readonly isAccused: boolean;
  /** Whose rights count: those of the impersonated user, if there is one, and the user's own. */
  readonly groups: readonly string[];
  readonly impersonated: { readonly username: string; readonly groups: readonly string[] } | undefined;
  /** Whether an impersonator of AUDIT_IMPERSONATORS acted for the actor. */
  readonly isServed: boolean;
}

const accountPrefix = 'system:serviceaccount:';

export function accountOf(username: string): Account | undefined {
  if (!username.startsWith(accountPrefix)) return undefined;
  const [namespace, name, ...more] = username.slice(accountPrefix.length).split(':');
  return namespace && name && more.length === 0 ? { namespace, name } : undefined;
}

/** Programs of people; a ServiceAccount or a node that uses one is used by somebody. */
const handTools = /^(?:kubectl|curl|wget)\b|python/i;

const maxLabel = 44;
const kindLength = 'ServiceAccount '.length;

function shortened(name: string): string {
  return name.length <= maxLabel ? name : `${name.slice(0, 20)}…${name.slice(-(maxLabel - 21))}`;
}

function labelOf(username: string): string {
  const account = accountOf(username);
  if (account) {
    const name = `${account.namespace}/${account.name}`;
    return name.length + kindLength <= maxLabel ? `ServiceAccount ${name}` : shortened(name);
  }
  if (username.startsWith('system:node:')) return shortened(`node ${username.slice('system:node:'.length)}`);
  return shortened(username.replace(/^arn:aws[\w-]*:(?:iam|sts)::\d+:(?:user|assumed-role|role)\//, ''));
}

function proofOf(extra: Readonly<Record<string, readonly string[]>> | undefined): string | undefined {
  const first = (key: string): string | undefined => text(extra?.[key]?.[0]);
  const arn = first('arn');
  const session = first('sessionName');
  const pod = first('authentication.kubernetes.io/pod-name');
  const node = first('authentication.kubernetes.io/node-name');
  const credential = first('authentication.kubernetes.io/credential-id');
  const parts = [
    arn,
    session !== undefined && !arn?.endsWith(`/${session}`) ? `session ${session}` : undefined,
    pod && `Pod ${pod}`,
    node && `node ${node}`,
    credential,
  ];
  return parts.filter((part) => part !== undefined).join(', ') || undefined;
}

interface Principal {
  readonly username: string;
  readonly groups: readonly string[];
}

function principal(user: AuditEvent['user']): Principal | undefined {
  const username = text(user?.username);
  return username === undefined ? undefined : { username, groups: user?.groups ?? [] };
}

function isAnonymousUser({ username, groups }: Principal): boolean {
  return username === 'system:anonymous' || groups.includes('system:unauthenticated');
}

function presetsOf(username: string, isAccused: boolean, tests: NameTests): ReadonlySet<Preset> {
  if (isAccused) return new Set();
  // One that deploys is one of kube-system's others, too: the narrower preset has more rows.
  const names: readonly Preset[] = ['system', 'operators', 'deployers', 'secretReaders'];
  return new Set(names.filter((name) => tests[name](username)));
}

const nobody: Principal = { username: '', groups: [] };

export function whoOf(event: AuditEvent, tests: NameTests): Who {
  const real = principal(event.user);
  const other = principal(event.impersonatedUser);
  const isServed = real !== undefined && other !== undefined && tests.impersonators(real.username);
  const acting = (isServed ? other : real) ?? nobody;
  const impersonated = isServed ? undefined : other;
  const account = accountOf(acting.username);
  const isNode = acting.username.startsWith('system:node:');
  const userAgent = text(event.userAgent);
  const isAccused = (account !== undefined || isNode) && !isServed && handTools.test(userAgent ?? '');
  const presets = presetsOf(acting.username, isAccused, tests);
  const isAnonymous = isAnonymousUser(acting);
  const proof = proofOf(event.user?.extra);
  const via = [impersonated && `as ${impersonated.username}`, isServed && `by ${real.username}`, proof];
  const actor = real && {
    username: acting.username,
    groups: acting.groups,
    sourceIP: text(event.sourceIPs?.at(-1)),
    userAgent,
    via: via.filter((part) => typeof part === 'string').join(', ') || undefined,
  };
  const as = (name: (username: string) => string): string =>
    real ? `${name(acting.username)}${impersonated ? ` as ${name(impersonated.username)}` : ''}` : 'nobody';
  return {
    actor,
    identity: as((username) => username),
    // Shortened, a secret would no longer look like one.
    label: real ? as((username) => labelOf(maskText(username))) : 'somebody',
    account,
    isNode,
    isAnonymous,
    isPerson: real !== undefined && !account && !isNode && !isAnonymous && presets.size === 0,
    presets,
    isAccused,
    groups: [...acting.groups, ...(impersonated?.groups ?? [])],
    impersonated,
    isServed,
  };
}
