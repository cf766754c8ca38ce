/** The states that findings of a state source go through, as a user is promised them: what must be stored after each event and pass. */

export interface ModelRow {
  readonly id: string;
  readonly severity: string;
  readonly summary: string;
  readonly remediation?: string;
  readonly references?: readonly string[];
  readonly fixedIn?: string;
  /** The namespace of the affected resource, if that isn't what the report is about. */
  readonly namespace?: string;
  /** The tool's own time. */
  readonly detectedAt?: string;
}

/** A thing that a report is about, or that is affected. */
export interface Thing {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  /** What it is filed under: the same for a Deployment, its ReplicaSets and its Pods. */
  readonly workload: string;
}

export interface ModelReport {
  /** Where it is: no two reports have the same. */
  readonly at: string;
  readonly name: string;
  readonly slot: string;
  readonly namespace: string | undefined;
  readonly about: Thing | undefined;
  readonly created: string;
  readonly rows: readonly ModelRow[];
  /** `bad row` has a row that can't be read, of `unreadable` nothing can be read but what it is. */
  readonly condition: 'good' | 'bad row' | 'unreadable';
}

/** What an Observation says of a finding, as the latest report does. */
export interface ModelFacts {
  readonly severity: string;
  readonly summary: string;
  readonly remediation: string | undefined;
  readonly references: readonly string[] | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly resource: string;
}

export interface ModelStored {
  readonly namespace: string;
  readonly rule: string;
  readonly state: 'open' | 'missing' | 'resolved';
  readonly since: number;
  /** The hour since 1970 at which it may be deleted. */
  readonly expires: number;
  /** The slot, or `shared`. */
  readonly report: string;
  readonly facts: ModelFacts;
  readonly detectedAt: string;
  /** Its last ten changes, newest first. */
  readonly history: readonly string[];
}

/** A finding as one report has it. */
interface Said {
  readonly key: string;
  readonly namespace: string;
  readonly rule: string;
  readonly facts: ModelFacts;
  readonly detectedAt: string;
  readonly by: ModelReport;
  /** It is about the report itself, so that no filter drops it and nothing holds it. */
  readonly isOwn: boolean;
}

interface Slot {
  readonly isHeld: boolean;
  readonly kept: ReadonlyMap<string, Said>;
  readonly dropped: ReadonlySet<string>;
}

const minute = 60_000;
const hour = 60 * minute;
const interval = 60 * minute;
const ttl = 7 * 24 * hour;
const systemNamespace = 'zen-system';

export function hourOf(time: number): number {
  return Math.ceil(time / hour);
}

export function spell({ kind, namespace, name }: Thing): string {
  return [kind, namespace ?? '', name].join('/');
}

function factsDiffer(one: ModelFacts, other: ModelFacts): boolean {
  // A Pod of the same workload as before is no change.
  return JSON.stringify({ ...one, resource: '' }) !== JSON.stringify({ ...other, resource: '' });
}

function affectedBy(row: ModelRow, { about }: ModelReport): Thing | undefined {
  if (row.namespace === undefined) return about;
  return { kind: 'Thing', namespace: row.namespace, name: 'elsewhere', workload: 'Thing/elsewhere' };
}

function saidOf(row: ModelRow, report: ModelReport): Said {
  const affected = affectedBy(row, report);
  const { severity, summary, remediation, references, fixedIn, detectedAt = report.created } = row;
  return {
    key: [affected?.namespace ?? '', affected?.workload ?? '', row.id].join('|'),
    namespace: affected?.namespace ?? systemNamespace,
    rule: row.id,
    facts: {
      severity: severity.toUpperCase(),
      summary: `${row.id}: ${summary}`,
      remediation,
      references,
      details: fixedIn === undefined ? {} : { fixedIn },
      resource: affected ? spell(affected) : '',
    },
    detectedAt,
    by: report,
    isOwn: false,
  };
}

/** That a report can't be read, which is said once, whatever the number of its bad rows. */
function unreadable(report: ModelReport): Said {
  const facts = { severity: '', remediation: undefined, references: undefined, details: {}, resource: report.at };
  return {
    key: `unreadable|${report.at}`,
    namespace: report.namespace ?? systemNamespace,
    rule: 'unreadable-object',
    facts: { ...facts, summary: report.condition },
    detectedAt: '',
    by: report,
    isOwn: true,
  };
}

