import type { KubernetesObject } from './stores.ts';

/** An object that a tool's file stands for. Without a namespace it is where its source looks for such objects. */
export interface ToolObject extends Omit<KubernetesObject, 'metadata'> {
  readonly metadata: Partial<KubernetesObject['metadata']> & {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** How local mode reads what a tool prints on its command line, as it is. */
export interface ToolFile {
  /** The source that reads the objects. */
  readonly source: string;
  /** The command whose output this is, for whoever gave a file that is none. */
  readonly command: string;
  /**
   * Pure. The objects that the JSON documents of a file stand for; `undefined` where another tool wrote them. `file` is
   * the file's name, which may be part of the objects' names.
   */
  read(documents: readonly unknown[], file: string): ToolObject[] | undefined;
}

/** The ConfigMap in which a source finds such output in a cluster; its labels and its namespace are the source's. */
export function configMapOf(output: unknown, file: string): ToolObject {
  const data = { 'results.json': JSON.stringify(output) };
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: file }, data };
  return configMap;
}
