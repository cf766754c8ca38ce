import * as z from 'zod';
import type { ResourceRef } from './finding.ts';
import { isPresent } from './values.ts';

/** Text for people only. If it has another type it is ignored, since that is no reason to lose the report. */
export const descriptiveText = z.string().nullish().catch(undefined);

/** A list that may be absent or null; either becomes an empty list. */
export function rowsOf<Row extends z.ZodType>(row: Row) {
  return z
    .array(row)
    .nullish()
    .transform((rows) => rows ?? []);
}

const stringMap = z.record(z.string(), z.string()).nullish().catch(undefined);

const ownerReference = z.object({ apiVersion: descriptiveText, kind: z.string(), name: z.string() });

/** The metadata of a Kubernetes object that sources use. */
export const objectMetadata = z.object({
  name: descriptiveText,
  namespace: descriptiveText,
  labels: stringMap,
  annotations: stringMap,
  ownerReferences: z.array(ownerReference).nullish().catch(undefined),
});

export type ObjectMetadata = z.infer<typeof objectMetadata>;

/** A namespace, or `undefined` if it is absent, null or empty. */
export function namespaceText(namespace: string | null | undefined): string | undefined {
  return isPresent(namespace) ? (namespace ?? undefined) : undefined;
}

/** An object's first owner. If the owner is namespaced, it has the object's namespace. */
export function ownerOf({ ownerReferences, namespace }: ObjectMetadata): ResourceRef | undefined {
  const owner = ownerReferences?.[0];
  if (!owner || !isPresent(owner.kind) || !isPresent(owner.name)) return undefined;
  return {
    apiVersion: owner.apiVersion ?? undefined,
    kind: owner.kind,
    namespace: namespaceText(namespace),
    name: owner.name,
  };
}

/** A string that holds JSON, such as a ConfigMap's value; what it holds is parsed with another schema. */
export function jsonText<Schema extends z.ZodType>(schema: Schema, parse: (text: string) => unknown = JSON.parse) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'is not valid JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);
}
