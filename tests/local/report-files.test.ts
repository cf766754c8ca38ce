import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observationsOf, type Program, startProgram, temporaryFolder, within } from '../host/program.ts';

const stateLabel = 'zen.kube-zen.io/state';

/** As `kubectl get -o json` writes it, so a person who edits it leaves uid and resourceVersion as they are. */
const vulnerabilityReport = (...ids: readonly string[]) => ({
  apiVersion: 'aquasecurity.github.io/v1alpha1',
  kind: 'VulnerabilityReport',
  metadata: {
    name: 'statefulset-db-db',
    namespace: 'shop',
    uid: '6d0e5f1c-0000-4000-8000-000000000001',
    resourceVersion: '12',
    labels: {
      'trivy-operator.resource.kind': 'StatefulSet',
      'trivy-operator.resource.name': 'db',
      'trivy-operator.resource.namespace': 'shop',
      'trivy-operator.container.name': 'db',
    },
  },
  report: {
    artifact: { repository: 'shop/db', tag: '1.0' },
    vulnerabilities: ids.map((vulnerabilityID) => ({
      vulnerabilityID,
      resource: 'openssl',
      installedVersion: '3.0.1',
      severity: 'HIGH',
      title: 't',
    })),
  },
});

const policyReport = (apiVersion: string, kind: string, ...rules: readonly string[]) => ({
  apiVersion,
  kind,
  metadata: { name: 'web', namespace: 'shop' },
  scope: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' },
  results: rules.map((rule) => ({ policy: 'p', rule, result: 'fail', source: 'kyverno' })),
});

const ofOpenReports = (...rules: readonly string[]) => policyReport('openreports.io/v1alpha1', 'Report', ...rules);
const ofPolicyGroup = (...rules: readonly string[]) =>
  policyReport('wgpolicyk8s.io/v1alpha2', 'PolicyReport', ...rules);

describe('what a file of --objects reports', () => {
  const folder = temporaryFolder();
  let program: Program;

  const write = (file: string, content: object | string): void =>
    writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
  /** The state of each finding, by rule. */
  const states = async (source: string): Promise<Record<string, string | undefined>> =>
    Object.fromEntries(
      (await observationsOf(program.url, `&source=${source}`)).map(({ metadata, spec }) => [
        spec.rule,
        metadata.labels[stateLabel],
      ]),
    );
  const become = (promise: string, source: string, expected: Readonly<Record<string, string>>) =>
    within(promise, 1, async () => {
      const found = await states(source);
      return Object.entries(expected).every(([rule, state]) => found[rule] === state) || undefined;
    });

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', temporaryFolder(), '--objects', folder] });
  });

  afterAll(() => program.stop());

  it('is missing once it is out of the file, and open again once it is back', async () => {
    write('scan.json', vulnerabilityReport('CVE-1', 'CVE-2'));
    await become('two vulnerabilities', 'trivy', { 'CVE-1': 'open', 'CVE-2': 'open' });
    write('scan.json', vulnerabilityReport('CVE-2'));
    await become('one that was mended', 'trivy', { 'CVE-1': 'missing', 'CVE-2': 'open' });
    write('scan.json', vulnerabilityReport('CVE-1', 'CVE-2'));
    await become('one that is back', 'trivy', { 'CVE-1': 'open', 'CVE-2': 'open' });
  });

  it('stays as it is while the file is broken', async () => {
    const text = JSON.stringify(vulnerabilityReport('CVE-2'));
    write('scan.json', text.slice(0, -2));
    await within('word of it', 1, () => program.log.some((line) => line.includes('scan.json')) || undefined);
    expect(await states('trivy')).toEqual({ 'CVE-1': 'open', 'CVE-2': 'open' });
    write('scan.json', text);
    await become('the file that was mended', 'trivy', { 'CVE-1': 'missing', 'CVE-2': 'open' });
  });

  it('is missing once the file is gone', async () => {
    rmSync(join(folder, 'scan.json'));
    await become('a file that is gone', 'trivy', { 'CVE-1': 'missing', 'CVE-2': 'missing' });
  });

  it('stays open as long as another file reports it', async () => {
    write('new.json', ofOpenReports('both', 'one'));
    write('old.json', ofPolicyGroup('both'));
    await become('two reports', 'kyverno', { 'p/both': 'open', 'p/one': 'open' });
    write('new.json', ofOpenReports('another'));
    await become('what one of them said alone', 'kyverno', {
      'p/one': 'missing',
      'p/both': 'open',
      'p/another': 'open',
    });
    write('old.json', ofPolicyGroup());
    await become('what both of them said', 'kyverno', { 'p/both': 'missing', 'p/another': 'open' });
  });

  it('is held where a row of it can not be read, and what is wrong with it is over once that is mended', async () => {
    const good = ofPolicyGroup('both');
    const broken = { ...good, results: [...good.results, 'no result'] };
    write('old.json', broken);
    write('new.json', ofOpenReports());
    const faults = async () =>
      (await observationsOf(program.url, '&source=kyverno'))
        .filter(({ spec }) => spec.eventType === 'unreadable-object')
        .map(({ metadata, spec }) => [spec.summary, metadata.labels[stateLabel]]);
    await within('word of it', 1, async () => ((await faults()).length > 0 ? true : undefined));
    expect(await faults()).toEqual([[expect.stringContaining('results[1]'), 'open']]);
    expect(await states('kyverno')).toMatchObject({ 'p/both': 'open', 'p/another': 'open' });
    write('old.json', good);
    await become('what is no longer reported', 'kyverno', { 'p/both': 'open', 'p/another': 'missing' });
    await within('the end of what was wrong', 1, async () => ((await faults())[0]?.[1] !== 'open' ? true : undefined));
  });
});
