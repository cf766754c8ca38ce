import { existsSync, readFileSync, statSync } from 'node:fs';
import { loadFunctions } from '../host/function-list.ts';
import { defaultData, helpFor, parseCommand, UsageError } from './arguments.ts';
import { decodeText } from './decode-text.ts';
import { importPath, keepImport, removeImport } from './imports.ts';
import { takenByNpm } from './npm-flags.ts';
import { endWithReader } from './standard-streams.ts';
import { createToolFileReader, loadToolFiles, readToolFile, type ToolFileReader } from './tool-files.ts';

const usage = `Usage: npm run import -- [options] FILE...
  Keeps a copy of a tool's output for "npm start" to observe. Importing a file
  of the same name again replaces the copy.

Options:
  --source S   fail if a file is not from this source
  --data DIR   folder of the embedded store (${defaultData})
  --remove     delete the copies: their findings become missing, then resolved
  --help       show this`;

const help = helpFor('npm run import');

const options = {
  source: { type: 'string' },
  data: { type: 'string' },
  remove: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function parse(args: readonly string[]) {
  const taken = takenByNpm(process.env, options, 'npm run import');
  if (taken !== undefined) throw new UsageError(taken, help);
  const { values, positionals } = parseCommand({ args: [...args], options, allowPositionals: true }, help);
  if (!values.help && positionals.length === 0) throw new UsageError('no file is named', help);
  return { ...values, data: values.data ?? defaultData, files: positionals };
}

type Parsed = ReturnType<typeof parse>;

/** `imported` has where each file is kept, and which that was. */
function importFile(
  file: string,
  { source, data }: Parsed,
  reader: ToolFileReader,
  imported: Map<string, string>,
): string {
  if (!existsSync(file)) throw new Error('no such file');
  if (statSync(file).isDirectory()) throw new Error('it is a folder: name the files in it');
  const text = decodeText(readFileSync(file));
  const found = readToolFile(reader, text, file);
  if (source !== undefined && found.source !== source)
    throw new Error(`it is from ${found.source}, not from ${source}`);
  const kept = importPath(data, found.source, file);
  const other = imported.get(kept);
  if (other !== undefined) throw new Error(`it would replace ${other}: give it another name`);
  imported.set(kept, file);
  const isReplaced = keepImport(kept, text);
  return `${file}: ${found.source}, kept as ${kept}${isReplaced ? ', replacing an earlier one' : ''}`;
}

function removeFile(file: string, { source, data }: Parsed): string {
  const removed = removeImport(data, source, file);
  if (removed.length === 0) throw new Error(`it was not imported into ${data}`);
  return `${file}: ${removed.join(', ')}, removed`;
}

/** Does the work for each file, even if it fails for others. Returns for how many it succeeded. */
function forEachFile(files: readonly string[], work: (file: string) => string): number {
  let done = 0;
  for (const file of files) {
    try {
      process.stdout.write(`${work(file)}\n`);
      done += 1;
    } catch (error) {
      process.stderr.write(`import: ${file}: ${error instanceof Error ? error.message : error}\n`);
      process.exitCode = 1;
    }
  }
  return done;
}

async function main(): Promise<void> {
  endWithReader('import');
  const parsed = parse(process.argv.slice(2));
  if (parsed.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  if (parsed.remove) {
    forEachFile(parsed.files, (file) => removeFile(file, parsed));
    return;
  }
  const reader = createToolFileReader(await loadToolFiles(), await loadFunctions(), process.env);
  const { source } = parsed;
  if (source !== undefined && !reader.sources.includes(source)) {
    throw new UsageError(`--source takes ${reader.sources.join(', ')}`, help);
  }
  const imported = new Map<string, string>();
  if (forEachFile(parsed.files, (file) => importFile(file, parsed, reader, imported)) === 0) return;
  process.stdout.write(
    '"npm start" observes imported files, immediately if it is running: see "npm run observations".\n',
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`import: ${error instanceof Error ? error.message : error}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
