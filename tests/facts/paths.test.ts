import { describe, it } from 'vitest';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { differences, expectNone } from './faults.ts';
import { nameIn, tablesOf } from './markdown.ts';

const readme = "README.md's table of paths";

describe(readme, () => {
  it('has the path of every webhook, and no other', async () => {
    const declared = (await loadFunctions())
      .flatMap((definition) => functionInfoOf(definition, {}, []).webhooks)
      .map(({ path }) => path.replace('*', '<path>'));
    const described = tablesOf('README.md')
      .filter(({ header }) => header[0] === 'path')
      .flatMap(({ rows }) => rows.map(nameIn))
      .flatMap((path) => /(?<=^POST )\/.+/.exec(path) ?? []);
    expectNone(
      differences(declared, described, {
        onlyHere: (path) => `${readme} lacks POST ${path}, where a function has a webhook`,
        onlyThere: (path) => `${readme} has POST ${path}, where no function has a webhook`,
      }),
    );
  });
});
