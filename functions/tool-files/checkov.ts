import * as z from 'zod';
import { configMapOf, type ToolFile } from '../../shared/function/tool-file.ts';

const report = z.union([
  z.looseObject({ check_type: z.string(), results: z.unknown() }),
  // When nothing was scanned.
  z.looseObject({ checkov_version: z.string(), passed: z.number(), failed: z.number() }),
]);

const reports = z.array(z.union([report, z.array(report)])).min(1);

/** `checkov -o json`: one report, or an array with one for each framework; some runs print several. */
export default {
  source: 'checkov',
  command: 'checkov -o json',
  read(documents, file) {
    const parsed = reports.safeParse(documents);
    return parsed.success ? [configMapOf(parsed.data.flat(), file)] : undefined;
  },
} satisfies ToolFile;
