import type { ObjectMetadata } from '../finding/object-schema.ts';

/** On an object that stands for a tool's own file in local mode: no API server has it, so no finding may point at it. */
export const fileAnnotation = 'zen.kube-zen.io/file';

/** The name of the file that an object stands for; `undefined` for an object of a cluster. */
export function fileOf({ annotations }: Pick<ObjectMetadata, 'annotations'>): string | undefined {
  return annotations?.[fileAnnotation];
}
