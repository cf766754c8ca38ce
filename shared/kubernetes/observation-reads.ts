import * as z from 'zod';
import { group } from '../api/group.ts';
import { statusSchema } from '../api/series.ts';
import { severities } from '../finding/severity.ts';
import { Refusal } from '../function/refusal.ts';
import type { ObservationReader, ReadQuery } from '../view/observation-reader.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { observationPath } from './observation-path.ts';

const readMilliseconds = 30_000;

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
  items: z.array(observationSchema),
  metadata: z.object({ continue: z.string().optional() }),
});

function fieldSelectorOf({ source, severity }: ReadQuery): string | undefined {
  const fields = Object.entries({ 'spec.source': source, 'spec.severity': severity });
  const wanted = fields.filter(([, value]) => value !== undefined).map(([field, value]) => `${field}=${value}`);
  return wanted.length > 0 ? wanted.join(',') : undefined;
}

/** Reads whole Observations, in `watchNamespace` unless the query names another. */
export function createObservationReads(
  client: ApiClient,
  watchNamespace: string | undefined,
): ObservationReader['read'] {
  return async (query) => {
    const response = await client.request({
      method: 'GET',
      path: observationPath(query.namespace ?? watchNamespace),
      query: { fieldSelector: fieldSelectorOf(query), limit: String(query.limit), continue: query.continue },
      signal: AbortSignal.timeout(readMilliseconds),
    });
    if (response.status === 400 || response.status === 410) throw new Refusal(400, 'a bad query', { path: 'continue' });
    if (response.status !== 200) throw setUpFault('listing Observations', response);
    const { items, metadata } = listSchema.parse(response.body);
    const typed = { apiVersion: `${group}/v1`, kind: 'Observation' } as const;
    // First, for people to read, and last, for it to hold whatever the item says.
    const whole = items.map((item) => ({ ...typed, ...item, ...typed }));
    return metadata.continue ? { items: whole, continue: metadata.continue } : { items: whole };
  };
}
