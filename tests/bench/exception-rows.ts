import exceptions from '../../functions/exceptions.ts';
import kyverno from '../../functions/kyverno.ts';
import type { HandlerDefinition } from '../../shared/function/definitions.ts';
import type { KubernetesObject, Store } from '../../shared/function/stores.ts';
import { aReport, createTestContext, createTestObjects, handled, ping } from '../pipeline/test-context.ts';
import { type Row, seconds, takeTurns } from './measure.ts';

const many = 1000;
const rules = Array.from({ length: 100 }, (_, index) => `rule-${index}`);

/** By a rule, a resource, a namespace or the words of an expression, as people write them; each matches a hundred findings. */
function specOf(index: number): object {
  const about = [
    { rules: [`p/rule-${index % 100}`], resources: [{ namespace: `team-${index % 50}` }] },
    { sources: ['kyverno'], resources: [{ kind: 'Deployment', name: `r${index}` }] },
    { rules: [`p/rule-${index % 100}*`], resources: [{ name: `r${index}` }] },
    { resources: [{ name: `r${index}` }], expression: 'severity != "CRITICAL" && workload.kind == "Deployment"' },
  ];
  return { reason: 'accepted for the bench', match: about[index % about.length] };
}

function exception(index: number): KubernetesObject {
  const metadata = { name: `exception-${index}`, namespace: 'zen-system', creationTimestamp: '2026-03-01T10:00:00Z' };
  return Object.assign(
    { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationException', metadata },
    { spec: specOf(index) },
  );
}

/** Passes over 100,000 findings with a thousand exceptions, and with one. */
export async function exceptionRows(): Promise<Row[]> {
  const objects = createTestObjects();
  for (let index = 0; index < many; index += 1) objects.all.push(aReport(`r${index}`, rules, `team-${index % 50}`));
  const all = Array.from({ length: many }, (_, index) => exception(index));
  const environment = { MAX_OBSERVATIONS: '10000000' };
  const { store, context: first } = createTestContext(kyverno as HandlerDefinition, {
    environment,
    context: { objects },
  });
  await handled(kyverno as HandlerDefinition, ping, first);
  const timed = (definition: HandlerDefinition, count: number) => async (): Promise<number> => {
    const kept = all.slice(0, count);
    const own = createTestObjects();
    own.all.push(...objects.all, ...kept);
    const shared: Store = store;
    const { context } = createTestContext(definition, {
      environment,
      context: { objects: own, store: shared, watched: () => kept },
    });
    // What they accept is written once, before the clock starts.
    await handled(definition, ping, context);
    return seconds(() => handled(definition, ping, context));
  };
  const row = (name: string, measured: Pick<Row, 'ours' | 'floor'>): Row => ({
    ...{ name, unit: 's', against: 'the same with one exception', goal: 1.3, ...measured },
  });
  const judging = await takeTurns(
    3,
    timed(exceptions as HandlerDefinition, 1),
    timed(exceptions as HandlerDefinition, many),
  );
  const passing = await takeTurns(3, timed(kyverno as HandlerDefinition, 1), timed(kyverno as HandlerDefinition, many));
  return [
    row("a source's pass over 100,000 findings, with 1,000 exceptions", passing),
    row('a pass of exceptions over 100,000 findings, with 1,000 of them', judging),
  ];
}
