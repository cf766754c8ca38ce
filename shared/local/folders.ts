import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { guessedPlural } from '../api/knative-kinds.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject, Objects, Owners } from '../function/stores.ts';
import { watchFolders } from './folder-watch.ts';
import { createObjectFiles, type ObjectFilesOptions } from './object-files.ts';

export interface ObjectChange {
  readonly type: 'add' | 'update' | 'delete';
  readonly object: KubernetesObject;
}

export interface ObjectFolderOptions extends ObjectFilesOptions {
  /** The folder for objects that functions apply; one of `folders`. */
  readonly own: string;
  /** The namespace of objects that name none. */
  readonly defaultNamespace: string;
  readonly onChange: (change: ObjectChange) => void;
  /** A function has set a status; it is not written to the file. */
  readonly onStatus: (object: KubernetesObject, status: object) => void;
}

export interface ObjectFolder extends Objects, Owners {
  /** Begins to watch the files. Objects that exist by then are not reported as changes. */
  start(): void;
  /** The objects of a kind as last read; the same array until a file changes. */
  current(resource: KindSelector): readonly KubernetesObject[];
  /** The files that can't be read as they are now, and why. */
  faults(): readonly string[];
  stop(): void;
}

/** Editors save in several steps, so changes are read this long after the first sign of one. */
const settleMilliseconds = 50;

type ObjectsByKey = ReadonlyMap<string, KubernetesObject>;

function keyOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  return JSON.stringify([groupVersionOf(apiVersion).group, kind, metadata.namespace, metadata.name]);
}

/** Some selectors name the plural only. */
function isOf({ kind, plural }: KindSelector, found: string): boolean {
  return kind === '' ? guessedPlural(found) === plural : found === kind;
}

function changesBetween(before: ObjectsByKey, after: ObjectsByKey): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const [key, object] of after) {
    const old = before.get(key);
    if (!old) changes.push({ type: 'add', object });
    else if (!isDeepStrictEqual(old, object)) changes.push({ type: 'update', object });
  }
  for (const [key, object] of before) if (!after.has(key)) changes.push({ type: 'delete', object });
  return changes;
}

/** The objects in the files, the statuses that functions gave them, and what of them has been reported. */
function createObjectSet(options: ObjectFolderOptions) {
  const { defaultNamespace, check } = options;
  /** Kept for as long as the process runs. */
  const statuses = new Map<string, object>();
  const byKind = new Map<string, readonly KubernetesObject[]>();
  let objects: ObjectsByKey = new Map();
  /** The objects as of the last report of changes: a list reads the files too, but reports nothing. */
  let reported = objects;

  /** Adds the status, and the namespace that the object would have in a cluster; a KindSelector says if it has any. */
  function placed(object: KubernetesObject, namespaced = true): KubernetesObject {
    const { namespace = defaultNamespace, ...metadata } = object.metadata;
    const whole = { ...object, metadata: namespaced ? { ...metadata, namespace } : metadata };
    const status = statuses.get(keyOf(whole));
    return status ? Object.assign(whole, { status }) : whole;
  }

  const files = createObjectFiles({ ...options, check: (object, file) => check(placed(object), file) });

  function read(): void {
    const found = new Map(files.read().map((object) => [keyOf(object), object]));
    const isSame = found.size === objects.size && [...found].every(([key, object]) => objects.get(key) === object);
    if (isSame) return;
    objects = found;
    byKind.clear();
  }

  function ofKind(resource: KindSelector): KubernetesObject[] {
    return [...objects.values()]
      .filter(({ apiVersion, kind }) => isOf(resource, kind) && groupVersionOf(apiVersion).group === resource.group)
      .map((object) => placed(object, resource.namespaced));
  }

  return {
    read,
    faults: files.faults,
    ofKind,

    /** The same array until a file changes. */
    current(resource: KindSelector): readonly KubernetesObject[] {
      const key = `${resource.group}/${resource.kind}`;
      const found = byKind.get(key) ?? ofKind(resource);
      byKind.set(key, found);
      return found;
    },

    find(resource: KindSelector, namespace: string | undefined, name: string): KubernetesObject | undefined {
      return ofKind(resource).find(
        ({ metadata }) => metadata.name === name && (!resource.namespaced || metadata.namespace === namespace),
      );
    },

    setStatus: (object: KubernetesObject, status: object) => void statuses.set(keyOf(object), status),

    /** Takes the objects as they are now as reported. */
    skipChanges(): void {
      reported = objects;
    },

    /** The changes since the last time. */
    takeChanges(): ObjectChange[] {
      const changes = changesBetween(reported, objects);
      reported = objects;
      return changes.map(({ type, object }) => ({ type, object: placed(object) }));
    },
  };
}

/** The files that functions apply objects to, in a folder of their own. */
function createOwnFiles(folder: string) {
  function fileOf({ group, kind }: KindSelector, { metadata: { namespace = '', name } }: KubernetesObject): string {
    return join(folder, `${[kind, group, namespace, name].map(encodeURIComponent).join('_')}.json`);
  }

  return {
    write(resource: KindSelector, object: KubernetesObject): void {
      const file = fileOf(resource, object);
      try {
        mkdirSync(folder, { recursive: true });
        // Renamed into place, so that nobody reads a file that is half written.
        writeFileSync(`${file}.new`, JSON.stringify(object));
        renameSync(`${file}.new`, file);
      } catch (cause) {
        rmSync(`${file}.new`, { force: true });
        throw new Refusal(503, 'the data folder cannot be written', { cause });
      }
    },

    remove: (resource: KindSelector, object: KubernetesObject) => rmSync(fileOf(resource, object), { force: true }),
  };
}

/** Folders of files in place of the API server: objects to get and list, and notice of every change. */
export function createObjectFolder(options: ObjectFolderOptions): ObjectFolder {
  const objects = createObjectSet(options);
  const own = createOwnFiles(options.own);
  let timer: NodeJS.Timeout | undefined;

  function readChanges(): void {
    timer = undefined;
    watching.refresh();
    objects.read();
    for (const change of objects.takeChanges()) options.onChange(change);
  }

  const watching = watchFolders(options.folders, () => {
    timer ??= setTimeout(readChanges, settleMilliseconds);
  });
  async function* list(resource: KindSelector, namespace: string | undefined): AsyncGenerator<KubernetesObject> {
    objects.read();
    const place = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ''}/`;
    yield* objects
      .ofKind(resource)
      .filter(({ metadata }) => namespace === undefined || !resource.namespaced || metadata.namespace === namespace)
      .sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
  }

  objects.read();
  objects.skipChanges();
  return {
    async apply(resource, object) {
      own.write(resource, object);
      readChanges();
    },

    async delete(resource, object) {
      own.remove(resource, object);
      readChanges();
    },

    async setStatus(_resource, object, status) {
      objects.setStatus(object, status);
      options.onStatus(object, status);
    },

    async get(resource, { namespace, name }) {
      return objects.find(resource, namespace, name);
    },

    async controllerOf(resource, namespace, name) {
      const object = objects.find(resource, namespace, name);
      return object && { controller: object.metadata.ownerReferences?.find(({ controller }) => controller) };
    },

    list,

    listMetadata: list,

    current: objects.current,

    faults: objects.faults,

    start() {
      objects.read();
      objects.skipChanges();
      watching.refresh();
    },

    stop() {
      clearTimeout(timer);
      watching.stop();
    },
  };
}
