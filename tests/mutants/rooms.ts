/** A part of the code, and the tests that are asked about its mutants. */
export interface Room {
  readonly name: string;
  /** Globs of what is changed. */
  readonly files: readonly string[];
  /** Globs of tests that run in the process of the mutant. */
  readonly tests: readonly string[];
  /** The share of mutants that must be killed; `undefined`: it is printed only. Who survives must then be listed, too. */
  readonly least?: number;
}

/** What serves all of them: sources by their golden files, the pipeline by a store in memory. */
const sources = ['tests/functions/*.test.ts', 'tests/knative/generated.test.ts'];
const pipeline = ['tests/pipeline/*.test.ts', 'tests/functions/golden.test.ts', 'tests/observation/name.test.ts'];

export const rooms: readonly Room[] = [
  { name: 'functions', files: ['functions/*.ts'], tests: sources, least: 90 },
  {
    name: 'name and labels',
    files: ['shared/observation/{observation-name,labels,canonical-json,observation-object}.ts'],
    tests: ['tests/observation/{name,labels,observation-object}.test.ts'],
    least: 90,
  },
  {
    name: 'filter',
    files: ['shared/function/filter*.ts', 'shared/pipeline/filters.ts'],
    tests: ['tests/pipeline/filters.test.ts', 'tests/functions/filters.test.ts'],
    least: 90,
  },
  {
    name: 'pipeline',
    files: ['shared/pipeline/*.ts', '!shared/pipeline/filters.ts'],
    tests: ['tests/pipeline/*.test.ts'],
    least: 90,
  },
  {
    name: 'shared/observation',
    files: ['shared/observation/{bounds,built-in-kinds,mask-secrets,severity,values}.ts'],
    tests: ['tests/observation/*.test.ts', ...pipeline],
  },
  {
    name: 'shared/function',
    files: ['shared/function/*.ts', '!shared/function/filter*.ts'],
    tests: ['tests/function/*.test.ts', ...sources, ...pipeline, 'tests/host/routing.test.ts'],
  },
  {
    name: 'shared/mapping',
    files: ['shared/mapping/*.ts'],
    tests: ['tests/mapping/*.test.ts', 'tests/functions/ingest.test.ts'],
  },
  { name: 'shared/transport', files: ['shared/transport/*.ts'], tests: ['tests/{transport,kubernetes}/*.test.ts'] },
  { name: 'shared/kubernetes', files: ['shared/kubernetes/*.ts'], tests: ['tests/{kubernetes,transport}/*.test.ts'] },
  {
    name: 'shared/local',
    files: ['shared/local/*.ts'],
    tests: ['tests/local/*.test.ts', 'tests/stores/embedded-store.test.ts'],
  },
  { name: 'shared/host', files: ['shared/host/*.ts'], tests: ['tests/host/{coalesce,routing,sender,log}.test.ts'] },
];

/** These take long, and kill no mutant that the golden files leave alive. */
export const slowTests = [
  'tests/functions/corpus.test.ts',
  'tests/functions/properties.test.ts',
  'tests/pipeline/large-report.test.ts',
];
