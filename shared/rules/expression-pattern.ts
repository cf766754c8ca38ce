import { RE2JS } from '@bufbuild/re2';

/** A regular expression whose work can be counted. It depends on the pattern and the text alone. */
export interface Pattern {
  /** Whether it is found in a text. `spend` is told of each step's work; once it says false, the answer is false. */
  test(text: string, spend: (work: number) => boolean): boolean;
}

/** How many instructions a pattern may have: about as many as it has characters, once its repetitions are written out. */
const maxInstructions = 500;

/** The library's instructions, by their numbers. */
const alternative = 1;
const alternativeMatch = 2;
const capture = 3;
const emptyWidth = 4;
const match = 6;
const noOperation = 7;
const firstRune = 8;

/** What an empty match may ask for, as the library's bits. */
const beginLine = 1;
const endLine = 2;
const beginText = 4;
const endText = 8;
const wordBoundary = 16;
const noWordBoundary = 32;

function isWord(rune: number): boolean {
  return (
    (rune >= 0x61 && rune <= 0x7a) || (rune >= 0x41 && rune <= 0x5a) || (rune >= 0x30 && rune <= 0x39) || rune === 0x5f
  );
}

/** What holds between two characters; -1 is the end of the text on that side. */
function contextBetween(before: number, after: number): number {
  return (
    (before < 0 ? beginText : 0) |
    (before < 0 || before === 0x0a ? beginLine : 0) |
    (after < 0 ? endText : 0) |
    (after < 0 || after === 0x0a ? endLine : 0) |
    (isWord(before) === isWord(after) ? noWordBoundary : wordBoundary)
  );
}

type Program = ReturnType<ReturnType<RE2JS['re2']>['prog']['getInst']>[];

/** Where an instruction leads that asks for no character, if what it asks for holds. */
function leadsTo(one: Program[number], context: number): readonly number[] {
  switch (one.op) {
    case alternative:
    case alternativeMatch:
      return [one.arg, one.out];
    case capture:
    case noOperation:
      return [one.out];
    case emptyWidth:
      return (one.arg & ~context) === 0 ? [one.out] : [];
    default:
      return [];
  }
}

/** The instructions that wait for a character. */
interface Waiting {
  readonly list: readonly number[];
  readonly isMatch: boolean;
}

/** What can be reached from some instructions without a character. */
function closure(program: Program, from: readonly number[], context: number): Waiting {
  const seen = new Set<number>();
  const open = [...from];
  const list: number[] = [];
  let isMatch = false;
  for (let pc = open.pop(); pc !== undefined; pc = open.pop()) {
    const one = program[pc];
    if (!one || seen.has(pc)) continue;
    seen.add(pc);
    if (one.op >= firstRune) list.push(pc);
    else if (one.op === match) isMatch = true;
    else open.push(...leadsTo(one, context));
  }
  return { list, isMatch };
}

/** Where those of some instructions lead that take a character. */
function step(program: Program, list: readonly number[], rune: number): number[] {
  const next: number[] = [];
  for (const pc of list) {
    const one = program[pc];
    if (one?.matchRune(rune)) next.push(one.out);
  }
  return next;
}

function parsePattern(pattern: string): ReturnType<RE2JS['re2']> | string {
  try {
    return RE2JS.compile(pattern).re2();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A pattern as it is searched for. */
interface Compiled {
  readonly program: Program;
  readonly start: number;
  /** What each match begins with; it may be empty. */
  readonly prefix: string;
  /** Whether a match begins where the text does. */
  readonly isAnchored: boolean;
}

/** Where a match may begin at the earliest; -1 if nowhere. */
function beginning({ isAnchored, prefix }: Compiled, text: string, at: number): number {
  return isAnchored && at > 0 ? -1 : text.indexOf(prefix, at);
}

function search(compiled: Compiled, text: string, spend: (work: number) => boolean): boolean {
  const { program, start } = compiled;
  let next: readonly number[] = [];
  for (let at = 0; ; ) {
    if (next.length === 0) at = beginning(compiled, text, at);
    if (at < 0) return false;
    const rune = text.codePointAt(at) ?? -1;
    const { list, isMatch } = closure(program, [...next, start], contextBetween(text.codePointAt(at - 1) ?? -1, rune));
    if (isMatch) return true;
    if (rune < 0 || !spend(list.length + 1)) return false;
    next = step(program, list, rune);
    at += rune > 0xffff ? 2 : 1;
  }
}

/**
 * Compiles a pattern in RE2's syntax, or says why it can't be taken. All states that it may be in are followed at once, so
 * that no text takes it more than its instructions times the text's characters. (The library's own matcher keeps each set of
 * states that it meets: 50 MB for some patterns.)
 */
export function compilePattern(pattern: string): Pattern | string {
  const parsed = parsePattern(pattern);
  if (typeof parsed === 'string') return parsed;
  const { prog, prefix, prefixComplete } = parsed;
  if (prog.numInst() > maxInstructions) return 'the pattern is too large: it repeats too much';
  if (prefixComplete && prefix !== '') return { test: (text) => text.includes(prefix) };
  const isAnchored = (prog.startCond() & beginText) !== 0;
  const compiled = { program: prog.inst, start: prog.start, prefix, isAnchored };
  return { test: (text, spend) => search(compiled, text, spend) };
}
