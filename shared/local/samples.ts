import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { FunctionInfo } from '../function/context.ts';

/** `<source>/<case>.event.json`: CloudEvents in structured mode. */
const samplesFolder = join(import.meta.dirname, '..', '..', 'functions', 'samples');

const sampleEvent = z.object({
  type: z.string(),
  time: z.string(),
  data: z.record(z.string(), z.unknown()),
});

interface Sample extends z.infer<typeof sampleEvent> {
  /** `<source>-<case>` */
  readonly name: string;
}

const hour = 3_600_000;

const secondsPerDay = 86_400;

/**
 * A value in which every time of that day, a text or seconds since 1970, is so many milliseconds later: whole hours, so that the
 * rest of a text stays.
 */
function later(value: unknown, day: string, shift: number): unknown {
  if (typeof value === 'string') {
    if (!value.startsWith(`${day}T`)) return value;
    const at = Date.parse(`${value.slice(0, 13)}:00:00Z`) + shift;
    return new Date(at).toISOString().slice(0, 13) + value.slice(13);
  }
  if (typeof value === 'number') {
    const second = value - Date.parse(day) / 1000;
    return second >= 0 && second < secondsPerDay ? value + shift / 1000 : value;
  }
  if (Array.isArray(value)) return value.map((item) => later(item, day, shift));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, later(member, day, shift)]));
}

/**
 * A sample as if it were of the last hours. What it says has the same name: that is true of objects alone, since events are told
 * apart by their time.
 */
export function asOfNow<Sample extends z.infer<typeof sampleEvent>>(sample: Sample, now: number): Sample {
  if (!isObject(sample)) return sample;
  const shift = Math.floor((now - Date.parse(sample.time)) / hour) * hour;
  return { ...sample, ...sampleEvent.parse(later(sample, sample.time.slice(0, 10), shift)) };
}

function samples(now: number): Sample[] {
  if (!existsSync(samplesFolder))
    throw new Error('--samples: the image has no sample events, only the repository does');
  return readdirSync(samplesFolder).flatMap((source) =>
    readdirSync(join(samplesFolder, source))
      .filter((file) => file.endsWith('.event.json'))
      .map((file) => ({
        name: `${source}-${file.replace('.event.json', '')}`,
        ...asOfNow(sampleEvent.parse(JSON.parse(readFileSync(join(samplesFolder, source, file), 'utf8'))), now),
      })),
  );
}

function isObject({ type }: Pick<Sample, 'type'>): boolean {
  return type.startsWith('dev.knative.apiserver.');
}

/**
 * Writes the sample Kubernetes objects to a folder beside the store. They are observed there like any others, and can be
 * edited to see what happens. Returns the folder.
 */
export function sampleObjects(data: string, now: number): string {
  const folder = join(data, 'samples');
  mkdirSync(folder, { recursive: true });
  for (const { name, data: object } of samples(now).filter(isObject)) {
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(object, null, 2)}\n`);
  }
  return folder;
}

/** Posts the other samples to the paths that the real tools post to. */
export async function playSamples(url: string, functions: readonly FunctionInfo[], now: number): Promise<void> {
  const webhooks = functions.flatMap((info) => info.webhooks);
  for (const sample of samples(now).filter((one) => !isObject(one))) {
    const webhook = webhooks.find(({ eventType }) => eventType === sample.type);
    if (!webhook) continue;
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url + webhook.path, { method: 'POST', headers, body: JSON.stringify(sample.data) });
    if (!response.ok) throw new Error(`sample ${sample.name}: ${response.status} ${await response.text()}`);
  }
}
