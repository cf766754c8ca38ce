import { describe, expect, it } from 'vitest';
import type { Severity } from '../../shared/finding/severity.ts';
import type { LimitReached } from '../../shared/function/context.ts';
import { notingKeptOut } from '../../shared/pipeline/limit-reached.ts';
import { createTestContext } from './test-context.ts';
import { boxes } from './test-sources.ts';

const { signal } = new AbortController();

/** Asks about a finding in each of some namespaces, with an answer by namespace, and returns what was noted. */
async function noted(namespaces: readonly string[], answer: (namespace: string) => LimitReached | undefined) {
  const limit = {
    against: async (namespace: string) => answer(namespace),
    created: () => undefined,
    mayTell: () => true,
  };
  const { context, keptOut } = notingKeptOut(createTestContext(boxes, { context: { limit } }).context);
  for (const namespace of namespaces) {
    expect(await context.limit.against(namespace, 'LOW', signal)).toEqual(answer(namespace));
  }
  return keptOut;
}

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`);
const byNamespace = (namespace: string): LimitReached => ({ namespace });
const bySeverity =
  (...severities: readonly Severity[]) =>
  (): LimitReached => ({ severities });

describe('notingKeptOut', () => {
  it('notes nothing where nothing is kept out', async () => {
    const keptOut = await noted(['a', 'b'], () => undefined);
    expect([keptOut.isEmpty(), keptOut.severities(), keptOut.namespaces(), keptOut.full()]).toEqual([true, [], [], []]);
  });

  it('notes severities, the worst first, and namespaces that hold too many, by name', async () => {
    const some = await noted(['b', 'a'], (namespace) =>
      namespace === 'a' ? { severities: ['UNKNOWN'] } : { severities: ['LOW', 'UNKNOWN'] },
    );
    expect([some.isEmpty(), some.severities(), some.full()]).toEqual([false, ['LOW', 'UNKNOWN'], []]);
    const full = await noted(['b', 'a', 'b'], byNamespace);
    expect([full.isEmpty(), full.severities(), full.namespaces(), full.full()]).toEqual([false, [], [], ['a', 'b']]);
  });

  it('names the five namespaces of which most is kept out, by name, and of equal ones the first', async () => {
    const asked = ['f', 'f', 'g', 'e', 'd', 'c', 'b', 'b', 'b', 'a'];
    const keptOut = await noted(asked, bySeverity('LOW'));
    expect(keptOut.namespaces()).toEqual(['a', 'b', 'c', 'd', 'f']);
  });

  it('counts a thousand namespaces, and those to the end', async () => {
    const keptOut = await noted([...names(1000), 'more', 'more', 'n7', 'n999'], bySeverity('LOW'));
    expect(keptOut.namespaces()).toEqual(['n0', 'n1', 'n10', 'n7', 'n999']);
    expect((await noted(names(1002), byNamespace)).full()).toHaveLength(1000);
  });
});
