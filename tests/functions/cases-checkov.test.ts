import { describe, expect, it } from 'vitest';
import { caseConfigMaps, casesMissing, outcomeOf, refusalOf } from './config-map-source.ts';

async function summariesOf(prefix: string): Promise<string[]> {
  const outcomes = await Promise.all(caseConfigMaps(prefix).map((object) => outcomeOf('checkov', object)));
  return outcomes.flatMap(({ findings }) => findings.map(({ finding }) => finding.summary)).sort();
}

describe.skipIf(casesMissing)('cases of Checkov', () => {
  it.each<[string, readonly RegExp[]]>([
    ['C01', [/: ClusterRole\.ops:admin /, /: Namespace\.team-a /, /: ClusterRoleBinding\.default-admin /]],
    ['C02', [/^CVE-2014-7191 in qs 0\.5\.1, fixed in 1\.0\.0/, /^CVE-2017-1000048/, /qs 6\.5\.2/, /qs 6\.7\.0/]],
    ['C06', [/Dockerfile:2,30/]],
    ['C07', [/could not parse 1 file.*deploy\/app\.yaml/]],
    ['C08', [/x\["a"\]/, /x\["b"\]/, /CKV_AWS_1 /, /AWS::S3/, /OIDC/, /K8sRequiredLabels/, /Workflow/]],
    ['C09', [/Deployment\.shop\.web/]],
  ])('%s is told as it is', async (prefix, patterns) => {
    const summaries = await summariesOf(prefix);
    expect(summaries).toHaveLength(patterns.length);
    for (const pattern of patterns) expect(summaries.filter((summary) => pattern.test(summary))).toHaveLength(1);
  });

  it.each(['C03', 'C10', 'C11'])('%s is unreadable', async (prefix) => {
    for (const object of caseConfigMaps(prefix))
      expect(await refusalOf('checkov', object)).toMatchObject({ status: 422, path: 'data.data.results.json' });
  });

  it('C01 names cluster-scoped objects by their own names', async () => {
    const outcomes = await Promise.all(caseConfigMaps('C01').map((object) => outcomeOf('checkov', object)));
    const resources = outcomes.flatMap(({ findings }) => findings.map(({ finding }) => finding.resource));
    expect(resources).toContainEqual({ kind: 'ClusterRole', name: 'ops:admin' });
    expect(resources).toContainEqual({ kind: 'ClusterRoleBinding', name: 'default-admin' });
  });

  it('C09 has one bad row', async () => {
    const outcomes = await Promise.all(caseConfigMaps('C09').map((object) => outcomeOf('checkov', object)));
    expect(outcomes.flatMap(({ badRows }) => badRows)).toHaveLength(1);
  });
});
