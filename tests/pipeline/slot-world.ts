import * as z from 'zod';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { badRowsOf, judgedRowsOf } from '../../shared/finding/object-schema.ts';
import { parseSeverity } from '../../shared/finding/severity.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import type { KubernetesObject, Store } from '../../shared/function/stores.ts';
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

/** A row of a report. What is not said is the same in all rows. */
export interface Row {
  readonly id: string;
  readonly severity?: string;
  readonly summary?: string;
  readonly remediation?: string;
  readonly references?: readonly string[];
  readonly fixedIn?: string;
  /** The namespace of the affected resource, if that isn't the report's. */
  readonly namespace?: string;
  readonly detectedAt?: string;
}

const row = z.object({
  id: z.string(),
  severity: z.string().default('high'),
  summary: z.string().default('something is wrong'),
  remediation: z.string().optional(),
  references: z.array(z.string()).optional(),
  fixedIn: z.string().optional(),
  namespace: z.string().optional(),
  detectedAt: z.string().optional(),
});

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
    const findings = rows.rows.map(
      ({ id, severity, summary, remediation, references, fixedIn, detectedAt, ...row }): Finding => ({
        category: 'security',
        severity: parseSeverity(severity),
        eventType: 'flaw',
        rule: id,
        summary: `${id}: ${summary}`,
        resource:
          row.namespace === undefined ? resource : { kind: 'Thing', name: 'elsewhere', namespace: row.namespace },
        identity: { id },
        remediation,
        references,
        details: fixedIn === undefined ? {} : { fixedIn },
        detectedAt: detectedAt ?? time,
      }),
    );
    return { findings, skipped: {}, badRows: badRowsOf('rows', rows) };
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

/** Reports that come, change and go, and what is stored of them. */
export function createWorld(options: TestContextOptions = {}, definition: SourceFunction = scanner) {
  const calls: string[] = [];
  const counted = (name: string) => (): void => void calls.push(name);
  const objects = createTestObjects();
  const { get, list, listMetadata } = objects;
  const test = createTestContext(definition, {
    ...options,
    context: {
      objects: {
        ...objects,
        get: (...given) => (counted(`get ${given[0].kind}`)(), get(...given)),
        list: (...given) => (counted(`list ${given[0].kind}`)(), list(...given)),
        listMetadata: (...given) => (counted(`metadata ${given[0].kind}`)(), listMetadata(...given)),
      },
      ...options.context,
    },
    wrap: (store) => {
      const inner = { ...store, ...options.wrap?.(store) };
      return counting(inner, counted);
    },
  });
  let version = 0;

  function put(name: string, rows: readonly unknown[], report: ReportOptions = {}): KubernetesObject {
    const { kind = scans, namespace = 'shop', about = 'Deployment/web', uid, created } = report;
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

function counting(store: Store, counted: (name: string) => () => void): Store {
  return {
    create: (...given) => (counted('create')(), store.create(...given)),
    names: (...given) => (counted('names')(), store.names(...given)),
    expired: (...given) => store.expired(...given),
    find: (...given) => (counted('find')(), store.find(...given)),
    patch: (...given) => (counted('patch')(), store.patch(...given)),
    delete: (...given) => (counted('delete')(), store.delete(...given)),
  };
}
