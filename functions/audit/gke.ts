import { at, recordsIn, textAt } from './values.ts';

/**
 * A log entry of GKE as the audit event that it was made of. https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging
 * Its method has another spelling of the API group (`io.k8s.authorization.rbac.v1.roles.create`) than its resource
 * (`rbac.authorization.k8s.io/v1/namespaces/shop/roles/r`), which is the true one.
 */

const [ok, unknown] = [0, 2];

/** google.rpc.Code, as what the API server answered. */
const statuses: ReadonlyMap<number, number> = new Map([
  [ok, 200],
  [3, 422],
  [5, 404],
  [6, 409],
  [7, 403],
  [9, 409],
  [10, 409],
  [16, 401],
]);

interface Place {
  readonly apiGroup?: string;
  readonly apiVersion?: string;
  readonly namespace?: string | undefined;
  readonly resource?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** What some entries write like a resource of the core group: `core/v1/healthz`. */
const healthPaths: ReadonlySet<string> = new Set(['healthz', 'livez', 'readyz', 'version', 'openapi']);

/** Subresources of Namespaces, whose path looks like that of a list in one. */
const ofNamespaces: ReadonlySet<string> = new Set(['finalize', 'status']);

/** `apps/v1/namespaces/shop/deployments/web/scale`; without a group and version it is a path that names no object. */
function placeOf(resourceName: string): Place {
  const [group = '', apiVersion = '', ...rest] = resourceName.split('/').filter((part) => part !== '');
  if (!/^v\d/.test(apiVersion)) return {};
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2 && !ofNamespaces.has(rest[2] ?? '');
  const [resource = '', name, subresource] = isNamespaced ? rest.slice(2) : rest;
  const namespace = isNamespaced ? rest[1] : undefined;
  return { apiGroup: group === 'core' ? '' : group, apiVersion, namespace, resource, name, subresource };
}

/** The verb, and the subresource that the method names before it. */
function methodOf(methodName: string): { readonly verb: string; readonly parts: readonly string[] } {
  const parts = methodName.split('.');
  return { verb: parts.at(-1) ?? '', parts: parts.slice(0, -1) };
}

/** Of an entry without a resource's name, what its method says: `io.k8s.core.v1.pods.create`. */
function placeOfMethod([, , , apiVersion = '', resource]: readonly string[]): Place {
  return /^v\d/.test(apiVersion) ? { apiVersion, resource } : {};
}

/** The method of an exec is `io.k8s.core.v1.pods.exec.create`, whether or not the resource's name says so. */
function subresourceIn({ resource, subresource }: Place, parts: readonly string[]): string | undefined {
  return subresource ?? (parts.at(-2) === resource ? parts.at(-1) : undefined);
}

/** What names no object: `healthz`, `core/v1/healthz`, or nothing but the method `io.k8s.readyz`. */
function pathIn(resourceName: string, methodName: string): string | undefined {
  const [, , word = ''] = resourceName.split('/');
  if (healthPaths.has(word)) return word;
  return resourceName === '' ? methodName.split('.').find((part) => healthPaths.has(part)) : undefined;
}

/** Whose rights decided, if nobody signed in. */
function usernameOf(payload: Readonly<Record<string, unknown>>): string | undefined {
  const info = payload.authenticationInfo;
  return textAt(info, 'principalEmail') ?? textAt(info, 'authoritySelector');
}

function statusOf(payload: Readonly<Record<string, unknown>>): number {
  // The answer of the API server itself, if it is there, says more.
  const isFailure = at(payload, 'response', 'status') === 'Failure';
  const given = at(payload, 'response', 'code');
  if (isFailure && typeof given === 'number') return given;
  const code = at(payload, 'status', 'code') ?? (isFailure ? unknown : ok);
  return statuses.get(typeof code === 'number' ? code : ok) ?? 500;
}

function stagesOf(entry: Readonly<Record<string, unknown>>): string {
  const isFirstOnly = at(entry, 'operation', 'first') === true && at(entry, 'operation', 'last') !== true;
  return isFirstOnly ? 'ResponseStarted' : 'ResponseComplete';
}

/** `undefined` for what another service of Google did. */
export function gkeEventOf(
  entry: Readonly<Record<string, unknown>>,
  payload: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | undefined {
  const methodName = textAt(payload, 'methodName') ?? '';
  if (!methodName.startsWith('io.k8s.') && textAt(payload, 'serviceName') !== 'k8s.io') return undefined;
  const [authorized] = recordsIn(payload.authorizationInfo);
  const resourceName = textAt(payload, 'resourceName') ?? textAt(authorized, 'resource') ?? '';
  const { verb, parts } = methodOf(methodName);
  const path = pathIn(resourceName, methodName);
  const place = path !== undefined ? {} : resourceName === '' ? placeOfMethod(parts) : placeOf(resourceName);
  const hasObject = place.resource !== undefined;
  const time = textAt(entry, 'timestamp') ?? textAt(entry, 'receiveTimestamp');
  return {
    kind: 'Event',
    auditID: textAt(entry, 'operation', 'id') ?? textAt(entry, 'insertId'),
    stage: stagesOf(entry),
    requestURI: `/${(path ?? resourceName).replace(/^\//, '')}`,
    verb,
    user: { username: usernameOf(payload) },
    sourceIPs: [at(payload, 'requestMetadata', 'callerIp')],
    userAgent: textAt(payload, 'requestMetadata', 'callerSuppliedUserAgent'),
    objectRef: hasObject ? { ...place, subresource: subresourceIn(place, parts) } : undefined,
    responseStatus: { code: statusOf(payload), message: textAt(payload, 'status', 'message') },
    requestReceivedTimestamp: time,
    stageTimestamp: time,
    annotations: entry.labels,
    requestObject: payload.request,
    responseObject: payload.response,
  };
}
