import * as z from 'zod';
import { sessionFactsOf } from './command.ts';
import { objectOfPatch } from './json-patch.ts';
import { localVolumeOf, podFactsOf } from './pod-facts.ts';
import { rbacFacts, rbacFactsOf } from './rbac-facts.ts';
import { at, isRecord, recordsIn, textAt, textsIn } from './values.ts';
import { foreignWorkloads, workloads } from './workload-kinds.ts';

const texts = z.array(z.string());

/**
 * What the detections want to know of a request's bodies and query: names and yes or no, never a value. It replaces them
 * before an event leaves the gateway.
 */
export const factsSchema = z.object({
  /** Whether the body of the request was logged. */
  isSeen: z.boolean(),
  /** Whether a body was too long for the log, in the words that AKS puts in its place. */
  isCut: z.boolean().optional(),
  /** The name that the API server gave to an object with a generateName. */
  name: z.string().optional(),
  generateName: z.string().optional(),
  /** Kind and name of the controller that owns the object. */
  owner: z.string().optional(),
  isDryRun: z.boolean().optional(),
  /** What refused an allowed request, such as `admission webhook "x"`. */
  refusedBy: z.string().optional(),
  command: z.string().optional(),
  program: z.string().optional(),
  container: z.string().optional(),
  suspicion: z.string().optional(),
  /** Whether a list is of Helm's releases. */
  isHelm: z.boolean().optional(),
  powers: texts.optional(),
  isRoot: z.boolean().optional(),
  changes: texts.optional(),
  containers: texts.optional(),
  rbac: rbacFacts.optional(),
  /** What is done to the pod-security labels of a Namespace, in words. */
  podSecurity: texts.optional(),
  cloudRole: z.string().optional(),
  serviceType: z.string().optional(),
  externalIPs: texts.optional(),
  isWithoutTls: z.boolean().optional(),
  isConversion: z.boolean().optional(),
  isOnlyCaBundle: z.boolean().optional(),
  signer: z.string().optional(),
  tokenSeconds: z.number().optional(),
  /** What a SubjectAccessReview asks: the user, and `nodes/proxy`. */
  review: z.object({ user: z.string(), about: z.string() }).optional(),
});

export type Facts = z.infer<typeof factsSchema>;

/** An event, as far as facts are derived from it. */
export interface Bodies {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string | undefined;
  readonly requestURI: string;
  readonly verb: string | undefined;
  readonly requestObject: unknown;
  readonly responseObject: unknown;
  readonly message: string | undefined;
}

const podSecurityLabel = /^pod-security\.kubernetes\.io\/(enforce|audit|warn)(-version)?$/;
const gatekeeperLabel = 'admission.gatekeeper.sh/ignore';

function labelFault(key: string, value: unknown, isPatch: boolean): string[] {
  if (key === gatekeeperLabel) return value === null ? [] : ['Gatekeeper ignores it'];
  const [, mode, version] = podSecurityLabel.exec(key) ?? [];
  if (mode === undefined || mode === 'warn') return [];
  if (version !== undefined)
    return isPatch && value !== null && value !== 'latest' ? [`${mode} pinned to ${value}`] : [];
  if (value === null) return [`${mode} removed`];
  if (value === 'privileged') return [`${mode} privileged`];
  return isPatch && value === 'baseline' ? [`${mode} baseline`] : [];
}

function podSecurityOf(object: unknown, isPatch: boolean): string[] {
  const labels = at(object, 'metadata', 'labels');
  if (isPatch && labels === null) return ['enforce removed'];
  if (!isRecord(labels)) return [];
  const isReplaced =
    isPatch && labels.$patch === 'replace' && labels['pod-security.kubernetes.io/enforce'] === undefined;
  const faults = Object.entries(labels).flatMap(([key, value]) => labelFault(key, value, isPatch));
  return [...new Set([...faults, ...(isReplaced ? ['enforce removed'] : [])])].sort();
}

const roleAnnotations = [
  'eks.amazonaws.com/role-arn',
  'iam.gke.io/gcp-service-account',
  'azure.workload.identity/client-id',
] as const;

function cloudRoleOf(object: unknown): string | undefined {
  const annotations = at(object, 'metadata', 'annotations');
  const found = roleAnnotations.map((key) => textAt(annotations, key)).find((value) => value !== undefined);
  return found?.slice(0, 256);
}

/** The names of the members that are no objects. */
function leavesOf(value: unknown, name: string, depth = 0): string[] {
  if (depth > 8) return ['too much'];
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item, name, depth + 1));
  return isRecord(value) ? Object.entries(value).flatMap(([key, item]) => leavesOf(item, key, depth + 1)) : [name];
}

/** Whether a patch writes nothing but the caBundle of webhooks, which their controllers renew. */
function isOnlyCaBundle(object: unknown): boolean {
  if (!isRecord(object)) return false;
  const { kind: _kind, apiVersion: _version, metadata: _metadata, ...rest } = object;
  const leaves = leavesOf(rest, '');
  return leaves.includes('caBundle') && leaves.every((name) => name === 'caBundle' || name === 'name');
}

