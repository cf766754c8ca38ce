import { contentHash } from './canonical-json.ts';
import type { Finding, ResourceRef } from './finding.ts';

/** The hashed part of a resource. The apiVersion is not part of it, since tools don't always know it. */
function hashedPart(resource: ResourceRef | undefined): Record<string, string | undefined> | undefined {
  return resource && { kind: resource.kind, namespace: resource.namespace, name: resource.name };
}

/**
 * The name of an Observation: `<source>-<32 hex digits>` of the SHA-256 of the canonical JSON of
 * {source, category, severity, eventType, resource: {kind, namespace, name}, identity}, without absent members.
 * Equal findings have equal names, so the API server, which keeps names unique, deduplicates them.
 */
export function observationName(source: string, finding: Finding): string {
  const { category, severity, eventType, resource, identity } = finding;
  return `${source}-${contentHash({ source, category, severity, eventType, resource: hashedPart(resource), identity })}`;
}

/** The value of the label `subject`: selects everything that a source has found about one resource. */
export function subjectLabel(source: string, resource: ResourceRef | undefined): string {
  return contentHash({ source, resource: hashedPart(resource) });
}
