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
  /** Which of its Pods and ReplicaSets is shown is another matter. */
  readonly workload: string;
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
  /** What the newest of the reports that have it says, and after that what others say in the same words. */
  readonly kept: ReadonlyMap<string, readonly Said[]>;
  readonly dropped: ReadonlySet<string>;
}

/**
 * What may be stored afterwards, by key. There is more than one possibility only where nobody can tell: whose words are
 * shown of several reports that say the same, and what is said of a finding that two slots have begun to report, until
 * the next pass.
 */
export type Possible = ReadonlyMap<string, readonly ModelStored[]>;

const minute = 60_000;
const hour = 60 * minute;
const interval = 60 * minute;
const ttl = 7 * 24 * hour;
const systemNamespace = 'zen-system';

function hourOf(time: number): number {
  return Math.ceil(time / hour);
}

interface Spellable {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
}

export function spell({ kind, namespace = '', name }: Spellable): string {
  return [kind, namespace, name].join('/');
}

function differ(one: ModelFacts, other: ModelFacts): boolean {
  return JSON.stringify(one) !== JSON.stringify(other);
}

function affectedBy({ namespace }: ModelRow, { about }: ModelReport): Thing | undefined {
  if (namespace === undefined) return about;
  return { kind: 'Thing', namespace, name: 'elsewhere', workload: 'Thing/elsewhere' };
}

function saidOf(row: ModelRow, by: ModelReport): Said {
  const affected = affectedBy(row, by);
  const { id, severity, summary, remediation, references, fixedIn, detectedAt = by.created } = row;
  return {
    key: [affected?.namespace ?? '', affected?.workload ?? '', id].join('|'),
    namespace: affected?.namespace ?? systemNamespace,
    rule: id,
    facts: {
      severity: severity.toUpperCase(),
      summary: `${id}: ${summary}`,
      remediation,
      references,
      details: fixedIn === undefined ? {} : { fixedIn },
      workload: affected?.workload ?? '',
    },
    detectedAt,
    by,
    isOwn: false,
  };
}

/** That a report can't be read: one a report, whatever the number of its bad rows, with the cause. */
function unreadable(by: ModelReport): Said {
  return {
    key: `unreadable|${by.at}`,
    namespace: by.namespace ?? systemNamespace,
    rule: 'unreadable-object',
    facts: {
      severity: 'HIGH',
      summary: by.condition,
      remediation: undefined,
      references: undefined,
      details: {},
      workload: '',
    },
    detectedAt: '',
    by,
    isOwn: true,
  };
}

function isBad({ condition }: ModelReport): boolean {
  return condition !== 'good';
}

function derive(report: ModelReport): readonly Said[] {
  const readable = report.condition === 'unreadable' ? [] : report.rows.map((row) => saidOf(row, report));
  return isBad(report) ? [...readable, unreadable(report)] : readable;
}

