// The page knows these words from here, too: it imports nothing that a browser can't run.

/** What a list can be narrowed by with a click. */
export const facets = [
  'severity',
  'source',
  'namespace',
  'workload',
  'rule',
  'kind',
  'actor',
  'image',
  'fix',
  'category',
  'eventType',
] as const;

export type Facet = (typeof facets)[number];