function readable(report: ModelReport): readonly Said[] {
  return report.condition === 'unreadable' ? [] : report.rows.map((row) => saidOf(row, report));
}

function derive(report: ModelReport): readonly Said[] {
  return report.condition === 'good' ? readable(report) : [...readable(report), unreadable(report)];
}

/** The newer counts: by the tool's own time, else by when the report was made, then by name. */
function isNewer(one: Said, other: Said): boolean {
  const order = (said: Said): readonly string[] => [said.detectedAt, said.by.name, said.by.at];
  return String(order(one)) > String(order(other));
}

function timeOf(report: ModelReport): string {
  return readable(report)[0]?.detectedAt ?? report.created;
}

function newest<T>(items: readonly T[], newer: (one: T, other: T) => boolean): T | undefined {
  return items.reduce<T | undefined>((best, item) => (best && !newer(item, best) ? best : item), undefined);
}

export function createModel(start: number) {
  const reports = new Map<string, ModelReport>();
  const replicas = new Map<string, number>();
  const dropped = new Set<string>();
  let stored = new Map<string, ModelStored>();
  let now = start;

  function isDropped(said: Said): boolean {
    return !said.isOwn && dropped.has(said.rule);
  }

  /** Those that say what a slot says: a ReplicaSet without Pods has no say while anything else has. */
  function counting(all: readonly ModelReport[]): readonly ModelReport[] {
    const running = all.filter(({ about }) => about?.kind !== 'ReplicaSet' || (replicas.get(spell(about)) ?? 0) > 0);
    if (running.length > 0) return running;
    const last = newest(all, (one, other) => `${timeOf(one)} ${one.name}` > `${timeOf(other)} ${other.name}`);
    return last ? [last] : [];
  }

  function slotOf(slot: string): Slot {
    const all = [...reports.values()].filter((report) => report.slot === slot);
    const said = [...counting(all).flatMap(readable), ...all.filter(isBad).map(unreadable)];
    const kept = new Map<string, Said>();
    for (const one of said) {
      const other = kept.get(one.key);
      if (!isDropped(one) && !(other && isNewer(other, one))) kept.set(one.key, one);
    }
    return { isHeld: all.some(isBad), kept, dropped: new Set(said.filter(isDropped).map(({ key }) => key)) };
  }

  function isBad({ condition }: ModelReport): boolean {
    return condition !== 'good';
  }

  /** A change that is told and kept: later than the one before, whatever the clock says. */
  function changed(old: ModelStored, change: Partial<ModelStored>): ModelStored {
    const result = { ...old, ...change };
    if (result.state === old.state && result.facts.severity === old.facts.severity) return result;
    const history = [`${result.state} ${result.facts.severity}`, ...old.history].slice(0, 10);
    return { ...result, since: Math.max(now, old.since + 1), history };
  }

  function create(said: Said, report: string): ModelStored {
    const { namespace, rule, facts, detectedAt } = said;
    const expires = hourOf(now + ttl);
    return { namespace, rule, state: 'open', since: now, expires, report, facts, detectedAt, history: [] };
  }

  function open(old: ModelStored, { facts }: Said): ModelStored {
    if (old.state === 'open') return old;
    return changed(old, { state: 'open', facts, expires: hourOf(now + ttl) });
  }

  function mend(old: ModelStored, { facts }: Said): ModelStored {
    return factsDiffer(old.facts, facts) ? changed(old, { facts }) : old;
  }

  function put(next: Map<string, ModelStored>, key: string, value: ModelStored): void {
    next.set(key, value);
  }

  function isUpToDate(report: ModelReport): boolean {
    const said = new Map(
      derive(report)
        .filter((one) => !isDropped(one))
        .map((one) => [one.key, one]),
    );
    const hidden = new Set(
      derive(report)
        .filter(isDropped)
        .map(({ key }) => key),
    );
    const isKnown = [...said.values()].every((one) => {
      const old = stored.get(one.key);
      if (!old || old.state !== 'open') return false;
      if (old.report === 'shared') return true;
      return old.report === report.slot && (!factsDiffer(old.facts, one.facts) || (isBad(report) && !one.isOwn));
    });
    const isAll = [...stored].every(
      ([key, { report: slot, state, rule }]) =>
        slot !== report.slot ||
        state !== 'open' ||
        said.has(key) ||
        hidden.has(key) ||
        (isBad(report) && rule !== 'unreadable-object'),
    );
    return isKnown && isAll;
  }

  function afterEvent(report: ModelReport): Map<string, ModelStored> {
    const next = new Map(stored);
    if (isUpToDate(report)) return next;
    const slot = slotOf(report.slot);
    for (const [key, said] of slot.kept) {
      const old = stored.get(key);
      if (!old) put(next, key, create(said, report.slot));
      else if (old.report !== report.slot) put(next, key, open({ ...old, report: 'shared' }, said));
      else if (old.state !== 'open') put(next, key, open(old, said));
      else if (!slot.isHeld || said.isOwn) put(next, key, mend(old, said));
    }
    for (const [key, old] of stored) {
      const isOver = old.report === report.slot && old.state === 'open' && !slot.kept.has(key);
      const isHeld = slot.isHeld && old.rule !== 'unreadable-object';
      if (isOver && !isHeld && !slot.dropped.has(key)) put(next, key, changed(old, { state: 'missing' }));
    }
    return next;
  }

  function renewed(old: ModelStored): ModelStored {
    const left = old.expires * hour - now;
    return left < Math.max(ttl / 2, 3 * interval) ? { ...old, expires: hourOf(now + ttl) } : old;
  }

  /** The slots that a finding bears the label of, or may be in for all that can be known. */
  function reportOf(old: ModelStored | undefined, saying: readonly string[], held: ReadonlySet<string>): string {
    const [only = 'shared', ...others] = saying;
    if (others.length > 0) return 'shared';
    if (!old || old.report === only) return only;
    const mayBeOthers = old.report === 'shared' ? [...held].some((slot) => slot !== only) : held.has(old.report);
    return mayBeOthers ? 'shared' : only;
  }

  function unreported(old: ModelStored, isDroppedNow: boolean): ModelStored {
    if (old.state === 'resolved') return old;
    if (isDroppedNow) return changed(old, { state: 'resolved' });
    if (old.state === 'open') return changed(old, { state: 'missing' });
    return now - old.since >= interval / 2 ? changed(old, { state: 'resolved' }) : old;
  }

  function reported(old: ModelStored, said: Said, isHeld: boolean): ModelStored {
    if (old.state !== 'open') return open(old, said);
    return renewed(isHeld && !said.isOwn ? old : mend(old, said));
  }

  function afterPass(): Map<string, ModelStored> {
    const slots = new Map([...reports.values()].map(({ slot }) => [slot, slotOf(slot)]));
    const held = new Set([...slots].filter(([, { isHeld }]) => isHeld).map(([slot]) => slot));
    const next = new Map(stored);
    const keys = new Set([...slots.values()].flatMap(({ kept }) => [...kept.keys()]));
    for (const key of keys) {
      const saying = [...slots].filter(([, { kept }]) => kept.has(key));
      const said = newest(
        saying.flatMap(([, { kept }]) => kept.get(key) ?? []),
        isNewer,
      );
      if (!said) continue;
      const old = stored.get(key);
      const names = saying.map(([slot]) => slot);
      const report = reportOf(old, names, held);
      const isHeld = names.some((slot) => held.has(slot)) || (report === 'shared' && names.length === 1);
      put(next, key, old ? reported({ ...old, report }, said, isHeld) : create(said, report));
    }
    for (const [key, old] of stored) {
      if (keys.has(key)) continue;
      const isHeld = old.report === 'shared' ? held.size > 0 : held.has(old.report);
      if (isHeld && old.rule !== 'unreadable-object') continue;
      const isDroppedNow = [...slots.values()].some((slot) => slot.dropped.has(key));
      put(next, key, unreported(old, isDroppedNow));
    }
    return next;
  }

  return {
    reports,
    replicas,
    dropped,
    /** What is stored, by what tells findings apart. */
    stored: (): ReadonlyMap<string, ModelStored> => stored,
    /** Takes over what has been stored by a process that died. */
    restore: (known: ReadonlyMap<string, ModelStored>): void => {
      stored = new Map(known);
    },
    later: (minutes: number): void => {
      now += minutes * minute;
    },
    now: (): number => now,
    /** What must be stored after an event about a report. A report that is gone changes nothing. */
    afterEvent: (at: string): ReadonlyMap<string, ModelStored> => {
      const report = reports.get(at);
      return report ? afterEvent(report) : stored;
    },
    afterPass: (): ReadonlyMap<string, ModelStored> => afterPass(),
  };
}
