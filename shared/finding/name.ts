import { contentHash } from './canonical-json.ts';
import type { Finding, ResourceRef } from './finding.ts';
import { workloadKey } from './workload.ts';

/**
 * The name of an Observation: `<source>-<32 hex digits>` of the SHA-256 of the canonical JSON of
 * {source, category, eventType, workload, identity}, without absent members; `workload` is the key of the resource's
 * workload. Equal findings have equal names, so the API server, which keeps names unique, deduplicates them.
 */
export function observationName(source: string, finding: Finding): string {
  const { category, eventType, resource, identity } = finding;
  return `${source}-${contentHash({ category, eventType, identity, source, workload: resource && workloadKey(resource) })}`;
}

/** The value of the label `workload`: selects everything about one workload, whatever the source. */
export function workloadHash(resource: ResourceRef): string {
  return contentHash({ workload: workloadKey(resource) });
}

/** The value of the label `actor`: selects everything that one user did, whatever the source. */
export function actorHash(username: string): string {
  return contentHash({ actor: username });
}

/** Raised when a release shows the same facts in another form, so that stored ones are written anew. */
const digestVersion = 1;

/**
 * The value of the label `digest`: a hash of everything that may change while a finding stays the same. It tells, without
 * reading the Observation, whether it still says what the latest report says.
 */
export function findingDigest({ severity, summary, resource, remediation, references, details }: Finding): string {
  const workload = resource && workloadKey(resource);
  return contentHash({ details, digestVersion, references, remediation, severity, summary, workload });
}
