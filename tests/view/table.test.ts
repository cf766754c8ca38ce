import { stripVTControlCharacters } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { severities } from '../../shared/finding/severity.ts';
import { widthOf } from '../../shared/view/cells.ts';
import { createCountTally } from '../../shared/view/counts.ts';
import { countsTableOf, type TableOptions, tableOf } from '../../shared/view/table.ts';
import { anObservation, type Changes } from './an-observation.ts';

const created = Date.parse('2026-03-01T10:00:00Z');
const options: TableOptions = { now: created + 30_000, isWide: false, width: undefined };

const whole: Changes = {
  metadata: { labels: { 'zen.kube-zen.io/state': 'open' } },
  spec: {
    rule: 'CVE-2024-1',
    summary: 'CVE-2024-1 in openssl 3.0.1, fixed in 3.0.2 (container web) '.repeat(4).trim(),
    resource: { kind: 'Deployment', namespace: 'shop', name: 'a-deployment-with-a-long-name' },
    actor: { username: 'eve' },
  },
};

function headersAt(width: number | undefined, changes = whole): readonly string[] {
  const [header = ''] = tableOf([anObservation(changes)], { ...options, width });
  return header.split(/\s+/);
}

describe('tableOf', () => {
  afterEach(() => void vi.unstubAllEnvs());

  it('shows a row for each Observation, aligned under the header', () => {
    const objects = [
      anObservation({ spec: { summary: 'short' } }),
      anObservation({
        metadata: { namespace: 'a-longer-one', labels: { 'zen.kube-zen.io/state': 'missing' } },
        spec: { severity: 'CRITICAL', resource: { kind: 'Pod', name: 'web' }, summary: 'a summary' },
      }),
    ];
    expect(tableOf(objects, options)).toEqual([
      'NAMESPACE      NAME                                     SOURCE   SEVERITY   KIND   RESOURCE   STATE     AGE   SUMMARY',
      'shop           trivy-0123456789abcdef0123456789abcdef   trivy    HIGH                                   30s   short',
      'a-longer-one   trivy-0123456789abcdef0123456789abcdef   trivy    CRITICAL   Pod    web        missing   30s   a summary',
    ]);
  });

  it('shows more columns, whole, with -o wide, however narrow the terminal is', () => {
    const [header = '', row = ''] = tableOf([anObservation(whole)], { ...options, isWide: true, width: 80 });
    expect(header.split(/\s+/)).toEqual(
      'NAMESPACE NAME SOURCE SEVERITY KIND RESOURCE STATE AGE CATEGORY TYPE RULE ACTOR COUNT EXCEPTION SUMMARY'.split(
        ' ',
      ),
    );
    expect(row).toContain(
      '   security   vulnerability   CVE-2024-1   eve                         CVE-2024-1 in openssl',
    );
    expect(row).toContain(whole.spec?.summary);
  });

  it('counts repeats with -o wide', () => {
    const status = { series: { count: 12, lastObservedTime: '2026-03-01T10:00:00Z' } };
    const [header = '', row = ''] = tableOf([anObservation({ status })], { ...options, isWide: true });
    expect(row.slice(header.indexOf('COUNT'))).toBe('12');
  });

  it('has nothing in the columns of what is not known', () => {
    const [header = '', row = ''] = tableOf([anObservation()], { ...options, isWide: true });
    const [type, rule] = ['TYPE', 'RULE'].map((name) => header.indexOf(name));
    expect(row.slice(type)).toBe('vulnerability');
    expect(rule).toBeGreaterThan(0);
  });

  it('is empty but for the header without Observations', () => {
    expect(tableOf([], { ...options, width: 80 })).toEqual([
      'NAMESPACE   NAME   SOURCE   SEVERITY   KIND   RESOURCE   STATE   AGE   SUMMARY',
    ]);
  });

  it.each<[width: number, headers: string]>([
    [80, 'NAMESPACE NAME SEVERITY SUMMARY'],
    [95, 'NAMESPACE NAME SEVERITY RESOURCE SUMMARY'],
    [100, 'NAMESPACE NAME SEVERITY RESOURCE STATE SUMMARY'],
    [130, 'NAMESPACE NAME SEVERITY RESOURCE STATE AGE SUMMARY'],
    [150, 'NAMESPACE NAME SEVERITY KIND RESOURCE STATE AGE SUMMARY'],
    [190, 'NAMESPACE NAME SOURCE SEVERITY KIND RESOURCE STATE AGE SUMMARY'],
  ])('leaves columns out to fit into %d cells: %s', (width, headers) => {
    expect(headersAt(width)).toEqual(headers.split(' '));
  });

  it.each(['missing', 'resolved'])('shows what is %s as such at any width', (state) => {
    const metadata = { ...whole.metadata, namespace: 'n'.repeat(30), labels: { 'zen.kube-zen.io/state': state } };
    const lines = tableOf([anObservation(whole), anObservation({ ...whole, metadata })], { ...options, width: 80 });
    expect(lines[0]?.split(/ +/)).toEqual(['NAMESPACE', 'NAME', 'SEVERITY', 'STATE', 'SUMMARY']);
    expect(lines[1]).toContain(' open ');
    expect(lines[2]).toContain(` ${state} `);
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(80);
  });

  it('cuts long names of resources and namespaces before it leaves a column out for them', () => {
    const metadata = { ...whole.metadata, namespace: 'n'.repeat(30) };
    const [, row] = tableOf([anObservation({ ...whole, metadata })], { ...options, width: 160 });
    expect(row).toMatch(/^n{19}… {3}trivy-012345678… {3}HIGH {7}Deployment {3}a-deployment-with-a-lon… {3}open /);
  });

  it('takes at most the cells that there are, and all of them for a long summary', () => {
    const objects = [anObservation(whole), anObservation({ spec: { ...whole.spec, summary: '日本語'.repeat(99) } })];
    for (let width = 80; width <= 500; width += 1) {
      const lines = tableOf(objects, { ...options, width });
      const widest = Math.max(...lines.map(widthOf));
      expect(widest).toBeLessThanOrEqual(width);
      // A wide character may leave one cell.
      if (width <= 400) expect(widest).toBeGreaterThanOrEqual(width - 1);
    }
  });

  it('cuts nothing that fits', () => {
    const object = anObservation({ spec: { summary: 'short' } });
    const natural = tableOf([object], options);
    const width = Math.max(...natural.map(widthOf));
    expect(tableOf([object], { ...options, width })).toEqual(natural);
    expect(tableOf([object], { ...options, width: width - 1 })).not.toEqual(natural);
  });

  it('leaves enough of a name to find its Observation by', () => {
    const [, row = ''] = tableOf([anObservation(whole)], { ...options, width: 80 });
    const [, name = ''] = row.split(/\s+/);
    expect(name).toBe('trivy-012345678…');
  });

  it('cuts the names of a source with a long name, too', () => {
    const source = 's'.repeat(63);
    const metadata = { name: `${source}-0123456789abcdef0123456789abcdef`, namespace: 'n'.repeat(63) };
    const object = anObservation({ ...whole, metadata, spec: { ...whole.spec, source } });
    const lines = tableOf([object], { ...options, width: 80 });
    expect(lines.map(widthOf)).toEqual([expect.any(Number), 80]);
    expect(lines[1]).toMatch(/^n{11}… {3}s{23}… {3}HIGH/);
  });

  it.each<[seconds: number, age: string]>([
    [-5, '0s'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [7199, '119m'],
    [7200, '2h'],
    [172_799, '47h'],
    [172_800, '2d'],
    [900_000, '10d'],
  ])('shows an age of %d seconds as %s', (seconds, age) => {
    const [, row = ''] = tableOf([anObservation()], { ...options, now: created + seconds * 1000 });
    expect(row.trimEnd().split(/\s+/).at(-1)).toBe(age);
  });

  it('shows no age where none is known', () => {
    const { metadata, ...rest } = anObservation();
    const { creationTimestamp: _none, ...without } = metadata;
    expect(tableOf([{ ...rest, metadata: without }], options)[1]).toMatch(/HIGH$/);
  });

  it.each<[what: string, summary: string, shown: string]>([
    ['an order to the terminal', 'a\u001b[2Jb', 'a\\u{1b}[2Jb'],
    ['a line break', 'a\n  b', 'a b'],
    ['a mark that reverses text', 'a\u202eb', 'a\\u{202e}b'],
    ['space at the ends', ' a ', 'a'],
    ['letters of any script', 'ünï 日本', 'ünï 日本'],
    ['a very long text', 'x'.repeat(2000), `${'x'.repeat(1023)}…`],
  ])('does not let a tool speak to the terminal: %s', (_what, summary, shown) => {
    const [, row = ''] = tableOf([anObservation({ spec: { summary } })], options);
    expect(row).toMatch(/ 30s {3}/);
    expect(row.split(' 30s   ')[1]).toBe(shown);
  });

  it('is coloured only where somebody asks for it', () => {
    const objects = severities.map((severity) => anObservation({ spec: { severity, summary: 'HIGHEST' } }));
    vi.stubEnv('NO_COLOR', '1');
    expect(tableOf(objects, options).join('\n')).not.toContain('\u001b');
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', '1');
    const [header = '', critical = '', high, medium, low, unknown = ''] = tableOf(objects, options);
    expect(critical).toContain('\u001b[31mCRITICAL');
    expect(critical).toContain('\u001b[1m');
    expect(high).toContain('\u001b[31mHIGH');
    expect(medium).toContain('\u001b[33mMEDIUM');
    expect(low).toContain('\u001b[36mLOW');
    expect(unknown + header).not.toContain('\u001b');
    expect(stripVTControlCharacters(critical).indexOf('HIGHEST')).toBe(header.indexOf('SUMMARY'));
  });
});

describe('countsTableOf', () => {
  function counts(values: readonly string[]) {
    const tally = createCountTally();
    for (const value of values) {
      tally.add(value, 'CRITICAL', 2);
      tally.add(value, 'LOW');
    }
    return tally.counts();
  }

  it('has a row for each value, and one for the sum', () => {
    expect(countsTableOf(counts(['trivy', '']), { by: 'source', width: undefined })).toEqual([
      'SOURCE   CRITICAL   HIGH   MEDIUM   LOW   UNKNOWN   TOTAL',
      '<none>   2          0      0        1     0         3',
      'trivy    2          0      0        1     0         3',
      '         4          0      0        2     0         6',
    ]);
  });

  it('shows the first of them, and the sum of all', () => {
    const lines = countsTableOf(counts(['a', 'b', 'c']), { by: 'rule', limit: 1, width: undefined });
    expect(lines.map((line) => line.split(/\s+/))).toEqual([
      ['RULE', 'CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN', 'TOTAL'],
      ['a', '2', '0', '0', '1', '0', '3'],
      ['', '6', '0', '0', '3', '0', '9'],
    ]);
  });

  it('calls the event type as the table of Observations does', () => {
    expect(countsTableOf([], { by: 'eventType', width: undefined })[0]).toMatch(/^TYPE /);
  });

  it('cuts the values to fit, and lets none speak to the terminal', () => {
    const value = `${'r'.repeat(100)}\u001b[2J`;
    const [header = '', row = ''] = countsTableOf(counts([value]), { by: 'rule', width: 80 });
    expect(header).toHaveLength(80);
    expect(row).toMatch(/^r+… {3}2 /);
    expect(countsTableOf(counts([value]), { by: 'rule', width: 20 })[1]).toMatch(/^r{19}… {3}2 /);
    const whole = countsTableOf(counts([value]), { by: 'rule', width: undefined })[1];
    expect(whole).toMatch(/^r{100}\\u\{1b\}\[2J {3}2 /);
  });
});
