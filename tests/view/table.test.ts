import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Observation } from '../../shared/api/observation.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import { bySeverity, countsOf, tableOf } from '../../shared/view/table.ts';

function observation(source: string, severity: Severity, name = 'n'): Observation {
  return {
    ...{ apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation' },
    metadata: { name, namespace: 'shop', labels: {}, annotations: {}, creationTimestamp: '2026-03-01T10:00:00Z' },
    spec: {
      ...{ source, category: 'security', severity, eventType: 'vulnerability', details: {} },
      ...{ detectedAt: '2026-03-01T10:00:00Z', ttlSecondsAfterCreation: 60 },
    },
  } as Observation;
}

const now = Date.parse('2026-03-01T10:00:30Z');

describe('what npm run observations prints', () => {
  afterEach(() => void vi.unstubAllEnvs());

  it('counts by source and severity, the source with most first', () => {
    const objects = [observation('falco', 'LOW'), observation('trivy', 'HIGH'), observation('trivy', 'CRITICAL')];
    expect(countsOf(objects).map((line) => line.split(/\s+/).filter(Boolean))).toEqual([
      ['SOURCE', 'CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN', 'TOTAL'],
      ['trivy', '1', '1', '0', '0', '0', '2'],
      ['falco', '0', '0', '0', '1', '0', '1'],
      ['1', '1', '0', '1', '0', '3'],
    ]);
  });

  it('is worst first, and coloured only where somebody asks for it', () => {
    const objects = [observation('a', 'LOW'), observation('b', 'CRITICAL')].sort(bySeverity);
    expect(objects.map(({ spec }) => spec.severity)).toEqual(['CRITICAL', 'LOW']);
    vi.stubEnv('NO_COLOR', '1');
    expect(tableOf(objects, now, false).join('\n')).not.toContain('\u001b');
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', '1');
    const [, critical = '', low = ''] = tableOf(objects, now, false);
    expect(critical).toContain('\u001b[31mCRITICAL');
    expect(low).toContain('\u001b[36mLOW');
  });

  it('lets no source speak to the terminal', () => {
    expect(countsOf([observation('\u001b[2J', 'LOW')]).join('\n')).not.toContain('\u001b[2J');
  });
});
