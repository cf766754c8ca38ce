import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import jsonata from 'jsonata';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { announcementOf } from '../../functions/announce/event.ts';
import { type ChangeKind, changes } from '../../shared/api/announcement.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import type { Told } from '../../shared/api/told.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { root } from '../facts/markdown.ts';
import { loadFixtures } from '../functions/fixtures.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';

const transform = z
  .object({ kind: z.literal('EventTransform'), spec: z.object({ jsonata: z.object({ expression: z.string() }) }) })
  .parse(parseAllDocuments(readFileSync(join(root, 'knative/examples/ocsf.yaml'), 'utf8'))[0]?.toJS());
const expression = jsonata(transform.spec.jsonata.expression);

// What https://schema.ocsf.io/1.3.0 requires and allows, as far as the example uses it.
const milliseconds = z.int().min(0);
const remediation = z.strictObject({ desc: z.string().min(1) });
const base = {
  activity_id: z.literal([1, 2, 3]),
  category_uid: z.literal(2),
  type_uid: z.int(),
  severity_id: z.literal([0, 2, 3, 4, 5]),
  status_id: z.literal([1, 3, 4]),
  time: milliseconds,
  message: z.string().min(1),
  metadata: z.strictObject({
    version: z.literal('1.3.0'),
    product: z.strictObject({ name: z.string(), vendor_name: z.string() }),
    uid: z.string(),
    profiles: z.array(z.literal('host')).exactOptional(),
  }),
  finding_info: z.strictObject({
    uid: z.string(),
    title: z.string().min(1),
    desc: z.string(),
    types: z.array(z.string()).length(1),
    created_time: milliseconds,
  }),
  resources: z
    .array(z.strictObject({ type: z.string(), name: z.string().min(1), namespace: z.string().exactOptional() }))
    .exactOptional(),
  /** Of the profile `host`. */
  actor: z.strictObject({ user: z.strictObject({ name: z.string().min(1) }) }).exactOptional(),
  unmapped: z.looseObject({ 'zen.kube-zen.io/observation': z.string() }),
};
const identified = z.strictObject({ uid: z.string() });
const finding = z
  .discriminatedUnion('class_uid', [
    z.strictObject({
      ...base,
      class_uid: z.literal(2002),
      vulnerabilities: z.tuple([
        z
          .strictObject({
            cve: z.strictObject({ uid: z.string().startsWith('CVE-') }).exactOptional(),
            advisory: identified.exactOptional(),
            desc: z.string(),
            references: z.array(z.string()).exactOptional(),
            remediation: remediation.exactOptional(),
          })
          .refine(({ cve, advisory }) => cve !== undefined || advisory !== undefined),
      ]),
    }),
    z.strictObject({
      ...base,
      class_uid: z.literal(2003),
      compliance: z.strictObject({
        control: z.string(),
        standards: z.array(z.string()).length(1),
        status_id: z.literal([1, 3]),
      }),
      remediation: remediation.exactOptional(),
    }),
    z.strictObject({ ...base, class_uid: z.literal(2004), remediation: remediation.exactOptional() }),
  ])
  .refine((one) => one.type_uid === one.class_uid * 100 + one.activity_id)
  .refine(({ actor, metadata }) => (actor === undefined) === (metadata.profiles === undefined));

/** What is stored of every fixture. */
async function observationsOf(): Promise<readonly Observation[]> {
  const all: Observation[] = [];
  for (const definition of (await loadFunctions()).filter(isSource)) {
    for (const { environment, event } of loadFixtures(definition.name)) {
      const { context, store, objects } = createTestContext(definition, { environment });
      if (event.type.startsWith('dev.knative.apiserver.')) objects.all.push(z.any().parse(event.data));
      await handled(definition, { ...event, extensions: {} }, context);
      const { items } = await store.read({ limit: 1000 });
      all.push(...items);
    }
  }
  return all;
}

const observations = await observationsOf();
const time = Date.parse('2026-03-01T12:00:00Z');
const now: Told = { state: 'open', accepted: '', since: String(time), severity: 'HIGH' };
const told: Readonly<Record<ChangeKind, { readonly before: Told | undefined; readonly now: Told }>> = {
  opened: { before: undefined, now },
  reopened: { before: { ...now, state: 'missing' }, now },
  changed: { before: { ...now, severity: 'LOW' }, now },
  accepted: { before: now, now: { ...now, accepted: 'forever' } },
  missing: { before: now, now: { ...now, state: 'missing' } },
  resolved: { before: now, now: { ...now, state: 'resolved' } },
};

/** As the Broker hands an announcement on, and what the example makes of it. */
async function transformed(observation: Observation, change: ChangeKind) {
  const { metadata } = observation;
  const accepted = { ...metadata, labels: { ...metadata.labels, [labels.accepted]: 'forever' } };
  const stored = change === 'accepted' ? { ...observation, metadata: accepted } : observation;
  const { extensions, ...event } = announcementOf(stored, { ...told[change], time, cluster: 'prod' });
  // The answer's lists have a property of jsonata's own.
  const answer: unknown = await expression.evaluate(
    JSON.parse(JSON.stringify({ specversion: '1.0', ...event, ...extensions })),
  );
  return z
    .object({ id: z.literal(event.id), type: z.literal('io.kube-zen.ocsf.v1'), data: finding })
    .parse(JSON.parse(JSON.stringify(answer))).data;
}

describe('the example ocsf.yaml', () => {
  it.each(changes)('makes a valid finding of every announcement of what has %s', async (change) => {
    const classes = new Set<number>();
    for (const observation of observations) classes.add((await transformed(observation, change)).class_uid);
    expect([...classes].sort()).toEqual([2002, 2003, 2004]);
  });

  it.each<[ChangeKind, number, number]>([
    ['opened', 1, 1],
    ['reopened', 1, 1],
    ['changed', 2, 1],
    ['accepted', 2, 3],
    ['missing', 3, 4],
    ['resolved', 3, 4],
  ])('says of what has %s activity %i and status %i', async (change, activity, status) => {
    const [observation] = observations;
    if (!observation) throw new Error('no fixture');
    expect(await transformed(observation, change)).toMatchObject({ activity_id: activity, status_id: status, time });
  });
});
