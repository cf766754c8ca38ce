/** How much of a summary a list, a chat or a narrow terminal shows. */
export const shownLength = 80;

/**
 * `<rule> <what> (<object>)`. Where that is longer than what is shown, the object comes first: `<rule> (<object>): <what>`.
 */
export function withObject(rule: string, what: string, object: string | undefined, separator = ' '): string {
  const line = [rule, what].filter((part) => part !== '').join(separator);
  if (object === undefined) return line;
  const whole = `${line} (${object})`;
  return whole.length <= shownLength || rule === '' || what === '' ? whole : `${rule} (${object}): ${what}`;
}

/** `3 LOW vulnerabilities, 2 with a fix`. */
export function vulnerabilityCount(counts: string, total: number, withFix: number): string {
  if (total === 1) return `${counts} vulnerability, ${withFix > 0 ? 'with' : 'without'} a fix`;
  const some = withFix >= total ? 'all' : withFix;
  return `${counts} vulnerabilities, ${withFix > 0 ? some : 'none'} with a fix`;
}