function reviewOf(object: unknown): Facts['review'] {
  const attributes = at(object, 'spec', 'resourceAttributes');
  const user = textAt(object, 'spec', 'user');
  const about = [textAt(attributes, 'resource'), textAt(attributes, 'subresource')].join('/');
  return user === undefined ? undefined : { user, about };
}

/**
 * What stands for a body that was too long, in AKS's log and where we can't read it:
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit
 */
export const tooLong = 'skipped-too-big-size-object';

type FactsOf = (object: unknown, bodies: Bodies) => Partial<Facts>;

const seconds = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

const byResource: ReadonlyMap<string, FactsOf> = new Map<string, FactsOf>([
  ['namespaces', (object, { verb }) => ({ podSecurity: podSecurityOf(object, verb === 'patch') })],
  [
    'serviceaccounts',
    (object) => ({ cloudRole: cloudRoleOf(object), tokenSeconds: seconds(at(object, 'spec', 'expirationSeconds')) }),
  ],
  [
    'services',
    (object) => ({
      serviceType: textAt(object, 'spec', 'type'),
      externalIPs: textsIn(at(object, 'spec', 'externalIPs')).slice(0, 20),
    }),
  ],
  [
    'ingresses',
    (object) => ({ isWithoutTls: isRecord(at(object, 'spec')) && recordsIn(at(object, 'spec', 'tls')).length === 0 }),
  ],
  [
    'customresourcedefinitions',
    (object) => ({
      isConversion:
        at(object, 'spec', 'conversion', 'strategy') === 'Webhook' ||
        isRecord(at(object, 'spec', 'conversion', 'webhook')),
    }),
  ],
  ['certificatesigningrequests', (object) => ({ signer: textAt(object, 'spec', 'signerName') })],
  ['subjectaccessreviews', (object) => ({ review: reviewOf(object) })],
  [
    'persistentvolumes',
    (object) => {
      const path = localVolumeOf(object);
      return path === undefined ? {} : { powers: [`host directory ${path}`], isRoot: path === '/' };
    },
  ],
]);

const rbacResources: ReadonlySet<string> = new Set(['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings']);

/** What an admission plugin says, and in parentheses what it calls itself. */
const refusals = [
  /(admission webhook "[^"]{1,253}") denied the request/,
  /(ValidatingAdmissionPolicy '[^']{1,253}') with binding '[^']{1,253}' denied request/,
  /violates (PodSecurity "[^"]{1,64}")/,
];

function refusedBy(message = ''): string | undefined {
  const text = message.slice(0, 8192);
  return refusals.map((refusal) => refusal.exec(text)?.[1]).find((found) => found !== undefined);
}

function queryOf(requestURI: string): URLSearchParams {
  const mark = requestURI.indexOf('?');
  return new URLSearchParams(mark < 0 ? '' : requestURI.slice(mark + 1, mark + 65_536));
}

/** A patch in JSON, or an object: sent as a whole, or as the part of it that is patched. */
function objectOf(requestObject: unknown): unknown {
  return Array.isArray(requestObject) ? objectOfPatch(requestObject) : requestObject;
}

/** Whether a kind runs Pods: of no other are containers looked for. */
function hasPods({ resource, group }: Bodies): boolean {
  return workloads.has(resource) || foreignWorkloads.get(resource) === group;
}

function ownerOf(object: unknown): string | undefined {
  const [owner] = recordsIn(at(object, 'metadata', 'ownerReferences'));
  const [kind, name] = [textAt(owner, 'kind'), textAt(owner, 'name')];
  return kind === undefined || name === undefined ? undefined : `${kind} ${name}`;
}

/** What is not told is left out, so that an event that is forwarded stays small. */
function told(facts: Facts): Facts {
  const entries = Object.entries(facts).filter(
    ([, value]) => value !== false && !(Array.isArray(value) && value.length === 0),
  );
  return { ...Object.fromEntries(entries), isSeen: facts.isSeen };
}

export function factsOf(bodies: Bodies): Facts {
  const { resource, subresource, requestURI, verb, requestObject, responseObject } = bodies;
  const object = objectOf(requestObject);
  const query = queryOf(requestURI);
  const isWrite = verb === 'create' || verb === 'update' || verb === 'patch';
  return told({
    isSeen: isRecord(object),
    isCut: requestObject === tooLong || responseObject === tooLong,
    name: textAt(responseObject, 'metadata', 'name') ?? textAt(object, 'metadata', 'name'),
    generateName: textAt(object, 'metadata', 'generateName'),
    owner: ownerOf(object),
    isDryRun: query.getAll('dryRun').includes('All') || textsIn(at(object, 'dryRun')).includes('All'),
    refusedBy: refusedBy(bodies.message),
    isHelm: query.get('labelSelector') === 'owner=helm',
    container: query.get('container') ?? undefined,
    ...(subresource === 'exec' && sessionFactsOf(query, object)),
    ...(isWrite && hasPods(bodies) && podFactsOf(object)),
    ...(isWrite && rbacResources.has(resource) && { rbac: rbacFactsOf(object, responseObject) }),
    ...(isWrite && byResource.get(resource)?.(object, bodies)),
    isOnlyCaBundle: verb === 'patch' && isOnlyCaBundle(object),
  });
}
