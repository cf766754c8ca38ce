import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import audit from '../../functions/audit.ts';
import { observationName } from '../../shared/finding/name.ts';
import { triggersOf } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { findingsOf } from './audit-requests.ts';

const capture = z.object({
  events: z.array(z.object({ count: z.number(), event: z.record(z.string(), z.unknown()) })),
});

const settings = Object.assign({}, parseSettings({}, audit.settings, []));
const webhook = triggersOf(audit, settings).find((trigger) => trigger.type === 'Webhook');

/** What `webhook` forwards of a capture, why it drops the rest, and what becomes of it; of each name once. */
function played(text: string) {
  const findings = new Map<string, string>();
  const counts: Record<string, number> = { events: 0, forwarded: 0, refused: 0 };
  const count = (key: string, by: number): void => void Object.assign(counts, { [key]: (counts[key] ?? 0) + by });
  for (const { count: times, event } of capture.parse(JSON.parse(text)).events) {
    const { items, refused, reasons = {} } = webhook?.split(event) ?? { items: [], refused: [] };
    count('events', times);
    count('forwarded', items.length * times);
    count('refused', refused.length * times);
    for (const [reason, number] of Object.entries(reasons)) count(reason, number * times);
    for (const finding of items.flatMap(({ data }) => findingsOf(data))) {
      findings.set(observationName('audit', finding), `${finding.severity} ${finding.rule}: ${finding.summary}`);
    }
  }
  return { counts, findings: [...findings.values()].sort() };
}

const sessions = [
  'LOW pod-exec: kubernetes-admin forwarded a port to Pod capture/box',
  'MEDIUM pod-exec: kubernetes-admin attached to Pod capture/box (container box)',
  'MEDIUM pod-exec: kubernetes-admin ran in Pod capture/box (container box): id',
  'MEDIUM pod-exec: kubernetes-admin ran in Pod capture/box (container box): sh',
  'MEDIUM pod-exec: kubernetes-admin ran in Pod capture/box (container box): sh -c echo tty',
];

/** What a person did there, and nothing else, is told. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'audit-quiet-hour': [],
  'audit-scale-from-zero': [],
  'audit-kubelet-tokens': [],
  'audit-exec-spdy': sessions,
  'audit-exec-websocket': sessions,
  'audit-rollout': [
    'HIGH resource-deletion: kubernetes-admin deleted Namespace shop',
    'LOW workload-by-hand: kubernetes-admin created Deployment shop/cart',
    'LOW workload-by-hand: kubernetes-admin created ServiceAccount shop/cart',
    'MEDIUM masters-access: kubernetes-admin deleted CronJob shop/nightly with the rights of system:masters',
    'MEDIUM rbac-change: kubernetes-admin bound reader to ServiceAccount shop/cart in shop (RoleBinding cart-reader)',
    'MEDIUM rbac-change: kubernetes-admin created Role shop/reader',
    'MEDIUM secret-access: kubernetes-admin created Secret shop/db',
    'MEDIUM workload-by-hand: kubernetes-admin created CronJob shop/nightly',
  ],
};

describe.skipIf(corpusMissing !== undefined)('what a whole real cluster did', () => {
  const captures = new Map(corpusFiles('cluster').map(({ file, text }) => [file, text]));

  it.each(Object.entries(expected))('is told as far as a person did it: %s', (name, findings) => {
    const text = captures.get(`cluster/${name}.json`);
    expect(text, 'the capture').toBeDefined();
    const { counts, findings: found } = played(text ?? '{}');
    console.log(`${name}: ${JSON.stringify(counts)}`);
    expect(found).toEqual([...findings].sort());
    expect(counts.refused).toBe(0);
  });
});
