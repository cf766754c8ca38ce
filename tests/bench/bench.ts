import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import buildOnce from '../build-once.ts';
import { clusterUnavailable } from '../cluster/binaries.ts';
import { capacity } from './capacity.ts';
import { clusterGroups, clusterRows } from './cluster-rows.ts';
import { growth } from './growth.ts';
import { localGroups, localRows } from './local-rows.ts';
import { median, type Row } from './measure.ts';
import { policies } from './policies.ts';

const shortly = (value: number): string => value.toFixed(value < 20 ? 1 : 0);

function isReached({ goal, isRate, isDifference, ...row }: Row): {
  readonly compared: string;
  readonly reached: boolean;
} {
  const [ours, floor] = [median(row.ours), median(row.floor)];
  if (isDifference) return { compared: `+${shortly(ours - floor)}`, reached: ours - floor <= goal };
  const ratio = ours / floor;
  return { compared: ratio.toFixed(2), reached: isRate ? ratio >= goal : ratio <= goal };
}

function shown(row: Row): string {
  const spread = (values: readonly number[]): string =>
    `${shortly(median(values))} (${shortly(Math.min(...values))}-${shortly(Math.max(...values))}) ${row.unit}`;
  const { compared, reached } = isReached(row);
  const goal = row.isDifference ? `+${row.goal}` : `${row.isRate ? '≥' : '≤'} ${row.goal}`;
  return `| ${row.name} | ${spread(row.ours)} | ${spread(row.floor)} | ${row.against} | ${compared} | ${goal} | ${reached ? 'yes' : 'no'} |`;
}

/** The groups that the arguments name, or all of them: `npm run bench -- start audit growth`. */
const named = new Set(process.argv.slice(2));
const all = new Set([...localGroups, ...clusterGroups, 'policies', 'capacity', 'growth']);
const unknown = named.difference(all);
if (unknown.size > 0) {
  console.error(`no such group: ${[...unknown].join(', ')}; the groups are: ${[...all].join(', ')}`);
  process.exit(2);
}
const asked = new Set(named.size > 0 ? named : all);
buildOnce();
const rows = await localRows(asked);
const reason = clusterUnavailable();
if (reason !== undefined) console.log(reason);
const hasCluster = reason === undefined;
const grown = hasCluster && asked.has('growth') ? await growth() : undefined;
// `growth` has measured them already.
if (grown) asked.delete('hundredThousand');
if (hasCluster && !asked.isDisjointFrom(clusterGroups)) rows.push(...(await clusterRows(asked)));
rows.push(...(grown?.rows ?? []));
const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
console.log(`\n${machine}\nMedians (minimum-maximum); runs of ours and of the floor took turns.\n`);
console.log('| | ours | floor | what the floor is | ours / floor | goal | reached |\n|---|---|---|---|---|---|---|');
for (const row of rows) console.log(shown(row));
if (hasCluster && asked.has('policies')) await policies();
const loads = hasCluster && asked.has('capacity') ? await capacity() : undefined;
if (process.env.BENCH_JSON) {
  writeFileSync(
    process.env.BENCH_JSON,
    `${JSON.stringify({ machine, rows, capacity: loads, growth: grown?.courses }, null, 2)}\n`,
  );
}
