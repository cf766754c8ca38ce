import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import GithubSlugger from 'github-slugger';
import { describe, expect, it } from 'vitest';
import { documents, root, tablesOf } from './markdown.ts';

/** The text without blocks of code, fenced or indented, and without code in a line. */
function proseOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
    .replaceAll(/^ {0,3}```[\s\S]*?^ {0,3}```/gm, '')
    .replaceAll(/(?<=\n\n)(?: {4}.*\n+)+/g, '')
    .replaceAll(/`[^`\n]+`/g, (code) => code.replaceAll(/[[\]()<>]/g, ''));
}

/** What a `#` may lead to: each heading as GitHub's pages spell it. */
function anchorsOf(file: string): Set<string> {
  const slugger = new GithubSlugger();
  const headings = proseOf(file).matchAll(/^#{1,6} +(.+)$/gm);
  return new Set([...headings].map(([, text = '']) => slugger.slug(text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'))));
}

/** Where the links of a document lead that stay in the repository. */
function linksIn(file: string): string[] {
  return [...proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

function faultOf(file: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : relative(root, join(root, dirname(file), path));
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsOf(target).has(anchor) ? undefined : `${link}: ${target} has no such heading`;
}

describe.each(documents)('%s', (file) => {
  it('has links that lead somewhere', () => {
    const faults = linksIn(file).map((link) => faultOf(file, link));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });

  it('has tables whose rows are as long as their headers', () => {
    const broken = tablesOf(file).flatMap(({ header, rows }) => rows.filter((row) => row.length !== header.length));
    expect(broken).toEqual([]);
  });
});

describe('the documents', () => {
  it('are all led to from README.md, directly or by another', () => {
    const found = new Set(['README.md', 'CHANGELOG.md']);
    for (const file of found) {
      for (const link of linksIn(file)) {
        const [path = ''] = link.split('#');
        const target = relative(root, join(root, dirname(file), path));
        for (const one of [target, join(target, 'README.md')]) if (documents.includes(one)) found.add(one);
      }
    }
    expect(documents.filter((file) => !found.has(file))).toEqual([]);
  });
});
