import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import * as z from 'zod';
import { severities } from '../../shared/finding/severity.ts';

export const fixturesFolder = join(import.meta.dirname, '..', 'fixtures');
const samplesFolder = join(import.meta.dirname, '..', '..', 'functions', 'samples');

/** A CloudEvent in structured mode. If its type is a `dev.knative.apiserver.resource` one, its data is the object. */
const fixtureEvent = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: z.iso.datetime(),
  subject: z.string().optional(),
  data: z.unknown(),
});

const expectation = z.object({
  observations: z.array(
    z.strictObject({
      namespace: z.string(),
      category: z.string(),
      severity: z.enum(severities),
      eventType: z.string(),
      rule: z.string(),
      summary: z.string(),
      actor: z
        .strictObject({
          username: z.string(),
          groups: z.array(z.string()).exactOptional(),
          sourceIP: z.string().exactOptional(),
          userAgent: z.string().exactOptional(),
          via: z.string().exactOptional(),
        })
        .exactOptional(),
      resource: z
        .strictObject({
          apiVersion: z.string().optional(),
          kind: z.string(),
          namespace: z.string().optional(),
          name: z.string().optional(),
        })
        .optional(),
      identity: z.record(z.string(), z.string()),
      remediation: z.string().exactOptional(),
      references: z.array(z.string()).exactOptional(),
      details: z.record(z.string(), z.unknown()),
      detectedAt: z.string(),
    }),
  ),
  skipped: z.record(z.string(), z.number()).default({}),
  filtered: z.record(z.string(), z.number()).default({}),
});

export interface Fixture {
  readonly name: string;
  readonly event: z.infer<typeof fixtureEvent>;
  /** Environment variables, from `<case>.settings.json`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly expected: z.infer<typeof expectation>;
}

/** Parses a file with a schema. Throws an Error that names the file and the field. */
function readAs<Schema extends z.ZodType>(schema: Schema, file: string): z.infer<Schema> {
  const name = relative(join(fixturesFolder, '..', '..'), file);
  if (!existsSync(file)) throw new Error(`${name} is missing: tests/README.md says what a case needs`);
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new Error(`${name}: ${error instanceof z.ZodError ? z.prettifyError(error) : error}`, { cause: error });
  }
}

/** The event of a case. A case `sample-x` is about the sample event `x`, which is beside the functions. */
export function eventFile(source: string, name: string): string {
  return name.startsWith('sample-')
    ? join(samplesFolder, source, `${name.slice('sample-'.length)}.event.json`)
    : join(fixturesFolder, source, `${name}.event.json`);
}

/** The names of a source's cases, by any of their files, and of its samples. */
export function casesOf(source: string): string[] {
  const namesIn = (folder: string): string[] =>
    existsSync(folder)
      ? readdirSync(folder).map((file) => file.replace(/\.(event|observations|settings)\.json$/, ''))
      : [];
  const samples = namesIn(join(samplesFolder, source)).map((name) => `sample-${name}`);
  return [...new Set([...namesIn(join(fixturesFolder, source)), ...samples])].sort();
}

export function loadFixtures(source: string): Fixture[] {
  return casesOf(source).map((name) => {
    const stem = join(fixturesFolder, source, name);
    const settings = `${stem}.settings.json`;
    return {
      name,
      event: readAs(fixtureEvent, eventFile(source, name)),
      environment: existsSync(settings) ? readAs(z.record(z.string(), z.string()), settings) : {},
      expected: readAs(expectation, `${stem}.observations.json`),
    };
  });
}
