import type { CelFunc, CelInput, CelResult, CelValue, celEnv, parse } from '@bufbuild/cel';
import type { Expr } from '@bufbuild/cel-spec/cel/expr/syntax_pb.js';
import * as z from 'zod';
import { checkExpression } from './expression-check.ts';
import { library } from './expression-library.ts';
import { compilePattern, type Meter, type Pattern } from './expression-pattern.ts';
import { ExpressionFault, namespaceName, positionOf, readSource } from './expression-source.ts';
import { type Judged, type Mapped, variable, variableNames } from './expression-values.ts';

/**
 * The Common Expression Language (https://cel.dev), as filters, exceptions, mappings and announcements use it. Nothing else imports the library.
 */

/** An expression could not be answered; why, and where in it. */
export interface ExpressionFailure {
  readonly failure: string;
}

/** Whether it holds. An answer depends on the expression and what it is asked about alone: work is counted, and no clock is asked. */
export type Expression = (judged: Judged, mapped?: Mapped) => boolean | ExpressionFailure;

/** Why an expression can't be accepted, and where. */
export interface ExpressionRefusal {
  readonly refusal: string;
}

/**
 * How much work one answer may take: about as many nodes of the expression as it may visit. At 0.3 microseconds each that is far below 5 ms.
 */
const maxWork = 6000;

const charactersPerWork = 64;
/** Of a time zone by its name, which Intl looks up anew each time. */
const zoneWork = 1000;

type EnvironmentOptions = NonNullable<Parameters<typeof celEnv>[0]>;
type ParsedExpression = ReturnType<typeof parse>;

const tooMuchWork = 'it needs more work than an expression may take';

function spend(meter: Meter, work: number): void {
  meter.left -= work;
  if (meter.left < 0) throw new Error(tooMuchWork);
}

function sizeOf(value: CelValue | undefined): number {
  const { isCelList, isCelMap } = library.cel();
  if (typeof value === 'string') return value.length / charactersPerWork;
  if (value instanceof Uint8Array) return value.length / charactersPerWork;
  return isCelList(value) || isCelMap(value) ? value.size : 0;
}

const sizedTypes = ['string', 'bytes', 'list', 'map', 'dyn'];

function isSized({ target, arguments: args }: CelFunc): boolean {
  return [target, ...args].some((type) => type !== undefined && sizedTypes.includes(type.name));
}

/** Whether it is a method of a timestamp, such as `getHours`. Of these, only those with a zone are metered. */
function isTimestamp(target: CelFunc['target']): boolean {
  return target?.name === 'google.protobuf.Timestamp';
}

/** A function of the library that pays for the size of what it is given. Throws when nothing is left to pay with. */
function metered(one: CelFunc, meter: Meter): CelFunc {
  const { celList, isCelList } = library.cel();
  const zone = isTimestamp(one.target) ? zoneWork : 0;
  const call: CelFunc['call'] = (id, target, args) => {
    const result = one.call(id, target, args);
    // Another function of the same name may take these.
    if (result === undefined) return undefined;
    let work = 1 + zone + sizeOf(target);
    for (const arg of args) work += sizeOf(arg);
    spend(meter, work);
    // A list of lists of lists would be walked through anew for each item.
    return isCelList(result) ? celList([...result]) : result;
  };
  return Object.create(one, { call: { value: call } });
}

const compiledPatterns = new Map<string, Pattern | string>();
const maxPatterns = 1000;

function patternFor(text: string): Pattern | string {
  const known = compiledPatterns.get(text);
  if (known !== undefined) return known;
  const compiled = compilePattern(text);
  if (compiledPatterns.size >= maxPatterns) compiledPatterns.clear();
  compiledPatterns.set(text, compiled);
  return compiled;
}

function matches(meter: Meter): CelFunc {
  const { CelScalar, celMethod } = library.cel();
  return celMethod('matches', CelScalar.STRING, [CelScalar.STRING], CelScalar.BOOL, function (pattern) {
    const compiled = patternFor(pattern);
    if (typeof compiled === 'string') throw new Error(compiled);
    spend(meter, 1 + this.length / charactersPerWork);
    return compiled.test(this, meter);
  });
}

