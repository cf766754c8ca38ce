import type { FunctionDefinition } from '../function/definitions.ts';
import { commonSettingNames, type Environment, settingNames } from '../function/settings.ts';
import { ownVariables } from '../function/sink-environment.ts';
import type { Log } from './log.ts';

/** First words of settings that other programs' variables are unlikely to start with. */
const ownWords: ReadonlySet<string> = new Set([
  'OBSERVATION',
  'OBSERVATIONS',
  'DEDUP',
  'GC',
  'RESYNC',
  'MASK',
  'WATCH',
]);

/** How many characters of a setting's name may be wrong. */
const longestSlip = 2;

/** The variables that Kubernetes sets in every pod for each Service. */
const serviceLink = /_(?:SERVICE_(?:HOST|PORT)|PORT)(?:_|$)/;

/** How many characters must be added, removed or changed to turn one word into the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

function nearest(name: string, known: readonly string[]): { readonly name: string; readonly distance: number } {
  return known
    .map((candidate) => ({ name: candidate, distance: distance(name, candidate) }))
    .reduce((best, one) => (one.distance < best.distance ? one : best), {
      name: '',
      distance: Number.POSITIVE_INFINITY,
    });
}

/**
 * Warnings about variables that look like settings but aren't: those that start like one, and those that are a typo
 * away. They have no effect, and nobody would notice.
 */
export function unknownSettings(environment: Environment, definitions: readonly FunctionDefinition[]): string[] {
  const own = definitions.flatMap((definition) => [...settingNames(definition.settings), ...ownVariables(definition)]);
  const known = [...new Set([...own, ...commonSettingNames])];
  const words = new Set([...ownWords, ...own.map((name) => name.split('_')[0] ?? name)]);
  return Object.keys(environment)
    .filter((name) => !known.includes(name) && !serviceLink.test(name))
    .flatMap((name) => {
      // In a pod there are many others, and a start should not take long.
      const isLike = (candidate: string): boolean => Math.abs(candidate.length - name.length) <= longestSlip;
      const isSlip = name.length > 5 && nearest(name, known.filter(isLike)).distance <= longestSlip;
      if (!isSlip && !words.has(name.split('_')[0] ?? name)) return [];
      return [`${name} is not a setting and has no effect: did you mean ${nearest(name, known).name}?`];
    });
}

export interface UnknownSettingsOptions {
  readonly environment: Environment;
  readonly definitions: readonly FunctionDefinition[];
  readonly log: Pick<Log, 'warn'>;
}

/** Logs those warnings. */
export function warnOfUnknownSettings({ environment, definitions, log }: UnknownSettingsOptions): void {
  for (const warning of unknownSettings(environment, definitions)) log.warn({ operation: 'start' }, warning);
}
