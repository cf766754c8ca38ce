import checkov from '../../functions/checkov.ts';
import kubeBench from '../../functions/kube-bench.ts';
import kyverno from '../../functions/kyverno.ts';
import trivy from '../../functions/trivy.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import type { Filter } from '../../shared/function/filter.ts';
import type { NamedFinding } from '../../shared/pipeline/derive.ts';
import type { createRandom } from '../host/random.ts';
import type { Cluster } from './cluster.ts';
import { derivedOf, mappedOf, placeOf } from './expected-names.ts';
import { policyReport, referenceTo, vulnerabilityReport } from './report-crds.ts';
import { sendAsApiServerSource } from './senders.ts';
import type { ToolReport } from './upgrade-world.ts';

/** An object that tells of findings. */
export interface Report {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

/** A tool that writes such objects. */
interface Tool {
  /** The function that is told of them. */
  readonly functionName: string;
  /** What a function reads in one, as far as a filter keeps it. */
  readonly read: (report: unknown, filter?: Filter) => readonly NamedFinding[];
  readonly namespaces: readonly [string, ...string[]];
  readonly pathIn: (namespace: string) => string;
  readonly make: (name: string, namespace: string, rows: number) => Report;
}

/** What makes an Observation of each Finding, an object that nobody knows. */
export const ownMapping = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationMapping' },
  metadata: { name: 'own', namespace: 'zen-system' },
  spec: {
    ...{ sourceName: 'own', group: 'example.com', version: 'v1', kind: 'Finding' },
    mappings: { severity: 'HIGH', category: 'operational', eventType: 'own', message: '.metadata.name' },
  },
};

const letters = ['a', 'b', 'c', 'd', 'e', 'f'];

function configMap(app: string, name: string, results: object): Report {
  const labels = { app, 'kubernetes.io/hostname': name };
  const object = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: app, labels } },
    data: { 'results.json': JSON.stringify(results) },
  };
  return object;
}

function checkovResults(name: string, _namespace: string, rows: number): Report {
  const checks = letters.slice(0, rows).map((letter) => ({
    ...{ check_id: `CKV_${letter.toUpperCase()}`, check_name: `check ${letter}`, file_path: `/${name}.yaml` },
    ...{ resource: `Deployment.shop.${name}`, severity: letter === 'a' ? 'LOW' : 'HIGH' },
  }));
  return configMap('checkov', name, { check_type: 'kubernetes', results: { failed_checks: checks } });
}

function benchResults(name: string, _namespace: string, rows: number): Report {
  const results = letters.slice(0, rows).map((letter, index) => ({
    ...{ test_number: `1.1.${index}`, test_desc: `Ensure that ${letter} is set`, status: 'FAIL', scored: true },
  }));
  const control = { id: '1', version: 'cis-1.10', text: 'Control Plane', node_type: 'master', tests: [{ results }] };
  return configMap('kube-bench', name, { Controls: [control] });
}

const apis = (group: string, plural: string) => (namespace: string) =>
  `/apis/${group}/namespaces/${namespace}/${plural}`;
const configMaps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;

const reads = (definition: SourceFunction) => ({
  functionName: definition.name,
  read: (report: unknown, filter?: Filter) => derivedOf(definition, report, filter),
});

const tools: readonly Tool[] = [
  {
    ...reads(trivy),
    namespaces: ['shop', 'pay'],
    pathIn: apis('aquasecurity.github.io/v1alpha1', 'vulnerabilityreports'),
    make: (name, namespace, rows) => vulnerabilityReport(name, namespace, rows),
  },
  {
    ...reads(kyverno),
    namespaces: ['shop', 'pay'],
    pathIn: apis('wgpolicyk8s.io/v1alpha2', 'policyreports'),
    make: (name, namespace, rows) => policyReport(name, namespace, letters.slice(0, rows)),
  },
  { ...reads(checkov), namespaces: ['checkov'], pathIn: configMaps, make: checkovResults },
  { ...reads(kubeBench), namespaces: ['kube-bench'], pathIn: configMaps, make: benchResults },
  {
    functionName: 'ingest',
    read: (report) => {
      const { apiVersion, kind, metadata } = Object.assign(
        { apiVersion: '', kind: '' },
        { metadata: { name: '', namespace: '' } },
        report,
      );
      return mappedOf(ownMapping, report, { apiVersion, kind, ...metadata });
    },
    namespaces: ['shop', 'pay'],
    pathIn: apis('example.com/v1', 'findings'),
    make: (name, namespace) => ({ apiVersion: 'example.com/v1', kind: 'Finding', metadata: { name, namespace } }),
  },
];

