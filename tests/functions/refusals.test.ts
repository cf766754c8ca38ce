import { describe, expect, it } from 'vitest';
import { loadFunction } from '../../shared/host/load-functions.ts';
import { createTestContext, eventOf } from '../pipeline/test-context.ts';

describe('what a source can not read', () => {
  it.each<[string, string, unknown, string]>([
    [
      'trivy',
      'a compliance report without a name, which is its subject',
      { apiVersion: 'aquasecurity.github.io/v1alpha1', kind: 'ClusterComplianceReport', metadata: {}, status: {} },
      'data.metadata.name',
    ],
  ])('is refused by %s with its field: %s', async (source, _case, data, path) => {
    const definition = await loadFunction(source);
    const { context } = createTestContext(definition);
    await expect(definition.handle(eventOf('org.example.type', data), context)).rejects.toMatchObject({
      status: 422,
      path,
    });
  });
});
