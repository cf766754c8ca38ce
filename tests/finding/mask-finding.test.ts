import { describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/finding/finding.ts';
import { maskFinding } from '../../shared/finding/mask-finding.ts';

const finding: Finding = {
  category: 'security',
  severity: 'HIGH',
  eventType: 'runtime-event',
  rule: 'a rule',
  summary: 'a summary',
  resource: { apiVersion: 'v1', kind: 'Secret', name: 'password=hunter2', namespace: 'shop' },
  identity: { a: 'password=hunter2' },
  details: { command: 'ls' },
  detectedAt: '2026-03-01T10:00:00Z',
};

const actor = {
  username: 'eve',
  groups: ['shoppers'],
  sourceIP: '203.0.113.9',
  userAgent: 'curl',
  via: 'system:proxy',
};

const whole: Finding = { ...finding, actor, remediation: 'rotate it', references: ['https://example.com/a'] };

const planted = 'token=hunter2S3cr3t';

describe('maskFinding', () => {
  it.each([{ finding }, { finding: whole }, { finding: { ...finding, actor: { username: 'eve' } } }])(
    'changes nothing where no secret is shown',
    ({ finding: clean }) => {
      expect(JSON.parse(JSON.stringify(maskFinding(clean)))).toEqual(JSON.parse(JSON.stringify(clean)));
    },
  );

  it.each<[string, Partial<Finding>]>([
    ['rule', { rule: planted }],
    ['summary', { summary: planted }],
    ['user', { actor: { ...actor, username: planted } }],
    ['groups', { actor: { ...actor, groups: ['shoppers', planted] } }],
    ['address', { actor: { ...actor, sourceIP: planted } }],
    ['client', { actor: { ...actor, userAgent: planted } }],
    ['proxy', { actor: { ...actor, via: planted } }],
    ['remedy', { remediation: planted }],
    ['references', { references: ['https://example.com/a', planted] }],
    ['details', { details: { command: 'ls', list: [{ of: planted }] } }],
  ])('masks a secret in the %s, and nothing else', (_where, part) => {
    const expected = JSON.stringify({ ...whole, ...part }).replace(planted, 'token=***');
    expect(JSON.parse(JSON.stringify(maskFinding({ ...whole, ...part })))).toEqual(JSON.parse(expected));
  });
});
