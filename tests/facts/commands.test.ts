import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { documents, root } from './markdown.ts';

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));

/** What the documents have npm do, each with its document. */
const commands = documents.flatMap((file) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/npm run (?:-s )?[\w:-]+[^`\n]*/g)].map(
    ([command]): readonly [file: string, command: string] => [file, command],
  ),
);

describe('the documents', () => {
  it('name scripts that there are', () => {
    expect(commands.length).toBeGreaterThan(20);
    const unknown = commands.filter(
      ([, command]) => !((/npm run (?:-s )?([\w:-]+)/.exec(command)?.[1] ?? '') in scripts),
    );
    expect(unknown).toEqual([]);
  });

  it("keep npm's own lines out of what is saved or passed on", () => {
    expect(commands.filter(([, command]) => /^npm run (?!-s )[^#]* [>|] /.test(command))).toEqual([]);
  });
});
