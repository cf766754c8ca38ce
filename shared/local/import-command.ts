import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadFunctions } from '../host/function-list.ts';
import { UsageError } from './arguments.ts';
import { keepImport, removeImport } from './imports.ts';
import { decodeText } from './json-documents.ts';
import { takenByNpm } from './npm-flags.ts';
import { endWithReader } from './standard-streams.ts';
import { createToolFileReader, loadToolFiles, readToolFile, type ToolFileReader } from './tool-files.ts';

const usage = `Usage: npm run import -- [options] FILE...
  Keeps what a tool printed, as it is, for "npm start" to observe. A file of the
  same name again replaces what it said before.

Options:
  --source S   what the files must be of
  --data DIR   where zen-watcher keeps its store (.data)
  --remove     forget these files: what they said is missing, then resolved
  --help       show this`;

const options = {
  source: { type: 'string' },
  data: { type: 'string' },
  remove: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function parse(args: readonly string[]) {
  const taken = takenByNpm(process.env, options, 'npm run import');
  if (taken !== undefined) throw new UsageError(taken, usage);
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (!values.help && positionals.length === 0) throw new UsageError('no file is named', usage);
    return { ...values, data: values.data ?? '.data', files: positionals };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(error instanceof Error ? error.message : String(error), usage);
  }
}

type Parsed = ReturnType<typeof parse>;

function importFile(file: string, { source, data }: Parsed, reader: ToolFileReader): string {
  if (!existsSync(file)) throw new Error('no such file');
  const text = decodeText(readFileSync(file));
  const found = readToolFile(reader, text, file);
  if (source !== undefined && found.source !== source) throw new Error(`it is of ${found.source}, not of ${source}`);
  const { kept, isReplaced } = keepImport(data, found.source, file, text);
  return `${file}: ${found.source}, kept as ${kept}${isReplaced ? ', in place of an earlier one' : ''}`;
}

function removeFile(file: string, { source, data }: Parsed): string {
  const removed = removeImport(data, source, file);
  if (removed.length === 0) throw new Error(`not among what was imported into ${data}`);
  return `${file}: ${removed.join(', ')}, forgotten`;
}

/** Does the work for each file, whatever becomes of the others. Returns whether all went well. */
function forEachFile(files: readonly string[], work: (file: string) => string): boolean {
  let isWell = true;
  for (const file of files) {
    try {
      process.stdout.write(`${work(file)}\n`);
    } catch (error) {
      process.stderr.write(`import: ${file}: ${error instanceof Error ? error.message : error}\n`);
      isWell = false;
    }
  }
  return isWell;
}

async function main(): Promise<void> {
  endWithReader('import');
  const parsed = parse(process.argv.slice(2));
  if (parsed.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  if (parsed.remove) {
    if (!forEachFile(parsed.files, (file) => removeFile(file, parsed))) process.exitCode = 1;
    return;
  }
  const reader = createToolFileReader(await loadToolFiles(), await loadFunctions(), process.env);
  const { source } = parsed;
  if (source !== undefined && !reader.sources.includes(source)) {
    throw new UsageError(`--source takes ${reader.sources.join(', ')}`, usage);
  }
  const isWell = forEachFile(parsed.files, (file) => importFile(file, parsed, reader));
  process.stdout.write(
    '"npm start" observes what is kept, at once where it runs: see it with "npm run observations".\n',
  );
  if (!isWell) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`import: ${error instanceof Error ? error.message : error}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
