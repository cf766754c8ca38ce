import { describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import ingest from '../../functions/ingest.ts';
import trivy from '../../functions/trivy.ts';
import type { HandlerDefinition } from '../../shared/function/definitions.ts';
import { countingOf } from '../../shared/host/counting.ts';
import { createTestContext } from '../pipeline/test-context.ts';

describe('countingOf', () => {
  it.each<[definition: HandlerDefinition, kinds: readonly string[]]>([
    [falco, ['ObservationException', 'ObservationFilter']],
    [trivy, ['ObservationException', 'ObservationFilter']],
    [ingest, ['Ingester', 'ObservationException', 'ObservationFilter', 'ObservationMapping']],
  ])('has the failures of expressions begin at 0 for every kind that has some: %#', (definition, kinds) => {
    const { context } = createTestContext(definition);
    const counting = countingOf({ definition, triggers: [], context, hint: () => undefined });
    expect(counting.expressionKinds.toSorted()).toEqual(kinds);
  });
});
