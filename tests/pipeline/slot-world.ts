import * as z from 'zod';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { badRowsOf, judgedRowsOf } from '../../shared/finding/object-schema.ts';
import { parseSeverity } from '../../shared/finding/severity.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import type { KubernetesObject, Objects, Store } from '../../shared/function/stores.ts';
import type { Summary } from '../../shared/function/tally.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import {
  createTestContext,
  createTestObjects,
  handled,
  ping,
  referenceTo,
  type TestContextOptions,
} from './test-context.ts';

function kindOf(group: string, kind: string, plural: string, namespaced = true): KindSelector {
  return { group, versions: ['v1'], kind, plural, namespaced };
}

const scans = kindOf('scans.example.com', 'Scan', 'scans');
const checks = kindOf('scans.example.com', 'Check', 'checks');
const oldChecks = kindOf('old.example.com', 'Check', 'checks');
const clusterScans = kindOf('scans.example.com', 'ClusterScan', 'clusterscans', false);

const row = z.object({
  id: z.string(),
  severity: z.string().default('high'),
  summary: z.string().default('something is wrong'),
  remediation: z.string().optional(),
  references: z.array(z.string()).optional(),
  fixedIn: z.string().optional(),
  namespace: z.string().optional(),
  detectedAt: z.string().optional(),
  /** What the tool calls the exception by which it has accepted the flaw. */
  accepted: z.string().optional(),
});

type Row = z.infer<typeof row>;

const schema = z.object({
  kind: z.string(),
  metadata: z.object({ namespace: z.string().optional(), annotations: z.record(z.string(), z.string()).optional() }),
  rows: judgedRowsOf(row),
});

/** What a report is about, as its annotation `about` says: `<kind>/<name>`. */
function aboutOf(annotations: Readonly<Record<string, string>> | null | undefined, namespace: string | undefined) {
  const [kind, name] = annotations?.about?.split('/') ?? [];
  return kind && name ? { kind, name, namespace } : undefined;
}

/**
 * A source whose reports say by an annotation what they are about. Scans tell kinds apart and Checks don't, as Trivy's
 * and Kyverno's reports do.
 */
export const scanner: SourceFunction = defineSource({
  name: 'scanner',
  triggers: (settings) => [
    { type: 'ApiServerSource', kinds: [scans, checks, oldChecks, clusterScans] },
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
  ],
  settings: z.object({}),
  schema,
  normalize({ metadata: { namespace, annotations }, rows }, { time }) {
    const resource = aboutOf(annotations, namespace);
    const findingOf = ({ id, severity, summary, remediation, references, fixedIn, ...row }: Row): Finding => ({
      category: 'security',
      severity: parseSeverity(severity),
      eventType: 'flaw',
      rule: id,
      summary: `${id}: ${summary}`,
      resource: row.namespace === undefined ? resource : { kind: 'Thing', name: 'elsewhere', namespace: row.namespace },
      identity: { id },
      remediation,
      references,
      details: fixedIn === undefined ? {} : { fixedIn },
      detectedAt: row.detectedAt ?? time,
    });
    const findings = rows.rows.filter(({ accepted }) => accepted === undefined).map(findingOf);
    const accepted = rows.rows.flatMap((row) =>
      row.accepted === undefined ? [] : [{ finding: findingOf(row), exception: row.accepted }],
    );
    return { findings, skipped: {}, accepted, badRows: badRowsOf('rows', rows) };
  },
  slotOf({ kind }, { annotations, namespace }) {
    const about = aboutOf(annotations, namespace ?? undefined);
    if (!about) return undefined;
    return { about, parts: { kind: kind === 'Check' ? undefined : kind } };
  },
});

export interface ReportOptions {
  readonly kind?: KindSelector;
  readonly namespace?: string;
  /** `<kind>/<name>`; without it the report is one about many things. */
  readonly about?: string | undefined;
  readonly uid?: string;
  readonly created?: string;
}

export const kinds = { scans, checks, oldChecks, clusterScans };

