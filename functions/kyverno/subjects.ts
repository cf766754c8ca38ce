import * as z from 'zod';
import { groupVersionOf } from '../../shared/api/kind-selector.ts';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { isClusterScoped } from '../../shared/finding/kubernetes-kinds.ts';
import { descriptiveText, namespaceText, type ObjectMetadata, ownerOf } from '../../shared/finding/object-schema.ts';
import { isPresent, text } from '../../shared/finding/values.ts';
import { workloadName } from '../../shared/finding/workload.ts';
import { type Properties, pick } from './properties.ts';

export const reference = z.object({
  apiVersion: descriptiveText,
  kind: descriptiveText,
  namespace: descriptiveText,
  name: descriptiveText,
});

type Reference = z.infer<typeof reference>;

interface ReportObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly scope?: Reference | null | undefined;
}

interface ResultSubjects {
  readonly resources?: readonly Reference[] | null | undefined;
  readonly properties: Properties;
}

/**
 * What a result is about: the object that it failed to change; else its own resources; else what the whole report is
 * about, the Pod that its properties name, or the report itself. Never what another result is about.
 */
export function subjectsOf({ resources, properties }: ResultSubjects, report: ReportObject): ResourceRef[] {
  const { apiVersion, kind, metadata, scope } = report;
  const target = patchedTarget(properties);
  if (target) return [target];
  const own = resources?.map((one) => refOf(one, metadata)).filter((ref) => ref !== undefined);
  if (own?.length) return own;
  const subject = (scope && refOf(scope, metadata)) ?? ownerOfReport(metadata) ?? podOf(properties, metadata);
  return [subject ?? refOf({ apiVersion, kind, ...metadata }, metadata) ?? { apiVersion, kind }];
}

/** A report's first owner, as its metadata tell it. */
export function ownerOfReport(metadata: ObjectMetadata): ResourceRef | undefined {
  const owner = ownerOf(metadata);
  return owner && refOf(owner, metadata);
}

/** Another group may have a kind of the same name whose objects have namespaces. */
function isClusterResource(kind: string, apiVersion = 'v1'): boolean {
  const { group } = groupVersionOf(apiVersion);
  return isClusterScoped(kind) && (!group.includes('.') || group.endsWith('.k8s.io'));
}

function refOf(given: Partial<Reference>, metadata: ObjectMetadata): ResourceRef | undefined {
  const [apiVersion, kind, name] = [text(given.apiVersion), text(given.kind), text(given.name)];
  if (kind === undefined || name === undefined) return undefined;
  const namespace = namespaceText(given.namespace) ?? namespaceText(metadata.namespace);
  return { apiVersion, kind, namespace: isClusterResource(kind, apiVersion) ? undefined : namespace, name };
}

/** Kyverno's `patched-target`, such as `apps/v1, Kind=Deployment Name=web Namespace=shop`; its core group is `/v1`. */
export function patchedTarget(properties: Properties): ResourceRef | undefined {
  const target = properties.get('patched-target');
  if (target === undefined) return undefined;
  const parts = new Map(
    [...target.matchAll(/\b(Kind|Namespace|Name)=([^\s,;]+)/g)].map(([, key, value]) => [key, value]),
  );
  const apiVersion = /^\/?([^\s,]+),/.exec(target)?.[1];
  return refOf({ apiVersion, kind: parts.get('Kind'), namespace: parts.get('Namespace'), name: parts.get('Name') }, {});
}

/** What an engine that watches processes says of the Pod that it saw them in. */
function podOf(properties: Properties, metadata: ObjectMetadata): ResourceRef | undefined {
  const name = pick(properties, [/\b(?:pod name|podname)$/, /\bpod$/]);
  const namespace = pick(properties, [/\b(?:pod namespace|namespace name|namespace|ns)$/]);
  return refOf({ apiVersion: 'v1', kind: 'Pod', namespace, name }, metadata);
}

/** Names the workload instead of a Pod that is one of many. */
export function placeOf(resource: ResourceRef, namespace = resource.namespace): string {
  const base = workloadName(resource);
  return [base === resource.name && resource.kind, [namespace, base].filter(isPresent).join('/')]
    .filter(Boolean)
    .join(' ');
}
