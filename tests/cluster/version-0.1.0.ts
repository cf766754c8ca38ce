import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Observation } from '../../shared/api/observation.ts';
import { contentHash } from '../../shared/finding/canonical-json.ts';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import type { Cluster } from './cluster.ts';

/** A finding as version 0.1.0 saw it. */
export interface OldFinding {
  readonly source: string;
  readonly category: string;
  readonly severity: Severity;
  readonly eventType: string;
  readonly resource: ResourceRef;
  readonly identity: Readonly<Record<string, string>>;
  readonly details: Readonly<Record<string, unknown>>;
  readonly detectedAt: string;
  readonly hasState: boolean;
}

/** The CRD of version 0.1.0. */
export const oldCrd = readFileSync(join(import.meta.dirname, 'observations-0.1.0.yaml'), 'utf8');

const prefix = 'zen.kube-zen.io';
const hour = 3_600_000;
const ttl = 604_800;

/** An Observation as version 0.1.0 wrote it: the name hashed the severity and the resource. */
export function oldObservation(finding: OldFinding, now: number): Observation {
  const { source, category, severity, eventType, identity, details, detectedAt, hasState } = finding;
  const { apiVersion, kind, namespace, name } = finding.resource;
  const resource = { kind, namespace, name };
  const state = {
    [`${prefix}/subject`]: contentHash({ source, resource }),
    [`${prefix}/state`]: 'open',
    [`${prefix}/state-since`]: String(Math.floor(now / 1000)),
  };
  return {
    ...{ apiVersion: `${prefix}/v1`, kind: 'Observation' },
    metadata: {
      name: `${source}-${contentHash({ source, category, severity, eventType, resource, identity })}`,
      namespace: namespace ?? 'zen-system',
      labels: {
        [`${prefix}/source`]: source,
        [`${prefix}/category`]: category,
        [`${prefix}/severity`]: severity,
        [`${prefix}/expires`]: String(Math.ceil((now + ttl * 1000) / hour)),
        ...(hasState && state),
      },
      annotations: { [`${prefix}/correlation-id`]: 'ping' },
    },
    spec: {
      ...{ source, category, severity, eventType, resource: { ...(apiVersion && { apiVersion }), ...resource } },
      ...{ details, detectedAt, ttlSecondsAfterCreation: ttl },
    },
  };
}

/** The account that writes. */
export interface Writer {
  readonly cluster: Cluster;
  readonly token: string;
}

const path = (namespace: string) => `/apis/${prefix}/v1/namespaces/${namespace}/observations`;

/** Writes what version 0.1.0 made of an event. */
export async function oldWrite(findings: readonly OldFinding[], { cluster, token }: Writer): Promise<void> {
  await forEachConcurrently(findings, 8, async (finding) => {
    const observation = oldObservation(finding, Date.now());
    const answer = await cluster.request('POST', path(observation.metadata.namespace), observation, { token });
    if (answer.status !== 201) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  });
}

/** What version 0.1.0 did in a pass over reports all of which it could read. */
export async function oldPass(source: string, findings: readonly OldFinding[], writer: Writer): Promise<void> {
  const { cluster, token } = writer;
  const selector = encodeURIComponent(`${prefix}/source=${source},${prefix}/state`);
  const { status, body } = await cluster.request('GET', `/apis/${prefix}/v1/observations?labelSelector=${selector}`);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  type Stored = { metadata: { name: string; namespace: string; labels: Record<string, string> } };
  const stored = new Map(body.items.map((one: Stored) => [one.metadata.name, one] as const));
  const wanted = new Set(findings.map((finding) => oldObservation(finding, 0).metadata.name));
  await oldWrite(
    findings.filter((finding) => !stored.has(oldObservation(finding, 0).metadata.name)),
    writer,
  );
  const label = async ({ metadata }: Stored, state: string): Promise<void> => {
    const labels = { [`${prefix}/state`]: state, [`${prefix}/state-since`]: String(Math.floor(Date.now() / 1000)) };
    const patch = { metadata: { labels } };
    const contentType = 'application/merge-patch+json';
    const target = `${path(metadata.namespace)}/${metadata.name}`;
    const answer = await cluster.request('PATCH', target, patch, { token, contentType });
    if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  };
  const isWanted = ({ metadata }: Stored): boolean => wanted.has(metadata.name);
  const stateOf = ({ metadata }: Stored): string | undefined => metadata.labels[`${prefix}/state`];
  const closed = body.items.filter((one: Stored) => isWanted(one) && stateOf(one) !== 'open');
  await forEachConcurrently<Stored>(closed, 8, (one) => label(one, 'open'));
  const gone = body.items.filter((one: Stored) => !isWanted(one) && stateOf(one) === 'open');
  await forEachConcurrently<Stored>(gone, 8, (one) => label(one, 'missing'));
}
