import { stringify } from 'yaml';
import type { Observation } from '../api/observation.ts';
import { countsOf, tableOf } from '../view/table.ts';

export const outputs = ['table', 'wide', 'json', 'yaml', 'counts'] as const;

export type Output = (typeof outputs)[number];

function write(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}

function printOnce(objects: readonly Observation[], output: Output): void {
  if (output === 'json' || output === 'yaml') {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    write([output === 'json' ? JSON.stringify(list, null, 2) : stringify(list).trimEnd()]);
  } else if (objects.length === 0) process.stderr.write('No observations found\n');
  else write(output === 'counts' ? countsOf(objects) : tableOf(objects, Date.now(), output === 'wide'));
}

/** The part of an object that can change, with its identity. */
function stateOf({ metadata }: Observation): string {
  return JSON.stringify([metadata.namespace, metadata.name, metadata.labels]);
}

/** The lines for new or changed objects; the first time with the header above them. */
function linesOf(objects: readonly Observation[], output: Output, isFirst: boolean): string[] {
  switch (output) {
    case 'json':
      return objects.map((object) => JSON.stringify(object));
    case 'yaml':
      return objects.map((object) => `---\n${stringify(object).trimEnd()}`);
    default: {
      const [header = '', ...rows] = tableOf(objects, Date.now(), output === 'wide');
      return isFirst ? [header, ...rows] : rows;
    }
  }
}

/**
 * Returns a function that prints all stored objects. With `isWatching`, later calls print only what is new or has changed
 * since the last one, in kubectl's format: one JSON object per line, one YAML document per object. Counts are printed in
 * full whenever they change.
 */
export function createPrinter(output: Output, isWatching: boolean): (all: readonly Observation[]) => void {
  if (!isWatching) return (all) => printOnce(all, output);
  let seen: ReadonlySet<string> | undefined;
  let counts = '';

  return (all) => {
    if (output === 'counts') {
      const lines = countsOf(all);
      if (lines.join('\n') !== counts) write(lines);
      counts = lines.join('\n');
      return;
    }
    const before = seen;
    const changed = all.filter((object) => !before?.has(stateOf(object)));
    seen = new Set(all.map(stateOf));
    write(linesOf(changed, output, before === undefined));
  };
}
