import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { release } from '../../knative/generator/repository.ts';
import { documents, root } from './markdown.ts';

function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Where an image is named as one builds, pushes or runs it. */
function tagsIn(file: string): string[] {
  return [...textOf(file).matchAll(/zen-watcher:(\d+\.\d+\.\d+)/g)].map(([, tag = '']) => tag);
}

describe('the version in package.json', () => {
  it.each([...documents, 'knative/Dockerfile'])('is the tag of the image in %s, if one is named', (file) => {
    expect(tagsIn(file).filter((tag) => tag !== release.version)).toEqual([]);
  });

  it.each(globSync('knative/**/kustomization.yaml', { cwd: root }))('is the tag in %s, if there is one', (file) => {
    const tags = [...textOf(file).matchAll(/newTag: (.+)/g)].map(([, tag]) => tag);
    expect(tags.filter((tag) => tag !== release.version)).toEqual([]);
  });

  it('is what the changelog begins with', () => {
    expect(/^## (\S+)/m.exec(textOf('CHANGELOG.md'))?.[1]).toBe(release.version);
  });

  it('is what an image is built with unless told otherwise', () => {
    expect(/^ARG VERSION=(.+)$/m.exec(textOf('knative/Dockerfile'))?.[1]).toBe(release.version);
  });

  it('is installed', () => {
    expect(JSON.parse(textOf('package-lock.json')).version).toBe(release.version);
  });
});
