import { describe, expect, it } from 'vitest';
import { caseConfigMaps, casesMissing, outcomeOf, refusalOf } from './config-map-source.ts';

async function findingsOf(prefix: string, environment = {}) {
  const outcomes = await Promise.all(
    caseConfigMaps(prefix).map((object) => outcomeOf('kube-bench', object, { environment })),
  );
  return outcomes.flatMap(({ findings }) => findings);
}

describe.skipIf(casesMissing)('cases of kube-bench', () => {
  it('B01 is unreadable', async () => {
    for (const object of caseConfigMaps('B01'))
      expect(await refusalOf('kube-bench', object)).toMatchObject({ status: 422, path: 'data.data.results.json[0]' });
  });

  it('B03 is one finding about the cluster', async () => {
    const findings = await findingsOf('B03');
    expect(new Set(findings.map(({ name }) => name)).size).toBe(1);
    for (const { finding } of findings) expect(finding.resource).toBeUndefined();
  });

  it.each([
    ['B04', 2],
    ['B05', 1],
    ['B06', 1],
    ['B08', 0],
    ['B09', 1],
    ['B11', 2],
  ])('%s has %i findings', async (prefix, count) => {
    expect(await findingsOf(prefix)).toHaveLength(count);
  });

  it('B06 has one bad row', async () => {
    const outcomes = await Promise.all(caseConfigMaps('B06').map((object) => outcomeOf('kube-bench', object)));
    expect(outcomes.flatMap(({ badRows }) => badRows)).toHaveLength(1);
  });

  it('B07 shows what is expected, why it failed and how it was checked', async () => {
    const [first] = await findingsOf('B07');
    expect(first?.finding).toMatchObject({
      resource: { kind: 'Node', name: 'worker-1' },
      details: {
        expectedResult: "'--protect-kernel-defaults' is equal to 'true'",
        reason: 'flag not set',
        audit: '/bin/ps -fC kubelet',
      },
    });
  });

  it('B08 has warnings if they are asked for', async () => {
    const findings = await findingsOf('B08', { KUBE_BENCH_WARNINGS: 'true' });
    expect(findings.map(({ finding }) => finding.severity)).toEqual(['LOW', 'LOW']);
  });

  it('B10 says what to do', async () => {
    const [first] = await findingsOf('B10');
    expect(first?.finding.remediation).toContain('--anonymous-auth=false');
  });
});
