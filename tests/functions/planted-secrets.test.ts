import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { HandlerDefinition } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { createLog } from '../../shared/host/log.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { forms } from '../finding/secret-forms.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { type Fixture, loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);

/** What comes after what is masked in all forms that need nothing behind them. */
const planting = Object.values(forms)
  .flat()
  .filter((form) => !/[<\n]|^echo|^7z|^zip|^unzip/.test(form))
  .map((form) => form.replaceAll(/[‹›]/g, ''));

/** What names an object or a user that exists: that is shown as it is. */
const nameOfObject =
  /^(?:name|namespace|kind|apiVersion|apiGroup|username|hostname|plural|uid)$|^k8s|^ka\.target|^ka\.resp|^container\.name$|resource$/;

type Path = readonly string[];

function textsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'string') return nameOfObject.test(path.at(-1) ?? '') || path[0] === 'metadata' ? [] : [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => textsIn(member, [...path, key]));
}

function planted(value: unknown, [key, ...rest]: Path, text: string): unknown {
  if (key === undefined) return `${value} ${text}`;
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === key ? planted(item, rest, text) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, name === key ? planted(member, rest, text) : member]),
  );
}

/** The texts of an event's data; those of a ConfigMap are in the JSON that it holds. */
function dataOf({ event }: Fixture) {
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
async function tracesOf(definition: HandlerDefinition, event: CloudEvent, objects: readonly KubernetesObject[]) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const dispatcher = createDispatcher(createLog('DEBUG', 'test', { write: (line) => void lines.push(line) }), metrics);
  const test = createTestContext(definition);
  test.objects.all.push(...objects);
  const { signal } = test.context.event;
  const handling = dispatcher.handle({ definition, triggers: [], context: test.context }, event, signal);
  const error = await handling.catch((refusal) => refusal);
  const { items } = await test.store.read({ limit: 1000 });
  const said = error instanceof Refusal ? [error.message, error.path, String(error.cause)] : [];
  return {
    stored: JSON.stringify(items),
    told: [...lines, ...said, (await metrics.render('text/plain')).text].join('\n'),
  };
}

describe('a secret that a tool shows', () => {
  it.each(sources)('is in nothing that $name leaves, in whatever text it stands', async (definition) => {
    let count = 0;
    const shown: string[] = [];
    for (const fixture of loadFixtures(definition.name)) {
      const { payload, wrap } = dataOf(fixture);
      for (const path of textsIn(payload)
        .filter((_path, index) => index % 5 === count % 5)
        .slice(0, 4)) {
        count += 1;
        const secret = `PLANTED${count}x9Q`;
        const text = planting[count % planting.length]?.replace('§', secret) ?? '';
        const data = wrap(planted(payload, path, text));
        const isObject = fixture.event.type.startsWith('dev.knative.apiserver.');
        const event = { ...fixture.event, extensions: {}, data };
        const traces = await tracesOf(definition, event, isObject ? [data as KubernetesObject] : []);
        if (`${traces.stored}${traces.told}`.includes(secret)) shown.push(`${fixture.name} ${path.join('.')}: ${text}`);
      }
    }
    expect(shown).toEqual([]);
    expect(count).toBeGreaterThan(50);
  });

  it('is in nothing that is left of an event that could not be delivered', async () => {
    for (const [index, form] of planting.entries()) {
      const secret = `PLANTED${index}x9Q`;
      const data = { message: form.replace('§', secret) };
      const event = { id: '1', source: '/tests', type: 'x.y', time: '2026-03-01T10:00:00Z', extensions: {}, data };
      const { stored, told } = await tracesOf(deadletter, event, []);
      expect(stored).toContain('undeliverable-event');
      expect(`${stored}${told}`).not.toContain(secret);
    }
  });
});
