import * as z from 'zod';
import type { BadRow, ResourceRef } from './finding.ts';
import { formatPath } from './format-path.ts';
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

/** A list whose rows are judged one by one: those that can be read, and where and how the others break the schema. */
export interface JudgedRows<Row> {
  readonly rows: readonly Row[];
  readonly bad: readonly { readonly index: number; readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/** A list that may be absent or null, judged row by row, so that a bad row costs nothing but itself. */
export function judgedRowsOf<Row>(row: z.ZodType<Row>) {
  return z
    .array(z.unknown())
    .nullish()
    .transform((items): JudgedRows<Row> => {
      const rows: Row[] = [];
      const bad: JudgedRows<Row>['bad'][number][] = [];
      for (const [index, item] of (items ?? []).entries()) {
        const parsed = row.safeParse(item);
        const issue = parsed.error?.issues[0];
        if (parsed.success) rows.push(parsed.data);
        else bad.push({ index, path: issue?.path ?? [], message: issue?.message ?? 'is invalid' });
      }
      return { rows, bad };
    });
}

/** The bad rows of a list as a report of a source names them; `list` is where the list is, such as `report.checks`. */
export function badRowsOf(list: string, { bad }: Pick<JudgedRows<unknown>, 'bad'>): BadRow[] {
  return bad.map(({ index, path, message }) => ({ path: formatPath([index, ...path], list), message }));
}
