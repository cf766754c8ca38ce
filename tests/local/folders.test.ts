import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createObjectFolder, type ObjectChange } from '../../shared/local/folders.ts';
import { temporaryFolder, within } from '../host/program.ts';

const configMaps = { group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true } as const;

it('reports a change even if a list has seen it first', async () => {
  const [folder, own] = [temporaryFolder(), temporaryFolder()];
  const changes: ObjectChange[] = [];
  const objects = createObjectFolder({
    folders: [folder, own],
    own,
    defaultNamespace: 'zen-system',
    onChange: (change) => changes.push(change),
    onFault: () => undefined,
    check: () => undefined,
    onStatus: () => undefined,
  });
  objects.start();
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'new' } };
  writeFileSync(join(folder, 'new.json'), JSON.stringify(object));
  const listed = await Array.fromAsync(objects.list(configMaps, undefined, new AbortController().signal));
  expect(listed.map(({ metadata }) => metadata.name)).toEqual(['new']);
  await within('the report of the change', 1, () => changes.length > 0 || undefined);
  expect(changes.map(({ type, object: { metadata } }) => [type, metadata.name])).toEqual([['add', 'new']]);
  objects.stop();
});
