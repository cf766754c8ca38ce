import * as z from 'zod';
import { forever } from '../api/acceptance.ts';
import { justifications } from '../api/observation-exception.ts';
import { text } from '../api/text.ts';
import { severities } from '../finding/severity.ts';
import type { Environment } from '../function/settings.ts';
import { type Grouping, groupings } from '../view/counts.ts';
import type { ExceptionOptions } from '../view/exception-for.ts';
import { type Sort, sorts } from '../view/order.ts';
import { oneOf, parameterFault, selectionParameters, upTo, word } from '../view/parameters.ts';
import { anyOf, type Selection, states } from '../view/selection.ts';
import { untilOf } from '../view/until.ts';
import { defaultData, helpFor, parseCommand, UsageError } from './arguments.ts';
import { takenByNpm } from './npm-flags.ts';

const outputs = ['table', 'wide', 'json', 'yaml', 'csv', 'counts'] as const;

export type Output = (typeof outputs)[number];

export const usage = `Usage: npm run observations -- [NAME] [options]
  Prints what is stored, worst first; with a NAME, or a unique part of one, that
  finding in full. A filter that is given twice takes either of its values.

Options:
  --source S              from this source
  --severity S            ${severities.join(', ')}
  -n, --namespace N       in this namespace
  --state S               ${states.join(', ')}, all (default: open, missing)
  --workload W            deployment/web, pod/web-2xkd9, or just web
  --actor A, --rule R     by this user; of this rule; * stands for any text
  --search W, --accepted  with each of these words; only what is accepted
  --since 24h             detected in the last 45s, 30m, 24h, 7d
  --sort S, --limit N     by ${sorts.join(', ')}; no more than N
  --by B                  count by ${groupings.slice(0, 5).join(', ')},
                          ${groupings.slice(5).join(', ')}
  --would-drop FILE       what filters and exceptions in this file would change
  --accept --reason R --until 30d|forever [--ticket T] [--justification J]
    [--whole-namespace] [--by-anyone]    with a NAME, print an exception for it
  -o, --output FORMAT     ${outputs.join(', ')}
  -w, --watch, or --help  keep printing what is new or has changed; or show this
  --data DIR              folder of the embedded store (${defaultData})
  --kubeconfig FILE       read that cluster; -c, --context C: by this context`;

const help = helpFor('npm run observations');

const options = {
  source: { type: 'string', multiple: true },
  severity: { type: 'string', multiple: true },
  namespace: { type: 'string', short: 'n', multiple: true },
  state: { type: 'string' },
  workload: { type: 'string', multiple: true },
  actor: { type: 'string', multiple: true },
  rule: { type: 'string', multiple: true },
  search: { type: 'string' },
  since: { type: 'string' },
  accepted: { type: 'boolean' },
  accept: { type: 'boolean' },
  reason: { type: 'string' },
  until: { type: 'string' },
  ticket: { type: 'string' },
  justification: { type: 'string' },
  'by-anyone': { type: 'boolean' },
  'whole-namespace': { type: 'boolean' },
  sort: { type: 'string' },
  by: { type: 'string' },
  'would-drop': { type: 'string' },
  limit: { type: 'string' },
  output: { type: 'string', short: 'o' },
  watch: { type: 'boolean', short: 'w' },
  data: { type: 'string' },
  kubeconfig: { type: 'string' },
  context: { type: 'string', short: 'c' },
  help: { type: 'boolean' },
} as const;

type Option = keyof typeof options;

const schema = z.object({
  ...selectionParameters,
  state: oneOf([...states, 'all']).optional(),
  accepted: z.boolean().default(false),
  accept: z.boolean().default(false),
  reason: text(1, 512).optional(),
  until: z
    .string()
    .refine((text) => text === forever || untilOf(text, 0) !== undefined, {
      error: 'takes a duration such as 30d, a day such as 2026-12-31, a time, or forever',
    })
    .optional(),
  ticket: text(1, 253).optional(),
  justification: oneOf(justifications).optional(),
  'by-anyone': z.boolean().default(false),
  'whole-namespace': z.boolean().default(false),
  sort: oneOf(sorts).default('severity'),
  by: oneOf(groupings).optional(),
  'would-drop': word.optional(),
  limit: upTo(Number.MAX_SAFE_INTEGER).optional(),
  output: oneOf(outputs).default('table'),
  watch: z.boolean().default(false),
  data: z.string().default(defaultData),
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
});

