import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { formatPath } from '../finding/format-path.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { decodeText } from './decode-text.ts';
import { firstLine } from './start-errors.ts';

const ownerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  controller: z.boolean().optional(),
});

/** Labels or annotations; `labels:` with nothing below it is as good as none. */
const texts = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? undefined);

/** Checks what identifies an object, and no more: the sources' own schemas check its content. */
const objectSchema = z.looseObject({
  apiVersion: z.string().min(1),
  kind: z.string().min(1),
  metadata: z.looseObject({
    name: z.string().min(1),
    namespace: z.string().min(1).optional(),
    uid: z.string().optional(),
    labels: texts,
    annotations: texts,
    ownerReferences: z.array(ownerReference).optional().catch(undefined),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
});

/** A file that was saved from a cluster keeps the version that it had there, however often a person edits it. */
function withoutVersion({ metadata, ...object }: z.infer<typeof objectSchema>): KubernetesObject {
  return { ...object, metadata: { ...metadata, resourceVersion: undefined } };
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

/** The objects in a file's text. Throws an Error that says what makes it no Kubernetes object. */
export function parseObjects(text: string, file: string): KubernetesObject[] {
  const values = parseDocuments(text, file).filter((value) => value !== null);
  return values.flatMap(asList).map((value) => {
    const parsed = objectSchema.safeParse(value);
    if (parsed.success) return withoutVersion(parsed.data);
    const issue = parsed.error.issues[0];
    throw new Error(
      `${formatPath(issue?.path ?? [], '') || 'document'}: ${issue?.message ?? 'not a Kubernetes object'}`,
    );
  });
}

/** Whether JSON is meant to be a Kubernetes object: something with neither a kind nor an apiVersion isn't. */
function hasKind(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && ('kind' in value || 'apiVersion' in value);
  } catch {
    return false;
  }
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (/\.(ya?ml|json)$/i.test(entry.name) && statSync(path, { throwIfNoEntry: false })?.isFile()) yield path;
  }
}

export interface ObjectFilesOptions {
  /** Folders whose files (.yaml, .yml, .json; several documents a file; subfolders too) hold the objects. */
  readonly folders: readonly string[];
  /** A file or folder that can't be read; the objects read from it last stay. */
  readonly onFault: (file: string, message: string) => void;
  /** Throws an Error that names the field if an object is invalid. A file with an invalid object is not read. */
  readonly check: (object: KubernetesObject, file: string) => void;
  /** The objects that JSON without a kind stands for. Throws an Error that says why it stands for none. */
  readonly readOther?: (text: string, file: string) => readonly KubernetesObject[];
}

export interface ObjectFiles {
  /** Reads the files that have changed; returns the objects of all files. */
  read(): readonly KubernetesObject[];
  /** What can't be read as it is now: `<file>: <why>`. */
  faults(): readonly string[];
}

interface FileState {
  readonly text: string;
  readonly objects: readonly KubernetesObject[];
}

function parseFile(text: string, file: string, { folders, readOther }: ObjectFilesOptions) {
  if (!readOther || !/\.json$/i.test(file) || hasKind(text)) return parseObjects(text, file);
  const folder = folders.find((one) => !relative(one, file).startsWith('..')) ?? '';
  return readOther(text, relative(folder, file).split(sep).join('/'));
}

/** The objects in folders of files. A file that breaks, like a folder that vanishes, keeps the objects read from it last. */
export function createObjectFiles(options: ObjectFilesOptions): ObjectFiles {
  const { folders, check, onFault } = options;
  const byFile = new Map<string, FileState>();
  /** Each file or folder that can't be read: its text, or the reason if not even that was read, and what is wrong. */
  const faults = new Map<string, { readonly of: string; readonly line: string }>();

  /** Reports a fault once, although every pass reads the files again. */
  function report(file: string, text: string | undefined, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const of = text ?? message;
    if (faults.get(file)?.of === of) return;
    const name = relative(process.cwd(), file);
    faults.set(file, { of, line: `${name}: ${firstLine(message)}` });
    onFault(name, message);
  }

  function readFile(file: string): void {
    let text: string | undefined;
    try {
      text = decodeText(readFileSync(file));
      if (byFile.get(file)?.text === text) return void faults.delete(file);
      if (faults.get(file)?.of === text) return;
      const objects = parseFile(text, file, options);
      for (const object of objects) check(object, file);
      byFile.set(file, { text, objects });
      faults.delete(file);
    } catch (error) {
      report(file, text, error);
    }
  }

  /** The files of a folder; if it is gone, those that were read from it. */
  function filesOf(folder: string): string[] {
    try {
      const files = [...filesBelow(folder)];
      faults.delete(folder);
      return files;
    } catch (error) {
      report(folder, undefined, error);
      return [...byFile.keys()].filter((file) => file.startsWith(`${folder}${sep}`));
    }
  }

  function forgetAllBut(files: ReadonlySet<string>): void {
    for (const file of byFile.keys()) if (!files.has(file)) byFile.delete(file);
    for (const file of faults.keys()) if (!files.has(file) && !folders.includes(file)) faults.delete(file);
  }

  return {
    read() {
      const files = new Set(folders.flatMap(filesOf));
      for (const file of files) readFile(file);
      forgetAllBut(files);
      return [...byFile.values()].flatMap(({ objects }) => objects);
    },
    faults: () => [...faults.values()].map(({ line }) => line),
  };
}
