import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { rolesOf } from '../../knative/generator/manifests.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { tablesOf } from '../facts/markdown.ts';

const definitions = (await loadFunctions()).toSorted((a, b) => (a.name < b.name ? -1 : 1));
const rulesSchema = z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) })).default([]);
const reading = ['get', 'list', 'watch'];

/** What the roles of a function let it read, and which verbs they let it use on what otherwise. */
function rightsOf(definition: (typeof definitions)[number]): readonly [reads: string, writes: string] {
  const reads = new Set<string>();
  const writes = new Map<string, Set<string>>();
  for (const { resources, verbs } of rolesOf(definition).flatMap(({ rules }) => rulesSchema.parse(rules))) {
    for (const resource of resources) {
      // A tool's reports have many kinds.
      if (verbs.some((verb) => reading.includes(verb))) reads.add(resource.replace(/^\w*reports$/, 'reports'));
      const others = verbs.filter((verb) => !reading.includes(verb) && verb !== 'record');
      if (others.length > 0) writes.set(resource, new Set([...(writes.get(resource) ?? []), ...others]));
    }
  }
  const written = [...writes]
    .toSorted()
    .map(([resource, verbs]) => `${resource} (${[...verbs].toSorted().join(', ')})`);
  return [[...reads].toSorted().join(', '), written.join(', ')];
}

describe("SECURITY.md's table of rights", () => {
  it("says what each function's roles allow", () => {
    const table = tablesOf('SECURITY.md').find(({ header }) => header[1] === 'reads');
    const expected = definitions.map((one) => [`\`${one.name}\``, ...rightsOf(one)]);
    expect(table?.rows).toEqual(expected);
  });
});
