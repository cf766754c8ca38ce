import * as z from 'zod';
import { configMapOf, type ToolFile } from '../../shared/function/tool-file.ts';

const report = z.union([
  z.looseObject({ check_type: z.string(), results: z.unknown() }),
  // What Checkov prints if it has scanned nothing.
  z.looseObject({ checkov_version: z.string(), passed: z.number(), failed: z.number() }),
]);

const reports = z.array(z.union([report, z.array(report)])).min(1);

/** Reads `checkov -o json`: a report, or an array with one per framework. Some runs print several such documents. */
export default {
  source: 'checkov',
  command: 'checkov -o json',
  read(documents, file) {
    const parsed = reports.safeParse(documents);
    return parsed.success ? [configMapOf(parsed.data.flat(), file)] : undefined;
  },
} satisfies ToolFile;
