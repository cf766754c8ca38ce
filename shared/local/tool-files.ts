import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { groupVersionOf } from '../api/kind-selector.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { fileAnnotation } from '../function/file-annotation.ts';
import type { Environment } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import type { ToolFile, ToolObject } from '../function/tool-file.ts';
import { functionInfoOf } from '../host/function-info.ts';
import { jsonDocuments } from './json-documents.ts';

/** The folder is the list: one file, one tool. */
const folder = join(import.meta.dirname, '..', '..', 'functions', 'tool-files');

export async function loadToolFiles(): Promise<ToolFile[]> {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.ts')) : [];
  return Promise.all(
    files.sort().map(async (file): Promise<ToolFile> => {
      const module: { readonly default: ToolFile } = await import(join(folder, file));
      return module.default;
    }),
  );
}

export interface ToolOutput {
  readonly source: string;
  readonly objects: readonly KubernetesObject[];
}

export interface ToolFileReader {
  /** What a tool's file stands for; `undefined` where no tool that is known wrote it. Throws an Error if it is no JSON. */
  read(text: string, file: string): ToolOutput | undefined;
  readonly sources: readonly string[];
  /** The commands whose output is known. */
  readonly commands: readonly string[];
}

/** Throws an Error that says what it should be. */
export function readToolFile(reader: ToolFileReader, text: string, file: string): ToolOutput {
  const found = reader.read(text, file);
  if (found) return found;
  throw new Error(`no Kubernetes object, and not the output of ${reader.commands.join(', ')}`);
}

/** Puts an object where its source looks for it: the labels and the namespace that a cluster's would have. */
function placed(object: ToolObject, file: string, definition: FunctionDefinition, environment: Environment) {
  const { group } = groupVersionOf(object.apiVersion);
  const { kinds } = functionInfoOf(definition, environment, []);
  const selector = kinds.find((one) => one.group === group && one.kind === object.kind);
  const namespace = object.metadata.namespace ?? (selector?.namespaced ? selector.namespace : undefined);
  return {
    ...object,
    metadata: {
      ...object.metadata,
      namespace,
      labels: { ...object.metadata.labels, ...selector?.labels },
      annotations: { ...object.metadata.annotations, [fileAnnotation]: file },
    },
  };
}

/** Reads tools' own files for the sources that are among the definitions. */
export function createToolFileReader(
  toolFiles: readonly ToolFile[],
  definitions: readonly FunctionDefinition[],
  environment: Environment,
): ToolFileReader {
  const known = toolFiles.flatMap((tool) => {
    const definition = definitions.find(({ name }) => name === tool.source);
    return definition ? [{ tool, definition }] : [];
  });
  return {
    sources: known.map(({ tool }) => tool.source),
    commands: known.map(({ tool }) => tool.command),
    read(text, file) {
      const documents = jsonDocuments(text);
      for (const { tool, definition } of known) {
        const objects = tool.read(documents, file);
        if (!objects) continue;
        return {
          source: tool.source,
          objects: objects.map((object) => placed(object, file, definition, environment)),
        };
      }
      return undefined;
    },
  };
}
