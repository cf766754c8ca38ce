import { remembered } from '../../shared/finding/remembered.ts';
import { type Properties, pick, wordsOf } from './properties.ts';
import { isShownOfVulnerability, type Vulnerability } from './vulnerabilities.ts';

const adviceKeys = [/\bremediations?$/, /\bresolution$/, /\bsolution$/, /\bmitigation$/, /\brecommendations?$/];

/** What Kyverno begins its messages with; what it is is said by the event type. */
const preamble = /^\s*validation (?:error:|rule \S{1,256} failed\.)\s*/i;
/** Kyverno ends them with the rule, which stands before them already, and the path that doesn't match. */
const failedPath = /\b(?:validation )?rule [\w./[\]-]{1,253} failed at path (\S{1,1024})/gi;
/** Stands for what is removed, with the punctuation before it. */
const removed = '\uFFFF';
const beforeRemoved = /[\s.;,]{0,8}\uFFFF/g;
/** Where a line is a heading, and not wrapped. */
const headingEnd = /(?<=[^\s.,:;!?-])[^\S\n]*\n\s*(?=[A-Z])/g;

/** A message without what says nothing to a reader: `CPU limits are required (at /spec/containers/0)`. */
export const shortMessage = remembered((message) => {
  const paths = new Set([...message.matchAll(failedPath)].map(([, path = '']) => path.replace(/[.,;/]+$/, '')));
  const said = message
    .replaceAll(failedPath, removed)
    .replaceAll(beforeRemoved, '')
    .replace(preamble, '')
    .trim()
    .replaceAll(headingEnd, '. ')
    .replaceAll(/\s+/g, ' ')
    .replace(/[\s.:;,]+$/, '');
  const where = [...paths].filter((path) => path !== '').join(', ');
  if (said === '') return where === '' ? '' : `fails at ${where}`;
  return where === '' ? said : `${said} (at ${where})`;
});

const url = /https?:\/\/[^\s,;"'<>\][]{1,2048}/gi;

/** A value that is nothing but URLs, of which there may be several, in a list of any form. */
const urls = /^[[\s"']{0,8}https?:\/\//i;

/** What the engine says should be done. */
export function advice(properties: Properties, clean: (text: string) => string): string | undefined {
  const found = pick(properties, adviceKeys);
  return found === undefined ? undefined : clean(found);
}

/** The URLs among the properties, sorted. */
export function referencesOf(properties: Properties): string[] | undefined {
  const found = [...properties.values()].filter((value) => urls.test(value)).flatMap((value) => value.match(url) ?? []);
  return found.length > 0 ? [...new Set(found)].sort() : undefined;
}

interface Shown {
  readonly foreign: boolean;
  readonly vulnerability: Vulnerability | undefined;
}

/** How Kyverno came to judge. The next time it may be otherwise. */
const occasions: ReadonlySet<string> = new Set(['background scan', 'admission review']);

/** Whether the details show a property under its own key: it has no better place, and says what was found and not how. */
export function isShown(key: string, value: string, { foreign, vulnerability }: Shown): boolean {
  if (key === 'process' && (!foreign || occasions.has(value))) return false;
  if (urls.test(value)) return false;
  if (vulnerability) return !isShownOfVulnerability(value, vulnerability);
  return !adviceKeys.some((pattern) => pattern.test(wordsOf(key)));
}