/** Where the Observations are. */
export interface Place {
  readonly data: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** What an exception is to say. */
export interface AcceptArguments
  extends Pick<ExceptionOptions, 'reason' | 'ticket' | 'justification' | 'isByAnyone' | 'isForNamespace'> {
  /** `undefined`: for ever. Throws a UsageError if that is over. */
  readonly untilAt: (now: number) => string | undefined;
}

export type ObservationsArguments =
  | { readonly mode: 'help' }
  | {
      readonly mode: 'one';
      readonly place: Place;
      readonly name: string;
      readonly namespace: string | undefined;
      readonly output: Output;
      /** What an exception that accepts it is to say, which is to be shown instead. */
      readonly accept: AcceptArguments | undefined;
    }
  | {
      readonly mode: 'list' | 'counts';
      readonly place: Place;
      /** Its time is to be reckoned anew for each reading. */
      readonly selectionAt: (now: number) => Selection;
      /** Nobody has to do anything about what is resolved or accepted, so it must be asked for. */
      readonly hidesSettled: boolean;
      readonly sort: Sort;
      readonly by: Grouping;
      readonly limit: number | undefined;
      readonly output: Output;
      readonly isWatching: boolean;
      /** The file of filters whose effect is to be shown instead. */
      readonly filterFile: string | undefined;
    };

/** Which options may be given with a name. */
const withName: readonly Option[] = [
  'namespace',
  'output',
  'data',
  'kubeconfig',
  'context',
  'accept',
  'reason',
  'until',
  'ticket',
  'justification',
  'by-anyone',
  'whole-namespace',
];

type Given = Partial<Readonly<Record<Option, unknown>>>;

/** What is wrong with the options together; `undefined` if nothing is. */
function conflictIn(given: Given, isNamed: boolean): string | undefined {
  const together = (first: Option, second: Option): string | undefined =>
    given[first] !== undefined && given[second] !== undefined
      ? `--${first} and --${second} can't be used together`
      : undefined;
  const stray = Object.keys(options).find((name) => name in given && !withName.some((one) => one === name));
  if (isNamed && stray !== undefined) return `--${stray} can't be used with a NAME`;
  if (isNamed && Array.isArray(given.namespace) && given.namespace.length > 1)
    return '--namespace takes one value with a NAME';
  if (given.context !== undefined && given.kubeconfig === undefined) return '--context needs --kubeconfig';
  return (
    together('data', 'kubeconfig') ??
    together('watch', 'limit') ??
    together('would-drop', 'watch') ??
    together('would-drop', 'by') ??
    together('would-drop', 'sort')
  );
}

/** What is wrong with what is to be accepted; `undefined` if nothing is. */
function conflictOfAccept(given: Given, isNamed: boolean): string | undefined {
  const { accept, reason, until, output } = given;
  if (!accept) {
    if (reason !== undefined || until !== undefined) return '--reason and --until need --accept';
    const stray = (['ticket', 'justification', 'by-anyone', 'whole-namespace'] as const).find(
      (name) => given[name] !== undefined,
    );
    return stray && `--${stray} needs --accept`;
  }
  if (!isNamed) return '--accept needs a NAME';
  if (reason === undefined || until === undefined) return '--accept needs --reason and --until';
  return output === undefined ? undefined : "--accept and --output can't be used together";
}

function conflictOfOutput(
  output: Output,
  { by, 'would-drop': filterFile }: { readonly by?: Grouping | undefined; readonly 'would-drop'?: string | undefined },
  isNamed: boolean,
): string | undefined {
  const isTabular = output === 'wide' || output === 'csv';
  if (filterFile !== undefined && (isTabular || output === 'counts'))
    return `--would-drop can't be used with -o ${output}`;
  if (by !== undefined && isTabular) return `--by can't be used with -o ${output}`;
  return isNamed && (isTabular || output === 'counts') ? `-o ${output} can't be used with a NAME` : undefined;
}

/** Throws a UsageError. */
export function parseObservationsArguments(args: readonly string[], environment: Environment): ObservationsArguments {
  const wrong = (message: string): never => {
    throw new UsageError(message, help);
  };
  const taken = takenByNpm(environment, options, 'npm run observations');
  if (taken !== undefined) wrong(taken);
  const { values, positionals } = parseCommand({ args: [...args], options, allowPositionals: true }, help);
  if (values.help) return { mode: 'help' };
  const [name, ...more] = positionals;
  if (more.length > 0) wrong('name one Observation at most');
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const { name, message } = parameterFault(parsed.error);
    return wrong(`--${name} ${message}`);
  }
  const { data, kubeconfig, context, state, since, accepted, sort, by, limit, output, watch, ...rest } = parsed.data;
  const { 'would-drop': filterFile, accept, ...about } = rest;
  const {
    reason = '',
    until = '',
    ticket,
    justification,
    'by-anyone': isByAnyone,
    'whole-namespace': isForNamespace,
    ...selection
  } = about;
  const isNamed = name !== undefined;
  const conflict =
    conflictIn(values, isNamed) ?? conflictOfAccept(values, isNamed) ?? conflictOfOutput(output, parsed.data, isNamed);
  if (conflict !== undefined) wrong(conflict);
  const place = { data, kubeconfig, context };
  if (name !== undefined) {
    const untilAt = (now: number): string | undefined => {
      if (until === forever) return undefined;
      const time = untilOf(until, now) ?? until;
      return Date.parse(time) > now ? time : wrong(`--until ${until} is over`);
    };
    const [namespace] = anyOf(selection.namespace ?? []);
    const said = accept ? { reason, untilAt, ticket, justification, isByAnyone, isForNamespace } : undefined;
    return { mode: 'one', place, name, namespace, output, accept: said };
  }
  return {
    mode: by !== undefined || output === 'counts' ? 'counts' : 'list',
    place,
    selectionAt: (now) => ({
      ...selection,
      states: statesOf(state),
      acceptance: accepted || state === undefined ? { isAccepted: accepted, at: now } : undefined,
      since: since === undefined ? undefined : now - since,
    }),
    hidesSettled: state === undefined && !accepted,
    sort,
    by: by ?? 'source',
    limit,
    output,
    isWatching: watch,
    filterFile,
  };
}

function statesOf(word: (typeof states)[number] | 'all' | undefined): Selection['states'] {
  if (word === 'all') return undefined;
  return word === undefined ? states.filter((state) => state !== 'resolved') : [word];
}
