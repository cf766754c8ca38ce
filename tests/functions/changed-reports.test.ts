import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { derive, mergeRows } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { corpusFiles } from '../corpus/corpus.ts';
import { payloadsOf } from '../corpus/payloads.ts';
import { createWorld } from '../pipeline/slot-world.ts';
import { allowAll } from '../pipeline/test-context.ts';
import { loadFixtures } from './fixtures.ts';

type Environment = Readonly<Record<string, string>>;

interface Case {
  readonly name: string;
  readonly definition: SourceFunction;
  readonly object: KubernetesObject;
  readonly environment: Environment;
}

const anObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

const sources = (await loadFunctions())
  .filter(isSource)
  .filter(({ name }) => ['trivy', 'kyverno', 'checkov', 'kube-bench'].includes(name));

function caseOf(definition: SourceFunction, name: string, data: unknown, environment: Environment = {}): Case[] {
  const parsed = anObject.safeParse(data);
  if (!parsed.success) return [];
  const { metadata, ...rest } = parsed.data;
  // Where it would be in a cluster.
  const place = rest.kind.startsWith('Cluster') ? {} : { namespace: 'default' };
  const object = { ...rest, metadata: { ...place, ...metadata } };
  return [{ name: `${definition.name}: ${name}`, definition, object, environment }];
}

const fixtures = sources.flatMap((definition) =>
  loadFixtures(definition.name).flatMap(({ name, event, environment }) =>
    caseOf(definition, name, event.data, environment),
  ),
);

const real = sources.flatMap((definition) =>
  corpusFiles(definition.name).flatMap((file) =>
    payloadsOf(definition.name, file).flatMap((data, index) => caseOf(definition, `${file.file} ${index}`, data)),
  ),
);

/** A text that may be JSON, as ConfigMaps have it. */
function parsed(text: string): unknown {
  try {
    return /^\s*[[{]/.test(text) ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** What `change` makes of a value, or of what is in its texts. */
function rebuilt(value: unknown, change: (value: unknown, key: string) => unknown, key = ''): unknown {
  const changed = change(value, key);
  if (typeof changed === 'string') {
    const inner = parsed(changed);
    return inner === undefined ? changed : JSON.stringify(rebuilt(inner, change));
  }
  if (Array.isArray(changed)) return changed.map((item) => rebuilt(item, change, key));
  if (typeof changed !== 'object' || changed === null) return changed;
  return Object.fromEntries(Object.entries(changed).map(([name, item]) => [name, rebuilt(item, change, name)]));
}

const timeKey = /time(?:stamp)?$/i;
const nextYear = (text: string): string => text.replace(/^\d{4}/, (year) => String(Number(year) + 1));

function isListOfRows(value: unknown): value is readonly object[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null);
}

/** The same, as a tool that was started again says it: rows in another order, and other times. */
function saidAgain({ metadata, ...rest }: KubernetesObject, mayShuffle: boolean): KubernetesObject {
  const contents = rebuilt(rest, (value, key) => {
    if (mayShuffle && isListOfRows(value)) return value.toReversed();
    if (!timeKey.test(key)) return value;
    if (typeof value === 'string') return nextYear(value);
    const isSeconds = typeof value === 'object' && value !== null && 'seconds' in value;
    return isSeconds ? { ...value, seconds: Number(value.seconds) + 86_400 } : value;
  });
  return {
    ...anObject.parse(contents === undefined ? {} : { ...Object(contents), metadata }),
    metadata: {
      ...metadata,
      uid: 'another',
      resourceVersion: '2',
      creationTimestamp: nextYear(metadata.creationTimestamp ?? '2026-03-01T10:00:00Z'),
    },
  };
}

function worldOf({ definition, environment }: Case) {
  const world = createWorld({ environment }, definition);
  const show = async (object: KubernetesObject): Promise<boolean> => {
    world.objects.all.splice(0, Infinity, object);
    return world.event(object).then(
      () => true,
      () => false,
    );
  };
  const writes = (): readonly string[] => world.calls.filter((call) => ['create', 'patch', 'delete'].includes(call));
  const stored = async (): Promise<ReadonlyMap<string, Observation>> => {
    const { items } = await world.store.read({ limit: 10_000 });
    return new Map(items.map((item) => [item.metadata.name, item]));
  };
  return { ...world, show, writes, stored };
}

function versioned({ metadata, ...rest }: KubernetesObject, version: number): KubernetesObject {
  return { ...rest, metadata: { ...metadata, uid: 'one', resourceVersion: String(version) } };
}

/** Without a corpus there are no payloads of real tools, and a suite without a test fails. */
const kinds = [
  { kind: 'fixtures', cases: fixtures },
  { kind: 'payloads of real tools', cases: real },
].filter(({ cases }) => cases.length > 0);

describe.each(kinds)('$kind', ({ cases }) => {
  it.each(cases)('$name, made anew, causes no write', async (given) => {
    const { show, writes, calls, pass } = worldOf(given);
    const isReadable = await show(versioned(given.object, 1));
    calls.length = 0;
    const anew = saidAgain(given.object, isReadable);
    await show(anew);
    expect(writes()).toEqual([]);
    await pass();
    expect(writes()).toEqual([]);
  });
});

type Path = readonly (string | number)[];

function leavesOf(value: unknown, path: Path = []): Path[] {
  const inner = typeof value === 'string' ? parsed(value) : value;
  if (typeof inner !== 'object' || inner === null) return [path];
  const entries: [string | number, unknown][] = Array.isArray(inner) ? [...inner.entries()] : Object.entries(inner);
  return entries.flatMap(([key, member]) => leavesOf(member, [...path, key]));
}

function replacedAt(value: unknown, [key, ...rest]: Path, by: (leaf: unknown) => unknown): unknown {
  if (key === undefined) return by(value);
  if (typeof value === 'string') return JSON.stringify(replacedAt(parsed(value), [key, ...rest], by));
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? replacedAt(item, rest, by) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, name === key ? replacedAt(item, rest, by) : item]),
  );
}

