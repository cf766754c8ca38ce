import type { Finding } from '../finding/finding.ts';
import type { Context } from '../function/context.ts';
import type { MergeFindings } from '../function/definitions.ts';
import { type HeldFinding, type NamedFinding, namedFinding } from './derive.ts';
import { createdAt, type Report } from './report.ts';
import { keyOf } from './slot.ts';

/** What the reports of a slot say together. */
export interface Union {
  /** By name. */
  readonly wanted: ReadonlyMap<string, NamedFinding>;
  /** What is reported, but can't be judged: it stays as it is. By name. */
  readonly held: ReadonlyMap<string, HeldFinding>;
  /** Whether a report, or a row of one, can't be read, or may say more than could be made out. */
  readonly isHeld: boolean;
  reportOf(name: string): Report | undefined;
  /** The names of what filters or the source have left out, and why. */
  leftOut(): ReadonlyMap<string, string>;
  /** The names of what the tool itself has accepted, and what it calls the exceptions. */
  readonly accepted: ReadonlyMap<string, string>;
}

interface Row {
  readonly named: NamedFinding;
  readonly report: Report;
}

/** Newest first: by the tool's own time, by the report's age, by the report's name. The same order for every process. */
function isNewer(a: Row, b: Row): number {
  const keys = ({ named, report: { object } }: Row): readonly [number, number, string] => [
    Date.parse(named.finding.detectedAt),
    createdAt(object),
    keyOf(object),
  ];
  const [timeA, createdA, keyA] = keys(a);
  const [timeB, createdB, keyB] = keys(b);
  return timeB - timeA || createdB - createdA || (keyA < keyB ? -1 : 1);
}

type Rows = readonly [Row, ...Row[]];

function mergedRow(rows: Rows, merge: MergeFindings | undefined, context: Context): NamedFinding {
  if (rows.length === 1) return rows[0].named;
  const [{ named } = rows[0], ...older] = rows.toSorted(isNewer);
  if (merge === undefined) return named;
  const findings: readonly [Finding, ...Finding[]] = [named.finding, ...older.map((row) => row.named.finding)];
  return namedFinding(named.name, merge(findings), { systemNamespace: context.settings.SYSTEM_NAMESPACE });
}

/** Unites what reports say. Where several say the same, what the newest says of it counts, or what `merge` makes of all. */
export function unionOf(reports: readonly Report[], merge: MergeFindings | undefined, context: Context): Union {
  const byName = new Map<string, [Row, ...Row[]]>();
  for (const report of reports) {
    for (const named of report.findings) {
      const rows = byName.get(named.name);
      if (rows) rows.push({ named, report });
      else byName.set(named.name, [{ named, report }]);
    }
  }
  const wanted = new Map([...byName].map(([name, rows]) => [name, mergedRow(rows, merge, context)] as const));
  let leftOut: ReadonlyMap<string, string> | undefined;
  return {
    wanted,
    held: new Map(reports.flatMap(({ held }) => held.map((one) => [one.named.name, one] as const))),
    isHeld: reports.some(({ isPartial }) => isPartial),
    reportOf: (name) => byName.get(name)?.[0].report,
    accepted: new Map(reports.flatMap((report) => [...report.accepted]).filter(([name]) => !wanted.has(name))),
    leftOut() {
      leftOut ??= new Map(reports.flatMap((report) => [...report.leftOut()]));
      return leftOut;
    },
  };
}
