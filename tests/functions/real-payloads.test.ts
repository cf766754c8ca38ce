import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Finding } from '../../shared/finding/finding.ts';
import { jsonDocuments } from '../../shared/finding/json-documents.ts';
import { observationName } from '../../shared/finding/name.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { casePayloads, payloadsOf } from '../corpus/payloads.ts';
import { createRandom } from '../host/random.ts';

const names = ['checkov', 'falco', 'kube-bench', 'kyverno', 'trivy'];
const sources = (await loadFunctions()).filter(isSource).filter(({ name }) => names.includes(name));

interface Payload {
  readonly name: string;
  readonly payload: unknown;
}

function allPayloads(source: string): Payload[] {
  const ofCorpus = corpusFiles(source).flatMap((file) =>
    payloadsOf(source, file).map((payload, index) => ({ name: `${file.file}[${index}]`, payload })),
  );
  return [...ofCorpus, ...casePayloads().filter((one) => one.source === source)];
}

/** What a source makes of a payload; `undefined` if it can't read it at all. */
function normalized({ source }: SourceFunction, payload: unknown) {
  const settings = Object.assign({}, parseSettings({}, source.settings, []));
  const parsed = source.schema.safeParse(payload);
  return parsed.success ? source.normalize(parsed.data, { time: '2026-03-01T10:00:00Z', settings }) : undefined;
}

/** Findings that count others, or are about a report as a whole: none of its rows. */
const counting = new Set(['minor-vulnerabilities', 'end-of-life-os']);

function isOfRow({ eventType, rule }: { readonly eventType: string; readonly rule: string }): boolean {
  return !counting.has(eventType) && rule !== 'parsing-error';
}

function namesOf(definition: SourceFunction, payload: unknown, filter = isOfRow): string[] {
  const found = normalized(definition, payload)?.findings.filter(filter) ?? [];
  return [...new Set(found.map((finding) => observationName(definition.name, finding)))].sort();
}

/** What is said of the findings that have an identity of their own. */
function shownOf(definition: SourceFunction, payload: unknown): string {
  const hasAll = ({ details, eventType }: Finding): boolean =>
    !('day' in details) && eventType !== 'compliance-failure';
  const found = normalized(definition, payload)?.findings.filter((one) => isOfRow(one) && hasAll(one)) ?? [];
  return JSON.stringify(found.map(({ identity: _identity, ...said }) => said));
}

type Change = (value: unknown, key: string) => unknown;

/** A payload with some members changed, wherever they are; JSON in a text is changed in it. */
function changed(value: unknown, change: Change, key = ''): unknown {
  const given = change(value, key);
  if (given !== value) return given;
  if (key === 'results.json' && typeof value === 'string') {
    try {
      return jsonDocuments(value)
        .map((document) => JSON.stringify(changed(document, change)))
        .join('\n');
    } catch {
      return value;
    }
  }
  if (Array.isArray(value)) return value.map((item) => changed(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, changed(member, change, name)]));
}

/** Other texts under these keys. */
function other(keys: readonly string[], by: (text: string) => unknown = (text) => `${text}-x`): Change {
  return (value, key) => (typeof value === 'string' && value !== '' && keys.includes(key) ? by(value) : value);
}

const shuffled: Change = (value, key) => {
  const lists = [
    'results',
    'vulnerabilities',
    'checks',
    'secrets',
    'controlCheck',
    'failed_checks',
    'tests',
    'Controls',
  ];
  return Array.isArray(value) && value.length > 1 && lists.includes(key) ? createRandom(7).shuffle(value) : value;
};

/** Another ReplicaSet, or Pod, of the same Deployment. */
const nextHash = (text: string) => text.replace(/-[456789bcdf]{6,10}(?=-[a-z0-9]{5}$|$)/, '-58f9b7d6c5');

/** What is slight may be counted with others, and so have no name of its own. */
const worse: Change = (value, key) =>
  key === 'severity' && typeof value === 'string' && /^(?:medium|high)$/i.test(value) ? 'CRITICAL' : value;

