import { maskText } from '../../shared/finding/mask-secrets.ts';
import { at, textAt, textsIn } from './values.ts';

/** What somebody runs in a container, fit to be shown: its secrets are masked, and it is cut. */
export interface SessionFacts {
  readonly command?: string | undefined;
  readonly program?: string | undefined;
  readonly container?: string | undefined;
  /** Why the command is suspicious, in words; absent if it isn't. */
  readonly suspicion?: string | undefined;
}

const maxCommand = 512;
/** The patterns below never need to look at more than this. */
const maxJudged = 8192;

/**
 * The first that matches names the suspicion. Every repetition is bounded, so that hostile input can't make them slow; and
 * what has to follow within a distance is looked for by itself, in what the group of the pattern has seen ahead.
 */
const suspicions: readonly (readonly [pattern: RegExp, reason: string, followedBy?: RegExp])[] = [
  [/\/run\/secrets\/|\/serviceaccount\/token|\/secrets\/kubernetes\.io|\/secrets\/eks\.amazonaws\.com/, 'reads tokens'],
  [/\/proc\/[^/\s]{1,20}\/environ/, 'reads the environment of a process'],
  [
    /\/\.(?:aws|kube|docker|ssh|azure|gnupg|vault-token|netrc|pgpass|git-credentials|npmrc)\b|\/\.config\/gcloud|\bid_(?:rsa|ed25519|ecdsa)\b|\/etc\/(?:shadow|gshadow|sudoers|kubernetes\/(?:admin\.conf|pki))|\/var\/lib\/kubelet\/(?:pki|kubeconfig|config)|azure\.json\b/,
    'reads credentials',
  ],
  [
    /\b169\.254\.169\.254\b|\b169\.254\.170\.(?:2|23)\b|\bfd00:ec2::|metadata\.google\.internal|\b168\.63\.129\.16\b|\b100\.100\.100\.200\b|\b0xa9fea9fe\b|\b2852039166\b|\/latest\/(?:meta-data|user-data|api\/token|dynamic)\b|\bcomputeMetadata\/v1\b|\bmetadata\/(?:identity|instance)\b/i,
    'asks a metadata address',
  ],
  [/\/dev\/(?:tcp|udp)\/|\bzsh\/net\/(?:tcp|udp)\b|\b(?:ba|da|a|z)?sh\s{1,4}-i\s{0,4}>&/, 'opens a shell outwards'],
  [
    /\b(?:nc|ncat|netcat)\b(?=([^|;&]{0,220}))/gi,
    'opens a shell outwards',
    /\s(?:-[a-z]{0,10}[ec]\b|--exec|--sh-exec)/i,
  ],
  [/\bmkfifo\b|\bmknod\s{1,4}\S{1,200}\s{1,4}p\b/, 'opens a shell outwards'],
  [/\bsocat\b/, 'opens a shell outwards'],
  [/\bopenssl\s{1,4}s_client\b/, 'opens a shell outwards'],
  [
    /\b(?:python[\d.]{0,6}|perl|ruby|php[\d.]{0,4}|lua|node|nodejs|awk|gawk|tclsh)\b(?=([\s\S]{0,2000}))/gi,
    'runs an interpreter with a socket or a terminal',
    /\bsocket\b|TCPSocket|fsockopen|IO::Socket|\bpty\b|\/inet\/tcp|child_process|net\.connect/i,
  ],
  [
    /\b(?:curl|wget|fetch|aria2c)\b(?=([\s\S]{0,2000}))/gi,
    'runs what it downloads',
    /\|\s{0,4}(?:sudo\s{1,4})?(?:\/[\w./-]{0,64}\/)?(?:(?:ba|da|a|z|k)?sh\b|python|perl|php|node)/i,
  ],
  [/\b(?:ba|da|a|z)?sh\b(?=([\s\S]{0,50}))/gi, 'runs what it downloads', /(?:<\(|\$\(|`)\s{0,4}(?:curl|wget)\b/i],
  [
    /\bbase64\s{1,4}(?:-d|-D|--decode)\b(?=([\s\S]{0,280}))/g,
    'runs encoded commands',
    /\|\s{0,4}(?:\/[\w./-]{0,64}\/)?(?:ba|da|a|z)?sh\b/,
  ],
  [/\b(?:nsenter|chroot|crictl|unshare|release_agent)\b|\bctr\s{1,4}[-ctin]/, 'leaves the container'],
  [/\/run\/(?:[\w.@:-]{1,32}\/){0,3}[\w@:-]{1,32}\.sock\b/, 'leaves the container'],
  [/\b(?:xmrig|minerd|cpuminer|kinsing|stratum\+tcp)\b/i, 'mines'],
];

/** `kubectl cp` from a Pod: an archive that goes to the standard output. */
const copiesOut = /\btar\s{1,4}(?:-?[a-z]{0,10}c[a-z]{0,10}|--create)\s/;
const toStandardOutput = /(?:\s|f|=)-(?:\s|$)/;

function isMatch(command: string, pattern: RegExp, followedBy: RegExp | undefined): boolean {
  if (followedBy === undefined) return pattern.test(command);
  for (const [, ahead = ''] of command.matchAll(pattern)) if (followedBy.test(ahead)) return true;
  return false;
}

function suspicionOf(command: string): string | undefined {
  for (const [pattern, reason, followedBy] of suspicions) if (isMatch(command, pattern, followedBy)) return reason;
  return copiesOut.test(command) && toStandardOutput.test(command) ? 'takes files out' : undefined;
}

/** The last part of a program's path. */
function programOf(command: readonly string[]): string | undefined {
  return command[0]?.split('/').at(-1)?.slice(0, 64) || undefined;
}

/** The command of an exec, from the request's query or, as some clusters log it, its options. */
export function sessionFactsOf(query: URLSearchParams, body: unknown): SessionFacts {
  const inQuery = query.getAll('command').slice(0, 100);
  const command = inQuery.length > 0 ? inQuery : textsIn(at(body, 'command'));
  const line = command.join(' ').slice(0, maxJudged);
  return {
    command: line === '' ? undefined : maskText(line).slice(0, maxCommand),
    program: programOf(command),
    container: query.get('container') ?? textAt(body, 'container'),
    suspicion: suspicionOf(line),
  };
}
