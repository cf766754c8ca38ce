import { readFileSync } from 'node:fs';
import { join } from 'node:path';

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 100);
}

/** What a mutant changes, wherever in its file that stands: lines move. */
export function survivorKey(file: string, original: string, replacement: string): string {
  return `${file}: ${oneLine(original)} -> ${oneLine(replacement)}`;
}

/** The keys of the mutants that tests/README.md lists as survivors; each stands in a line of its own, as code. */
export function listedSurvivors(): ReadonlySet<string> {
  const text = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  return new Set([...text.matchAll(/^ {4}(\S+\.ts: .+ -> .*)$/gm)].map(([, key = '']) => key.trim()));
}
