import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { anObservation } from '../stores/store-contract.ts';
import { createTestContext, eventOf } from './test-context.ts';

/** A tool whose event lists the rules that were broken. */
const tool = defineSource({
  name: 'tool',
  triggers: [],
  settings: z.object({}),
  schema: z.array(z.string()),
  normalize: (rules) => ({ observations: rules.map((rule) => anObservation(rule, 'shop')), skipped: {} }),
});

/** A store like an API server that calls what `rule` says invalid. */
function refusing(rule: string) {
  return (store: Store): Partial<Store> => ({
    async create(object, signal) {
      if (object.spec.details.rule === rule) throw new Refusal(422, 'invalid', { path: 'spec' });
      return store.create(object, signal);
    },
  });
}

describe('an event of which the store calls a finding invalid', () => {
  it.each([
    ['one of several', ['good', 'bad', 'good too'], ['good', 'good too']],
    ['its only one', ['bad'], []],
  ])('is answered 422, so that it is dead-lettered, and the others are written: %s', async (_case, rules, stored) => {
    const { context, store } = createTestContext(tool, { wrap: refusing('bad') });
    const handled = tool.handle(eventOf('tool.report', rules), context);
    await expect(handled).rejects.toMatchObject({ status: 422, path: 'spec', summary: { observed: rules.length } });
    const { items } = await store.read({ limit: 9 });
    expect(items.map(({ spec }) => spec.details.rule).sort()).toEqual(stored);
  });
});
