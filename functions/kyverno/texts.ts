import { type Properties, pick, wordsOf } from './properties.ts';
import { isShownOfVulnerability, type Vulnerability } from './vulnerabilities.ts';

const adviceKeys = [/\bremediations?$/, /\bresolution$/, /\bsolution$/, /\bmitigation$/, /\brecommendations?$/];

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
