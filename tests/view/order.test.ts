import { describe, expect, it } from 'vitest';
import type { Severity } from '../../shared/finding/severity.ts';
import { type Sort, sortObservations } from '../../shared/view/order.ts';
import { anObservation } from './an-observation.ts';

const objects = (
  [
    ['a-b', 'n1', 'trivy', 'LOW', '2026-03-01T10:00:03Z'],
    ['a', 'n2', 'trivy', 'HIGH', '2026-03-01T10:00:01Z'],
    ['a', 'n1', 'trivy', 'HIGH', '2026-03-01T10:00:02Z'],
    ['a', 'n3', 'falco', 'HIGH', '2026-03-01T10:00:02Z'],
    ['b', 'n1', 'trivy', 'UNKNOWN', '2026-03-01T10:00:04Z'],
    ['b', 'n2', 'trivy', 'CRITICAL', '2026-03-01T10:00:00Z'],
  ] satisfies [string, string, string, Severity, string][]
).map(([namespace, name, source, severity, creationTimestamp]) =>
  anObservation({ metadata: { namespace, name, creationTimestamp }, spec: { source, severity } }),
);

describe('sortObservations', () => {
  it.each<[sort: Sort, expected: readonly string[]]>([
    ['severity', ['b/n2', 'a/n3', 'a/n1', 'a/n2', 'a-b/n1', 'b/n1']],
    ['age', ['b/n1', 'a-b/n1', 'a/n1', 'a/n3', 'a/n2', 'b/n2']],
    ['namespace', ['a-b/n1', 'a/n1', 'a/n2', 'a/n3', 'b/n1', 'b/n2']],
  ])('by %s', (sort, expected) => {
    const namesOf = (from: typeof objects) =>
      sortObservations(from, sort).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    expect(namesOf(objects)).toEqual(expected);
    expect(namesOf(objects.toReversed())).toEqual(expected);
  });
});
