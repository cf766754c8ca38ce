import * as z from 'zod';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { isClusterScoped } from '../../shared/finding/kubernetes-kinds.ts';
import { descriptiveText, namespaceText, type ObjectMetadata, ownerOf } from '../../shared/finding/object-schema.ts';
import { text } from '../../shared/finding/values.ts';
import { fileOf } from '../../shared/function/file-annotation.ts';

/** What every report says about the image that was scanned. */
export const scannedImage = {
  updateTimestamp: descriptiveText,
  artifact: z.object({ repository: descriptiveText }).nullish().catch(undefined),
  registry: z.object({ server: descriptiveText }).nullish().catch(undefined),
};

type ScannedImage = z.infer<z.ZodObject<typeof scannedImage>>;

/** What a report is about. */
export interface Subject {
  readonly resource: ResourceRef | undefined;
  /** What tells the containers of a resource apart: part of the identity. */
  readonly place: Readonly<Record<string, string | undefined>>;
  /** The image's name without tag and digest: with them, every release would change what is stored. */
  readonly image: string | undefined;
  /** The same without the registry's address. */
  readonly repository: string | undefined;
}

/** A label of the operator. Values that can't be label values are in an annotation with the same key. */
function operatorLabel({ labels, annotations }: ObjectMetadata, key: string): string | undefined {
  const name = `trivy-operator.${key}`;
  return text(labels?.[name]) ?? text(annotations?.[name]);
}

/**
 * The resource that a report is about: the one in the operator's labels, which stay the same when reports are
 * re-created; else the report's owner.
 */
export function affectedResource(metadata: ObjectMetadata): ResourceRef | undefined {
  const owner = ownerOf(metadata);
  const kind = operatorLabel(metadata, 'resource.kind');
  const name = operatorLabel(metadata, 'resource.name');
  const found = kind !== undefined && name !== undefined ? { kind, name } : owner;
  if (found === undefined) return undefined;
  const isOwner = owner?.kind === found.kind && owner.name === found.name;
  const namespace = namespaceText(metadata.namespace) ?? operatorLabel(metadata, 'resource.namespace');
  return {
    apiVersion: isOwner ? owner.apiVersion : undefined,
    kind: found.kind,
    namespace: isClusterScoped(found.kind) ? undefined : namespace,
    name: found.name,
  };
}

export function containerOf(metadata: ObjectMetadata): string | undefined {
  return operatorLabel(metadata, 'container.name');
}

/**
 * Where in its resource a finding is: in a container, else in an image. A file of Trivy's command line may know no
 * Kubernetes object; then what was scanned stands in its place.
 */
export function subjectOf(metadata: ObjectMetadata, { artifact, registry }: ScannedImage): Subject | undefined {
  const resource = affectedResource(metadata);
  const repository = text(artifact?.repository);
  if (resource === undefined) {
    if (fileOf(metadata) === undefined) return undefined;
    return { resource, place: { artifact: repository }, image: undefined, repository };
  }
  const server = text(registry?.server);
  const image = server !== undefined && repository !== undefined ? `${server}/${repository}` : repository;
  const container = containerOf(metadata);
  return { resource, place: container === undefined ? { image: repository } : { container }, image, repository };
}
