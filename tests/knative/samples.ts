import type { Observation } from '../../shared/api/observation.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { type Fixture, loadFixtures } from '../functions/fixtures.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';

/** Beside the samples: a vulnerability that nothing fixes, and some without a package. */
const more = ['image-without-repository', 'package-without-a-name'];

function objectsIn({ event }: Fixture): KubernetesObject[] {
  return event.type.startsWith('dev.knative.apiserver.') ? [event.data as KubernetesObject] : [];
}

/** What the sources store of the sample events, and of a few others. */
export async function observationsOfSamples(): Promise<readonly Observation[]> {
  const sources = (await loadFunctions()).filter(isSource);
  const cases = sources.flatMap((definition) =>
    loadFixtures(definition.name)
      .filter(({ name }) => name.startsWith('sample-') || more.includes(name))
      .map((fixture) => ({ definition, fixture })),
  );
  const stored = cases.map(async ({ definition, fixture }) => {
    const { context, store, objects } = createTestContext(definition, { environment: fixture.environment });
    objects.all.push(...objectsIn(fixture));
    await handled(definition, { ...fixture.event, extensions: {} }, context);
    return (await store.read({ limit: 1000 })).items;
  });
  return (await Promise.all(stored)).flat();
}
