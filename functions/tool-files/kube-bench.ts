import * as z from 'zod';
import { configMapOf, type ToolFile } from '../../shared/function/tool-file.ts';

/** An object under keys whose case and underscores are folded, since versions spell them differently. */
function folded<Schema extends z.ZodType<unknown, Record<string, unknown>>>(schema: Schema) {
  return z
    .record(z.string(), z.unknown())
    .transform((object) =>
      Object.fromEntries(Object.entries(object).map(([key, value]) => [key.toLowerCase().replaceAll('_', ''), value])),
    )
    .pipe(schema);
}

const control = folded(z.object({ nodetype: z.string(), tests: z.array(z.unknown()).nullable() }));

const output = z.union([z.array(control).min(1), control, folded(z.object({ controls: z.array(control).min(1) }))]);

const outputs = z.array(output).min(1);

/** Reads `kube-bench --json`: `{Controls, Totals}`, only the controls, or one such document per target of the run. */
export default {
  source: 'kube-bench',
  command: 'kube-bench --json',
  read(documents, file) {
    return outputs.safeParse(documents).success ? [configMapOf(documents.flat(), file)] : undefined;
  },
} satisfies ToolFile;
