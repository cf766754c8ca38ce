import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { aFinding } from '../stores/store-contract.ts';
import { createTestContext, eventOf, handled } from './test-context.ts';

/** A tool whose events list the rules that are violated. */
const tool = defineSource({
  name: 'tool',
  triggers: () => [],
  settings: z.object({}),
  schema: z.array(z.string()),
  normalize: (rules) => ({ findings: rules.map((rule) => aFinding(rule, 'shop')), skipped: {} }),
});

/** Makes a store refuse a rule's findings as invalid, as an API server may. */
function refusing(rule: string) {
  return (store: Store): Partial<Store> => ({
    async create(object, signal) {
      if (object.spec.details.rule === rule) throw new Refusal(422, 'invalid', { path: 'spec' });
      return store.create(object, signal);
    },
  });
}

describe('an event with a finding that the store refuses as invalid', () => {
  it.each([
    ['one of several', ['good', 'bad', 'good too'], ['good', 'good too']],
    ['the only one', ['bad'], []],
  ])(
    'is answered 422, so that it is dead-lettered, and its other findings are written: %s',
    async (_case, rules, stored) => {
      const { context, store } = createTestContext(tool, { wrap: refusing('bad') });
      const refused = handled(tool, eventOf('tool.report', rules), context);
      await expect(refused).rejects.toMatchObject({ status: 422, path: 'spec', summary: { observed: rules.length } });
      const { items } = await store.read({ limit: 9 });
      expect(items.map(({ spec }) => spec.details.rule).sort()).toEqual(stored);
    },
  );
});
