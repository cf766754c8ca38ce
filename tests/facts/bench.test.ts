import { describe, it } from 'vitest';
import { clusterGroups } from '../bench/cluster-rows.ts';
import { localGroups } from '../bench/local-rows.ts';
import { differences, expectNone } from './faults.ts';
import { codeIn, tablesOf } from './markdown.ts';

const readme = "tests/bench/README.md's table";

describe(readme, () => {
  it('has every group of rows, and no other', () => {
    const described = tablesOf('tests/bench/README.md')
      .filter(({ header }) => header[0] === 'group')
      .flatMap(({ rows }) => rows.flatMap(([name = '']) => codeIn(name)));
    // Those without a floor to compare with are in no list of rows.
    const groups = [...localGroups, ...clusterGroups, 'policies', 'capacity', 'growth'];
    expectNone(
      differences(groups, described, {
        onlyHere: (name) => `${readme} lacks ${name}, which npm run bench measures`,
        onlyThere: (name) => `${readme} has ${name}, which npm run bench does not know`,
      }),
    );
  });
});
