import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { HandlerDefinition } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Cluster, KubernetesObject } from '../../shared/function/stores.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import type { Fixture } from './fixtures.ts';

export type Path = readonly string[];

/** A value with another one in this place of it. */
export function planted(value: unknown, [key, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === key ? planted(item, rest, change) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, name === key ? planted(member, rest, change) : member]),
  );
}

/** The texts of an event's data; those of a ConfigMap are in the JSON that it holds. */
export function dataOf({ event }: Fixture) {
  const data = event.data as { readonly data?: { readonly 'results.json'?: string } };
  const text = data?.data?.['results.json'];
  if (text === undefined) return { payload: event.data, wrap: (payload: unknown) => payload };
  try {
    const payload: unknown = JSON.parse(text);
    return { payload, wrap: (changed: unknown) => ({ ...data, data: { 'results.json': JSON.stringify(changed) } }) };
  } catch {
    return { payload: {}, wrap: () => data };
  }
}

/** Everything that a process leaves: what is stored, what is logged at any level, what is counted. */
export async function tracesOf(definition: HandlerDefinition, event: CloudEvent, objects: readonly KubernetesObject[]) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const dispatcher = createDispatcher(createLog('DEBUG', 'test', { write: (line) => void lines.push(line) }), metrics);
  const watched: Cluster['watched'] = ({ kind }) => objects.filter((object) => object.kind === kind);
  const test = createTestContext(definition, { context: { watched } });
  test.objects.all.push(...objects);
  const { signal } = test.context.event;
  const handling = dispatcher.handle(
    { definition, triggers: [], hint: () => undefined, context: test.context },
    event,
    signal,
  );
  const error = await handling.catch((refusal) => refusal);
  const { items } = await test.store.read({ limit: 1000 });
  const said = error instanceof Refusal ? [error.message, error.path, String(error.cause)] : [];
  return {
    stored: JSON.stringify(items),
    told: [...lines, ...said, (await metrics.render('text/plain')).text].join('\n'),
  };
}
