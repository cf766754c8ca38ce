/** Replaces a secret. */
const mask = '***';

/** An Observation can't hold longer texts anyway, so the patterns never need to run on more than this. */
const maxTextLength = 16_384;

const secretNames = `(?:[a-z0-9_.-]{0,48})(?:passwords?|passwd|passphrase|passcode|pwd|[a-z0-9][_-]pass|secrets?|tokens?|(?:api|access|private|secret|encryption|signing|shared|account|storage)[-_]?keys?|credentials?|authorization)`;

/** `\"` in JSON that is itself in a JSON text, or just a quotation mark. */
const quote = String.raw`\\{0,2}["']`;

/**
 * What a name is followed by if a value follows. What a list or an object holds has names of its own.
 */
const assigned = new RegExp(
  String.raw`(\b(${secretNames})(?:${quote})?\s{0,4}[=:]\s{0,4})(?![[{])(?:(${quote})([^"'\n]{1,4096})|([^\s"',;&]{1,4096}))`,
  'gi',
);

/** --password x, --api-key=x */
const flag = new RegExp(String.raw`(--${secretNames}(?:\s{1,4}|=)["']?)(?!-)([^\s"']{1,4096})`, 'gi');

/** The two members of a container's environment variable: {"name": "DB_PASSWORD", "value": "x"}. */
const variable = new RegExp(
  String.raw`(\bname(?:${quote})?\s{0,4}[=:]\s{0,4}(?:${quote})?${secretNames}(?:${quote})?[\s,]{1,24}(?:${quote})?value(?:${quote})?\s{0,4}[=:]\s{0,4}(?:${quote})?)([^\s"',;&]{1,4096})`,
  'gi',
);

/**
 * Each match is a prefix (the first group, which is kept) and a secret (which is masked). Every repetition is bounded,
 * so that hostile input can't make them slow.
 */
