import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { forms } from '../finding/secret-forms.ts';
import { loadFixtures } from './fixtures.ts';
import { dataOf, type Path, planted, tracesOf } from './traces.ts';

const sources = (await loadFunctions()).filter(isSource);

/** What comes after what is masked in all forms that need nothing behind them. */
const planting = Object.values(forms)
  .flat()
  .filter((form) => !/[<\n]|^echo|^7z|^zip|^unzip/.test(form))
  .map((form) => form.replaceAll(/[‹›]/g, ''));

/** What names an object or a user that exists: that is shown as it is. */
const nameOfObject =
  /^(?:name|namespace|kind|apiVersion|apiGroup|username|hostname|plural|uid)$|^k8s|^ka\.target|^ka\.resp|^container\.name$|resource$/;

function textsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'string') return nameOfObject.test(path.at(-1) ?? '') || path[0] === 'metadata' ? [] : [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => textsIn(member, [...path, key]));
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
        const data = wrap(planted(payload, path, (value) => `${value} ${text}`));
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
