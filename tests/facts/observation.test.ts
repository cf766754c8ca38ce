import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Finding } from '../../shared/finding/finding.ts';
import { severities } from '../../shared/finding/severity.ts';
import { crdOf, fieldsOf } from './crds.ts';
import { differences, expectNone } from './faults.ts';
import { observed } from './observed.ts';

/** Resources with names at the limits, and longer. */
const longNames = [253, 254, 317, 318, 512, 513, 9999].map((length): [string, Partial<Finding>] => {
  const name = 'x'.repeat(length);
  return [`about names of ${length} characters`, { resource: { apiVersion: name, kind: name, name, namespace: name } }];
});

const cases: readonly [string, Partial<Finding>][] = [
  ['with every field', {}],
  ['about nothing', { resource: undefined }],
  ['about a kind alone', { resource: { kind: 'Pod' } }],
  ...longNames,
  ...[64, 128, 253, 256, 320, 512, 1024, 9999].map((length): [string, Partial<Finding>] => {
    const text = 'x'.repeat(length + 1);
    const actor = { username: text, groups: Array(99).fill(text), sourceIP: text, userAgent: text, via: text };
    const references = Array.from({ length }, (_, index) => `${index}`);
    return [
      `of texts of more than ${length} characters`,
      { rule: text, summary: text, actor, remediation: text, references },
    ];
  }),
  ['with many details', { details: Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`d${index}`, 1])) }],
];

function pathsIn(value: object, path = 'spec'): string[] {
  return [
    path,
    ...Object.entries(value).flatMap(([key, child]) => {
      const below = Array.isArray(value) ? `${path}[]` : `${path}.${key}`;
      return typeof child === 'object' ? pathsIn(child, below) : [below];
    }),
  ];
}

describe('the CRD of Observation', () => {
  const { file, spec } = crdOf('Observation');
  const taken = z.fromJSONSchema(JSON.parse(JSON.stringify(spec)));

  it('has every field that is written, and no other', () => {
    const writer = 'shared/api/observation.ts';
    expectNone(
      differences(pathsIn(observed().spec), fieldsOf(spec).keys(), {
        onlyHere: (path) => `${file} lacks ${path}, which ${writer} writes`,
        onlyThere: (path) => `${writer} does not write ${path}, which ${file} has`,
      }),
    );
  });

  it.each(cases)('takes an Observation %s', (_what, changes) => {
    expect(taken.safeParse(observed(changes).spec).error).toBeUndefined();
  });

  it('has all severities', () => {
    expect(spec.properties?.severity?.enum).toEqual(severities);
  });
});
