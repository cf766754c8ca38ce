import * as z from 'zod';
import { type KindSelector, selectIn } from '../../shared/api/kind-selector.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { eventOf } from './test-context.ts';

/** What a finding says of itself in these tests, all of it optional. */
export type Fields = Partial<Finding>;

export function aFinding(id: string, fields: Fields = {}): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'broken',
    resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'p' },
    identity: { id },
    details: { id },
    detectedAt: '2026-03-01T10:00:00Z',
    ...fields,
  };
}

const schema = z.object({
  findings: z.array(z.custom<Finding>((finding) => typeof finding === 'object' && finding !== null)),
  skipped: z.record(z.string(), z.number()).default({}),
  /** Makes `normalize` throw. */
  fault: z.enum(['refusal', 'error']).optional(),
});

const settings = z.object({});

function normalize({ findings, skipped, fault }: z.infer<typeof schema>, { time }: { readonly time: string }) {
  if (fault === 'refusal') throw new Refusal(422, 'not like this', { path: 'data.fault' });
  if (fault === 'error') throw new TypeError('a bug');
  return { findings: findings.map((finding) => ({ ...finding, detectedAt: finding.detectedAt || time })), skipped };
}

export const box: KindSelector = {
  group: 'example.com',
  versions: ['v1'],
  kind: 'Box',
  plural: 'boxes',
  namespaced: true,
};

export const crate: KindSelector = {
  group: 'example.com',
  versions: ['v1'],
  kind: 'Crate',
  plural: 'crates',
  namespaced: false,
};

export const jar: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'Jar',
  plural: 'jars',
  namespaced: true,
  labels: { app: 'tool' },
};

/** A source whose events say what its findings are. */
export const events = defineSource({
  name: 'events',
  triggers: () => [{ type: 'Broker', eventType: 'com.example.found' }],
  settings,
  schema,
  normalize,
});

/** A source whose objects say what their findings are. */
export const boxes = defineSource({
  name: 'boxes',
  triggers: (given) => [
    {
      type: 'ApiServerSource',
      kinds: [selectIn(box, given), selectIn(crate, given), selectIn(jar, given, 'jars')],
    },
    { type: 'PingSource', minutes: given.RESYNC_INTERVAL_MINUTES },
  ],
  settings,
  schema,
  normalize,
});

export function found(findings: readonly unknown[], more: object = {}): CloudEvent {
  return eventOf('com.example.found', { findings, ...more });
}

export interface ObjectOptions {
  readonly resource?: KindSelector;
  readonly namespace?: string | undefined;
  readonly findings?: unknown;
  readonly metadata?: Partial<KubernetesObject['metadata']>;
  readonly fault?: 'refusal' | 'error';
}

/** An object of one of the kinds that `boxes` reads. */
export function anObject(name: string, options: ObjectOptions = {}) {
  const { resource = box, namespace = 'shop', findings = [aFinding(name)], metadata = {}, fault } = options;
  return {
    apiVersion: resource.group === '' ? 'v1' : `${resource.group}/v1`,
    kind: resource.kind,
    metadata: {
      name,
      namespace: resource.namespaced ? namespace : undefined,
      creationTimestamp: '2026-03-01T11:00:00Z',
      ...metadata,
    },
    findings,
    fault,
  };
}
