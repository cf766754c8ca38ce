/** Replaces a secret. */
const mask = '***';

/** An Observation can't hold longer texts anyway, so the patterns never need to run on more than this. */
const maxTextLength = 16_384;

const secretNames = `(?:[a-z0-9_.-]{0,48})(?:passwords?|passwd|passphrase|pwd|secrets?|tokens?|api[-_]?keys?|access[-_]?keys?|private[-_]?keys?|credentials?|authorization)`;

/**
 * Each match is a prefix (the first group, which is kept) and a secret (which is masked). Every repetition is bounded,
 * so that hostile input can't make them slow.
 */
const patterns: readonly RegExp[] = [
  // Authorization: Bearer x; -H "Authorization: Basic x"
  /(\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:(?:bearer|basic|token|negotiate|digest)\s{1,4})?)[^\s"',;]{1,4096}/gi,
  /(\bbearer\s{1,4})[\w.~+/=-]{8,4096}/gi,
  // --password x, --api-key=x, PGPASSWORD=x, "token": "x", ?access_token=x
  new RegExp(String.raw`(--${secretNames}(?:\s{1,4}|=)["']?)(?!-)[^\s"']{1,4096}`, 'gi'),
  new RegExp(
    String.raw`(\b${secretNames}["']?\s{0,4}[=:]\s{0,4}["']?)(?!\*\*\*|\s)(?!(?:bearer|basic|token)\s)[^\s"',;&]{1,4096}`,
    'gi',
  ),
  // https://user:x@host
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@]{0,128}:)[^\s@/]{1,1024}(?=@)/gi,
  // curl -u user:x, sshpass -p x
  /(\s(?:-u|--user)[\s=]{1,2}[^\s:]{1,128}:)[^\s]{1,1024}/g,
  /(\bsshpass\s{1,4}-p\s{0,4})[^\s]{1,256}/g,
];

/** Secrets that are recognizable by their format, whatever precedes them. */
const formats: readonly RegExp[] = [
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,255}\b/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,255}\b/g,
  /\bglpat-[\w-]{20,64}\b/g,
  /\bxox[abposr]-[A-Za-z0-9-]{10,255}\b/g,
  /\beyJ[\w.-]{20,8192}/g,
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]{0,16384}(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g,
];

/** `mysql -px`: only database clients take the password right after -p. */
const databaseClient = /\b(?:mysql|mariadb)/;
const databasePassword = /(\s-p)(?![\s-])\S{1,255}/g;

/**
 * A text that has none of these holds no secret that we recognize: one quick test instead of a dozen for most texts.
 */
const hint =
  /pass|pwd|secret|token|key|credential|authorization|bearer|:\/\/|-u|mysql|mariadb|AKIA|ASIA|gh[opusr]_|github_pat_|glpat-|xox|eyJ/i;

/**
 * Masks the secrets in a text: whatever follows a name like `password`, and whatever has the format of a known token.
 */
export function maskText(text: string): string {
  return hint.test(text) ? maskMatches(text) : text.slice(0, maxTextLength);
}

/** The same, without the quick test. */
export function maskMatches(text: string): string {
  let masked = text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
  for (const pattern of patterns) masked = masked.replace(pattern, `$1${mask}`);
  if (databaseClient.test(masked)) masked = masked.replace(databasePassword, `$1${mask}`);
  for (const format of formats) masked = masked.replace(format, mask);
  return masked;
}

const secretKey = new RegExp(`^${secretNames}$`, 'i');

/** Values that are nested deeper than this are masked whole. */
const maxDepth = 32;

/** Masks the secrets in all strings of a value, at any depth; a string whose key names a secret is masked whole. */
export function maskSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return mask;
  if (Array.isArray(value)) return value.map((item) => maskSecrets(item, depth + 1));
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    typeof item === 'string' && secretKey.test(key) ? mask : maskSecrets(item, depth + 1),
  ]);
  return Object.fromEntries(entries);
}
