import type { Actor, Finding } from './finding.ts';
import { maskSecrets, maskText } from './mask-secrets.ts';

function maskActor(actor: Actor): Actor {
  const { username, groups, sourceIP, userAgent, via } = actor;
  return {
    username: maskText(username),
    groups: groups?.map(maskText),
    sourceIP: sourceIP && maskText(sourceIP),
    userAgent: userAgent && maskText(userAgent),
    via: via && maskText(via),
  };
}

/**
 * A finding whose texts show no secrets, whatever source it is of: command lines, requests and what a report shows of a
 * value may hold some. What it is about keeps its name, since that is what exists.
 */
export function maskFinding(finding: Finding): Finding {
  const { rule, summary, actor, remediation, references, details } = finding;
  return {
    ...finding,
    rule: maskText(rule),
    summary: maskText(summary),
    ...(actor !== undefined && { actor: maskActor(actor) }),
    ...(remediation !== undefined && { remediation: maskText(remediation) }),
    ...(references !== undefined && { references: references.map(maskText) }),
    details: Object.assign({}, maskSecrets(details)),
  };
}
