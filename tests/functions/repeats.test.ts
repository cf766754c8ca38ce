import { describe, expect, it } from 'vitest';
import { rolesOf } from '../../knative/generator/manifests.ts';
import type { Occurrence } from '../../shared/function/context.ts';
import type { SourceDefinition } from '../../shared/function/definitions.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';
import { events } from '../pipeline/test-sources.ts';
import { loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);

describe('repeats of the events of a source', () => {
  it.each(sources.map((definition) => ({ name: definition.name, definition })))(
    'renew findings only if $name declares it, since that takes a right',
    async ({ definition }) => {
      const noted: Occurrence[] = [];
      const repeats = { note: (occurrence: Occurrence) => void noted.push(occurrence) };
      for (const { event, environment } of loadFixtures(definition.name)) {
        const { context } = createTestContext(definition, { environment, context: { repeats } });
        await handled(definition, { ...event, extensions: {} }, context).catch(() => undefined);
      }
      const renewed = noted.filter(({ expires }) => expires !== undefined);
      expect(renewed.length > 0).toBe(definition.source.hasOngoingFindings ?? false);
    },
  );

  /** What a source's role lets it do with Observations, given some changes of its definition. */
  function verbsOf(changes: Partial<SourceDefinition<unknown, unknown>>): unknown {
    const roles = rolesOf(defineSource({ ...events.source, ...changes }));
    const rules = roles.flatMap(({ rules = [] }) => (Array.isArray(rules) ? rules : []));
    return rules
      .filter(({ resources }) => String(resources).startsWith('observations'))
      .map(({ resources, verbs }) => [resources[0], ...verbs].join(' '));
  }

  it.each<[string, Partial<SourceDefinition<unknown, unknown>>, string]>([
    ['counts', {}, 'observations create get record'],
    ['counts and renews', { hasOngoingFindings: true }, 'observations create get record patch'],
  ])('take the rights to the status, of a source that %s', (_what, changes, rule) => {
    expect(verbsOf(changes)).toEqual([rule, 'observations/status patch']);
  });
});
