import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { guessedPlural } from '../api/knative-kinds.ts';
import { formatPath } from '../function/refusal.ts';
import type { KubernetesObject, Objects } from '../function/stores.ts';

/** Checked only as far as an object's address goes; what is in it is for the sources' own schemas to say. */
const objectSchema = z.looseObject({
  apiVersion: z.string().min(1),
  kind: z.string().min(1),
  metadata: z.looseObject({
    name: z.string().min(1),
    namespace: z.string().min(1).optional(),
    uid: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
});

export interface ObjectChange {
  readonly type: 'add' | 'update' | 'delete';
  readonly object: KubernetesObject;
}

export interface ObjectFolderOptions {
  /** Folders whose files (.yaml, .yml, .json; several documents a file; subfolders too) hold the objects. */
  readonly folders: readonly string[];
  /** The folder for what functions apply; one of `folders`. */
  readonly own: string;
  /** Where an object without a namespace is. */
  readonly defaultNamespace: string;
  readonly onChange: (change: ObjectChange) => void;
  /** A file that can't be read as objects; what it held before stays. */
  readonly onFault: (file: string, message: string) => void;
  /** Whether an object can be what it says; throws an Error that names the field. A file with one that can't is not read. */
  readonly check: (object: KubernetesObject) => void;
  /** A status that a function has set: files have none. */
  readonly onStatus: (object: KubernetesObject, status: object) => void;
}

export interface ObjectFolder extends Objects {
  /** Begins to watch the files. Nothing that is there at this time is reported as a change. */
  start(): void;
  /** The objects of a kind as they were read last; the same array until a file changes. */
  current(resource: KindSelector): readonly KubernetesObject[];
  stop(): void;
}

/** Editors write in several steps, so a change is read this long after the first word of it. */
const settleMilliseconds = 50;

function keyOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  return JSON.stringify([groupVersionOf(apiVersion).group, kind, metadata.namespace, metadata.name]);
}

function asList(value: unknown): readonly unknown[] {
  const list = z.object({ kind: z.string().regex(/List$/), items: z.array(z.unknown()) }).safeParse(value);
  return list.success ? list.data.items : [value];
}

function parseDocuments(text: string, file: string): unknown[] {
  if (/\.json$/i.test(file)) return [JSON.parse(text)];
  return parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw new Error(document.errors[0].message);
    return document.toJS({ maxAliasCount: 100 });
  });
}

/** The objects in a file's text. Throws an Error that says where it is no object. */
export function parseObjects(text: string, file: string): KubernetesObject[] {
  const values = parseDocuments(text, file).filter((value) => value !== null);
  return values.flatMap(asList).map((value) => {
    const parsed = objectSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new Error(
      `${formatPath(issue?.path ?? [], '') || 'document'}: ${issue?.message ?? 'not a Kubernetes object'}`,
    );
  });
}

/** Of some kinds the plural alone is known. */
function isOf({ kind, plural }: KindSelector, found: string): boolean {
  return kind === '' ? guessedPlural(found) === plural : found === kind;
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (/\.(ya?ml|json)$/i.test(entry.name) && statSync(path, { throwIfNoEntry: false })?.isFile()) yield path;
  }
}

