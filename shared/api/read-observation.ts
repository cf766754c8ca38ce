import * as z from 'zod';
import { severities } from '../finding/severity.ts';
import { group } from './group.ts';
import type { Observation } from './observation.ts';
import { statusSchema } from './series.ts';

const stringMap = z.record(z.string(), z.string());

const actorSchema = z.object({
  username: z.string().default(''),
  groups: z.array(z.string()).exactOptional(),
  sourceIP: z.string().exactOptional(),
  userAgent: z.string().exactOptional(),
  via: z.string().exactOptional(),
});

const observationSchema = z.looseObject({
  metadata: z.object({
    namespace: z.string(),
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    creationTimestamp: z.string(),
    labels: stringMap.default({}),
    annotations: stringMap.default({}),
  }),
  spec: z.looseObject({
    source: z.string(),
    category: z.string(),
    severity: z.string().transform((word) => severities.find((one) => one === word.toUpperCase()) ?? 'UNKNOWN'),
    eventType: z.string(),
    rule: z.string().exactOptional(),
    summary: z.string().exactOptional(),
    actor: actorSchema.exactOptional(),
    remediation: z.string().exactOptional(),
    references: z.array(z.string()).exactOptional(),
    resource: z
      .object({
        apiVersion: z.string().optional(),
        kind: z.string().default(''),
        name: z.string().optional(),
        namespace: z.string().optional(),
      })
      .exactOptional(),
    details: z.record(z.string(), z.unknown()).default({}),
    detectedAt: z.string().default(''),
    ttlSecondsAfterCreation: z.number().default(0),
  }),
  status: statusSchema.exactOptional(),
});

const listSchema = z.object({
  items: z.array(observationSchema).nullish(),
  metadata: z.object({ continue: z.string().optional(), resourceVersion: z.string().default('') }),
});

const typed = { apiVersion: `${group}/v1`, kind: 'Observation' } as const;

/** An Observation as the API server gives it, whoever wrote it. Throws an Error. */
export function readObservation(body: unknown): Observation {
  const item = observationSchema.parse(body);
  // First, for people to read, and last, for it to hold whatever the item says.
  return { ...typed, ...item, ...typed };
}

/** A page of a list of Observations; `continue` is empty after the last one. Throws an Error. */
export function readObservationList(body: unknown): {
  readonly items: readonly Observation[];
  readonly continue: string;
  readonly resourceVersion: string;
} {
  const { items, metadata } = listSchema.parse(body);
  return {
    items: (items ?? []).map((item) => ({ ...typed, ...item, ...typed })),
    continue: metadata.continue ?? '',
    resourceVersion: metadata.resourceVersion,
  };
}
