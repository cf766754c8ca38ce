import type { RE2JS } from '@bufbuild/re2';
import { library } from './expression-library.ts';

/** How much work is left to do; below zero it is over. */
export interface Meter {
  left: number;
}

/** A regular expression whose work is counted. That depends on the pattern and the text alone. */
export interface Pattern {
  /** Whether it is found in a text. Once nothing is left of the work, the answer is false. */
  test(text: string, meter: Meter): boolean;
}

/** How many instructions are looked at for one unit of work. */
const stepsPerWork = 16;

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

type Instruction = ReturnType<ReturnType<RE2JS['re2']>['prog']['getInst']>;

/** A pattern as it is searched for. What it works with is made once: one search ends before the next begins. */
interface Search {
  readonly instructions: readonly Instruction[];
  readonly start: number;
  /** What each match begins with; it may be empty. */
  readonly prefix: string;
  /** Whether a match begins where the text does. */
  readonly isAnchored: boolean;
  /** Whether a match may begin with an ASCII character; `undefined` if one may begin without a character. */
  readonly first: readonly boolean[] | undefined;
  /** For each instruction the round in which it was reached. */
  readonly reached: Float64Array;
  round: number;
  isMatch: boolean;
  /** How many instructions have been looked at. */
  steps: number;
  /** The instructions that wait for a character. */
  readonly waiting: number[];
}

/** Follows an instruction to all that can be reached without a character. */
function follow(search: Search, pc: number, context: number): void {
  const one = search.instructions[pc];
  if (!one || search.reached[pc] === search.round) return;
  search.reached[pc] = search.round;
  search.steps++;
  switch (one.op) {
    case alternative:
    case alternativeMatch:
      follow(search, one.out, context);
      follow(search, one.arg, context);
      return;
    case capture:
    case noOperation:
      follow(search, one.out, context);
      return;
    case emptyWidth:
      if ((one.arg & ~context) === 0) follow(search, one.out, context);
      return;
    case match:
      search.isMatch = true;
      return;
    default:
      if (one.op >= firstRune) search.waiting.push(pc);
  }
}

/** Begins a round: what can be reached from some instructions, and from the start. */
function reach(search: Search, from: readonly number[], context: number): void {
  search.round++;
  search.isMatch = false;
  search.waiting.length = 0;
  for (const pc of from) follow(search, pc, context);
  follow(search, search.start, context);
}

/** Where a match may begin at the earliest; -1 if nowhere. */
function beginning({ isAnchored, prefix, first }: Search, text: string, at: number): number {
  if (isAnchored && at > 0) return -1;
  if (prefix !== '' || !first) return text.indexOf(prefix, at);
  for (let next = at; next < text.length; next++) {
    const code = text.charCodeAt(next);
    if (code > 0x7f || first[code]) return next;
  }
  return -1;
}

function find(search: Search, text: string, meter: Meter): boolean {
  let next: number[] = [];
  for (let at = 0; ; ) {
    if (next.length === 0) at = beginning(search, text, at);
    if (at < 0) return false;
    const rune = text.codePointAt(at) ?? -1;
    search.steps = 1;
    reach(search, next, contextBetween(text.codePointAt(at - 1) ?? -1, rune));
    if (search.isMatch) return true;
    meter.left -= search.steps / stepsPerWork;
    if (rune < 0 || meter.left < 0) return false;
    next = after(search, rune);
    at += rune > 0xffff ? 2 : 1;
  }
}

/** Where those that wait lead that take a character. */
function after({ instructions, waiting }: Search, rune: number): number[] {
  const next: number[] = [];
  for (const pc of waiting) {
    const one = instructions[pc];
    if (one?.matchRune(rune)) next.push(one.out);
  }
  return next;
}

/** With which ASCII characters a match may begin; `undefined` if that depends on what is around, or none is needed. */
function firstOf(search: Search): readonly boolean[] | undefined {
  reach(search, [], 0);
  const asksFirst = search.instructions.some(({ op }, pc) => op === emptyWidth && search.reached[pc] === search.round);
  if (asksFirst || search.isMatch) return undefined;
  const waiting = search.waiting.map((pc) => search.instructions[pc]);
  return Array.from({ length: 128 }, (_, code) => waiting.some((one) => one?.matchRune(code)));
}

function parsePattern(pattern: string): ReturnType<RE2JS['re2']> | string {
  try {
    return library.re2().RE2JS.compile(pattern).re2();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Compiles a pattern in RE2's syntax, or says why it can't be taken. All states that it may be in are followed at once, so
 * that no text takes it more than its instructions times the text's characters. (The library's own matcher keeps each set of
 * states that it meets: 50 MB for some patterns, and 50 ms for one text.)
 */
export function compilePattern(pattern: string): Pattern | string {
  const parsed = parsePattern(pattern);
  if (typeof parsed === 'string') return parsed;
  const { prog, prefix, prefixComplete } = parsed;
  if (prog.numInst() > maxInstructions) return 'the pattern is too large: it repeats too much';
  if (prefixComplete && prefix !== '') return { test: (text) => text.includes(prefix) };
  const search: Search = {
    instructions: prog.inst,
    start: prog.start,
    prefix,
    isAnchored: (prog.startCond() & beginText) !== 0,
    first: undefined,
    reached: new Float64Array(prog.numInst()),
    round: 0,
    isMatch: false,
    steps: 0,
    waiting: [],
  };
  const first = firstOf(search);
  const prepared = { ...search, first };
  return { test: (text, meter) => find(prepared, text, meter) };
}
