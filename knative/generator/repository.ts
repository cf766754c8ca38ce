import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Release {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly repository: string;
}

/** What package.json says of what is released. */
export const release: Release = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'));

/** Where a document of ours is read: the address of a heading, by its anchor. */
export function documentUrl(path: string, anchor: string): string {
  return `${release.repository}/blob/main/${path}#${anchor}`;
}
