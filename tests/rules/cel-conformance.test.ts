import { inspect, isDeepStrictEqual } from 'node:util';
import {
  type CelInput,
  type CelResult,
  celMap,
  celUint,
  isCelError,
  isCelList,
  isCelMap,
  isCelType,
  isCelUint,
  parse,
} from '@bufbuild/cel';
import type { MapValue, Value } from '@bufbuild/cel-spec/cel/expr/value_pb.js';
import { getTestRegistry } from '@bufbuild/cel-spec/testdata/registry.js';
import {
  getConformanceSuite,
  type IncrementalTest,
  type IncrementalTestSuite,
} from '@bufbuild/cel-spec/testdata/tests.js';
import { describe, expect, it } from 'vitest';
import { createEvaluator } from '../../shared/rules/expression.ts';

/** Of cel-spec's standard suites, as the npm package @bufbuild/cel-spec has them, those that the library claims. */
const claimed = [
  'basic',
  'comparisons',
  'conversions',
  'fp_math',
  'integer_math',
  'lists',
  'logic',
  'macros',
  'parse',
  'plumbing',
  'string',
  'timestamps',
];

const registry = getTestRegistry();

function allTests({ tests, suites }: IncrementalTestSuite): IncrementalTest[] {
  return [...tests, ...suites.flatMap(allTests)];
}

/** A message, such as a timestamp, which the suite packs. */
function unpacked(packed: CelInput): CelInput {
  const value = createEvaluator({ registry }).plan(parse('value'))({ value: packed });
  if (isCelError(value)) throw value;
  return value;
}

function mapOf({ entries }: MapValue): CelInput {
  return celMap(
    new Map(
      entries.map(({ key, value }) => {
        const name = key && inputOf(key);
        const isKey = typeof name === 'string' || typeof name === 'bigint' || typeof name === 'boolean';
        if (!value || !(isKey || isCelUint(name))) throw new Error('no such key');
        return [name, inputOf(value)];
      }),
    ),
  );
}

/** A value of the suite as the library takes it. */
function inputOf({ kind }: Value): CelInput {
  switch (kind.case) {
    case 'uint64Value':
      return celUint(kind.value);
    case 'nullValue':
      return null;
    case 'listValue':
      return kind.value.values.map(inputOf);
    case 'mapValue':
      return mapOf(kind.value);
    case 'objectValue':
      return unpacked(kind.value);
    case 'boolValue':
    case 'bytesValue':
    case 'doubleValue':
    case 'int64Value':
    case 'stringValue':
      return kind.value;
    default:
      throw new Error(`no ${kind.case} is expected as an input`);
  }
}

/** A result in a form that can be compared: whole numbers of each type are something else than others. */
function comparable(value: CelResult): unknown {
  if (isCelError(value)) return 'error';
  if (typeof value === 'number') return Object.is(value, -0) ? 'double 0' : `double ${value}`;
  if (typeof value === 'bigint') return `int ${value}`;
  if (isCelUint(value)) return `uint ${value.value}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (isCelType(value)) return `type ${value.name}`;
  if (isCelList(value)) return [...value].map(comparable);
  if (isCelMap(value)) {
    const entries = [...value].map(([key, member]) => [String(comparable(key)), comparable(member)] as const);
    return { map: Object.fromEntries(entries) };
  }
  return typeof value === 'object' && value !== null ? value.message : value;
}

const isClaimed = ({ name }: IncrementalTestSuite): boolean => claimed.includes(name);

/** The library's answer, with our functions around its own. */
function answer({ original: { expr, bindings, container } }: IncrementalTest): unknown {
  const given = Object.entries(bindings).map(([name, { kind }]) => {
    if (kind.case !== 'value') throw new Error('a binding without a value');
    return [name, inputOf(kind.value)];
  });
  try {
    const evaluator = createEvaluator({ registry, namespace: container });
    return comparable(evaluator.plan(parse(expr))(Object.fromEntries(given)));
  } catch {
    return 'error';
  }
}

function expected({ original: { resultMatcher } }: IncrementalTest): unknown {
  if (resultMatcher.case !== 'value') return 'error';
  const { kind } = resultMatcher.value;
  if (kind.case === 'typeValue') return `type ${kind.value}`;
  const evaluator = createEvaluator({ registry });
  return comparable(evaluator.plan(parse('value'))({ value: inputOf(resultMatcher.value) }));
}

describe('createEvaluator', () => {
  it('is tried with all tests of these suites', () => {
    expect(getConformanceSuite().suites.filter(isClaimed).flatMap(allTests)).toHaveLength(1116);
  });

  it.each(getConformanceSuite().suites.filter(isClaimed))('answers all of $name as the standard says', (suite) => {
    const tests = allTests(suite);
    const wrong = tests.filter((test) => !isDeepStrictEqual(answer(test), expected(test)));
    expect(
      wrong.map((test) => `${test.original.expr} is ${inspect(answer(test))}, not ${inspect(expected(test))}`),
    ).toEqual([]);
  });
});
