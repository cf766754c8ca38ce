import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { commonSchema, parseSettings } from '../../shared/function/settings.ts';
import { ownVariable } from '../../shared/function/sink-environment.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { standaloneSettings } from '../../shared/standalone/settings.ts';
import { differences, expectNone, repeated } from './faults.ts';
import { codeIn, nameIn, root, tablesOf } from './markdown.ts';

const readme = "README.md's tables of settings";

/** A value as it is written in the environment; empty if it is unset. */
function environmentText(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value ?? '');
}

/** The names and defaults of a schema's settings. */
function defaultsOf(schema: z.ZodType): [name: string, text: string][] {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' });
  const values = new Map(Object.entries(z.record(z.string(), z.unknown()).parse(schema.parse({}))));
  return Object.keys(properties).map((name) => [name, environmentText(values.get(name))]);
}

const definitions = await loadFunctions();
const declared = [commonSchema.in, standaloneSettings, ...definitions.map(({ settings }) => settings)].flatMap(
  defaultsOf,
);
const documented = tablesOf('README.md')
  .filter(({ header }) => header[0] === 'setting' && header[1] === 'default')
  .flatMap(({ rows }) => rows)
  .map((row): [name: string, text: string] => [nameIn(row), codeIn(row[1] ?? '').join()]);

/** A default as messages show it. */
function quoted(text: string | undefined): string {
  return text === '' ? 'none' : `\`${text}\``;
}

describe(readme, () => {
  const [inCode, inReadme] = [new Map(declared), new Map(documented)];

  it('have every setting, and no other', () => {
    expectNone(
      differences(inCode.keys(), inReadme.keys(), {
        onlyHere: (name) => `${readme} lack ${name}, with its default: ${quoted(inCode.get(name))}`,
        onlyThere: (name) => `${readme} have ${name}, which neither shared/function/settings.ts nor a function reads`,
      }),
    );
  });

  it('have each once, as the code does', () => {
    expectNone([
      ...repeated(documented.map(([name]) => name)).map((name) => `${readme} have ${name} more than once`),
      ...repeated(declared.map(([name]) => name)).map((name) => `${name} is declared by two schemas of settings`),
    ]);
  });

  it('have the defaults of the code', () => {
    expectNone(
      [...inReadme]
        .filter(([name, text]) => inCode.has(name) && inCode.get(name) !== text)
        .map(
          ([name, text]) =>
            `${readme} have this default for ${name}: ${quoted(text)}; the code: ${quoted(inCode.get(name))}`,
        ),
    );
  });

  it('change nothing if their defaults are set', () => {
    const environment = Object.fromEntries(documented);
    for (const { settings } of definitions) {
      expect(parseSettings(environment, settings, [])).toEqual(parseSettings({}, settings, []));
    }
  });

  it('have every setting that other pages mention', () => {
    // A sink's own, by the name of what all have.
    const sinks = definitions.filter(({ kind }) => kind === 'sink');
    const ofSinks = new Set(
      sinks.flatMap(({ name }) => [ownVariable(name, 'SINK_TOKEN_FILE'), ownVariable(name, 'SINK_CA_FILE')]),
    );
    const pages = readdirSync(join(root, 'knative')).filter((file) => file.endsWith('.md'));
    expectNone(
      pages.flatMap((file) =>
        codeIn(readFileSync(join(root, 'knative', file), 'utf8'))
          .filter((code) => /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(code) && !inReadme.has(code) && !ofSinks.has(code))
          .map((name) => `knative/${file} mentions ${name}, which ${readme} lack`),
      ),
    );
  });
});
