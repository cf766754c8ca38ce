import * as z from 'zod';
import { configurationKind } from './group.ts';
import { parseLabelSelector } from './label-selector.ts';
import { groupName, mappingRules, objectMeta, plural, version } from './mapping-rules.ts';
import { filterRules, rfc1123Label, sourceName } from './observation-filter.ts';
import { text } from './text.ts';

export const ingesters = configurationKind('Ingester');

const secondsPerUnit: Readonly<Record<string, number>> = {
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
  ms: 0.001,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
};

/**
 * The seconds in `7d`, `12h` or a Go duration such as `1h30m` (https://pkg.go.dev/time#ParseDuration); `undefined` if
 * the text is not a duration, or is shorter than a second.
 */
export function parseDuration(text: string): number | undefined {
  const part = /(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|d|h|m|s)/y;
  let seconds = 0;
  let at = 0;
  for (; at < text.length; at = part.lastIndex) {
    part.lastIndex = at;
    const match = part.exec(text);
    if (!match) return undefined;
    seconds += Number(match[1]) * (secondsPerUnit[match[2] ?? ''] ?? 0);
  }
  return at > 0 && seconds >= 1 ? Math.floor(seconds) : undefined;
}

const duration = z
  .string()
  .max(32)
  .transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds === undefined)
      context.addIssue({ code: 'custom', message: 'must be a duration of at least one second, such as 7d or 12h' });
    return seconds ?? 0;
  });

const labelSelector = text(0, 1024).refine((selector) => parseLabelSelector(selector) !== undefined, {
  error: 'is not a label selector',
});

/** Of one namespace, since what is watched has one path at the API server. */
const exactNamespace = text(1, 63).regex(rfc1123Label, {
  error: 'must be the name of a namespace: patterns are not known',
});

export const ingesterObject = z.object({
  metadata: objectMeta,
  spec: mappingRules
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