function compareTexts(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

/** Newest first: by the tool's own time, else by when the report was made; then by name. */
function byAge(one: Said, other: Said): number {
  return (
    compareTexts(other.detectedAt, one.detectedAt) ||
    compareTexts(other.by.created, one.by.created) ||
    compareTexts(one.by.at, other.by.at)
  );
}

function sameWords(all: readonly Said[]): readonly Said[] {
  const [newest] = all;
  return newest ? all.filter(({ facts }) => !differ(facts, newest.facts)) : [];
}

function grouped(all: readonly Said[]): Map<string, readonly Said[]> {
  const groups = new Map<string, readonly Said[]>();
  for (const said of all) groups.set(said.key, [...(groups.get(said.key) ?? []), said]);
  return groups;
}

function isUnreadable({ rule }: ModelStored): boolean {
  return rule === 'unreadable-object';
}

export function createModel(start: number) {
  const reports = new Map<string, ModelReport>();
  const replicas = new Map<string, number>();
  const dropped = new Set<string>();
  let stored: ReadonlyMap<string, ModelStored> = new Map();
  let now = start;

  function isDropped({ rule, isOwn }: Said): boolean {
    return !isOwn && dropped.has(rule);
  }

  /** Those that say what a slot says: a ReplicaSet without Pods has no say while anything else has. */
  function counting(all: readonly ModelReport[]): readonly ModelReport[] {
    const running = all.filter(({ about }) => about?.kind !== 'ReplicaSet' || (replicas.get(spell(about)) ?? 0) > 0);
    if (running.length > 0) return running;
    const newestFirst = (one: ModelReport, other: ModelReport) =>
      compareTexts(other.created, one.created) || compareTexts(one.at, other.at);
    return all.toSorted(newestFirst).slice(0, 1);
  }

  function slotOf(slot: string): Slot {
    const all = [...reports.values()].filter((report) => report.slot === slot);
    const says = counting(all);
    const said = says.flatMap(derive);
    const others = all.filter((report) => !says.includes(report)).flatMap(derive);
    const kept = new Map<string, readonly Said[]>();
    for (const [key, of] of grouped(said.filter((one) => !isDropped(one)))) {
      const rest = others.filter((other) => other.key === key && !isDropped(other));
      kept.set(key, sameWords([...of.toSorted(byAge), ...rest]));
    }
    return { isHeld: says.some(isBad), kept, dropped: new Set(said.filter(isDropped).map(({ key }) => key)) };
  }

  /** A change is later than the one before, whatever the clock says; one of state or severity is kept. */
  function changed(old: ModelStored, change: Partial<ModelStored>): ModelStored {
    const result = { ...old, ...change };
    if (result.state === old.state && result.facts.severity === old.facts.severity) return result;
    const history = [`${result.state} ${result.facts.severity}`, ...old.history].slice(0, 10);
    return { ...result, since: Math.max(now, old.since + 1), history };
  }

  function create(report: string, { namespace, rule, facts, detectedAt }: Said): ModelStored {
    const expires = hourOf(now + ttl);
    return { namespace, rule, state: 'open', since: now, expires, report, facts, detectedAt, history: [] };
  }

  /** Whoever opens it writes its facts, too. */
  function open(old: ModelStored, { facts }: Said): ModelStored {
    return changed(old, { state: 'open', facts, expires: hourOf(now + ttl) });
  }

  function renewed(old: ModelStored): ModelStored {
    const left = old.expires * hour - now;
    return left < Math.max(ttl / 2, 3 * interval) ? { ...old, expires: hourOf(now + ttl) } : old;
  }

  function mended(old: ModelStored, { facts }: Said): ModelStored {
    return renewed(differ(old.facts, facts) ? changed(old, { facts }) : old);
  }

  /** What becomes of a finding that is reported by the slot whose label it has. */
  function reported(old: ModelStored, said: Said, isHeld: boolean): ModelStored {
    if (old.state !== 'open') return open(old, said);
    return isHeld && !said.isOwn ? renewed(old) : mended(old, said);
  }

  /** What becomes of a finding that others report, too, and whose facts are therefore not this slot's. */
  function alsoReported(old: ModelStored, said: Said): ModelStored {
    const shared = { ...old, report: 'shared' };
    return old.state === 'open' ? renewed(shared) : open(shared, said);
  }

  /** Whether the report alone gives no reason to look at the others of its slot. */
  function isUpToDate(report: ModelReport): boolean {
    const said = derive(report);
    const kept = grouped(said.filter((one) => !isDropped(one)));
    const isStored = [...kept].every(([key, [one]]) => {
      const old = stored.get(key);
      if (!old || !one || (old.report !== report.slot && old.report !== 'shared')) return false;
      const next = old.report === 'shared' ? alsoReported(old, one) : reported(old, one, isBad(report));
      return JSON.stringify(next) === JSON.stringify(old);
    });
    const isReported = [...stored].every(([key, old]) => {
      if (old.report !== report.slot || old.state !== 'open' || kept.has(key)) return true;
      return said.some((one) => one.key === key) || (isBad(report) && !isUnreadable(old));
    });
    return isStored && isReported;
  }

  function afterEvent(report: ModelReport): Possible {
    const next = new Map<string, readonly ModelStored[]>([...stored].map(([key, old]) => [key, [old]]));
    if (isUpToDate(report)) return next;
    const { kept, isHeld, dropped: hidden } = slotOf(report.slot);
    for (const [key, all] of kept) {
      const old = stored.get(key);
      const after = (said: Said): ModelStored => {
        if (!old) return create(report.slot, said);
        return old.report === report.slot ? reported(old, said, isHeld) : alsoReported(old, said);
      };
      next.set(key, all.map(after));
    }
    for (const [key, old] of stored) {
      const isOver = old.report === report.slot && old.state === 'open' && !kept.has(key) && !hidden.has(key);
      if (isOver && (!isHeld || isUnreadable(old))) next.set(key, [changed(old, { state: 'missing' })]);
    }
    return next;
  }

  function unreported(old: ModelStored, isDroppedNow: boolean): ModelStored {
    if (old.state === 'resolved') return old;
    if (isDroppedNow) return changed(old, { state: 'resolved' });
    if (old.state === 'open') return changed(old, { state: 'missing' });
    return now - old.since >= interval / 2 ? changed(old, { state: 'resolved' }) : old;
  }

  /** A finding that was shared when the pass began: it is told which slots are left, and the newest says what it says. */
  function settled(
    old: ModelStored,
    key: string,
    saying: ReadonlyMap<string, Slot>,
    isAnyHeld: boolean,
  ): readonly ModelStored[] {
    const all = [...saying.values()].flatMap(({ kept }) => (kept.get(key) ?? []).slice(0, 1));
    const [only = ''] = saying.keys();
    const report = saying.size === 1 && !isAnyHeld ? only : 'shared';
    const isHeld = [...saying.values()].some((slot) => slot.isHeld);
    const latest = all
      .map(({ detectedAt }) => detectedAt)
      .toSorted()
      .at(-1);
    // Which of two slots counts that say it at the same time is settled, but not by anything that can be seen.
    const newest = [...saying.values()].flatMap(({ kept }) => {
      const alike = kept.get(key) ?? [];
      return alike[0]?.detectedAt === latest ? alike : [];
    });
    const opened = old.state === 'open' ? [renewed(old)] : all.map((said) => open(old, said));
    return opened.flatMap((one) => newest.map((said) => ({ ...(isHeld ? one : mended(one, said)), report })));
  }

  function afterPassOf(key: string, slots: ReadonlyMap<string, Slot>): readonly ModelStored[] {
    const old = stored.get(key);
    const saying = new Map([...slots].filter(([, { kept }]) => kept.has(key)));
    const all = [...saying.values()].flatMap(({ kept }) => kept.get(key) ?? []).sort(byAge);
    const [label = '', ...others] = saying.keys();
    if (!old) return all.map((said) => create(others.length > 0 ? 'shared' : label, said));
    if (old.report === 'shared')
      return settled(
        old,
        key,
        saying,
        [...slots.values()].some(({ isHeld }) => isHeld),
      );
    const own = saying.get(old.report);
    const asOwn = own ? (own.kept.get(key) ?? []).map((said) => reported(old, said, own.isHeld)) : [];
    if (own && others.length === 0) return asOwn;
    return [...asOwn.map((one) => ({ ...one, report: 'shared' })), ...all.map((said) => alsoReported(old, said))];
  }

  function afterPass(): Possible {
    const slots = new Map([...reports.values()].map(({ slot }) => [slot, slotOf(slot)]));
    const next = new Map<string, readonly ModelStored[]>();
    for (const key of [...slots.values()].flatMap(({ kept }) => [...kept.keys()]))
      next.set(key, afterPassOf(key, slots));
    for (const [key, old] of stored) {
      if (next.has(key)) continue;
      const of = old.report === 'shared' ? [...slots.values()] : [slots.get(old.report)];
      const isHeld = of.some((slot) => slot?.isHeld) && !isUnreadable(old);
      const isDroppedNow = of.some((slot) => slot?.dropped.has(key));
      next.set(key, [isHeld ? old : unreported(old, isDroppedNow)]);
    }
    return next;
  }

  return {
    reports,
    replicas,
    dropped,
    stored: (): ReadonlyMap<string, ModelStored> => stored,
    /** Takes over what turned out to be stored, of what was possible. */
    take: (known: ReadonlyMap<string, ModelStored>): void => {
      stored = known;
    },
    later: (minutes: number): void => {
      now += minutes * minute;
    },
    now: (): number => now,
    /** After an event about a report. One that is gone changes nothing. */
    afterEvent(at: string): Possible {
      const report = reports.get(at);
      return report ? afterEvent(report) : new Map([...stored].map(([key, old]) => [key, [old]]));
    },
    afterPass,
  };
}