/** Folders of files that play the API server's part: objects to get and list, read at once, and word of every change. */
export function createObjectFolder(options: ObjectFolderOptions): ObjectFolder {
  const byFile = new Map<string, { readonly text: string; readonly objects: readonly KubernetesObject[] }>();
  const stopping = new AbortController();
  /** What functions have said of objects, for as long as the process runs. */
  const statuses = new Map<string, object>();
  const byKind = new Map<string, readonly KubernetesObject[]>();
  let objects = new Map<string, KubernetesObject>();
  /** As they were when changes were last reported: a list reads the files too, and reports nothing. */
  let reported = objects;
  let timer: NodeJS.Timeout | undefined;

  function readFile(file: string): void {
    try {
      const text = readFileSync(file, 'utf8');
      if (byFile.get(file)?.text === text) return;
      const parsed = parseObjects(text, file);
      for (const object of parsed) options.check(placed(object));
      byFile.set(file, { text, objects: parsed });
    } catch (error) {
      options.onFault(relative(process.cwd(), file), error instanceof Error ? error.message : String(error));
    }
  }

  function readAll(): void {
    const files = new Set(options.folders.flatMap((folder) => [...filesBelow(folder)]));
    for (const file of files) readFile(file);
    for (const file of byFile.keys()) if (!files.has(file)) byFile.delete(file);
    const read = new Map([...byFile.values()].flatMap((file) => file.objects).map((object) => [keyOf(object), object]));
    const isSame = read.size === objects.size && [...read].every(([key, object]) => objects.get(key) === object);
    if (isSame) return;
    objects = read;
    byKind.clear();
  }

  function readChanges(): void {
    timer = undefined;
    readAll();
    const before = reported;
    reported = objects;
    for (const [key, object] of objects) {
      const old = before.get(key);
      if (!old) options.onChange({ type: 'add', object: placed(object) });
      else if (!isDeepStrictEqual(old, object)) options.onChange({ type: 'update', object: placed(object) });
    }
    for (const [key, object] of before) {
      if (!objects.has(key)) options.onChange({ type: 'delete', object: placed(object) });
    }
  }

  /** With the namespace that it would have in a cluster; what is cluster-scoped is for the KindSelector to say. */
  function placed(object: KubernetesObject, namespaced = true): KubernetesObject {
    const { namespace = options.defaultNamespace, ...metadata } = object.metadata;
    const whole = { ...object, metadata: namespaced ? { ...metadata, namespace } : metadata };
    const status = statuses.get(keyOf(whole));
    return status ? Object.assign(whole, { status }) : whole;
  }

  function objectsOf(resource: KindSelector): KubernetesObject[] {
    return [...objects.values()]
      .filter(({ apiVersion, kind }) => isOf(resource, kind) && groupVersionOf(apiVersion).group === resource.group)
      .map((object) => placed(object, resource.namespaced));
  }

  function ownFileOf({ group, kind }: KindSelector, { metadata: { namespace = '', name } }: KubernetesObject): string {
    return join(options.own, `${[kind, group, namespace, name].map(encodeURIComponent).join('_')}.json`);
  }

  readAll();
  reported = objects;
  return {
    async apply(resource, object) {
      mkdirSync(options.own, { recursive: true });
      const file = ownFileOf(resource, object);
      // In one step, so that nobody reads half of it.
      writeFileSync(`${file}.new`, JSON.stringify(object));
      renameSync(`${file}.new`, file);
      readChanges();
    },

    async delete(resource, object) {
      rmSync(ownFileOf(resource, object), { force: true });
      readChanges();
    },

    async setStatus(_resource, object, status) {
      statuses.set(keyOf(object), status);
      options.onStatus(object, status);
    },

    async get(resource, ref) {
      return objectsOf(resource).find(
        ({ metadata }) => metadata.name === ref.name && (!resource.namespaced || metadata.namespace === ref.namespace),
      );
    },

    async *list(resource, namespace) {
      readAll();
      const place = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ''}/`;
      yield* objectsOf(resource)
        .filter(({ metadata }) => namespace === undefined || !resource.namespaced || metadata.namespace === namespace)
        .sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
    },

    current(resource) {
      const key = `${resource.group}/${resource.kind}`;
      const found = byKind.get(key) ?? objectsOf(resource);
      byKind.set(key, found);
      return found;
    },

    start() {
      readAll();
      reported = objects;
      for (const folder of options.folders) {
        const watcher = watch(folder, { recursive: true, signal: stopping.signal }, () => {
          timer ??= setTimeout(readChanges, settleMilliseconds);
        });
        watcher.on('error', (error) => options.onFault(folder, error.message));
      }
    },

    stop() {
      clearTimeout(timer);
      stopping.abort();
    },
  };
}
