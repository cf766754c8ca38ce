import { expect } from 'vitest';
import type { Observation } from '../../shared/api/observation.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { type ActorOptions, pause } from './everything-tools.ts';
import { referenceTo } from './report-crds.ts';
import { sendAsApiServerSource } from './senders.ts';

/** What a filter makes of a finding: nothing, another severity, or it drops it. */
type Verdict = 'exclude_rule' | 'min_severity' | Severity | undefined;

interface FilterVariant {
  readonly spec: object;
  readonly judge: (finding: Finding) => Verdict;
}

interface TestFilter {
  readonly name: string;
  readonly namespace: string;
  readonly targetSource: string;
  /** Editing it makes one of the other. */
  readonly variants: readonly [FilterVariant, FilterVariant];
  /** It is there from the beginning to the end. */
  readonly lasts?: true;
}

const drops = (pattern: RegExp) => (finding: Finding) =>
  pattern.test(finding.rule) ? ('exclude_rule' as const) : undefined;
const excluding = (...words: string[]): FilterVariant => ({
  spec: { excludeRules: words.map((word) => `*${word}`) },
  judge: drops(new RegExp(`(?:${words.join('|')})$`)),
});
const grading = (rule: string, severity: Severity): FilterVariant => ({
  spec: { setSeverity: [{ rules: [rule], severity }] },
  judge: (finding) => (finding.rule === rule ? severity : undefined),
});

const filters: readonly [TestFilter, ...TestFilter[]] = [
  {
    name: 'noise',
    namespace: 'zen-system',
    targetSource: 'falco',
    variants: [excluding('9'), excluding('9', 'none')],
    lasts: true,
  },
  { name: 'at-times', namespace: 'zen-system', targetSource: 'falco', variants: [excluding('8'), excluding('none')] },
  {
    name: 'policies',
    namespace: 'zen-system',
    targetSource: 'kyverno',
    variants: [excluding('b'), excluding('b', 'c')],
  },
  { name: 'pay-policies', namespace: 'pay', targetSource: 'kyverno', variants: [excluding('d'), excluding('e')] },
  {
    name: 'grades',
    namespace: 'zen-system',
    targetSource: 'trivy',
    variants: [grading('CVE-2099-1', 'CRITICAL'), grading('CVE-2099-1', 'LOW')],
  },
  {
    name: 'checks',
    namespace: 'zen-system',
    targetSource: 'checkov',
    variants: [
      { spec: { minSeverity: 'MEDIUM' }, judge: ({ severity }) => (severity === 'LOW' ? 'min_severity' : undefined) },
      excluding('_B'),
    ],
  },
];

interface ExceptionVariant {
  readonly match: object;
  /** It ends so many milliseconds after it was written. */
  readonly lasting?: number;
  readonly accepts: (spec: Observation['spec']) => boolean;
}

/** Accepts what `own` finds of the object of this name. */
const acceptingOwn = (name: string, lasting?: number): ExceptionVariant => ({
  match: { sources: ['own'], resources: [{ kind: 'Finding', name }] },
  ...(lasting !== undefined && { lasting }),
  accepts: ({ source, resource }) => source === 'own' && resource?.name === name,
});

interface TestException {
  readonly name: string;
  readonly namespace: string;
  readonly variants: readonly [ExceptionVariant, ExceptionVariant];
}

const accepting = (source: string, rule: string, lasting?: number): ExceptionVariant => {
  const pattern = new RegExp(`^${rule.replaceAll('*', '.*')}$`);
  return {
    match: { sources: [source], rules: [rule] },
    ...(lasting !== undefined && { lasting }),
    accepts: (spec) => spec.source === source && pattern.test(spec.rule ?? ''),
  };
};

const soon = 8000;
const later = 86_400_000;

const exceptions: readonly [TestException, ...TestException[]] = [
  {
    name: 'policies',
    namespace: 'zen-system',
    variants: [accepting('kyverno', '*a'), accepting('kyverno', '*c', later)],
  },
  {
    name: 'flaws',
    namespace: 'shop',
    variants: [accepting('trivy', 'CVE-2099-2', later), accepting('trivy', 'CVE-2099-*', soon)],
  },
  {
    name: 'alerts',
    namespace: 'zen-system',
    variants: [accepting('falco', 'alert-*5'), accepting('falco', 'alert-*5', soon)],
  },
  {
    name: 'tests',
    namespace: 'zen-system',
    variants: [accepting('kube-bench', '1.1.1', soon), accepting('kube-bench', '1.1.*', later)],
  },
  { name: 'own', namespace: 'pay', variants: [acceptingOwn('r1'), acceptingOwn('r2', later)] },
  { name: 'roles', namespace: 'zen-system', variants: [accepting('audit', '*'), accepting('audit', '*', later)] },
];

