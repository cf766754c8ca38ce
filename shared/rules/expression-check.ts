import type {
  Expr,
  Expr_Call,
  Expr_Comprehension,
  Expr_CreateStruct,
  Expr_Select,
} from '@bufbuild/cel-spec/cel/expr/syntax_pb.js';
import { ExpressionFault, namespaceName } from './expression-source.ts';

/** The name of a type of CEL; `dyn` if it is known only when the expression runs. */
interface Typed {
  readonly type: string;
  /** Of a map whose members are known. */
  readonly members?: ReadonlyMap<string, Typed>;
}

/** A function as the library declares it. */
export interface Signature {
  readonly name: string;
  readonly target: { readonly name: string } | undefined;
  readonly arguments: readonly { readonly name: string }[];
  readonly result: { readonly name: string };
}

export interface CheckOptions {
  readonly functions: { readonly find: (name: string) => Iterable<Signature> | undefined };
  readonly isMapping: boolean;
  /** Where a node of the tree stands in the text. */
  readonly offsetOf: (expr: Expr) => number;
  /** Why a pattern of `matches` can't be taken. */
  readonly patternFault: (pattern: string) => string | undefined;
}

type Scope = ReadonlyMap<string, Typed>;

/** A macro may stand inside another, and no deeper: their lists multiply. */
const maxMacroDepth = 2;

const dyn: Typed = { type: 'dyn' };
const bool: Typed = { type: 'bool' };
const string: Typed = { type: 'string' };
const list: Typed = { type: 'list' };

function mapOf(members: Readonly<Record<string, Typed>>): Typed {
  return { type: 'map', members: new Map(Object.entries(members)) };
}

const findingVariables: Scope = new Map(
  Object.entries({
    source: string,
    category: string,
    severity: string,
    eventType: string,
    rule: string,
    summary: string,
    resource: mapOf({ apiVersion: string, kind: string, name: string, namespace: string }),
    [namespaceName]: string,
    workload: mapOf({ kind: string, name: string }),
    actor: mapOf({ username: string, groups: list, sourceIP: string, userAgent: string }),
    details: { type: 'map' },
    detectedAt: { type: 'google.protobuf.Timestamp' },
  }),
);

const mappingVariables: Scope = new Map([...findingVariables, ['object', dyn], ['item', dyn]]);

function variablesFor({ isMapping }: CheckOptions): Scope {
  return isMapping ? mappingVariables : findingVariables;
}

const typeNames = ['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint'];
const numbers = ['double', 'int', 'uint'];
const containers = ['list', 'map', 'dyn'];

function shown(name: string): string {
  return name === namespaceName ? 'namespace' : name;
}

/** `google.protobuf.Timestamp` as people write it in an expression. */
function typeWord({ type }: Typed): string {
  return type.replace('google.protobuf.', '').toLowerCase();
}

/** The operator or function as it is written: `==` for `_==_`. */
function functionWord(name: string): string {
  return name.replaceAll(/[_@]/g, '').length > 0 && /^[_@!-]/.test(name) ? name.replaceAll(/[_@]/g, '') : name;
}

function fits({ type }: Typed, { name }: { readonly name: string }): boolean {
  return type === 'dyn' || name === 'dyn' || type === name;
}

const constantTypes: Readonly<Record<string, string>> = {
  boolValue: 'bool',
  bytesValue: 'bytes',
  doubleValue: 'double',
  int64Value: 'int',
  nullValue: 'null_type',
  stringValue: 'string',
  uint64Value: 'uint',
};

/** Where a part of the expression stands: what it may name, and how many macros are around it. */
interface Place {
  readonly scope: Scope;
  readonly depth: number;
  readonly options: CheckOptions;
}

function fail({ options }: Place, at: Expr, message: string): never {
  throw new ExpressionFault(options.offsetOf(at), message);
}

function nameType(expr: Expr, name: string, place: Place): Typed {
  const known = place.scope.get(name);
  if (known) return known;
  if (typeNames.includes(name)) return { type: 'type' };
  const names = [...variablesFor(place.options).keys()].map(shown).join(', ');
  return fail(place, expr, `there is no ${shown(name)}; there are ${names}`);
}

function memberType(expr: Expr, { operand, field, testOnly }: Expr_Select, place: Place): Typed {
  if (!operand) return fail(place, expr, 'nothing stands before the dot');
  const base = typeOf(operand, place);
  if (base.type !== 'map' && base.type !== 'dyn') return fail(place, expr, `a ${typeWord(base)} has no .${field}`);
  const member = base.members ? base.members.get(field) : dyn;
  if (!member) {
    return fail(place, expr, `there is no .${field}; there are ${[...(base.members?.keys() ?? [])].join(', ')}`);
  }
  return testOnly ? bool : member;
}

function loopType(expr: Expr, loop: Expr_Comprehension, place: Place): Typed {
  const { iterRange, accuInit, loopCondition, loopStep, result } = loop;
  if (!iterRange || !accuInit || !loopCondition || !loopStep || !result) {
    return fail(place, expr, 'the macro is incomplete');
  }
  const range = typeOf(iterRange, place);
  if (!containers.includes(range.type)) return fail(place, iterRange, `a ${typeWord(range)} is no list`);
  if (place.depth === maxMacroDepth) {
    return fail(place, expr, 'a macro (all, exists, exists_one, filter, map) may stand inside another, and no deeper');
  }
  const after = { ...place, scope: new Map([...place.scope, [loop.accuVar, typeOf(accuInit, place)]]) };
  const inside = { ...place, scope: new Map([...after.scope, [loop.iterVar, dyn]]), depth: place.depth + 1 };
  typeOf(loopCondition, inside);
  typeOf(loopStep, inside);
  return typeOf(result, after);
}

