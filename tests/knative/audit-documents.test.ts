import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditPolicies, auditTable } from '../../knative/generator/audit-policies.ts';

const folder = join(import.meta.dirname, '..', '..', 'knative');

describe('what is written down of the detections', () => {
  it.each([['AUDIT-DETECTIONS.md', auditTable()], ...auditPolicies()])('is what they are: %s', (file, content) => {
    expect(content).toBe(readFileSync(join(folder, file), 'utf8'));
  });
});