/** The functions that keep findings as reports say. */
export const stateFunctions: readonly string[] = tools.map(({ functionName }) => functionName);

/** Of whoever does something again and again until the storm is over. */
export interface ActorOptions {
  readonly cluster: Cluster;
  readonly random: ReturnType<typeof createRandom>;
  /** Where the function is that is to be told. */
  readonly urlOf: (functionName: string) => string;
  readonly isOver: () => boolean;
  /** So long it rests after each deed, on average. */
  readonly restMilliseconds: number;
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** How many reports a tool has at the most. */
const mostReports = 6;

/** Tools that write, change and delete reports, whatever the API server answers, and know what is there. */
export function createTools({ cluster, random, urlOf, isOver, restMilliseconds }: ActorOptions) {
  const current = new Map<string, { readonly tool: Tool; readonly report: Report }>();
  const counts = { written: 0, deleted: 0, references: 0, dropped: 0 };

  async function persistently(method: 'PATCH' | 'DELETE', path: string, body?: string): Promise<void> {
    const contentType = 'application/apply-patch+yaml';
    for (;;) {
      const answer = await cluster.request(method, path, body, { contentType }).catch(() => undefined);
      if (answer && (answer.status < 300 || (method === 'DELETE' && answer.status === 404))) return;
      await pause(100);
    }
  }

  async function write(tool: Tool, report: Report): Promise<void> {
    const { namespace, name } = report.metadata;
    const path = `${tool.pathIn(namespace)}/${name}`;
    await persistently('PATCH', `${path}?fieldManager=tool&force=true`, JSON.stringify(report));
    current.set(path, { tool, report });
    counts.written += 1;
  }

  async function tell({ functionName }: Tool, report: Report): Promise<void> {
    counts.references += 1;
    if (!(await sendAsApiServerSource(urlOf(functionName), referenceTo(report)))) counts.dropped += 1;
  }

  async function doSomething(tool: Tool): Promise<void> {
    const [name, namespace] = [`r${random.below(mostReports)}`, random.pick(tool.namespaces)];
    const path = `${tool.pathIn(namespace)}/${name}`;
    if (current.has(path) && random.below(4) === 0) {
      await persistently('DELETE', path);
      current.delete(path);
      counts.deleted += 1;
      return;
    }
    const report = tool.make(name, namespace, 1 + random.below(letters.length));
    await write(tool, report);
    await tell(tool, report);
  }

  return {
    counts,

    /** Writes what is there before anybody looks. */
    async begin(reports: readonly ToolReport[]): Promise<void> {
      for (const { source, object } of reports) {
        const tool = tools.find(({ functionName }) => functionName === source);
        if (tool) await write(tool, object);
      }
    },

    async run(): Promise<void> {
      const work = async (tool: Tool): Promise<void> => {
        while (!isOver()) {
          await doSomething(tool);
          await pause(random.below(2 * restMilliseconds));
        }
      };
      await Promise.all(tools.map(work));
    },

    /** Where a finding must be open, and how bad it is, as far as a filter keeps it. */
    reported(filter: Filter): Map<string, string> {
      const all = [...current.values()].flatMap(({ tool, report }) => tool.read(report, filter));
      return new Map(all.map((named) => [placeOf(named), named.finding.severity]));
    },
  };
}
