import { describe, it } from 'vitest';
import { functionNames } from '../../shared/host/function-list.ts';
import { differences, expectNone, repeated } from './faults.ts';
import { nameIn, tablesOf } from './markdown.ts';

const readme = "functions/README.md's table";

describe(readme, () => {
  const rows = tablesOf('functions/README.md')
    .filter(({ header }) => header[0] === 'function')
    .flatMap((table) => table.rows);
  const names = rows.map(nameIn);

  it('has every function in the folder, and no other', () => {
    expectNone(
      differences(functionNames(), names, {
        onlyHere: (name) => `${readme} lacks ${name}: there is a functions/${name}.ts`,
        onlyThere: (name) => `${readme} has ${name}: there is no functions/${name}.ts`,
      }),
    );
  });

  it('describes each once', () => {
    expectNone([
      ...repeated(names).map((name) => `${readme} has ${name} more than once`),
      ...rows.filter((cells) => cells.includes('')).map(([name]) => `${readme} does not say what ${name} does`),
    ]);
  });
});
