import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The project's folder. */
export const root = join(import.meta.dirname, '..', '..');

/** Every Markdown file of the project. */
export const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((file) => existsSync(join(root, file)));

/** The cells of a table as written, trimmed. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function cellsOf(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** The tables of a Markdown file: https://github.github.com/gfm/#tables-extension- */
export function tablesOf(file: string): Table[] {
  const text = readFileSync(join(root, file), 'utf8').replaceAll(/^ {0,3}```[\s\S]*?^ {0,3}```/gm, '');
  const blocks = text.match(/(?:^ {0,3}\|.*\n?)+/gm) ?? [];
  return blocks.map((block) => {
    const [header = [], _delimiters, ...rows] = block.trimEnd().split('\n').map(cellsOf);
    return { header, rows };
  });
}

/** The name at the start of a row. */
export function nameIn([cell = '']: readonly string[]): string {
  return codeIn(cell)[0] ?? cell;
}

/** Everything in backticks. */
export function codeIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}
