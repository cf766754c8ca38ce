import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { crdOf, crds, fieldsOf, fieldsRead, type Keyword, keywords, readKinds } from './crds.ts';
import { differences, expectNone } from './faults.ts';

/** The schema of a field, by its path in another schema. */
function schemaAt(of: unknown, [step, ...rest]: readonly string[]): z.ZodType {
  if (of instanceof z.ZodType && step === undefined) return of;
  if (of instanceof z.ZodOptional || of instanceof z.ZodDefault) return schemaAt(of.unwrap(), [step ?? '', ...rest]);
  if (of instanceof z.ZodArray) return schemaAt(of.element, rest);
  if (of instanceof z.ZodRecord) return schemaAt(of.valueType, rest);
  if (of instanceof z.ZodObject) return schemaAt(of.shape[step ?? ''], rest);
  throw new Error(`no schema has ${step}`);
}

/** A value just outside a limit. It finds limits that a schema enforces in code, which JSON Schema doesn't show. */
const outside: Partial<Readonly<Record<Keyword, (bound: number) => unknown>>> = {
  minLength: (bound) => 'a'.repeat(bound - 1),
  maxLength: (bound) => 'a'.repeat(bound + 1),
  maxProperties: (bound) => Object.fromEntries(Array.from({ length: bound + 1 }, (_, index) => [`k${index}`, 'HIGH'])),
  // Matches none of the CRDs' patterns.
  pattern: () => '..',
};

function isKept(keyword: Keyword, bound: unknown, field: z.ZodType): boolean {
  const make = outside[keyword];
  return make !== undefined && !field.safeParse(make(Number(bound))).success;
}

/** A default that is an empty list or map need not be in the CRD. */
function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

describe.each(readKinds)('the CRD of $kind', ({ kind, spec, file }) => {
  const crd = crdOf(kind);
  const inCrd = fieldsOf(crd.spec);
  const inCode = fieldsRead(spec);

  it('has every field that is read, and no other', () => {
    expectNone(
      differences(inCode.keys(), inCrd.keys(), {
        onlyHere: (path) => `${crd.file} lacks ${path}, which ${file} reads`,
        onlyThere: (path) => `${file} does not read ${path}, which ${crd.file} has`,
      }),
    );
  });

  /** What is wrong with a keyword of a field, if anything is. */
  function disagreement(path: string, keyword: 'isRequired' | Keyword): string | undefined {
    const [said, found] = [inCrd.get(path)?.[keyword], inCode.get(path)?.[keyword]];
    if (isDeepStrictEqual(said, found)) return undefined;
    const steps = path.match(/[^.[\]]+|\[\]/g) ?? [];
    if (keyword !== 'isRequired' && found === undefined && isKept(keyword, said, schemaAt(spec, steps.slice(1)))) {
      return undefined;
    }
    if (keyword === 'default' && said === undefined && isEmpty(found)) return undefined;
    const [here = 'absent', there] = [said, found].map((value) => JSON.stringify(value));
    const other = there === undefined ? `; ${file} does not enforce it` : `, and ${there} in ${file}`;
    return `${path}: ${keyword} is ${here} in ${crd.file}${other}`;
  }

  it('says the same about each', () => {
    const shared = [...inCrd.keys()].filter((path) => inCode.has(path));
    const faults = shared.flatMap((path) => ['isRequired' as const, ...keywords].map((one) => disagreement(path, one)));
    expectNone(faults.filter((fault) => fault !== undefined));
  });
});

describe('crds/', () => {
  it('has only these kinds', () => {
    expect([...crds.keys()].sort()).toEqual([...readKinds.map(({ kind }) => kind), 'Observation'].sort());
  });
});