const words: Readonly<Record<string, string>> = { CRITICAL: 'LOW', HIGH: 'CRITICAL', MEDIUM: 'HIGH', LOW: 'HIGH' };

/** Something else of the same kind. */
function otherThan(leaf: unknown): unknown {
  if (typeof leaf === 'number') return leaf + 1;
  if (typeof leaf === 'boolean') return !leaf;
  if (typeof leaf !== 'string') return 'something';
  if (/^\d{4}-\d\d-\d\dT/.test(leaf)) return nextYear(leaf);
  const word = words[leaf.toUpperCase()];
  if (word !== undefined) return leaf === leaf.toUpperCase() ? word : word.toLowerCase();
  return `${leaf}x`;
}

function digestsOf({ definition: { name, source }, environment }: Case, object: KubernetesObject) {
  const settings = Object.assign({}, parseSettings(environment, source.settings, []));
  const normalized = normalizeData(source, object, '2026-03-01T10:00:00Z', settings);
  if ((normalized.badRows ?? []).length > 0) return undefined;
  const { findings } = derive(normalized.findings, {
    source: name,
    hasState: true,
    filter: allowAll,
    merge: source.merge ?? mergeRows,
    systemNamespace: 'zen-system',
    watchNamespace: environment.WATCH_NAMESPACE,
  });
  return new Map(findings.map((finding) => [finding.name, finding.digest]));
}

function triedDigestsOf(given: Case, object: KubernetesObject): ReadonlyMap<string, string> | undefined {
  try {
    return digestsOf(given, object);
  } catch {
    return undefined;
  }
}

/** The report with one field changed each, as far as another finding of the same name comes of it. */
function changesOf(given: Case) {
  const { apiVersion, kind, metadata, ...contents } = given.object;
  const before = triedDigestsOf(given, given.object);
  if (before === undefined) return [];
  return leavesOf(contents).flatMap((path, index) => {
    const object = { apiVersion, kind, metadata, ...Object(replacedAt(contents, path, otherThan)) };
    const changed = versioned(anObject.parse(object), index + 2);
    const after = triedDigestsOf(given, changed);
    const names = [...(after ?? [])].filter(([name, digest]) => before.has(name) && before.get(name) !== digest);
    return names.length > 0 ? [{ path: path.join('.'), changed, names: names.map(([name]) => name) }] : [];
  });
}

function told({ metadata, spec }: Observation) {
  const { detectedAt: _detectedAt, ...facts } = spec;
  const { [labels.digest]: digest, [labels.severity]: severity, [labels.state]: state } = metadata.labels;
  return { facts, digest, severity, state };
}

/** How often it has been written. */
function versionOf(observation: Observation | undefined): number {
  return Number(z.looseObject({ resourceVersion: z.string() }).parse(observation?.metadata).resourceVersion);
}

describe.each(fixtures)('$name', (given) => {
  it('shows each field that changes, with one patch a finding', async () => {
    const world = worldOf(given);
    await world.show(versioned(given.object, 1));
    for (const { path, changed, names } of changesOf(given)) {
      const fresh = worldOf(given);
      await fresh.show(changed);
      const before = await world.stored();
      await world.show(changed);
      const after = await world.stored();
      for (const [name, observation] of await fresh.stored()) {
        const found = after.get(name);
        expect(found && told(found), `${path} in ${name}`).toEqual(told(observation));
        const wasOpen = before.get(name)?.metadata.labels[labels.state] === 'open';
        const patches = names.includes(name) ? 1 : 0;
        if (wasOpen) expect(versionOf(found) - versionOf(before.get(name)), `${path} in ${name}`).toBe(patches);
      }
      await world.show(versioned(given.object, 1));
    }
  });
});
