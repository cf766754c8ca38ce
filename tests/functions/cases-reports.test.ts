import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { observationFilters } from '../../shared/api/observation-filter.ts';
import { mappingObject } from '../../shared/api/observation-mapping.ts';
import { observationName } from '../../shared/finding/name.ts';
import { isSource, loadFunction } from '../../shared/host/function-list.ts';
import { parseObjects } from '../../shared/local/object-files.ts';
import { compileFilters } from '../../shared/rules/filter.ts';
import { compileMapping } from '../../shared/rules/mapping.ts';
import { casesFolder, corpusMissing } from '../corpus/corpus.ts';
import { createTestContext, handled, ping, referenceTo } from '../pipeline/test-context.ts';

/** What a case's reports come to, after an event about each of them and after a pass: `SEVERITY type on what: summary`. */
async function outcomeOf(source: string, name: string) {
  const definition = await loadFunction(source);
  if (!isSource(definition)) throw new Error(`${source} is no source`);
  const folder = join(casesFolder, name);
  const objects = readdirSync(folder)
    .sort()
    .flatMap((file) => parseObjects(readFileSync(join(folder, file), 'utf8'), file));
  const filters = objects.filter(({ kind }) => kind === observationFilters.kind);
  const reports = objects.filter((object) => !filters.includes(object));
  const context = { filter: compileFilters(filters, { SYSTEM_NAMESPACE: 'zen-system', TENANTS_FILTER_EVENTS: false }) };
  const test = createTestContext(definition, { context });
  test.objects.all.push(...reports);
  const said = async () =>
    (await test.store.read({ limit: 100 })).items.map(({ spec, metadata }) => {
      const { kind, name: about } = spec.resource ?? {};
      return {
        text: `${spec.severity} ${spec.eventType} ${kind}/${metadata.namespace}/${about}: ${spec.summary}`,
        spec,
      };
    });
  const outcomes = [];
  for (const report of reports) {
    // A row that can't be read is recorded, and refused all the same.
    outcomes.push(await handled(definition, referenceTo(report), test.context).catch((error) => error.summary));
  }
  const byEvents = await said();
  await handled(definition, ping, test.context);
  return { byEvents, byPass: await said(), skipped: Object.assign({}, ...outcomes.map(({ skipped }) => skipped)) };
}

type Row = readonly [name: string, said: readonly RegExp[], shown?: readonly string[]];

const kyverno: readonly Row[] = [
  [
    'K01-vap-two-bindings',
    [/^UNKNOWN policy-violation Deployment\/shop\/web: .*<= 1/, /^UNKNOWN policy-violation .*<= 3/],
    ['limit-prod', 'limit-test'],
  ],
  ['K02-kubewarden-policy-resource-version', [/^LOW policy-violation .*missing: cost-center/]],
  ['K03-both-groups', [/^MEDIUM policy-violation Deployment\/shop\/web: check-labels\/require-team/]],
  ['K04-no-severity-minSeverity-LOW', [/^LOW .*p2\/b: low/, /^UNKNOWN .*check-labels\/a: no severity annotation/]],
  ['K05-kube-bench-adapter-real-source', []],
  ['K07-nvpol-and-cpol-same-name', [/shop\/check-labels: ns/, /web: check-labels: cluster/]],
  ['K08-error-results', [/^HIGH policy-error .*verify-image\/v.*failed to fetch signature: timeout/]],
  ['K09-pass-after-fail-same-report', []],
  ['K10-cluster-policy-report-namespace-subject', [/^MEDIUM policy-violation Namespace\/zen-system\/shop: /]],
  ['K11-policyreport-custom-cluster-kind', [/^MEDIUM policy-violation ClusterIssuer\/zen-system\/le: /]],
  ['K12-message-with-secret', [/found value: DB_PASSWORD=\*\*\*/]],
  [
    'K13-foreign-properties-hidden',
    [/usr\/bin\/app, fixed in 1\.23\.12/, /usr\/bin\/sidecar, fixed in 1\.23\.12/],
    ['stdlib'],
  ],
];

