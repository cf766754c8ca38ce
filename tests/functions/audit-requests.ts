import audit from '../../functions/audit.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { triggersOf } from '../../shared/function/definitions.ts';
import { type Environment, parseSettings } from '../../shared/function/settings.ts';
import type { SplitBody } from '../../shared/function/triggers.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';

/** A request as a table of samples writes it: `verb group/resource/subresource namespace/name`, and who made it. */
export interface Sample {
  readonly by: string;
  /** `create pods shop/web`, `get pods/exec shop/web`, `list secrets -`, `create apps:deployments shop/web`, `GET /healthz`. */
  readonly does: string;
  readonly groups?: readonly string[];
  readonly agent?: string;
  readonly from?: string;
  readonly as?: string;
  readonly asGroups?: readonly string[];
  readonly query?: string;
  readonly path?: string;
  readonly code?: number;
  readonly message?: string;
  readonly decision?: 'allow' | 'forbid';
  readonly body?: unknown;
  readonly result?: unknown;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly stage?: string;
  readonly at?: string;
}

let count = 0;

/** The short names of the tables: `shop/web` is that ServiceAccount. */
function usernameOf(by: string): string {
  const isAccount = /^[a-z0-9-]+\/[a-z0-9-]+$/.test(by);
  return isAccount ? `system:serviceaccount:${by.replace('/', ':')}` : by;
}

function agentOf(by: string, agent: string | undefined): string {
  if (agent !== undefined) return agent;
  return usernameOf(by).startsWith('system:') ? 'controller/v1.2.3 (linux/amd64)' : 'kubectl/v1.36.0 (linux/amd64)';
}

function refOf(does: string) {
  const [verb = '', what = '', place = '-'] = does.split(' ');
  if (what.startsWith('/')) return { verb: verb.toLowerCase(), requestURI: what };
  const [apiGroup = '', plural = ''] = what.includes(':') ? what.split(':') : ['', what];
  const [resource, subresource] = plural.split('/');
  const [first, name] = place === '-' ? [] : place.includes('/') ? place.split('/') : [undefined, place];
  const namespace = first === '' ? undefined : first;
  const objectRef = {
    resource,
    subresource,
    apiGroup,
    apiVersion: 'v1',
    namespace,
    name: name === '' ? undefined : name,
  };
  return { verb, requestURI: `/api/v1/${resource}`, objectRef };
}

/** The audit event of a sample. */
export function eventOf(sample: Sample): Record<string, unknown> {
  const { by, does, as, query, code = 200, message, decision = 'allow', body, result } = sample;
  const { requestURI, ...ref } = refOf(does);
  count += 1;
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: body === undefined ? 'Metadata' : 'Request',
    auditID: `0f0f0f0f-1111-4222-8333-${String(count).padStart(12, '0')}`,
    stage: sample.stage ?? 'ResponseComplete',
    ...ref,
    requestURI: `${sample.path ?? requestURI}${query === undefined ? '' : `?${query}`}`,
    user: { username: usernameOf(by), groups: sample.groups ?? ['system:authenticated'], extra: sample.extra },
    ...(as !== undefined && { impersonatedUser: { username: usernameOf(as), groups: sample.asGroups ?? [] } }),
    sourceIPs: [sample.from ?? '203.0.113.7'],
    userAgent: agentOf(by, sample.agent),
    responseStatus: { code, message },
    requestReceivedTimestamp: sample.at ?? '2026-03-01T10:00:00.000001Z',
    stageTimestamp: sample.at ?? '2026-03-01T10:00:00.000002Z',
    annotations: { 'authorization.k8s.io/decision': decision, ...sample.annotations },
    requestObject: body,
    responseObject: result,
  };
}

function parsedSettings(environment: Environment, ownUsers: readonly string[]) {
  return Object.assign({}, parseSettings(environment, audit.settings, ownUsers));
}

const known = new Map<string, ReturnType<typeof parsedSettings>>();

/** The settings, parsed once, as a process does. */
function settingsOf(environment: Environment, ownUsers: readonly string[] = []): ReturnType<typeof parsedSettings> {
  const key = JSON.stringify([environment, ownUsers]);
  const settings = known.get(key) ?? parsedSettings(environment, ownUsers);
  known.set(key, settings);
  return settings;
}

/** What the source says of an event, straight from the API server. */
export function findingsOf(event: unknown, environment: Environment = {}): readonly Finding[] {
  return normalizeData(audit.source, event, '2026-03-01T10:00:00Z', settingsOf(environment)).findings;
}

/** Why nothing is said of a request. */
export function skippedOf(
  sample: Sample,
  environment: Environment = {},
  ownUsers: readonly string[] = [],
): Readonly<Record<string, number>> {
  const settings = settingsOf(environment, ownUsers);
  return normalizeData(audit.source, eventOf(sample), '2026-03-01T10:00:00Z', settings).skipped;
}

export function findingOf(sample: Sample, environment: Environment = {}): Finding | undefined {
  return findingsOf(eventOf(sample), environment)[0];
}

/** What the webhook passes on of a body. */
export function splitOf(body: unknown, environment: Environment = {}): SplitBody {
  const webhook = triggersOf(audit, settingsOf(environment)).find((trigger) => trigger.type === 'Webhook');
  if (!webhook) throw new Error('no webhook');
  return webhook.split(body);
}

/**
 * What is said of a request: `HIGH secret-read: eve listed Secrets in shop`; nothing if nobody needs to know. Throws if what
 * the webhook passes on would say anything else.
 */
export function told(sample: Sample, environment: Environment = {}): string | undefined {
  const event = eventOf(sample);
  const lines = (findings: readonly Finding[]): string[] =>
    findings.map(({ severity, rule, summary }) => `${severity} ${rule}: ${summary}`);
  const [line] = lines(findingsOf(event, environment));
  const sent: unknown[] = JSON.parse(JSON.stringify(splitOf(event, environment).items.map(({ data }) => data)));
  const passed = sent.flatMap((data) => lines(findingsOf(data, environment)));
  if (passed.length !== sent.length || passed[0] !== line) throw new Error(`"${line}", but passed on as "${passed}"`);
  return line;
}

const container = (extra: Readonly<Record<string, unknown>> = {}) => ({ name: 'web', image: 'web:1', ...extra });

/** A Pod with one container, or what of it is given. */
export function podOf(spec: Readonly<Record<string, unknown>> = {}, more: Readonly<Record<string, unknown>> = {}) {
  return { kind: 'Pod', metadata: { name: 'web' }, spec: { containers: [container(more)], ...spec } };
}

/** A workload whose template is such a Pod. */
export function templateOf(spec: Readonly<Record<string, unknown>> = {}, more: Readonly<Record<string, unknown>> = {}) {
  return { metadata: { name: 'web' }, spec: { template: { spec: podOf(spec, more).spec } } };
}
