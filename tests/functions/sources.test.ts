import { describe, expect, it } from 'vitest';
import { allowAll } from '../../shared/function/filter.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunctions } from '../../shared/host/load-functions.ts';
import { derive } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);

describe.each(sources)('source $name', ({ name, source, triggers }) => {
  const isState = triggers.some(({ type }) => type === 'ApiServerSource');
  const fixtures = loadFixtures(name);

  it('has fixtures', () => {
    expect(fixtures.length).toBeGreaterThan(0);
  });

  it.each(fixtures)('turns $name into exactly its Observations', ({ event, environment, expected }) => {
    const settings = Object.assign({}, parseSettings(environment, source.settings, []));
    const { observations, skipped } = normalizeData(source, event.data, event.time, settings);
    const { derived, filtered } = derive(observations, {
      source: name,
      dropOwn: isState,
      filter: allowAll,
      systemNamespace: settings.SYSTEM_NAMESPACE,
      watchNamespace: settings.WATCH_NAMESPACE,
    });
    const actual = derived.map(({ namespace, observation }) => ({ namespace, ...observation }));
    expect(JSON.parse(JSON.stringify({ observations: actual, skipped, filtered }))).toEqual(expected);
  });
});
