import * as z from 'zod';
import type { ResourceRef } from './finding.ts';
import { isPresent } from './values.ts';

/** Text that only describes: of another type it is left out, rather than lose the report. */
export const descriptiveText = z.string().nullish().catch(undefined);

/** A list that may be absent or null. */
export function rowsOf<Row extends z.ZodType>(row: Row) {
  return z
    .array(row)
    .nullish()
    .transform((rows) => rows ?? []);
}

const stringMap = z.record(z.string(), z.string()).nullish().catch(undefined);

const ownerReference = z.object({ apiVersion: descriptiveText, kind: z.string(), name: z.string() });

/** The metadata of a Kubernetes object that sources look at. */
export const objectMetadata = z.object({
  name: descriptiveText,
  namespace: descriptiveText,
  labels: stringMap,
  annotations: stringMap,
  ownerReferences: z.array(ownerReference).nullish().catch(undefined),
});

export type ObjectMetadata = z.infer<typeof objectMetadata>;

/** A namespace as text, or `undefined` where none is meant: absent, null or empty. */
export function namespaceText(namespace: string | null | undefined): string | undefined {
  return isPresent(namespace) ? (namespace ?? undefined) : undefined;
}

/** The first owner of an object, which lives in the same namespace if it is namespaced. */
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

/** JSON in a string, such as a ConfigMap's value, as another schema has it. */
export function jsonText<Schema extends z.ZodType>(schema: Schema, parse: (text: string) => unknown = JSON.parse) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'not JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);
}
