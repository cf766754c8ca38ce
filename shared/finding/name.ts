import { contentHash } from './canonical-json.ts';
import type { Finding, ResourceRef } from './finding.ts';

/** Only these members of a resource are hashed: a tool does not always know the apiVersion. */
function hashed(resource: ResourceRef | undefined): Record<string, string | undefined> | undefined {
  return resource && { kind: resource.kind, namespace: resource.namespace, name: resource.name };
}

/**
 * The name of an Observation: `<source>-<32 hex digits>` of the SHA-256 of the canonical JSON of
 * {source, category, severity, eventType, resource: {kind, namespace, name}, identity}, absent members left out.
 * Equal findings have equal names, so the uniqueness of names in the API server is the deduplication.
 */
export function observationName(source: string, observation: Finding): string {
  const { category, severity, eventType, resource, identity } = observation;
  return `${source}-${contentHash({ source, category, severity, eventType, resource: hashed(resource), identity })}`;
}

/** The value of the label `subject`: what a source knows of one affected resource is found by it. */
export function subjectOf(source: string, resource: ResourceRef | undefined): string {
  return contentHash({ source, resource: hashed(resource) });
}
