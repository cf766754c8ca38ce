import * as z from 'zod';
import { configMapOf, type ToolFile } from '../../shared/function/tool-file.ts';

const control = z.looseObject({ node_type: z.string(), tests: z.array(z.unknown()).nullable() });

const output = z.union([
  z.array(control).min(1),
  control.transform((one) => [one]),
  z.object({ Controls: z.array(control), Totals: z.unknown().optional() }).transform(({ Controls }) => Controls),
]);

const outputs = z.array(output).min(1);

/** Reads `kube-bench --json`: `{Controls, Totals}`, only the controls, or one such document per target of the run. */
export default {
  source: 'kube-bench',
  command: 'kube-bench --json',
  read(documents, file) {
    const parsed = outputs.safeParse(documents);
    return parsed.success ? [configMapOf(parsed.data.flat(), file)] : undefined;
  },
} satisfies ToolFile;