const anytime: readonly (readonly [what: string, change: Change])[] = [
  ['as it was', (value) => value],
  ['in another order', shuffled],
  ['with other uids', other(['uid', 'resourceVersion', 'uuid'], () => '3b241101-e2bb-4255-8caf-4136c566a962')],
];

/** What may change while a finding stays the same. */
const same: Readonly<Record<string, readonly (readonly [what: string, change: Change])[]>> = {
  trivy: [
    [
      'at another time',
      other(['updateTimestamp', 'creationTimestamp', 'lastModifiedDate'], () => '2026-11-26T09:00:00Z'),
    ],
    ['with other versions', other(['installedVersion', 'fixedVersion'], () => '99.1.2')],
    ['with another tag', other(['tag', 'digest'], () => 'v99')],
    ['with other scores', (value, key) => (key === 'score' ? 1.5 : value)],
    ['of another severity', worse],
    ['of another ReplicaSet', other(['trivy-operator.resource.name'], nextHash)],
  ],
  kyverno: [
    ['at another time', (value, key) => (key === 'timestamp' ? { seconds: 1_764_064_999, nanos: 5 } : value)],
    ['of another severity', worse],
    ['after another policy version', other(['policy-resource-version', 'policy-uid'], () => '99')],
    ['with another score', other(['score', 'resultScore'], () => '9.9')],
  ],
  falco: [
    ['at another moment', other(['evt.time.iso8601', 'evt.time'], () => '1')],
    ['from another port', other(['fd.name'], (text) => text.replace(/:\d{1,5}->/, ':61234->'))],
    ['of another image version', other(['container.image.tag'], () => 'v99')],
    ['of another process', (value, key) => (/^(?:proc|thread)\.(?:p|v|t)+id$/.test(key) ? 4242 : value)],
    ['on another terminal', (value, key) => (key === 'proc.tty' ? 34_999 : value)],
  ],
  checkov: [
    ['in another folder', other(['file_abs_path', 'repo_file_path'])],
    ['with a leading dot', other(['file_path'], (text) => (text.startsWith('/') ? `.${text}` : text))],
    ['on other lines', (value, key) => (key === 'file_line_range' ? [901, 902] : value)],
    ['with another text', other(['check_name', 'guideline'])],
  ],
  'kube-bench': [
    ['with another value', other(['actual_value', 'ActualValue', 'reason'])],
    ['with another text', other(['test_desc', 'remediation', 'expected_result'])],
    ['of another version', other(['version'])],
  ],
};

const renamed = (text: string) => `${text}9z`;

/** What a person would call another finding. */
const different: Readonly<Record<string, readonly (readonly [what: string, change: Change])[]>> = {
  trivy: [
    ['vulnerability, check or secret', other(['vulnerabilityID', 'ruleID', 'checkID'], renamed)],
    ['package', other(['resource'], renamed)],
    ['path', other(['packagePath'], (text) => `other/${text}`)],
    ['container', other(['trivy-operator.container.name'], renamed)],
    ['resource', other(['trivy-operator.resource.name'], () => 'somebody')],
  ],
  kyverno: [
    ['policy', other(['policy'], renamed)],
    ['rule', other(['rule'], renamed)],
    ['binding', other(['binding', 'mapBinding'], renamed)],
    ['engine', (value, key) => (key === 'source' && typeof value === 'string' ? 'other-engine' : value)],
  ],
  falco: [
    ['rule', other(['rule'], renamed)],
    ['Pod', other(['k8s.pod.name', 'k8s_pod_name'], () => 'somebody')],
    ['process', other(['proc.name'], renamed)],
    ['user', other(['user.name', 'ka.user.name'], renamed)],
    ['file', other(['fd.name'], (text) => `${text}9z`)],
  ],
  checkov: [
    ['check', other(['check_id'], renamed)],
    ['resource', other(['resource'], renamed)],
    ['file', other(['file_path'], (text) => `/other${text}`)],
    ['package', other(['package_name'], renamed)],
    ['version of a package', other(['package_version'], renamed)],
  ],
  'kube-bench': [
    ['test', other(['test_number', 'TestNumber'], (text) => `${text}.9`)],
    ['node', other(['kubernetes.io/hostname', 'node'], renamed)],
    ['type of node', other(['node_type'], renamed)],
  ],
};

