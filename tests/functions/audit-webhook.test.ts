import { describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import webhook from '../../functions/webhook.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { triggersOf } from '../../shared/function/definitions.ts';
import { maxValues } from '../../shared/function/json.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { eventOf, findingsOf, podOf } from './audit-requests.ts';

/** What the webhook sends to the Broker of a body. */
async function published(body: string): Promise<CloudEvent[]> {
  const events: CloudEvent[] = [];
  const { context } = createTestContext(webhook, {
    context: {
      functions: [functionInfoOf(audit, {}, [])],
      publish: async (event) => void events.push(event),
    },
  });
  await webhook.receive(
    {
      path: '/audit/webhook',
      endpoint: '/audit/webhook',
      answerWith: () => undefined,
      takeBody: () => new TextEncoder().encode(body),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    context,
  );
  return events;
}

describe('a list of audit events that is too long to be read as a whole', () => {
  const padding = `[${'0,'.repeat(maxValues())}0]`;

  it.each([
    ['requestObject', 'responseObject'],
    ['responseObject', 'requestObject'],
  ])('is read item by item, and without a %s that is too long', async (member, other) => {
    const creation = { ...eventOf({ by: 'eve', does: 'create pods shop/web' }), [other]: undefined, [member]: podOf() };
    const padded = JSON.stringify(creation).replace(`"${member}":{`, `"${member}":{"x":${padding},`);
    const items = [JSON.stringify(eventOf({ by: 'eve', does: 'delete secrets shop/x' })), padded];
    const events = await published(`{"kind":"EventList","items":[${items.join()}]}`);
    expect(events.map(({ type }) => type)).toEqual(['io.kube-zen.audit.v1', 'io.kube-zen.audit.v1']);
    const findings = events.flatMap(({ data }) => findingsOf(data));
    expect(findings).toMatchObject([
      { rule: 'resource-deletion', details: {} },
      { rule: 'privileged-pod-creation', severity: 'MEDIUM', details: { isTruncated: true } },
    ]);
  });
});

describe('audit', () => {
  it("takes Firehose's token, has senders that send again, and is announced however little it says", () => {
    const [webhook] = triggersOf(audit, parseSettings({}, audit.settings, [])).filter(({ type }) => type === 'Webhook');
    expect(webhook).toMatchObject({ tokenHeader: 'x-amz-firehose-access-key', senderRetries: true });
    expect(audit.source.announcedFrom).toBe('LOW');
  });
});