interface Applied<Variant> {
  readonly variant: Variant;
  readonly until: number;
}

const pathOf = (kind: string, { namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `/apis/zen.kube-zen.io/v1alpha1/namespaces/${namespace}/${kind}s/${name}`.toLowerCase();

/** People who apply, edit and remove filters and exceptions, and know which there are. */
export function createRules({ cluster, random, urlOf, isOver, restMilliseconds }: ActorOptions) {
  const filtersNow = new Map<TestFilter, Applied<FilterVariant>>();
  const exceptionsNow = new Map<TestException, Applied<ExceptionVariant>>();
  const counts = { applied: 0, edited: 0, removed: 0 };

  /** Tries until the API server is back, and fails if it refuses. */
  async function persistently(method: 'PATCH' | 'DELETE', path: string, object?: object): Promise<void> {
    const body = object && JSON.stringify(object);
    for (;;) {
      const answer = await cluster
        .request(method, path, body, { contentType: 'application/apply-patch+yaml' })
        .catch(() => undefined);
      if (answer && answer.status < 500 && answer.status !== 429) {
        expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
        return;
      }
      await pause(100);
    }
  }

  /** As the ApiServerSource of that kind does. */
  async function tell(object: Parameters<typeof referenceTo>[0]): Promise<void> {
    const name = object.kind === 'ObservationFilter' ? 'filters' : 'exceptions';
    await sendAsApiServerSource(urlOf(name), referenceTo(object));
  }

  async function write<Of extends TestFilter | TestException, Variant>(
    kind: 'ObservationFilter' | 'ObservationException',
    one: Of,
    now: Map<Of, Applied<Variant>>,
    make: (variant: 0 | 1) => { readonly spec: object; readonly applied: Applied<Variant> },
  ): Promise<void> {
    const { name, namespace } = one;
    const path = pathOf(kind, one);
    const typed = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind, metadata: { name, namespace } };
    if (now.has(one) && !('lasts' in one) && random.below(3) === 0) {
      await persistently('DELETE', path);
      now.delete(one);
      counts.removed += 1;
      return tell(typed);
    }
    const { spec, applied } = make(random.below(2) === 0 ? 0 : 1);
    const object = { ...typed, spec };
    await persistently('PATCH', `${path}?fieldManager=people&force=true&fieldValidation=Strict`, object);
    counts[now.has(one) ? 'edited' : 'applied'] += 1;
    now.set(one, applied);
    await tell(typed);
  }

  const writeFilter = (one: TestFilter): Promise<void> =>
    write('ObservationFilter', one, filtersNow, (index) => {
      const variant = one.variants[index];
      const spec = { targetSource: one.targetSource, ...variant.spec };
      return { spec, applied: { variant, until: Number.POSITIVE_INFINITY } };
    });

  const writeException = (one: TestException): Promise<void> =>
    write('ObservationException', one, exceptionsNow, (index) => {
      const variant = one.variants[index];
      // RFC 3339 to the second, as the API has it.
      const end = variant.lasting === undefined ? undefined : new Date(Date.now() + variant.lasting).toISOString();
      const spec = { match: variant.match, reason: 'a test', ...(end !== undefined && { until: end }) };
      return { spec, applied: { variant, until: end === undefined ? Number.POSITIVE_INFINITY : Date.parse(end) } };
    });

  const filter: Filter = (finding, { source, namespace }) => {
    let { severity } = finding;
    for (const [one, { variant }] of filtersNow) {
      if (one.targetSource !== source || !['zen-system', namespace].includes(one.namespace)) continue;
      const verdict = variant.judge(finding);
      if (verdict === 'exclude_rule' || verdict === 'min_severity') return verdict;
      severity = verdict ?? severity;
    }
    return { ...finding, severity };
  };

  return {
    counts,
    filter,

    /** Applies what lasts. */
    async begin(): Promise<void> {
      for (const one of filters) if (one.lasts) await writeFilter(one);
    },

    async run(): Promise<void> {
      while (!isOver()) {
        await (random.below(2) === 0 ? writeFilter(random.pick(filters)) : writeException(random.pick(exceptions)));
        await pause(random.below(2 * restMilliseconds));
      }
    },

    /** Whether one is in force that ends within the next minute. */
    isSomeEnding: (): boolean =>
      [...exceptionsNow.values()].some(({ until }) => until > Date.now() && until < Date.now() + 60_000),

    /** Whether an exception that is in force at a time accepts this. */
    accepts({ metadata, spec }: Observation, now: number): boolean {
      return [...exceptionsNow].some(
        ([one, { variant, until }]) =>
          until > now && ['zen-system', metadata.namespace].includes(one.namespace) && variant.accepts(spec),
      );
    },
  };
}
