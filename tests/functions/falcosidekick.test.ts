import { describe, expect, it } from 'vitest';
import falcosidekick from '../../functions/falcosidekick.ts';
import { announcementType, type ChangeKind, changes } from '../../shared/api/announcement.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { bearsOwnMark } from '../../shared/api/own-mark.ts';
import { type Severity, severities } from '../../shared/finding/severity.ts';
import type { Outgoing } from '../../shared/function/context.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

function observationOf(spec: Partial<Observation['spec']> = {}): Observation {
  const object = anObservationOf(aFinding('no-root', 'shop'), { source: 'kyverno', now });
  const metadata = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-03-01T12:00:00Z' };
  return { ...object, metadata: { ...object.metadata, ...metadata }, spec: { ...object.spec, ...spec } };
}

/** What is posted when an Observation changes. */
async function posted(kind: ChangeKind, observation = observationOf(), environment: Record<string, string> = {}) {
  const all: Outgoing[] = [];
  const post = async (outgoing: Outgoing) => {
    all.push(outgoing);
    return { status: 200, retryAfter: undefined, words: '' };
  };
  const given = { FALCOSIDEKICK_URL: 'http://sidekick:2801', ...environment };
  const { context } = createTestContext(falcosidekick, { environment: given, context: { post } });
  const event = { ...eventOf(announcementType(kind), observation), time: '2026-03-01T11:59:00Z' };
  await handled(falcosidekick, event, context);
  const [outgoing] = all;
  if (!outgoing) throw new Error('nothing was posted');
  return { ...outgoing, alert: JSON.parse(outgoing.body) };
}

describe('falcosidekick', () => {
  it('is posted an alert as Falco would, with all that is known', async () => {
    const observation = observationOf({
      resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-0' },
      actor: { username: 'jane', groups: [] },
      remediation: 'set runAsNonRoot',
    });
    const environment = {
      CLUSTER_NAME: 'prod',
      PAGE_URL: 'https://zen.example.com',
      SINK_TOKEN_FILE: '/t',
      SINK_CA_FILE: '/c',
    };
    const { alert, body: _body, ...outgoing } = await posted('opened', observation, environment);
    expect(outgoing).toEqual({
      url: 'http://sidekick:2801',
      contentType: 'application/json',
      ...{ tokenFile: '/t', caFile: '/c' },
    });
    const { name } = observation.metadata;
    expect(alert).toEqual({
      output: 'no-root is violated by Deployment web',
      priority: 'Error',
      rule: 'no-root',
      time: '2026-03-01T11:59:00Z',
      source: 'zen-watcher',
      tags: ['kyverno', 'security'],
      output_fields: {
        'zen.kube-zen.io/observation': `shop/${name}`,
        change: 'opened',
        severity: 'HIGH',
        tool: 'kyverno',
        'event.type': 'policy-violation',
        'k8s.ns.name': 'shop',
        'k8s.pod.name': 'web-0',
        workload: 'statefulset/web',
        user: 'jane',
        remediation: 'set runAsNonRoot',
        cluster: 'prod',
        page: `https://zen.example.com/?finding=shop%2F${name}`,
      },
    });
  });

  it('is posted nothing that is not known', async () => {
    const { metadata, spec, ...rest } = observationOf();
    const { summary: _summary, rule: _rule, resource: _resource, ...bare } = spec;
    const { alert } = await posted('opened', { ...rest, metadata, spec: bare }, { CLUSTER_NAME: '', PAGE_URL: '' });
    expect(alert).toMatchObject({ output: 'policy-violation', rule: 'policy-violation' });
    expect(Object.keys(alert.output_fields).sort()).toEqual([
      'change',
      'event.type',
      'k8s.ns.name',
      'severity',
      'tool',
      'zen.kube-zen.io/observation',
    ]);
  });

  it('asks to be told again as long as nobody says where falcosidekick is', async () => {
    const { context } = createTestContext(falcosidekick);
    const event = eventOf(announcementType('opened'), observationOf());
    await expect(handled(falcosidekick, event, context)).rejects.toMatchObject({ status: 503, retryAfter: 30 });
  });

  it('names a Pod only where it is one', async () => {
    const { alert } = await posted('opened');
    expect(alert.output_fields).not.toHaveProperty('k8s.pod.name');
    expect(bearsOwnMark(alert)).toBe(true);
  });

  const words: Readonly<Record<Severity, string>> = {
    CRITICAL: 'Critical',
    HIGH: 'Error',
    MEDIUM: 'Warning',
    LOW: 'Notice',
    UNKNOWN: 'Notice',
  };

  it.each(severities)('has a threshold for what is %s', async (severity) => {
    expect((await posted('opened', observationOf({ severity }))).alert.priority).toBe(words[severity]);
  });

  it.each(changes)('needs nobody for what is over or accepted, and says so: %s', async (kind) => {
    const { alert } = await posted(kind);
    const isQuiet = ['accepted', 'missing', 'resolved'].includes(kind);
    expect(alert).toMatchObject({
      output: `${isQuiet ? `${kind}: ` : ''}no-root is violated by Deployment web`,
      priority: isQuiet ? 'Informational' : 'Error',
      output_fields: { change: kind },
    });
  });
});
