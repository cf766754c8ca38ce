import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunction } from '../../shared/host/function-list.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';

async function loadSource(name: string) {
  const definition = await loadFunction(name);
  if (!isSource(definition)) throw new Error(`${name} is no source`);
  return definition;
}

function configMapWith(text: string) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'results' }, data: { 'results.json': text } };
}

describe('what a source can not read', () => {
  it.each<[string, string, unknown, string, string?]>([
    ['falco', 'no rule', { priority: 'Error' }, 'data.rule'],
    ['falco', 'an empty rule', { rule: '', priority: 'Error' }, 'data.rule'],
    [
      'falco',
      'a priority that is none',
      { rule: 'r', priority: 'Loud' },
      'data.priority',
      'Emergency, Alert, Critical',
    ],
    ['falco', 'a number above the priorities', { rule: 'r', priority: 8 }, 'data.priority'],
    ['falco', 'a number below the priorities', { rule: 'r', priority: -1 }, 'data.priority'],
    ['falco', 'a number between two priorities', { rule: 'r', priority: 0.5 }, 'data.priority'],
    ['checkov', 'no JSON', configMapWith('{'), 'data.data.results.json'],
    ['kube-bench', 'no JSON', configMapWith('{'), 'data.data.results.json'],
    ['kube-bench', 'null', configMapWith('null'), 'data.data.results.json[0]'],
    ['kube-bench', 'a number', configMapWith('7'), 'data.data.results.json[0]'],
    ['kube-bench', 'controls that are null', configMapWith('{"Controls":null}'), 'data.data.results.json[0]'],
    [
      'trivy',
      'a compliance report without a name, which is its subject',
      { apiVersion: 'aquasecurity.github.io/v1alpha1', kind: 'ClusterComplianceReport', metadata: {}, status: {} },
      'data.metadata.name',
    ],
  ])('is refused by %s with its field: %s', async (source, _case, data, path, cause = '') => {
    const definition = await loadSource(source);
    const { context } = createTestContext(definition);
    await expect(handled(definition, eventOf('org.example.type', data), context)).rejects.toMatchObject({
      status: 422,
      path,
      cause: expect.stringContaining(cause),
    });
  });
});

describe('what a source does not look at', () => {
  it('may be nested as deeply as it likes', async () => {
    const definition = await loadSource('kube-bench');
    const { context } = createTestContext(definition);
    const deep = `${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`;
    const results = '[{"test_number":"1.1.1","status":"FAIL"}]';
    const text = `[{"version":"cis-1.10","audit":${deep},"tests":[{"results":${results}}]}]`;
    expect(await handled(definition, eventOf('org.example.type', configMapWith(text)), context)).toMatchObject({
      observed: 1,
    });
  });
});

describe('settings', () => {
  it.each([
    ['falco', { FALCO_MINIMUM_PRIORITY: 'loud' }, 'FALCO_MINIMUM_PRIORITY must be one of Emergency, Alert, Critical'],
    ['webhook', { WEBHOOK_ALLOWED_IPS: '192.0.2.1,here' }, 'WEBHOOK_ALLOWED_IPS must be IP addresses and CIDRs'],
    ['webhook', { WEBHOOK_TRUSTED_PROXIES: '10.0.0.0/33' }, 'WEBHOOK_TRUSTED_PROXIES must be IP addresses and CIDRs'],
    ['falco', { FALCO_MINIMUM_PRIORITY: '4' }, 'FALCO_MINIMUM_PRIORITY must be one of'],
  ])('of %s that can not be meant stop its start: %j', async (name, environment, message) => {
    const { settings } = await loadFunction(name);
    expect(() => parseSettings(environment, settings, [])).toThrow(message);
  });
});