function appliesTo(payload: unknown, change: Change): boolean {
  return JSON.stringify(changed(payload, change)) !== JSON.stringify(payload);
}

/** A benchmark's rows are its controls; what is listed below them is why they fail. */
function controlsOf(payload: unknown): number | undefined {
  const list = z.array(z.unknown()).nullish();
  const status = z
    .object({
      controlCheck: list,
      summaryReport: z.object({ controlCheck: list }).nullish(),
      detailReport: z.object({ results: list }).nullish(),
    })
    .nullish();
  const report = z.object({ kind: z.literal('ClusterComplianceReport'), status }).safeParse(payload).data;
  if (!report) return undefined;
  const { summaryReport, detailReport, controlCheck } = report.status ?? {};
  return (summaryReport?.controlCheck ?? detailReport?.results ?? controlCheck ?? []).length;
}

/** How many rows a payload has, as anybody would count them. */
function rowsOf(source: string, payload: unknown): number {
  const lists: Readonly<Record<string, readonly string[]>> = {
    trivy: ['vulnerabilities', 'checks', 'secrets', 'controlCheck'],
    kyverno: ['results'],
    checkov: ['failed_checks', 'passed_checks', 'skipped_checks'],
    'kube-bench': ['results'],
  };
  if (source === 'falco') return 1;
  const controls = controlsOf(payload);
  if (controls !== undefined) return controls;
  let count = 0;
  changed(payload, (value, key) => {
    if (Array.isArray(value) && lists[source]?.includes(key)) count += value.length;
    return value;
  });
  return count;
}

describe.skipIf(corpusMissing).each(sources)('payloads of $name', (definition) => {
  const { name: source } = definition;
  const payloads = allPayloads(source).filter(({ payload }) => normalized(definition, payload) !== undefined);

  it.each([...anytime, ...(same[source] ?? [])])('have the same names %s', (_what, change) => {
    let tried = 0;
    for (const { name, payload } of payloads) {
      const again = changed(payload, change);
      expect(namesOf(definition, again), name).toEqual(namesOf(definition, payload));
      if (appliesTo(payload, change)) tried += 1;
    }
    expect(tried > 0 || _what === 'as it was' || source === 'falco').toBe(true);
  });

  it.each(different[source] ?? [])('have other names with another %s', (_what, change) => {
    let tried = 0;
    for (const { name, payload } of payloads) {
      if (!appliesTo(payload, change)) continue;
      const before = new Set(namesOf(definition, payload));
      const after = namesOf(definition, changed(payload, change));
      // A field that no finding shows tells none apart. What is LOW for Falco is counted by the day, whatever the file;
      // a control of a benchmark by its own ID, whatever the checks.
      if (shownOf(definition, payload) === shownOf(definition, changed(payload, change))) continue;
      if (before.size === 0 || after.length === 0) continue;
      tried += 1;
      expect(after.filter((one) => before.has(one)).length, name).toBeLessThan(before.size);
    }
    expect(tried).toBeGreaterThan(0);
  });

  it('lose no row: what is kept, left out by a counted reason and unreadable is all of them', () => {
    const missing = payloads.flatMap(({ name, payload }) => {
      const found = normalized(definition, payload);
      if (!found || found.skipped.no_subject !== undefined) return [];
      // A report without a result has no row, and a file that Checkov could not parse is none.
      const { no_result: _none, parsing_errors: _files, ...skipped } = found.skipped;
      const left = Object.values(skipped).reduce((sum, count) => sum + count, 0);
      const kept = found.findings.filter(isOfRow).length;
      const rows = rowsOf(source, payload);
      const all = kept + left + (found.badRows?.length ?? 0);
      return all === rows ? [] : [`${name}: ${kept} kept, ${JSON.stringify(skipped)}, of ${rows}`];
    });
    expect(missing).toEqual([]);
  });
});