const patterns: readonly RegExp[] = [
  // Authorization: Bearer x; -H "Authorization: Basic x"
  /(\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:bearer|basic|token|negotiate|digest)\s{1,4})[^\s"',;]{1,4096}/gi,
  /(\bbearer\s{1,4})(?=[^\s"',;]{0,256}[\d._~+/=-])[\w.~+/=-]{8,4096}/gi,
  // Cookie: session=x
  /(\bcookie["']?\s{0,4}:\s{0,4}["']?)[^\s"'=:]{1,256}=[^"'\n]{1,4096}/gi,
  // https://user:x@host
  /(:\/\/[^\s:/@]{0,128}:)[^\s@/]{1,1024}(?=@)/g,
  // ?sig=x, of a URL that is signed
  /([?&](?:sig|signature|x-amz-signature)=)[^\s"'&]{1,1024}/gi,
  // curl -u user:x, sshpass -p x, kubectl create secret generic name --from-literal=key=x
  /(\s(?:-u|--user)[\s=]{1,2}[^\s:]{1,128}:)[^\s]{1,1024}/g,
  /(\bsshpass\s{1,4}-p\s{0,4})[^\s]{1,256}/g,
  /(--from-literal[\s=]{1,2}["']?[^\s=]{1,128}=)[^\s"']{1,4096}/g,
];

/** Options that only some commands take a password from. */
const options: readonly (readonly [command: RegExp, option: RegExp])[] = [
  [/\b(?:mysql|mariadb)/, /(\s-p)(?![\s-])\S{1,255}/g],
  [/\blogin\b/, /(\s-p\s{1,4})(?!-)\S{1,255}/g],
  [/\bredis-cli\b/, /(\s-a\s{1,4})(?!-)\S{1,255}/g],
];

/** Secrets that are recognizable by their format, whatever precedes them. */
const formats: readonly RegExp[] = [
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bAIza[\w-]{35}/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,255}\b/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,255}\b/g,
  /\bglpat-[\w-]{20,64}\b/g,
  /\b(?:sk|rk)_live_[A-Za-z0-9]{16,255}/g,
  /\bhv[sbr]\.[\w-]{20,255}/g,
  /\bnpm_[A-Za-z0-9]{36}\b/g,
  /\bxox[abposr]-[A-Za-z0-9-]{10,255}\b/g,
  /\beyJ[\w.-]{20,8192}/g,
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]{0,16384}(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g,
];

/**
 * A text that has none of these holds no secret that we recognize: one quick test instead of two dozen for most texts.
 */
const hint =
  /pass|pwd|secret|token|key|credential|authorization|bearer|cookie|sig|:\/\/|-u|--from-literal|mysql|mariadb|login|redis-cli|AKIA|ASIA|AIza|gh[opusr]_|github_pat_|glpat-|_live_|hv[sbr]\.|npm_|xox|eyJ/i;

/** What reports say of a secret instead of showing it, and how sentences go on that begin like `Token: `. */
const words = [
  'true false null none nil undefined unset empty yes no enabled disabled redacted masked hidden default',
  'required optional missing absent present invalid valid validation verification error errors warning failed failure unknown',
  'argument arguments flag flags option options parameter parameters field fields value values file files',
  'is are was were has have had be been being must should shall may might can cannot could will would do does did not never',
  'and or of for from in into on to with without by as at if when where than then but the a an this that these those it its',
  'all any each every some other ensure check verify use uses using used set sets avoid remove add make get list watch',
  'create update patch delete deletecollection mode access found only you your we our they',
].flatMap((line) => line.split(' '));

const harmlessWord = new RegExp(String.raw`^(?:${words.join('|')})[.:)\]}]{0,3}$`, 'i');

/** References to where a secret is, placeholders, a list's item: none of these is a secret itself. */
const harmlessForm =
  /^(?:-|\*{2,}|\$\([^()]{1,128}\)|\$\{[^{}]{1,128}\}|\$[A-Z_][A-Z0-9_]{1,64}|\{\{.{0,128}|%[a-z][a-z.]{1,64}|<[^<>]{0,64}>|\/(?:etc|var|run|root|home|usr|opt|tmp|proc|mnt|app)\/[\w./-]{1,256})[.:)\]}]{0,3}$/;

/** How long something took. */
const duration = /^\d{1,12}(?:\.\d{1,12})?(?:[nuµm]?s|[mh])$/;

const letters = /^[a-z][a-z'-]{0,31}[.:)\]}]{0,3}$/i;

/** Several of what isn't shown itself: `secrets: 3`, `tokens: get`. */
const plural = /(?:secrets|tokens|credentials|keys|passwords)$/i;

const password = /pass|pwd/i;

/** How many passed, such as `total_pass: 3`. */
const countOfPassed = /[_-]pass$/i;

/** A word after which a sentence goes on, and not the next name with its value. */
const sentence = /^ [a-z(][a-z'()-]{0,31}(?=[ .,;]|$)/i;

/** Whether a value says something about a secret instead of being one. */
function isHarmlessValue(value: string): boolean {
  return harmlessWord.test(value) || harmlessForm.test(value) || duration.test(value);
}

/** Whether what stands after a name in a sentence is no secret: it is a word, a reference, the rest of the sentence. */
function isHarmless(name: string, value: string, rest: string): boolean {
  if (isHarmlessValue(value)) return true;
  if (plural.test(name) && (letters.test(value) || /^\d{1,6}$/.test(value))) return true;
  if (password.test(name)) return countOfPassed.test(name) && /^\d{1,6}$/.test(value);
  // A pass phrase may look like a sentence, a token doesn't.
  return letters.test(value) && sentence.test(rest);
}

function maskAssigned(text: string): string {
  return text.replace(assigned, (match, ...groups: unknown[]) => {
    const [prefix, name, opening, quoted, plain, offset] = groups;
    const rest = text.slice(Number(offset) + match.length, Number(offset) + match.length + 64);
    if (typeof quoted === 'string') {
      const closing = /\\{0,2}$/.exec(quoted)?.[0] ?? '';
      const value = quoted.slice(0, quoted.length - closing.length);
      return isHarmlessValue(value) ? match : `${prefix}${opening}${mask}${closing}`;
    }
    const value = String(plain);
    // The scheme of a header is no secret; what follows it is masked already.
    if (/^(?:bearer|basic|token|negotiate|digest)$/i.test(value) && /^\s/.test(rest)) return match;
    return isHarmless(String(name), value, rest) ? match : `${prefix}${mask}`;
  });
}

/**
 * Masks the secrets in a text: whatever follows a name like `password`, and whatever has the format of a known token.
 * What a report says about secrets stays readable.
 */
export function maskText(text: string): string {
  return hint.test(text) ? maskMatches(text) : text.slice(0, maxTextLength);
}

/** The same, without the quick test. */
export function maskMatches(text: string): string {
  let masked = text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
  for (const pattern of patterns) masked = masked.replace(pattern, `$1${mask}`);
  for (const [command, option] of options) if (command.test(masked)) masked = masked.replace(option, `$1${mask}`);
  for (const named of [flag, variable]) {
    masked = masked.replace(named, (match: string, prefix: string, value: string) =>
      isHarmlessValue(value) ? match : `${prefix}${mask}`,
    );
  }
  masked = maskAssigned(masked);
  for (const format of formats) masked = masked.replace(format, mask);
  return masked;
}

const secretKey = new RegExp(`^${secretNames}$`, 'i');

/** Values that are nested deeper than this are masked whole. */
const maxDepth = 32;

/** The name of what a member holds: its key, or that of an environment variable, which is in the member beside it. */
function nameOf(key: string, object: object): string {
  return key === 'value' && 'name' in object && typeof object.name === 'string' ? object.name : key;
}

function maskMember(name: string, value: unknown, depth: number): unknown {
  if (!secretKey.test(name) || depth > maxDepth) return maskSecrets(value, depth);
  if (typeof value === 'string') return isHarmlessValue(value) ? value : mask;
  return Array.isArray(value) ? value.map((item) => maskMember(name, item, depth + 1)) : maskSecrets(value, depth);
}

/** Masks the secrets in all strings of a value, at any depth; a string whose key names a secret is masked whole. */
export function maskSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return mask;
  if (Array.isArray(value)) return value.map((item) => maskSecrets(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, maskMember(nameOf(key, value), item, depth + 1)]),
  );
}
