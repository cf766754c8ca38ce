import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSync } from 'recheck';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import * as secretPatterns from '../../shared/finding/secret-patterns.ts';

const root = join(import.meta.dirname, '..', '..');

const packageSchema = z.object({
  license: z.string().optional(),
  integrity: z.string().optional(),
  dev: z.boolean().optional(),
  hasInstallScript: z.boolean().optional(),
});

const lock = z
  .object({ packages: z.record(z.string(), packageSchema) })
  .parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

describe('the packages', () => {
  it('are pinned by their checksums', () => {
    expect(packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  });

  it('have licences that can be combined with ours; packages for development only may have others', () => {
    const free = new Set([
      'MIT',
      'MIT OR Apache-2.0',
      'Apache-2.0',
      '(Apache-2.0 AND BSD-3-Clause)',
      'BSD-2-Clause',
      'BSD-3-Clause',
      'ISC',
      'PSF-2.0',
      '0BSD',
      'Unlicense',
    ]);
    const shipped = packages.filter(([, { dev }]) => !dev);
    expect(shipped.filter(([, { license = '' }]) => !free.has(license)).map(([path]) => path)).toEqual([]);
    const known = new Set([...free, 'MPL-2.0', 'PSF-2.0', 'CC-BY-4.0', 'BlueOak-1.0.0']);
    expect(packages.filter(([, { license = '' }]) => !known.has(license)).map(([path]) => path)).toEqual([]);
  });

  it('run no scripts when they are installed', () => {
    expect(readFileSync(join(root, '.npmrc'), 'utf8')).toContain('ignore-scripts=true');
    expect(readFileSync(join(root, 'knative', 'Dockerfile'), 'utf8')).toContain('npm ci --ignore-scripts');
  });
});

/** The regular expressions in our code: literals, found line by line. */
function expressionsIn(file: string): { readonly source: string; readonly flags: string }[] {
  const text = readFileSync(file, 'utf8');
  const literals = text.matchAll(
    /(?<=[=(,:?&|[]\s{0,8}|^\s*|return )\/((?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+)\/([dgimsuvy]*)(?=[\s;,.)\]])/gm,
  );
  return [...literals].map(([, source = '', flags = '']) => ({ source, flags }));
}

describe('the regular expressions', () => {
  const files = ['functions', 'shared'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file)),
  );
  const expressions = files.flatMap((file) => expressionsIn(join(root, file)).map((one) => ({ file, ...one })));

  /** Those that are built of parts are too long to be analysed: their bounds make them linear. */
  const built = Object.entries(secretPatterns)
    .filter(([, one]) => one instanceof RegExp)
    .map(([name, one]) => {
      const { source, flags } = z.instanceof(RegExp).parse(one);
      return { file: `secret-patterns.ts: ${name}`, source, flags };
    });

  it('are literals where they can be', () => {
    const building = files.filter((file) => readFileSync(join(root, file), 'utf8').includes('new RegExp('));
    expect(building.sort()).toEqual([
      'functions/audit/workloads.ts',
      'shared/api/label-selector.ts',
      'shared/finding/secret-patterns.ts',
      // Of literals, with a source each.
      'shared/rules/expression-source.ts',
      // The page's bundle, for a browser.
      'shared/view/page-file.ts',
    ]);
    expect(built.length).toBeGreaterThan(5);
  });

  it.each(built)('repeat nothing without a bound in $file', ({ source }) => {
    const outsideOfClasses = source.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/g, 'x');
    expect(outsideOfClasses).not.toMatch(/[*+]|\{\d+,\}/);
  });

  it('are found', () => {
    expect(expressions.length).toBeGreaterThan(40);
  });

  /** By how much the time grows with the text: 2 is quadratic. */
  function degreeOf(source: string, flags: string): number {
    // Without a limit, since how much can be tried in a given time depends on the machine.
    const diagnosis = checkSync(source, flags.replace(/[dgvy]/g, ''), { timeout: null });
    expect(diagnosis.status).not.toBe('unknown');
    const complexity = 'complexity' in diagnosis ? diagnosis.complexity : undefined;
    if (complexity?.type === 'exponential') return Number.POSITIVE_INFINITY;
    return complexity?.type === 'polynomial' ? complexity.degree : 1;
  }

  it.each(expressions)('$source in $file is at worst quadratic', ({ source, flags }) => {
    // Of what it can't calculate, the checker tries random texts, and now and then it takes a large bound for growth without
    // one. What does grow is found to do so every time.
    const isQuadratic = [1, 2, 3].some(() => degreeOf(source, flags) <= 2);
    expect(isQuadratic).toBe(true);
  });

  it.each([['(a+)+$'], [String.raw`\s*a*b?a*c?a*x`], ['(?<!x)(a|aa)*$']])('%s would be found', (source) => {
    expect([1, 2, 3].some(() => degreeOf(source, '') <= 2)).toBe(false);
  });
});
