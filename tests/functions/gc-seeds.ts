import gc from '../../functions/gc.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import { createTestContext, type TestContext, type TestContextOptions } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const hour = 3_600_000;

/** An Observation to be stored; of events there may be several of a rule, told apart by their ids. */
export interface Seed {
  readonly rule: string;
  readonly id?: string;
  readonly source?: string;
  readonly namespace?: string;
  readonly severity?: Severity;
  readonly state?: 'open' | 'missing' | 'resolved';
  readonly ageHours?: number;
  readonly ttlHours?: number;
  /** Labels to change, as somebody else may have done; `undefined` removes one. */
  readonly odd?: Readonly<Record<string, string | undefined>>;
  /** A name that no source gives. */
  readonly name?: string;
}

export async function seed(
  test: TestContext,
  { rule, id = '', source, namespace = 'shop', severity = 'HIGH', state, ageHours = 0, ttlHours = 168, ...rest }: Seed,
): Promise<void> {
  const now = test.clock.now;
  test.clock.now = now - ageHours * hour;
  const finding = { ...aFinding(rule, namespace), severity, identity: { rule, id } };
  const object = anObservationOf(finding, {
    now: test.clock.now,
    ttl: ttlHours * 3600,
    hasState: state !== undefined,
    ...(source !== undefined && { source }),
  });
  const given = { ...object.metadata.labels, ...(state && { [labels.state]: state }), ...rest.odd };
  const present: Record<string, string> = {};
  for (const [key, value] of Object.entries(given)) if (value !== undefined) present[key] = value;
  const metadata = { ...object.metadata, labels: present, ...(rest.name !== undefined && { name: rest.name }) };
  await test.context.store.create({ ...object, metadata }, test.context.event.signal);
  test.clock.now = now;
}

export async function rulesIn({ store }: TestContext): Promise<unknown[]> {
  return (await store.read({ limit: 10_000 })).items.map(({ spec }) => spec.details.rule).sort();
}

/** A collection in a cluster whose functions are the sources `contract`, `audit`, `falco` and `kyverno`. */
export function gcContext({ context, ...options }: TestContextOptions = {}): TestContext {
  const functions = ['contract', 'audit', 'falco', 'kyverno'].map((name) => ({
    name,
    url: `http://${name}.zen-system.svc.cluster.local`,
    webhooks: [],
    kinds: [],
    takesMappedKinds: false,
  }));
  return createTestContext(gc, { ...options, context: { functions, ...context } });
}
