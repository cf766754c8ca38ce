import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A part of the code, and the tests that are asked about its mutants. */
export interface Room {
  readonly name: string;
  /** Globs of what is changed; with `!`, of what of it is not. */
  readonly files: readonly string[];
  /** Globs of tests that run in the process of the mutant. */
  readonly tests: readonly string[];
  /** The share of mutants that must be killed; those that survive must then be listed, too. Without it the share is only printed. */
  readonly least?: number;
}

/** What is asked of every function, as far as it is quick. */
const ofAll = ['tests/functions/{definitions,golden,refusals}.test.ts', 'tests/knative/generated.test.ts'];

/** What a function does is tested with another, too. */
const alsoIn: Readonly<Record<string, readonly string[]>> = {
  webhook: ['tests/functions/audit-shipping.test.ts'],
  audit: ['tests/knative/audit-documents.test.ts'],
};

function roomOf(name: string): Room {
  return {
    name: `functions/${name}`,
    files: [`functions/${name}.ts`, `functions/${name}/*.ts`],
    tests: [`tests/functions/${name}{,-*}.test.ts`, ...ofAll, ...(alsoIn[name] ?? [])],
    least: 90,
  };
}

const functions = readdirSync(join(import.meta.dirname, '..', '..', 'functions'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => basename(file, '.ts'));

export const rooms: readonly Room[] = [
  ...functions.map(roomOf),
  {
    name: 'name and labels',
    files: ['shared/finding/{name,canonical-json}.ts', 'shared/api/{labels,observation}.ts'],
    tests: ['tests/finding/name.test.ts', 'tests/api/{labels,observation}.test.ts'],
    least: 90,
  },
  {
    name: 'filter',
    files: ['shared/api/observation-filter.ts', 'shared/function/filter.ts', 'shared/rules/filter.ts'],
    tests: [
      'tests/rules/filter.test.ts',
      'tests/functions/filters.test.ts',
      'tests/facts/fields.test.ts',
      'tests/pipeline/expression-errors.test.ts',
    ],
    least: 90,
  },
  {
    name: 'pipeline',
    files: ['shared/pipeline/*.ts'],
    // What a function asks of it for mappings, Ingesters, filters, dead letters and silence is tested with that function.
    tests: ['tests/pipeline/*.test.ts', 'tests/functions/{deadletter,filters,gc-silence,ingest,sources}.test.ts'],
    least: 90,
  },
  {
    name: 'functions/tool-files',
    files: ['functions/tool-files/*.ts'],
    tests: ['tests/functions/tool-files.test.ts'],
    least: 90,
  },
  {
    name: 'shared/finding',
    files: ['shared/finding/*.ts', '!shared/finding/{name,canonical-json}.ts'],
    tests: ['tests/finding/*.test.ts', 'tests/functions/golden.test.ts'],
  },
  {
    name: 'shared/api',
    files: ['shared/api/*.ts', '!shared/api/{labels,observation,observation-filter}.ts'],
    tests: ['tests/{api,rules}/*.test.ts', 'tests/functions/{ingest,sources}.test.ts', 'tests/facts/fields.test.ts'],
  },
  {
    name: 'shared/function',
    files: ['shared/function/*.ts', '!shared/function/filter.ts'],
    tests: [
      ...['tests/function/*.test.ts', ...ofAll, 'tests/functions/{gc-silence,ingest,sources,webhook}.test.ts'],
      ...['tests/kubernetes/watch.test.ts', 'tests/standalone/{broker,kind-watches,runs}.test.ts'],
      ...['tests/pipeline/{completeness-pass,lifecycle}.test.ts', 'tests/facts/settings.test.ts'],
    ],
  },
  {
    name: 'shared/rules',
    files: ['shared/rules/*.ts', '!shared/rules/filter.ts'],
    tests: ['tests/rules/*.test.ts', 'tests/functions/ingest.test.ts'],
  },
  { name: 'shared/edge', files: ['shared/edge/**/*.ts'], tests: ['tests/edge/*.test.ts', 'tests/host/host.test.ts'] },
  { name: 'shared/transport', files: ['shared/transport/*.ts'], tests: ['tests/{transport,kubernetes}/*.test.ts'] },
  {
    name: 'shared/kubernetes',
    files: ['shared/kubernetes/*.ts'],
    tests: ['tests/kubernetes/*.test.ts', 'tests/stores/kubernetes-store.test.ts'],
  },
  {
    name: 'shared/view',
    files: ['shared/view/*.ts'],
    tests: [
      'tests/view/*.test.ts',
      'tests/facts/columns.test.ts',
      'tests/local/viewer.test.ts',
      'tests/host/viewers.test.ts',
    ],
  },
  { name: 'shared/standalone', files: ['shared/standalone/*.ts'], tests: ['tests/standalone/*.test.ts'] },
  {
    name: 'shared/local',
    files: ['shared/local/*.ts'],
    tests: [
      'tests/local/{folders,observations-arguments,viewer}.test.ts',
      'tests/stores/{embedded-store,embedded-reader,objects}.test.ts',
    ],
  },
  {
    name: 'shared/host',
    files: ['shared/host/*.ts'],
    tests: [
      'tests/host/{broker-address,clock,cluster-domain,coalesce,counting,hints,host,listen,memory}.test.ts',
      'tests/host/{ready-triggers,sleep,time-limit,unknown-settings,unreadable-filters,viewers}.test.ts',
      'tests/facts/settings.test.ts',
      'tests/pipeline/write.test.ts',
    ],
  },
];

/** These take long, or need the real payloads that no mutant sees, and kill none that the golden files leave alive. */
export const slowTests = [
  'tests/functions/{real-payloads,changed-reports,cases,cases-*}.test.ts',
  'tests/functions/{audit-hour,corpus,frozen-names,planted-secrets,printable}.test.ts',
  'tests/functions/properties.test.ts',
  'tests/pipeline/large-report.test.ts',
  'tests/pipeline/rollouts.test.ts',
];