const trivy: readonly Row[] = [
  [
    'V01-same-cve-two-jars',
    [/app\/a\/log4j-core-2\.14\.1\.jar, fixed in 2\.15\.0/, /opt\/legacy\/fat\.jar, fixed in 2\.15\.0/],
  ],
  ['V02-eosl-os-no-vulns', [/^HIGH end-of-life-os ReplicaSet\/shop\/web-7d9c5b6f4d: debian 9\.13/]],
  [
    'V03-compliance-all-targets',
    [/^HIGH compliance-failure .*5\.2\.3 hostPID/],
    ['shop/Deployment/web', 'kube-system/DaemonSet/kube-proxy'],
  ],
  ['V04-compliance-both-empty-summary', [/^HIGH compliance-failure .*5\.2\.3 hostPID: 1 failure/]],
  ['V05-secrets-empty-target', [/^CRITICAL exposed-secret .*AWS Secret Access Key.*2 places/]],
  ['V06-historical-ttl-0', [/^CRITICAL vulnerability .*CVE-2021-44228/]],
  ['V07-rollout-new-replicaset', [/CVE-2021-44228/, /CVE-2024-1/]],
  ['V08-null-annotations-labels', [/^HIGH vulnerability Pod\/shop\/p: CVE-1 in a 1, no fix known/]],
  ['V09-clusterrole-rbac-annotation-name', [/^CRITICAL rbac-misconfiguration ClusterRole\/zen-system\/system:contr/]],
  [
    'V10-bad-row-loses-report',
    [/CVE-2021-44228/, /^HIGH unreadable-object .*1 row: report\.vulnerabilities\[1\]\.vulnerabilityID/],
  ],
  ['V11-severity-null-score-string', [/^CRITICAL .*CVE-2 in/, /^UNKNOWN .*CVE-2021-44228.*no fix known/]],
  ['V12-daemonset-image-bump', [/CVE-1 in openssl 3\.0\.1, fixed in 3\.0\.9/]],
];

describe.skipIf(corpusMissing).each([
  { source: 'kyverno', letter: 'K', rows: kyverno },
  { source: 'trivy', letter: 'V', rows: trivy },
])('a case of $source', ({ source, letter, rows }) => {
  const cases = rows.map(([name, patterns, shown = []]) => ({ name, patterns, shown }));

  it.each(cases)('$name is told as it is, by events and by a pass', async ({ name, patterns, shown }) => {
    const { byEvents, byPass } = await outcomeOf(source, name);
    const texts = byEvents.map(({ text }) => text).sort();
    expect(texts).toHaveLength(patterns.length);
    for (const pattern of patterns) expect(texts.filter((text) => pattern.test(text))).toHaveLength(1);
    for (const part of shown) expect(JSON.stringify(byEvents)).toContain(part);
    expect(byPass.map(({ text }) => text).sort()).toEqual(texts);
  });

  it('is tried, whichever there is', () => {
    const there = readdirSync(casesFolder).filter((name) => new RegExp(`^${letter}\\d`).test(name));
    expect(rows.map(([name]) => name)).toEqual(there);
  });

  it.runIf(source === 'kyverno')('of what has a source of its own is counted as that', async () => {
    const { skipped } = await outcomeOf('kyverno', 'K05-kube-bench-adapter-real-source');
    expect(skipped).toEqual({ has_own_source: 1 });
  });
});

describe.skipIf(corpusMissing)('the case G04 of mappings', () => {
  it('is as many findings as it lists, though nothing says what tells them apart', async () => {
    const folder = join(casesFolder, 'G04-items-no-identity');
    const [mapping, manifest] = ['config0.json', 'v.json'].map((file): unknown =>
      JSON.parse(readFileSync(join(folder, file), 'utf8')),
    );
    const { spec } = mappingObject.parse(mapping);
    const map = compileMapping(spec);
    const { findings } = map(manifest, {
      time: '2026-03-01T10:00:00Z',
      about: { kind: spec.kind, name: 'img' },
      windowSeconds: undefined,
    });
    expect(new Set(findings.map((finding) => observationName(spec.sourceName, finding))).size).toBe(5);
  });
});
