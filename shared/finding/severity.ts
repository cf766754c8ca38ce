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

/** Maps a tool's severity word, in any case, to ours; a word that is unknown or absent is `UNKNOWN`. */
export function parseSeverity(word: unknown): Severity {
  if (typeof word !== 'string') return 'UNKNOWN';
  const key = word.trim().toLowerCase();
  return Object.hasOwn(words, key) ? (words[key] ?? 'UNKNOWN') : 'UNKNOWN';
}
