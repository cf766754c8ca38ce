import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileExpression } from '../../shared/rules/expression.ts';
import { sources } from '../host/program.ts';
import { hostileExpression, largestFinding } from '../rules/hostile-expressions.ts';
import { type Row, takeTurns } from './measure.ts';
import { microsecondsPerEvent } from './per-event.ts';

const filters = 100;
const events = 5000;

function withConfiguration(config: string): readonly string[] {
  return [sources, '--data', ':memory:', '--config', config];
}

/** A folder with filters that all apply to Falco's alerts, and drop none of the bench's. */
function configuration(folder: string, name: string, specOf: (index: number) => object): string {
  const config = join(folder, name);
  mkdirSync(config);
  for (let index = 0; index < filters; index += 1) {
    const metadata = { name: `filter-${index}`, namespace: 'zen-system' };
    const object = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata };
    const spec = { targetSource: 'falco', ...specOf(index) };
    writeFileSync(join(config, `${index}.json`), JSON.stringify({ ...object, spec }));
  }
  return config;
}

function cpuMilliseconds(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** The CPU time of the slowest of 1,000 expressions on the largest finding; of each the best of three, since others run, too. */
function slowestHostile(): number {
  const taken = Array.from({ length: 1000 }, (_, seed) => {
    const expression = compileExpression(hostileExpression(seed));
    if (typeof expression === 'object') return 0;
    return Math.min(...[1, 2, 3].map(() => cpuMilliseconds(() => expression(largestFinding))));
  });
  return Math.max(...taken);
}

export async function filterRows(folder: string): Promise<Row[]> {
  const builtIn = configuration(folder, 'built-in', (index) => ({
    minSeverity: 'LOW',
    excludeNamespaces: [`team-${index}-*`],
    excludeRules: [`rule ${index}`],
  }));
  const asExpression = configuration(folder, 'expressions', (index) => ({
    expression: `!namespace.startsWith("team-${index}-") && rule != "rule ${index}"`,
  }));
  const perEvent = await takeTurns(
    3,
    () => microsecondsPerEvent(withConfiguration(builtIn), {}, events),
    () => microsecondsPerEvent(withConfiguration(asExpression), {}, events),
  );
  slowestHostile();
  const hostile = [slowestHostile(), slowestHostile(), slowestHostile()];
  return [
    {
      name: `CPU per Falco event with ${filters} expressions as filters`,
      ...{ unit: 'µs', against: `${filters} filters of lists that say the same`, goal: 1.5, ...perEvent },
    },
    {
      name: 'the slowest of 1,000 hostile expressions, CPU',
      ...{ unit: 'ms', against: '5 ms', goal: 1, ours: hostile, floor: hostile.map(() => 5) },
    },
  ];
}
