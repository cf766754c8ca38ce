import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const { repository }: { readonly repository: string } = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'),
);

/** Where a document of ours is read: the address of a heading, by its anchor. */
export function documentUrl(path: string, anchor: string): string {
  return `${repository}/blob/main/${path}#${anchor}`;
}
