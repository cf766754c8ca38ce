import * as z from 'zod';
import { exactNamespace, filterRules, sourceName } from '../function/filter-spec.ts';
import { parseLabelSelector } from '../function/label-selector.ts';
import type { Resource } from '../function/resource.ts';
import { severities } from '../observation/severity.ts';
import { isPath, parsePath } from './path.ts';

export const observationMappings: Resource = {
  ...{ group: 'zen.kube-zen.io', versions: ['v1alpha1'], kind: 'ObservationMapping', plural: 'observationmappings' },
  namespaced: true,
};

export const ingesters: Resource = {
  ...{ group: 'zen.kube-zen.io', versions: ['v1alpha1'], kind: 'Ingester', plural: 'ingesters' },
  namespaced: true,
};

const path = z
  .string()
  .max(512)
  .refine((text) => parsePath(text) !== undefined, { error: 'is no path' });

/** A path where it begins with `.` or `$`, else the text itself. */
const value = z
  .string()
  .min(1)
  .max(512)
  .refine((text) => !isPath(text) || parsePath(text) !== undefined, { error: 'begins like a path, and is none' });

const words = z.array(z.string().max(253)).min(1).max(32);

const condition = z
  .strictObject({ path, in: words.optional(), notIn: words.optional() })
  .refine((one) => (one.in === undefined) !== (one.notIn === undefined), {
    error: 'exactly one of in and notIn is needed',
  });

/** How the elements of some data become Observations: the same in ObservationMapping and Ingester. */
const rules = z.strictObject({
  items: path.optional(),
  when: z.array(condition).max(16).default([]),
  mappings: z.strictObject({
    severity: value,
    category: value,
    eventType: value,
    message: value.optional(),
    resource: z
      .strictObject({ apiVersion: value.optional(), kind: value, name: value.optional(), namespace: value.optional() })
      .optional(),
    details: z
      .record(z.string(), value)
      .refine((details) => Object.keys(details).length <= 32, { error: 'has more than 32 keys' })
      .default({}),
  }),
  severityMap: z
    .record(z.string().min(1).max(63), z.enum(severities))
    .refine((map) => Object.keys(map).length <= 64, { error: 'has more than 64 words' })
    .default({}),
  identity: z.array(path).min(1).max(16).optional(),
});

export type MappingRules = z.infer<typeof rules>;

const groupName = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/, { error: 'must be an API group' });
const version = z.string().regex(/^v[0-9]+((alpha|beta)[0-9]+)?$/, { error: 'must be a version such as v1beta1' });
const plural = z
  .string()
  .max(63)
  .regex(/^[a-z][a-z0-9]*$/, { error: 'must be a lower-case plural' });

const objectMeta = z.object({
  name: z.string(),
  namespace: z.string(),
  creationTimestamp: z.string().nullish(),
  uid: z.string().optional(),
});

export const mappingObject = z.object({
  metadata: objectMeta,
  spec: rules.extend({
    sourceName,
    group: groupName,
    version,
    kind: z
      .string()
      .max(63)
      .regex(/^[A-Z][A-Za-z0-9]*$/, { error: 'must be a kind' }),
    resource: plural.optional(),
    enabled: z.boolean().default(true),
  }),
});

const units: Readonly<Record<string, number>> = {
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
  ms: 0.001,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
};

/** Seconds, of `7d`, `12h` or a Go duration such as `1h30m`: https://pkg.go.dev/time#ParseDuration */
export function parseDuration(text: string): number | undefined {
  const part = /(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|d|h|m|s)/y;
  let seconds = 0;
  let at = 0;
  for (; at < text.length; at = part.lastIndex) {
    part.lastIndex = at;
    const match = part.exec(text);
    if (!match) return undefined;
    seconds += Number(match[1]) * (units[match[2] ?? ''] ?? 0);
  }
  return at > 0 && seconds >= 1 ? Math.floor(seconds) : undefined;
}

const duration = z
  .string()
  .max(32)
  .transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds === undefined)
      context.addIssue({ code: 'custom', message: 'must be a duration of a second at least, such as 7d or 12h' });
    return seconds ?? 0;
  });

const labelSelector = z
  .string()
  .max(1024)
  .refine((text) => parseLabelSelector(text) !== undefined, { error: 'is no label selector' });

export const ingesterObject = z.object({
  metadata: objectMeta,
  spec: rules
    .extend({
      source: sourceName,
      ingester: z.enum(['informer', 'webhook']),
      informer: z
        .strictObject({
          gvr: z.strictObject({ group: groupName, version, resource: plural }),
          namespace: exactNamespace.optional(),
          labelSelector: labelSelector.optional(),
        })
        .optional(),
      webhook: z
        .strictObject({
          path: z
            .string()
            .max(128)
            .regex(/^[a-z0-9]([-a-z0-9/]*[a-z0-9])?$/, { error: 'must be a path below /ingest/' }),
        })
        .optional(),
      filters: filterRules.optional(),
      ttl: z.strictObject({ default: duration }).optional(),
      deduplication: z.strictObject({ windowSeconds: z.int().min(1).max(31_536_000) }).optional(),
    })
    .refine((spec) => (spec.ingester === 'informer') === (spec.informer !== undefined), {
      error: 'informer is needed for ingester: informer, and for it alone',
    })
    .refine((spec) => (spec.ingester === 'webhook') === (spec.webhook !== undefined), {
      error: 'webhook is needed for ingester: webhook, and for it alone',
    }),
});
