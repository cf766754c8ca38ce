import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../shared/rules/expression.ts';
import type { Judged } from '../../shared/rules/expression-values.ts';

const judged: Judged = {
  source: 'trivy',
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  rule: 'CVE-2026-1',
  summary: 'openssl in web can be crashed',
  resource: { apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace: 'shop', name: 'web-7d9c5b6f4d' },
  actor: { username: 'jane', groups: ['ops', 'system:masters'], sourceIP: '192.0.2.7' },
  details: { fixedVersion: '1.2', score: 7.5, count: 3, tags: ['internet', 'root'], owner: { team: 'a' } },
  detectedAt: '2026-03-01T10:00:00Z',
};

function answer(text: string, about = judged): unknown {
  const expression = compileExpression(text);
  return typeof expression === 'function' ? expression(about) : expression.refusal;
}

describe('compileExpression', () => {
  it.each([
    ['source == "trivy" && category == "security"', true],
    ['severity in ["CRITICAL", "HIGH"]', true],
    ['eventType == "vulnerability" && rule.startsWith("CVE-")', true],
    ['summary.contains("openssl")', true],
    ['resource.kind == "ReplicaSet" && resource.apiVersion == "apps/v1"', true],
    ['namespace == "shop" && resource.namespace == namespace', true],
    ['workload.kind == "rollout" && workload.name == "web"', true],
    ['actor.username == "jane" && actor.sourceIP == "192.0.2.7" && actor.userAgent == ""', true],
    ['"system:masters" in actor.groups', true],
    ['actor.groups.exists(group, group.startsWith("system:"))', true],
    ['has(details.fixedVersion) && details.fixedVersion != ""', true],
    ['has(details.unfixed)', false],
    ['details.score > 7 && details.count == 3 && details.count % 2 == 1', true],
    ['details.tags == ["internet", "root"] && details.owner.team == "a"', true],
    ['details.tags.map(tag, tag + "!").filter(tag, tag.endsWith("t!")).size() == 2', true],
    ['rule.matches("^CVE-20(25|26)-[0-9]+$")', true],
    ['detectedAt < timestamp("2026-04-01T00:00:00Z")', true],
    ['detectedAt.getHours("+02:00") == 12', true],
    ['[1, 2].exists(namespace, namespace == 2) // a name of its own', true],
    ['"namespace" == "name" + "space"', true],
  ])('answers %s', (text, expected) => {
    expect(answer(text)).toBe(expected);
  });
});
