import type { Facet } from '../facets.ts';

/** What people call what can be chosen. */
export const words: Readonly<Record<Facet | 'fixable' | 'search' | 'view' | 'sort', string>> = {
  severity: 'Severity',
  source: 'Source',
  namespace: 'Namespace',
  workload: 'Workload',
  rule: 'Rule',
  kind: 'Kind',
  actor: 'User',
  image: 'Image',
  fix: 'Fix',
  category: 'Category',
  eventType: 'Type',
  fixable: 'Can be fixed',
  search: 'Text',
  view: 'View',
  sort: 'Order',
};

export const views = [
  ['open', 'Open', 'What is wrong now'],
  ['new', 'New', 'First seen in the last day'],
  ['gone', 'Gone', 'Went away in the last day'],
  ['accepted', 'Accepted', 'Open, but accepted'],
  ['all', 'All', 'Everything stored'],
] as const;

export const sorts = [
  ['severity', 'Worst first'],
  ['age', 'Newest first'],
  ['namespace', 'By namespace'],
] as const;
