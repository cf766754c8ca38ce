import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { severities } from '../../shared/finding/severity.ts';

export const fixturesFolder = join(import.meta.dirname, '..', 'fixtures');

/** A CloudEvent in structured mode; for Kubernetes sources of a `dev.knative.apiserver.resource` type, data the object. */
export const fixtureEvent = z.object({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: z.string(),
  subject: z.string().optional(),
  data: z.unknown(),
});

export const expectation = z.object({
  observations: z.array(
    z.strictObject({
      namespace: z.string(),
      category: z.string(),
      severity: z.enum(severities),
      eventType: z.string(),
      resource: z
        .strictObject({
          apiVersion: z.string().optional(),
          kind: z.string(),
          namespace: z.string().optional(),
          name: z.string().optional(),
        })
        .optional(),
      identity: z.record(z.string(), z.string()),
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

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

export function loadFixtures(source: string): Fixture[] {
  const folder = join(fixturesFolder, source);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.event.json'))
    .sort()
    .map((file) => {
      const stem = join(folder, basename(file, '.event.json'));
      const settings = `${stem}.settings.json`;
      return {
        name: basename(stem),
        event: fixtureEvent.parse(readJson(join(folder, file))),
        environment: existsSync(settings) ? z.record(z.string(), z.string()).parse(readJson(settings)) : {},
        expected: expectation.parse(readJson(`${stem}.observations.json`)),
      };
    });
}
