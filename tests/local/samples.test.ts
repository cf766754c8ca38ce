import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { asOfNow } from '../../shared/local/samples.ts';
import { type Program, samplesPlayed, startProgram, temporaryFolder, until } from '../host/program.ts';

const folder = join(import.meta.dirname, '..', '..', 'functions', 'samples');
const event = z.looseObject({ type: z.string(), time: z.string(), data: z.record(z.string(), z.unknown()) });
const files = readdirSync(folder).flatMap((source) =>
  readdirSync(join(folder, source)).map((file) => join(source, file)),
);
const samples = files.map((file) => event.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))));
const list = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ source: z.string(), detectedAt: z.string() }),
    }),
  ),
});

async function stored({ url }: Program) {
  return list.parse(await (await fetch(`${url}/observations?limit=1000`)).json()).items;
}

describe('--samples', { timeout: 120_000 }, () => {
  let played: Program;
  let asTheyAre: Program;

  beforeAll(async () => {
    played = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples'] });
    await samplesPlayed(played.log);
    const objects = temporaryFolder();
    mkdirSync(objects, { recursive: true });
    const [kept, posted] = [samples.filter(isObject), samples.filter((one) => !isObject(one))];
    for (const [at, { data }] of kept.entries()) writeFileSync(join(objects, `${at}.json`), JSON.stringify(data));
    asTheyAre = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--objects', objects] });
    for (const { type, data } of posted) {
      const path = type.startsWith('falco') ? '/falco/webhook' : '/audit/webhook';
      const headers = { 'content-type': 'application/json' };
      const { status } = await fetch(asTheyAre.url + path, { method: 'POST', headers, body: JSON.stringify(data) });
      expect(status).toBeLessThan(300);
    }
  });

  afterAll(() => Promise.all([played.stop(), asTheyAre.stop()]));

  function isObject({ type }: z.infer<typeof event>): boolean {
    return type.startsWith('dev.knative.apiserver.');
  }

  it('finds in objects what is of the last day, under the names that the samples have as they are', async () => {
    const found = await stored(played);
    const names = found.map(({ metadata }) => metadata.name).sort();
    await until('all to be there', async () => (await stored(asTheyAre)).length >= names.length);
    expect((await stored(asTheyAre)).map(({ metadata }) => metadata.name).sort()).toEqual(names);
    const old = found.filter(({ spec }) => Date.parse(spec.detectedAt) < Date.now() - 86_400_000);
    // The time is part of what an event is.
    expect([...new Set(old.map(({ spec }) => spec.source))].sort()).toEqual(['audit', 'falco']);
    expect(old.length).toBeLessThan(found.length / 2);
    expect(found.filter(({ spec }) => Date.parse(spec.detectedAt) > Date.now())).toEqual([]);
  });
});

describe('asOfNow', () => {
  const now = Date.parse('2026-11-26T17:42:00Z');
  const data = {
    at: '2026-03-01T09:30:00.123456Z',
    before: '2025-12-31T00:00:00Z',
    list: [{ at: '2026-03-01T10:00:00Z' }],
    n: 1,
    seconds: 1_772_359_200,
    no: null,
  };
  const sample = { type: 'dev.knative.apiserver.resource.update', time: '2026-03-01T10:00:00Z', data };

  it('moves the times of its day by whole hours, to the last ones', () => {
    expect(asOfNow(sample, now)).toEqual({
      ...sample,
      time: '2026-11-26T17:00:00Z',
      data: {
        ...data,
        seconds: 1_795_712_400,
        at: '2026-11-26T16:30:00.123456Z',
        list: [{ at: '2026-11-26T17:00:00Z' }],
      },
    });
  });

  it('moves nothing of events, which are told apart by their time', () => {
    const alert = { ...sample, type: 'falco.rule.output.v1' };
    expect(asOfNow(alert, now)).toEqual(alert);
  });
});
