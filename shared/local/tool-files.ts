import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { groupVersionOf } from '../api/kind-selector.ts';
import { jsonDocuments } from '../finding/json-documents.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { fileAnnotation } from '../function/file-annotation.ts';
import type { Environment } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import type { ToolFile, ToolObject } from '../function/tool-file.ts';
import { functionInfoOf } from '../host/function-info.ts';

/** The folder is the list of tools: one file each. */
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
  /** The objects for a tool's output; `undefined` if no known tool wrote it. Throws an Error if it is not JSON. */
  read(text: string, file: string): ToolOutput | undefined;
  readonly sources: readonly string[];
  /** The commands whose output it can read. */
  readonly commands: readonly string[];
}

/** Throws an Error that lists the known tools if none of them wrote the file. */
export function readToolFile(reader: ToolFileReader, text: string, file: string): ToolOutput {
  const found = reader.read(text, file);
  if (found) return found;
  throw new Error(`no Kubernetes object, and not the output of ${reader.commands.join(', ')}`);
}

/** Adds the labels and the namespace by which the object's source would find it in a cluster. */
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

/** Reads the output of tools whose source is among the definitions. */
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