/** Pays for a loop before it begins: its items times the nodes of what is done with each. */
const loopName = '@loop';

function loop(meter: Meter): CelFunc {
  const { CelScalar, celFunc, isCelList, isCelMap } = library.cel();
  return celFunc(loopName, [CelScalar.DYN, CelScalar.INT], CelScalar.DYN, (range, nodes) => {
    spend(meter, 1 + (isCelList(range) || isCelMap(range) ? range.size : 0) * Number(nodes));
    return range;
  });
}

function callOf(id: bigint, name: string, args: Expr[]): Expr {
  const call = { $typeName: 'cel.expr.Expr.Call' as const, function: name, args };
  return { $typeName: 'cel.expr.Expr', id, exprKind: { case: 'callExpr', value: call } };
}

function intOf(id: bigint, value: number): Expr {
  const constantKind = { case: 'int64Value' as const, value: BigInt(value) };
  const constant = { $typeName: 'cel.expr.Constant' as const, constantKind };
  return { $typeName: 'cel.expr.Expr', id, exprKind: { case: 'constExpr', value: constant } };
}

function childrenOf({ exprKind }: Expr): readonly (Expr | undefined)[] {
  switch (exprKind.case) {
    case 'selectExpr':
      return [exprKind.value.operand];
    case 'callExpr':
      return [exprKind.value.target, ...exprKind.value.args];
    case 'listExpr':
      return exprKind.value.elements;
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        keyKind.case === 'mapKey' ? keyKind.value : undefined,
        value,
      ]);
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
      return [iterRange, accuInit, loopCondition, loopStep, result];
    }
    default:
      return [];
  }
}

/** Makes each loop of an expression pay, and returns how many nodes the expression has. */
function meterLoops(expr: Expr): number {
  const sum = (nodes: readonly (Expr | undefined)[]): number =>
    nodes.reduce((all, one) => all + (one ? meterLoops(one) : 0), 0);
  if (expr.exprKind.case !== 'comprehensionExpr') return 1 + sum(childrenOf(expr));
  const { value } = expr.exprKind;
  const body = sum([value.loopCondition, value.loopStep]);
  const rest = sum([value.iterRange, value.accuInit, value.result]);
  if (value.iterRange) value.iterRange = callOf(expr.id, loopName, [value.iterRange, intOf(expr.id, body)]);
  return 1 + body + rest;
}

/** An expression that is ready to run. Never throws. */
type Evaluate = (bindings: Readonly<Record<string, CelInput>>) => CelResult;

/** The library with its work counted. The options are for tests. */
export function createEvaluator(options: EnvironmentOptions = {}) {
  const { celEnv, plan } = library.cel();
  const meter: Meter = { left: 0 };
  const standard = celEnv(options);
  const functions = [...standard.funcs].map((one) => (isSized(one) ? metered(one, meter) : one));
  const environment = celEnv({ ...options, funcs: [...functions, matches(meter), loop(meter)] });
  return {
    functions: standard.funcs,
    /** Plans a parsed expression, and changes its tree. Throws if it makes no sense. */
    plan(parsed: ParsedExpression): Evaluate {
      const nodes = parsed.expr ? meterLoops(parsed.expr) : 0;
      const planned = plan(environment, parsed);
      return (bindings) => {
        meter.left = maxWork - nodes;
        const { stackTraceLimit } = Error;
        // The library makes an error of each part that fails; nobody reads where in the library that was.
        Error.stackTraceLimit = 0;
        try {
          const result = planned(bindings);
          if (meter.left < 0) throw new Error(tooMuchWork);
          return result;
        } finally {
          Error.stackTraceLimit = stackTraceLimit;
        }
      };
    },
  };
}

let shared: ReturnType<typeof createEvaluator> | undefined;

function evaluator(): ReturnType<typeof createEvaluator> {
  shared ??= createEvaluator();
  return shared;
}

