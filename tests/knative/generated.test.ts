import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../knative/generator/generated-files.ts';

const folder = join(import.meta.dirname, '..', '..', 'knative');

describe('generatedFiles', async () => {
  it.each([...(await generatedFiles())])('generates %s as it is committed', (file, content) => {
    expect(content).toBe(readFileSync(join(folder, file), 'utf8'));
  });
});