function expectBool(given: Expr | undefined, type: Typed | undefined, word: string, place: Place): void {
  if (given && type && !fits(type, { name: 'bool' })) {
    fail(place, given, `${word} needs true or false, not a ${typeWord(type)}`);
  }
}

/** The operators that the library evaluates itself; `undefined` for any other function. */
function operatorType(expr: Expr, { function: name, args }: Expr_Call, types: readonly Typed[], place: Place) {
  const [first = dyn, second = dyn, third = dyn] = types;
  switch (name) {
    case '_&&_':
    case '_||_':
      args.forEach((arg, index) => {
        expectBool(arg, types[index], functionWord(name), place);
      });
      return bool;
    case '@not_strictly_false':
      return bool;
    case '_?_:_':
      expectBool(args[0], first, '?', place);
      return second.type === third.type ? { type: second.type } : dyn;
    case '_[_]':
      if (!containers.includes(first.type)) fail(place, expr, `a ${typeWord(first)} has no [ ]`);
      return dyn;
    default:
      return undefined;
  }
}

function checkComparison(expr: Expr, name: string, [left = dyn, right = dyn]: readonly Typed[], place: Place): void {
  if (name !== '_==_' && name !== '_!=_') return;
  const isKnown = [left, right].every(({ type }) => type !== 'dyn' && type !== 'null_type');
  const areNumbers = [left, right].every(({ type }) => numbers.includes(type));
  if (isKnown && !areNumbers && left.type !== right.type) {
    fail(place, expr, `a ${typeWord(left)} never equals a ${typeWord(right)}`);
  }
}

function checkPattern({ function: name, args }: Expr_Call, place: Place): void {
  const pattern = args.at(-1);
  if (name !== 'matches' || !pattern) return;
  const constant = pattern.exprKind.case === 'constExpr' ? pattern.exprKind.value.constantKind : undefined;
  if (constant?.case !== 'stringValue') return fail(place, pattern, 'the pattern of matches must be a text in quotes');
  const fault = place.options.patternFault(constant.value);
  if (fault !== undefined) fail(place, pattern, fault);
}

function takes(one: Signature, target: Typed | undefined, types: readonly Typed[]): boolean {
  if ((one.target === undefined) !== (target === undefined)) return false;
  if (target && one.target && !fits(target, one.target)) return false;
  return (
    one.arguments.length === types.length &&
    one.arguments.every((argument, index) => fits(types[index] ?? dyn, argument))
  );
}

function callType(expr: Expr, call: Expr_Call, place: Place): Typed {
  const { target, function: name, args } = call;
  const targetType = target && typeOf(target, place);
  const types = args.map((arg) => typeOf(arg, place));
  const operator = target ? undefined : operatorType(expr, call, types, place);
  if (operator) return operator;
  const named = place.options.functions.find(name);
  if (!named) return fail(place, expr, `there is no function ${functionWord(name)}`);
  const fitting = [...named].filter((one) => takes(one, targetType, types));
  const [first] = fitting;
  if (!first) {
    const owner = targetType ? `${typeWord(targetType)}.` : '';
    return fail(place, expr, `${owner}${functionWord(name)} can't take (${types.map(typeWord).join(', ')})`);
  }
  checkComparison(expr, name, types, place);
  checkPattern(call, place);
  return fitting.every(({ result }) => result.name === first.result.name) ? { type: first.result.name } : dyn;
}

function structType(expr: Expr, { messageName, entries }: Expr_CreateStruct, place: Place): Typed {
  if (messageName) return fail(place, expr, `there is no type ${messageName}`);
  for (const { keyKind, value } of entries) {
    if (keyKind.case === 'mapKey') typeOf(keyKind.value, place);
    if (value) typeOf(value, place);
  }
  return { type: 'map' };
}

function typeOf(expr: Expr, place: Place): Typed {
  const { exprKind } = expr;
  switch (exprKind.case) {
    case 'identExpr':
      return nameType(expr, exprKind.value.name, place);
    case 'constExpr':
      return { type: constantTypes[exprKind.value.constantKind.case ?? ''] ?? 'dyn' };
    case 'selectExpr':
      return memberType(expr, exprKind.value, place);
    case 'callExpr':
      return callType(expr, exprKind.value, place);
    case 'comprehensionExpr':
      return loopType(expr, exprKind.value, place);
    case 'listExpr':
      for (const element of exprKind.value.elements) typeOf(element, place);
      return list;
    case 'structExpr':
      return structType(expr, exprKind.value, place);
    default:
      return fail(place, expr, 'this can not be read');
  }
}

/**
 * Checks a parsed expression before it ever runs: that each name, function and member is known, that types fit as far as
 * they are known, that macros are not nested deep, and that the result may be a bool. Throws an ExpressionFault.
 */
export function checkExpression(root: Expr, options: CheckOptions): void {
  const place = { scope: variablesFor(options), depth: 0, options };
  const result = typeOf(root, place);
  if (!fits(result, { name: 'bool' })) fail(place, root, `the result must be true or false, not a ${typeWord(result)}`);
}