/** The names that an expression uses. */
function namesIn(expr: Expr, names = new Set<string>()): Set<string> {
  if (expr.exprKind.case === 'identExpr') names.add(expr.exprKind.value.name);
  for (const child of childrenOf(expr)) if (child) namesIn(child, names);
  return names;
}

/** Where the library's parser stopped, and what it found and expected. */
const parseError = z.object({
  rawMessage: z.string(),
  location: z.object({ start: z.object({ offset: z.number() }) }),
});

function parseFault(error: unknown): ExpressionFault {
  const { data } = parseError.safeParse(error);
  if (!data) return new ExpressionFault(0, error instanceof Error ? error.message : String(error));
  const found = /^found (.+?) but expecting /s.exec(data.rawMessage)?.[1];
  const message =
    found === 'end of input' ? 'something is missing at the end' : found && `${found} is not expected here`;
  return new ExpressionFault(data.location.start.offset, message ?? data.rawMessage);
}

function parseSource(source: string): ParsedExpression {
  try {
    return library.cel().parse(source);
  } catch (error) {
    throw parseFault(error);
  }
}

let timestamp: Evaluate | undefined;

/** RFC 3339 as a time of CEL. Throws if it is none. */
function timeOf(text: CelInput): CelInput {
  timestamp ??= evaluator().plan(library.cel().parse('timestamp(text)'));
  const time = timestamp({ text });
  if (library.cel().isCelError(time)) throw new Error('detectedAt is no time');
  return time;
}

interface Planned {
  readonly evaluate: Evaluate;
  /** The variables that it uses: no others are made for it. */
  readonly names: readonly string[];
  readonly offsetOf: (id: bigint | undefined) => number | undefined;
}

function bindingsFor({ names }: Planned, judged: Judged, mapped: Mapped | undefined): Record<string, CelInput> {
  const bindings: Record<string, CelInput> = Object.create(null);
  for (const name of names) {
    const value = variable(name === namespaceName ? 'namespace' : name, judged, mapped);
    bindings[name] = name === 'detectedAt' ? timeOf(value) : value;
  }
  return bindings;
}

function run(planned: Planned, text: string, judged: Judged, mapped: Mapped | undefined): boolean | ExpressionFailure {
  try {
    const result = planned.evaluate(bindingsFor(planned, judged, mapped));
    if (typeof result === 'boolean') return result;
    if (!library.cel().isCelError(result)) return { failure: 'the result is neither true nor false' };
    const offset = planned.offsetOf(result.exprId);
    return { failure: `${offset === undefined ? '' : `at ${positionOf(text, offset)}: `}${result.message}` };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

function planText(text: string, isMapping: boolean): Planned {
  const parsed = parseSource(readSource(text));
  const { expr, sourceInfo } = parsed;
  if (!expr) throw new ExpressionFault(0, 'it is empty');
  const offsetOf = (id: bigint | undefined): number | undefined => sourceInfo?.positions[String(id)];
  const { functions, plan: planParsed } = evaluator();
  checkExpression(expr, {
    functions,
    isMapping,
    offsetOf: ({ id }) => offsetOf(id) ?? 0,
    patternFault: (pattern) => {
      const compiled = patternFor(pattern);
      return typeof compiled === 'string' ? compiled : undefined;
    },
  });
  const variables = new Set([...variableNames, namespaceName, ...(isMapping ? ['object', 'item'] : [])]);
  const names = [...namesIn(expr).intersection(variables)];
  return { evaluate: planParsed(parsed), names, offsetOf };
}

/**
 * Compiles an expression whose result must be a bool. `isMapping`: it is a mapping's, and may ask about `object` and `item`,
 * too. Never throws; what it returns doesn't, either.
 */
export function compileExpression(text: string, isMapping = false): Expression | ExpressionRefusal {
  try {
    const planned = planText(text, isMapping);
    return (judged, mapped) => run(planned, text, judged, mapped);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { refusal: `at ${positionOf(text, error instanceof ExpressionFault ? error.offset : 0)}: ${message}` };
  }
}
