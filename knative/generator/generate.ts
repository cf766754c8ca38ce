import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generatedFiles } from './generated-files.ts';

/**
 * Writes the manifests: base/ for a cluster, components/ for functions that need a namespace of their own, namespaced/ for a
 * tenant, standalone/ for a cluster without Knative, chart/ for Helm. With --check it writes nothing, and fails if a file is out of date.
 */
const root = join(import.meta.dirname, '..');
const templates = join('chart', 'templates');
const generated = [
  ...['base', 'components', 'namespaced', 'standalone'],
  ...['functions', 'shared', 'crds'].map((folder) => join(templates, folder)),
];

function present(): string[] {
  return generated
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
    )
    .filter((file) => /\.(yaml|json|tpl)$/.test(file));
}

function differences(expected: ReadonlyMap<string, string>): string[] {
  const stale = present().filter((file) => !expected.has(file));
  const changed = [...expected].filter(
    ([file, content]) => !existsSync(join(root, file)) || readFileSync(join(root, file), 'utf8') !== content,
  );
  return [...stale, ...changed.map(([file]) => file)];
}

const expected = await generatedFiles();
if (process.argv.includes('--check')) {
  const different = differences(expected);
  if (different.length > 0) {
    process.stderr.write(`out of date, run "npm run generate": ${different.join(', ')}\n`);
    process.exit(1);
  }
} else {
  for (const folder of generated) rmSync(join(root, folder), { recursive: true, force: true });
  for (const [file, content] of expected) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), content);
  }
}
