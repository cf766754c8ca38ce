import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { createObservationIndex } from '../../shared/view/observation-index.ts';
import type { Selection } from '../../shared/view/selection.ts';
import { queryTable } from '../../shared/view/table-query.ts';
import { viewRowOf } from '../../shared/view/view-row.ts';
import { anObservation } from '../view/an-observation.ts';
import { type Row, takeTurns } from './measure.ts';

const count = 100_000;
const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] as const;

function finding(at: number) {
  const namespace = `team-${at % 40}`;
  return anObservation({
    metadata: { name: `posture-${at.toString(16).padStart(32, '0')}`, namespace },
    spec: {
      source: 'posture',
      severity: severities[at % 5] ?? 'LOW',
      rule: `CVE-2026-${at % 3000}`,
      summary: `CVE-2026-${at % 3000} in openssl 3.0.${at % 9} (container web-${at % 700})`,
      resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: `web-${at % 700}` },
      details: { image: `registry.example/web-${at % 200}` },
    },
  });
}

const selections: readonly Selection[] = [
  {},
  { severity: 'CRITICAL' },
  { search: 'openssl 3.0.7' },
  { namespace: 'team-7' },
];

/** CPU milliseconds of this process. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What a click on the page costs, with as many findings as there may be: twelve counts and a hundred rows. */
export async function pageRows(): Promise<Row[]> {
  const store = createEmbeddedStore({ data: ':memory:', now: Date.now });
  const index = createObservationIndex();
  const signal = new AbortController().signal;
  for (let from = 0; from < count; from += 1000) {
    const some = Array.from({ length: 1000 }, (_, at) => finding(from + at));
    await Promise.all(some.map((one) => store.create(one, signal)));
    for (const one of some) index.put(viewRowOf(one));
  }
  const query = (selection: Selection): void => {
    queryTable(index, { selection, view: 'open', sort: 'severity', offset: 0, limit: 100, top: 9, now: Date.now() });
  };
  for (const selection of selections) query(selection);
  const measured = await takeTurns(
    5,
    async () => {
      const before = cpu();
      await store.counts({}, 'namespace');
      return cpu() - before;
    },
    async (run) => {
      const before = cpu();
      query(selections[run % selections.length] ?? {});
      return cpu() - before;
    },
  );
  store.close();
  return [
    { name: 'a click on the page, 100,000 findings', unit: 'ms', against: 'one count by SQL', goal: 1, ...measured },
  ];
}
