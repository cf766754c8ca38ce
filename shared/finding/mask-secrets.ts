import { isBuiltIn } from './kubernetes-kinds.ts';
import {
  anyCommand,
  anyName,
  assigned,
  containerCommand,
  flag,
  formats,
  marked,
  options,
  type Pattern,
  prefixed,
  said,
  secretData,
  secretKey,
  secretLine,
  secretMember,
  secretObject,
  userOption,
  variable,
} from './secret-patterns.ts';

/** Replaces a secret. */
const mask = '***';

/** An Observation can't hold longer texts anyway, so the patterns never need to run on more than this. */
const maxTextLength = 16_384;

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

const harmlessWords: ReadonlySet<string> = new Set(words);

/** What may follow a word in a sentence. */
const punctuation = /[.:)\]}]{0,3}$/;

/** References to where a secret is, placeholders, a list's item: none of these is a secret itself. */
const harmlessForm =
  /^(?:-|--[a-z][\w-]{0,64}|[|>][+-]?|pass:\*{3}|\*{2,}|\$\([^()]{1,128}\)|\$\{\{|\$\{\{?[^{}]{1,128}\}{1,2}|\$[A-Z_][A-Z0-9_]{1,64}|\{\{.{0,128}|%[a-z][a-z.]{1,64}%?|%\([\w.-]{1,64}\)s|%[sdvq]|<[^<>]{0,64}>|\[[A-Z_ -]{1,64}\]|\/(?:etc|var|run|root|home|usr|opt|tmp|proc|mnt|app|dev|secrets?|vault|data|srv)\/[\w./@-]{1,256}|x{3,64}|\.{3})[.:)\]}]{0,3}$/;

/** Names of what holds the value: a variable of a program or template, an entry of a store of secrets. */
const reference =
  /^(?:(?:var|local|module|data|each|self|process\.env|os\.environ|env|secrets|vars|steps|inputs|random_password|random_string|aws_\w{1,64}|azurerm_\w{1,64}|google_\w{1,64}|kubernetes_\w{1,64}|\.Values|\$\.|\w{1,32}\.get)[.[(][\w.[\]"'(){}/$-]{1,256}|(?:os\.|System\.)?getenv\(.{0,128}|arn:aws[\w-]{0,16}:[\w:/.*-]{1,256}|projects\/[\w/.-]{1,256}|(?:op|vault|sm|ssm|env|file|kms|awssm|gcpsm|akv|ref\+\w{1,32}):[\w/.#:@-]{1,256}|!(?:Ref|Sub|GetAtt|vault)|valueFrom|secretKeyRef|sha(?:1|256|384|512):[a-f0-9]{8,128})[.:)\]}]{0,3}$/;

/** How long something took. */
const duration = /^\d{1,12}(?:\.\d{1,12})?(?:[nuµm]?s|[mh])$/;

/** A tag after an image's name, such as `sealed-secrets:v0.27.1`. */
const imageTag = /^(?:v?\d{1,8}(?:\.\d{1,8}){1,3}(?:[-+.][\w.-]{1,64})?|latest|stable|main|master|edge|nightly)$/;

const letters = /^[a-z][a-z'-]{0,31}[.:)\]}]{0,3}$/i;

/** Several of what isn't shown itself: `secrets: 3`, `tokens: get`. */
const plural = /(?:secrets|tokens|credentials|creds|keys|passwords)$/i;

const password = /pass|pwd|kennwort|senha|contrase/i;

/** How many passed, such as `total_pass: 3`, and what passed. */
const countOfPassed = /(?:^|[^a-z])pass$/i;

/** A word after which a sentence goes on, and not the next name with its value. */
const sentence = /^ [a-z(][a-z'()-]{0,31}(?=[ .,;]|$)/i;

/** `Pod.shop.web` and `Pod/web`: an object, whatever is found in it. */
function isObject(value: string): boolean {
  return isBuiltIn(value.split(/[./]/, 1)[0] ?? '') && /^[A-Z][A-Za-z]{1,62}[./][\w./:-]{1,256}$/.test(value);
}

/** Whether a value says something about a secret instead of being one. */
function isHarmlessValue(value: string): boolean {
  return (
    isObject(value) ||
    harmlessWords.has(value.toLowerCase().replace(punctuation, '')) ||
    harmlessForm.test(value) ||
    reference.test(value) ||
    duration.test(value)
  );
}

/** What stands right before a name, in the same word: `/etc/` before `passwd`. */
const pathBefore = /(?:^|[\s"'(=:])(?:\.{0,2}\/|[\w.-]{1,64}\/)[\w./-]{0,128}$/;

interface Assignment {
  /** The name as far as it tells a secret, and what stands before it. */
  readonly name: string;
  readonly before: string;
  readonly sign: string;
  readonly value: string;
  /** What follows the value. */
  readonly rest: string;
}

/** Whether what stands after a colon is what a program says of a file, or an image's tag, and no value. */
function isAfterPath({ name, before, sign, value }: Assignment): boolean {
  return sign === ':' && (pathBefore.test(before) || (imageTag.test(value) && !password.test(name)));
}

/** The variable with the folder that a shell is in. */
function isFolder({ name, value }: Assignment): boolean {
  return /^pwd$/i.test(name) && /^[/.~]/.test(value);
}

/** Whether what stands after a name in a sentence is no secret: it is a word, a reference, the rest of the sentence. */
function isHarmless(assignment: Assignment): boolean {
  const { name, value, sign, rest } = assignment;
  if (value.split(/[,;&]/).every(isHarmlessValue)) return true;
  if (isAfterPath(assignment) || isFolder(assignment)) return true;
  if (value.startsWith('<') && /^[^<>\n]{0,64}>/.test(rest)) return true;
  if (plural.test(name) && (letters.test(value) || /^\d{1,6}$/.test(value))) return true;
  if (countOfPassed.test(name)) return /^\d{1,6}$/.test(value) || (sign.includes(':') && letters.test(value));
  if (password.test(name)) return false;
  // A pass phrase may look like a sentence, a token doesn't.
  return letters.test(value) && sentence.test(rest);
}

/** Brackets that close what stood around a value without quotation marks. */
const closing = /[)\]}>]{0,4}$/;

/** The scheme of a header, which is no secret. */
const schemes =
  /^(?:bearer|basic|token|negotiate|ntlm|digest|oauth|apikey|key|splunk|genie\s?key|sso-key|hmac|hawk|signature|sharedkey(?:lite)?|aws4-hmac-sha256)$/i;

/** Whether what follows the scheme has been masked already. */
function isMaskedHeader(value: string): boolean {
  return value.endsWith(` ${mask}`) && schemes.test(value.slice(0, -mask.length - 1));
}

function maskQuoted(match: string, given: string): string {
  const value = given.slice(given.search(/["']/) + 1);
  if (isHarmlessValue(value) || isMaskedHeader(value)) return match;
  return `${match.slice(0, match.length - value.length)}${mask}`;
}

function maskAssigned(text: string): string {
  return text.replace(assigned, (match, ...groups: unknown[]) => {
    const [name, sign, given, unquoted, offset] = groups;
    if (typeof given === 'string') return maskQuoted(match, given);
    const start = Number(offset);
    const value = String(unquoted);
    const assignment = {
      name: String(name),
      before: text.slice(Math.max(0, start - 96), start),
      sign: String(sign).trim(),
      value,
      rest: text.slice(start + match.length, start + match.length + 64),
    };
    if (schemes.test(value) && /^\s/.test(assignment.rest)) return match;
    if (isHarmless(assignment)) return match;
    return `${match.slice(0, match.length - value.length)}${mask}${value.slice(value.search(closing))}`;
  });
}

/** `docker run -u 1000:1000` and `--user www-data:www-data` have a group after the colon. */
function maskUsers(text: string): string {
  const hasGroups = containerCommand.test(text) && !/\bcurl\s/.test(text);
  return text.replace(userOption, (match, prefix: string, user: string, secret: string) => {
    const isGroup = hasGroups || /^\d+:\d+$/.test(`${user}:${secret}`);
    return isGroup ? match : `${prefix}${user}:${mask}`;
  });
}

function maskSecretObject(text: string): string {
  if (!secretObject.test(text)) return text;
  return text
    .replace(
      secretData,
      (_match, prefix: string, members: string) => prefix + members.replace(secretMember, `$1${mask}`),
    )
    .replace(secretLine, `$1${mask}`);
}

/** A single word that is shorter than any format, such as a container's name. */
const shortestText = 16;
const separator = /[\s=:%<>]/;

/** How many of the characters that tokens are made of stand beside one another in every format. */
const shortestToken = 16;
const isOfToken: readonly boolean[] = Array.from({ length: 128 }, (_, code) =>
  /[\w.+/~$=-]/.test(String.fromCharCode(code)),
);

/**
 * Which ASCII characters a text has in lower case, a bit for each, and whether one of the formats may be in it. Some share a bit: then a
 * word is looked for that is not there.
 */
interface Characters {
  readonly letters: number;
  readonly signs: number;
  readonly hasLongToken: boolean;
}

/** Reads a lower-case text once, which is quicker than to look for the word of each pattern in it. */
function charactersOf(lowerCase: string): Characters {
  let letters = 0;
  let signs = 0;
  let run = 0;
  let longest = 0;
  for (let at = 0; at < lowerCase.length; at += 1) {
    const code = lowerCase.charCodeAt(at);
    if (code < 64) signs |= 1 << code;
    else if (code < 128) letters |= 1 << code;
    run = isOfToken[code] === true ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return { letters, signs, hasLongToken: longest >= shortestToken };
}

/** A pattern with the characters of its word. */
type ReadPattern = readonly [...Pattern, needed: Characters];

function withCharacters(patterns: readonly Pattern[]): readonly ReadPattern[] {
  return patterns.map(([needle, pattern]) => [needle, pattern, charactersOf(needle)]);
}

const prefixedPatterns = withCharacters(prefixed);
const formatPatterns = withCharacters(formats);

/**
 * Masks the secrets in a text: whatever follows a name like `password`, and whatever has the format of a known token.
 * What a report says about secrets stays readable.
 */
export function maskText(text: string): string {
  if (text.length < shortestText && !separator.test(text)) return text;
  const known = text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
  const lowerCase = known.toLowerCase();
  const characters = charactersOf(lowerCase);
  let masked = maskEach(prefixedPatterns, `$1${mask}`, maskSecretObject(known), lowerCase, characters);
  if (anyCommand.test(masked)) masked = maskOptions(masked);
  if (lowerCase.includes('-u')) masked = maskUsers(masked);
  if (anyName.test(masked)) masked = maskNamed(masked);
  return characters.hasLongToken ? maskEach(formatPatterns, mask, masked, lowerCase, characters) : masked;
}

function maskEach(
  patterns: readonly ReadPattern[],
  by: string,
  text: string,
  lowerCase: string,
  { letters, signs }: Characters,
): string {
  let masked = text;
  for (const [needle, pattern, needed] of patterns) {
    if ((needed.letters & ~letters) !== 0 || (needed.signs & ~signs) !== 0) continue;
    if (lowerCase.includes(needle)) masked = masked.replace(pattern, by);
  }
  return masked;
}

function maskOptions(text: string): string {
  let masked = text;
  for (const [command, option] of options) if (command.test(masked)) masked = masked.replace(option, `$1${mask}`);
  return masked;
}

/** Masks what names say is secret. */
function maskNamed(text: string): string {
  let masked = text;
  for (const named of [flag, variable, said]) {
    masked = masked.replace(named, (match: string, prefix: string, value: string) =>
      isHarmlessValue(value) ? match : `${prefix}${mask}`,
    );
  }
  masked = masked.replace(marked, (_match, ...groups: unknown[]) => `${groups.find(Boolean)}${mask}`);
  return maskAssigned(masked);
}

/** Values that are nested deeper than this are masked whole. */
const maxDepth = 32;

/** What a member is called that holds the value of what is around it: {"password": {"value": "x"}}. */
const valueKey = /^(?:value|data|plain|text|content|current|default)$/i;

/** The name of what a member holds: its key, or that of an environment variable or an object, whose value it is. */
function nameOf(key: string, object: object, around: string | undefined): string {
  if (key === 'value' && 'name' in object && typeof object.name === 'string') return object.name;
  return around !== undefined && valueKey.test(key) ? around : key;
}

function maskMember(name: string, value: unknown, depth: number): unknown {
  if (!secretKey.test(name) || depth > maxDepth) return maskSecrets(value, depth);
  if (typeof value === 'string') return isHarmlessValue(value) ? value : mask;
  if (typeof value === 'number') return password.test(name) && !countOfPassed.test(name) ? mask : value;
  return Array.isArray(value)
    ? value.map((item) => maskMember(name, item, depth + 1))
    : maskSecrets(value, depth, name);
}

/** A command's option whose value is the next item of a list: ["--password", "x"]. */
const option = /^--?[\w.-]{1,96}$/;

function maskItem(item: unknown, before: unknown, depth: number): unknown {
  const isValue =
    typeof item === 'string' && typeof before === 'string' && option.test(before) && !item.startsWith('-');
  return isValue ? maskMember(before, item, depth) : maskSecrets(item, depth);
}

/**
 * Masks the secrets in all strings of a value, at any depth; a string whose key names a secret is masked whole. `around` is the name of
 * a secret that the value belongs to.
 */
export function maskSecrets(value: unknown, depth = 0, around?: string): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return mask;
  if (Array.isArray(value)) return value.map((item, index) => maskItem(item, value[index - 1], depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, maskMember(nameOf(key, value, around), item, depth + 1)]),
  );
}
