export const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] as const;

export type Severity = (typeof severities)[number];

const words: Readonly<Record<string, Severity>> = {
  critical: 'CRITICAL',
  fatal: 'CRITICAL',
  emergency: 'CRITICAL',
  high: 'HIGH',
  error: 'HIGH',
  alert: 'HIGH',
  medium: 'MEDIUM',
  warning: 'MEDIUM',
  warn: 'MEDIUM',
  low: 'LOW',
  info: 'LOW',
  informational: 'LOW',
  notice: 'LOW',
  negligible: 'LOW',
};

/** Our severity for a tool's word, in any case; `UNKNOWN` if the word is absent or not in the table. */
export function parseSeverity(word: unknown): Severity {
  if (typeof word !== 'string') return 'UNKNOWN';
  const key = word.trim().toLowerCase();
  return Object.hasOwn(words, key) ? (words[key] ?? 'UNKNOWN') : 'UNKNOWN';
}

/** Whether a severity is below another one. Of an UNKNOWN one nobody knows that. */
export function isBelow(severity: Severity, minimum: Severity): boolean {
  return severity !== 'UNKNOWN' && severities.indexOf(severity) > severities.indexOf(minimum);
}
