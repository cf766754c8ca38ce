import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { postTo } from '../cluster/proxy.ts';
import { referenceTo, vulnerabilityReport } from '../cluster/report-crds.ts';
import { memoryOf, sources } from '../host/program.ts';
import { type Bench, createReports, firstPass, overHundredThousand, ping, startBench } from './cluster-rows.ts';
import { cpuOf, firstAnswer, freePort, load, median, type Row, seconds, start } from './measure.ts';
import { alert } from './messages.ts';
import { type Course, plot } from './plot.ts';

/** 1 if a hundred times the amount costs a hundred times as much. */
function exponent({ sizes, costs }: Course): number {
  const [size = 1, cost = 1] = [(sizes.at(-1) ?? 1) / (sizes[0] ?? 1), (costs.at(-1) ?? 1) / (costs[0] ?? 1)];
  return Math.log(cost) / Math.log(size);
}

const file = join(import.meta.dirname, '..', '..', 'knative', 'growth.svg');

/**
 * Measures how cost grows, and draws it into knative/growth.svg. It ends with 100,000 Observations in 50 namespaces, so the
 * rows that need those are measured then.
 */
export async function growth(): Promise<{ readonly courses: Course[]; readonly rows: Row[] }> {
  const many = Array.from({ length: 100 }, (_, index) => `many-${String(index).padStart(3, '0')}`);
  const courses = [await filters()];
  const rows: Row[] = [];
  const bench = await startBench(['images', 'due', 'due-raw', ...many]);
  try {
    courses.push(await findings(bench), ...(await namespaces(bench, many)));
    courses.push(...(await observations(bench, many.slice(0, 50))));
    rows.push(...(await overHundredThousand(bench)));
  } finally {
    await bench.cluster.stop();
  }
  console.log('\n| cost | depending on | 1x | 10x | 100x | exponent |\n|---|---|---|---|---|---|');
  for (const course of courses) {
    const cells = course.costs.map((cost, index) => `${cost.toPrecision(3)} ${course.unit} (${course.sizes[index]})`);
    console.log(`| ${course.name} | ${course.of} | ${cells.join(' | ')} | ${exponent(course).toFixed(2)} |`);
  }
  writeFileSync(file, plot(courses));
  return { courses, rows };
}

/** CPU per event in local mode, with filters in files. */
async function filters(): Promise<Course> {
  const sizes = [10, 100, 1000];
  const costs: number[] = [];
  for (const size of sizes) {
    const folder = mkdtempSync(join(tmpdir(), 'zen-watcher-growth-'));
    const documents = Array.from({ length: size }, (_, index) =>
      stringify({
        ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' },
        metadata: { name: `filter-${index}`, namespace: 'zen-system' },
        spec: {
          targetSource: 'falco',
          excludeRules: [`a rule that is not there ${index}`],
          excludeNamespaces: [`n-${index}`],
        },
      }),
    );
    writeFileSync(join(folder, 'filters.yaml'), documents.join('---\n'));
    const port = await freePort();
    const program = start([sources, '--data', ':memory:', '--config', folder], { LOG_LEVEL: 'WARN' }, port);
    await firstAnswer(port, alert(-1), performance.now());
    await load(port, 8, 1000, (index) => alert(1_000_000 + index));
    const before = cpuOf(program.pid);
    await load(port, 8, 2000, alert);
    costs.push((cpuOf(program.pid) - before) / 2);
    await program.stop();
    rmSync(folder, { recursive: true });
  }
  return { name: 'CPU per event', of: 'filters for its source', unit: 'µs', sizes, costs };
}

async function findings(bench: Bench): Promise<Course> {
  const sizes = [50, 500, 5000];
  const costs: number[] = [];
  const { program, stop } = await bench.startSmall('trivy');
  for (const size of sizes) {
    const report = vulnerabilityReport(`image${size}`, 'images', size);
    await bench.cluster.request('POST', `/apis/${report.apiVersion}/namespaces/images/vulnerabilityreports`, report);
    const { headers, body } = referenceTo(report);
    costs.push(await seconds(() => postTo(program.url, headers, body, 600_000)));
  }
  await stop();
  return { name: 'a report, until all is stored', of: 'findings in it', unit: 's', sizes, costs };
}

interface Pass {
  readonly seconds: number;
  readonly grownMiB: number;
}

/** The median of three passes (or collections), each in a new process, and the memory of the process that took most. */
async function run(bench: Bench, name: string): Promise<Pass> {
  const took: number[] = [];
  const grown: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const { program, stop } = await bench.startSmall(name);
    const before = memoryOf(program.pid).now;
    took.push(await seconds(() => ping(program.url)));
    grown.push(memoryOf(program.pid).peak - before);
    await stop();
  }
  return { seconds: median(took), grownMiB: Math.max(...grown) };
}

/** 10,000 findings in more and more namespaces. The previous ones are deleted each time. */
async function namespaces(bench: Bench, all: readonly string[]): Promise<Course[]> {
  const sizes = [1, 10, 100];
  const costs: number[] = [];
  for (const size of sizes) {
    await createReports(bench.cluster, all.slice(0, size), 0, 100);
    await firstPass(bench);
    costs.push((await run(bench, 'kyverno')).seconds);
    for (const namespace of all.slice(0, size)) {
      await bench.cluster.request('DELETE', `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`);
      await bench.cluster.request('DELETE', `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`);
    }
  }
  return [{ name: 'a pass over 10,000', of: 'namespaces they are in', unit: 's', sizes, costs }];
}

async function observations(bench: Bench, all: readonly string[]): Promise<Course[]> {
  const sizes = [1000, 10_000, 100_000];
  const passes: Pass[] = [];
  const collections: Pass[] = [];
  let reports = 0;
  for (const size of sizes) {
    await createReports(bench.cluster, all, reports, size / 100);
    reports = size / 100;
    await firstPass(bench);
    passes.push(await run(bench, 'kyverno'));
    collections.push(await run(bench, 'gc'));
  }
  const course = (name: string, unit: string, costs: number[]): Course => ({
    name,
    of: 'Observations',
    unit,
    sizes,
    costs,
  });
  return [
    course(
      'a pass',
      's',
      passes.map((one) => one.seconds),
    ),
    course(
      'a pass, memory above idle',
      'MiB',
      passes.map((one) => one.grownMiB),
    ),
    course(
      'a gc run',
      's',
      collections.map((one) => one.seconds),
    ),
    course(
      'a gc run, memory above idle',
      'MiB',
      collections.map((one) => one.grownMiB),
    ),
  ];
}
