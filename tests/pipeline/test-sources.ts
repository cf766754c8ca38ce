import * as z from 'zod';
import { type KindSelector, selectIn } from '../../shared/api/kind-selector.ts';
import type { BadRow, Finding } from '../../shared/finding/finding.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { eventOf } from './test-context.ts';

/** The fields of a finding that differ from the default. */
export type Fields = Partial<Finding>;

export function aFinding(id: string, fields: Fields = {}): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'broken',
    rule: id,
    summary: `${id} is broken`,
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
  badRows: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  /** Makes `normalize` throw. */
  fault: z.enum(['refusal', 'error']).optional(),
});

const settingsSchema = z.object({});

function normalize(data: z.infer<typeof schema>, { time }: { readonly time: string }) {
  const { findings, skipped, badRows, fault } = data;
  if (fault === 'refusal') throw new Refusal(422, 'not like this', { path: 'data.fault' });
  if (fault === 'error') throw new TypeError('a bug');
  const dated = findings.map((finding) => ({ ...finding, detectedAt: finding.detectedAt || time }));
  return { findings: dated, skipped, ...(badRows && { badRows }) };
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

/** A source whose events contain its findings. */
export const events = defineSource({
  name: 'events',
  triggers: () => [{ type: 'Broker', eventType: 'com.example.found' }],
  settings: settingsSchema,
  schema,
  normalize,
});

/** A source whose objects contain its findings. */
export const boxes = defineSource({
  name: 'boxes',
  triggers: (settings) => [
    {
      type: 'ApiServerSource',
      kinds: [selectIn(box, settings), selectIn(crate, settings), selectIn(jar, settings, 'jars')],
    },
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
  ],
  settings: settingsSchema,
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
  readonly badRows?: readonly BadRow[];
  readonly fault?: 'refusal' | 'error';
}

/** An object of one of the kinds that `boxes` reads. */
export function anObject(name: string, options: ObjectOptions = {}) {
  const { resource = box, namespace = 'shop', findings = [aFinding(name)], metadata = {}, badRows, fault } = options;
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
    badRows,
    fault,
  };
}
