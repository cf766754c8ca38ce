import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createObjectFolder, type ObjectChange } from '../../shared/local/folders.ts';
import { versionOf } from '../../shared/pipeline/slot.ts';
import { temporaryFolder, within } from '../host/program.ts';

const configMaps = { group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true } as const;

function openFolder(onChange: (change: ObjectChange) => void) {
  const [folder, own] = [temporaryFolder(), temporaryFolder()];
  const objects = createObjectFolder({
    folders: [folder, own],
    own,
    defaultNamespace: 'zen-system',
    onChange,
    onFault: () => undefined,
    check: () => undefined,
    onStatus: () => undefined,
  });
  return {
    objects,
    write: (object: object) => writeFileSync(join(folder, 'new.json'), JSON.stringify(object)),
    list: () => Array.fromAsync(objects.list(configMaps, undefined, new AbortController().signal)),
  };
}

it('tells the versions of a file apart that keeps the resourceVersion it was saved with', async () => {
  const { objects, write, list } = openFolder(() => undefined);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'new', uid: 'u', resourceVersion: '12' } };
  write(object);
  const before = await list();
  write({ ...object, data: { edited: 'yes' } });
  expect((await list()).map(versionOf)).not.toEqual(before.map(versionOf));
  objects.stop();
});

it('reports a change even if a list has seen it first', async () => {
  const changes: ObjectChange[] = [];
  const { objects, write, list } = openFolder((change) => changes.push(change));
  objects.start();
  write({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'new' } });
  const listed = await list();
  expect(listed.map(({ metadata }) => metadata.name)).toEqual(['new']);
  await within('the report of the change', 1, () => changes.length > 0 || undefined);
  expect(changes.map(({ type, object: { metadata } }) => [type, metadata.name])).toEqual([['add', 'new']]);
  objects.stop();
});