/** What a finding's Observation says, under the finding's id. */
export interface Seen {
  readonly id: string;
  readonly namespace: string;
  readonly state: string | undefined;
  readonly severity: string;
  readonly summary: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What happens before a call, given its name: it is counted, or something else is done first, or it fails. */
export type Hook = (call: string) => Promise<void>;

function hookedStore(store: Store, hook: Hook): Store {
  return {
    create: async (...given) => {
      await hook('create');
      return store.create(...given);
    },
    async *names(...given) {
      await hook('names');
      yield* store.names(...given);
    },
    stripped: (...given) => store.stripped(...given),
    // Events share what was counted, so one must not wait for another there.
    count: (...given) => store.count(...given),
    observations: (...given) => store.observations(...given),
    events: (...given) => store.events(...given),
    expired: (...given) => store.expired(...given),
    endOf: (...given) => store.endOf(...given),
    find: async (...given) => {
      await hook('find');
      return store.find(...given);
    },
    findWhole: (...given) => store.findWhole(...given),
    patch: async (...given) => {
      await hook('patch');
      return store.patch(...given);
    },
    addSeries: (...given) => store.addSeries(...given),
    delete: async (...given) => {
      await hook('delete');
      return store.delete(...given);
    },
  };
}

function nameOf({ group, kind }: KindSelector): string {
  return group === oldChecks.group ? `${kind} (old)` : kind;
}

function hookedObjects(objects: Objects, hook: Hook): Objects {
  return {
    ...objects,
    get: async (...given) => {
      await hook(`get ${nameOf(given[0])}`);
      return objects.get(...given);
    },
    async *list(...given) {
      await hook(`list ${nameOf(given[0])}`);
      yield* objects.list(...given);
    },
    async *listMetadata(...given) {
      await hook(`metadata ${nameOf(given[0])}`);
      yield* objects.listMetadata(...given);
    },
  };
}

/** Reports that come, change and go, and what is stored of them. */
export function createWorld(options: TestContextOptions = {}, definition: SourceFunction = scanner) {
  const calls: string[] = [];
  let before: Hook | undefined;
  const hook: Hook = async (call) => {
    calls.push(call);
    await before?.(call);
  };
  const objects = createTestObjects();
  const test = createTestContext(definition, {
    ...options,
    context: { objects: hookedObjects(objects, hook), ...options.context },
    wrap: (store) => hookedStore({ ...store, ...options.wrap?.(store) }, hook),
  });
  let version = 0;

  function put(name: string, rows: readonly unknown[], report: ReportOptions = {}): KubernetesObject {
    const { kind = scans, namespace = 'shop', uid, created } = report;
    // One that is given as undefined is none.
    const about = 'about' in report ? report.about : 'Deployment/web';
    version += 1;
    remove(name, report);
    const object = {
      apiVersion: `${kind.group}/v1`,
      kind: kind.kind,
      metadata: {
        name,
        uid: uid ?? `uid-of-${name}`,
        resourceVersion: String(version),
        creationTimestamp: created ?? '2026-03-01T10:00:00Z',
        ...(kind.namespaced && { namespace }),
        ...(about !== undefined && { annotations: { about } }),
      },
      rows,
    };
    objects.all.push(object);
    return object;
  }

  function remove(name: string, { kind = scans, namespace = 'shop' }: ReportOptions = {}): void {
    const index = objects.all.findIndex(
      (object) =>
        object.kind === kind.kind &&
        object.apiVersion === `${kind.group}/v1` &&
        object.metadata.name === name &&
        (!kind.namespaced || object.metadata.namespace === namespace),
    );
    if (index >= 0) objects.all.splice(index, 1);
  }

  async function seen(): Promise<readonly Seen[]> {
    const { items } = await test.store.read({ limit: 100_000 });
    return items
      .map(({ metadata, spec }) => ({
        id: spec.rule ?? '',
        namespace: metadata.namespace,
        state: metadata.labels[labels.state],
        severity: spec.severity,
        summary: spec.summary,
        details: spec.details,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  return {
    ...test,
    objects,
    /** Calls of the store and of the objects since they were last cleared. */
    calls,
    /** Sets what happens before each call. */
    beforeCalls: (does: Hook | undefined): void => {
      before = does;
    },
    put,
    remove,
    seen,
    event: (object: KubernetesObject): Promise<Summary> => handled(definition, referenceTo(object), test.context),
    pass: (): Promise<Summary> => handled(definition, ping, test.context),
    later: (minutes: number): void => {
      test.clock.now += minutes * 60_000;
    },
    /** The states of all findings, by id. */
    async states(): Promise<Readonly<Record<string, string | undefined>>> {
      return Object.fromEntries((await seen()).map(({ id, state }) => [id, state]));
    },
  };
}
