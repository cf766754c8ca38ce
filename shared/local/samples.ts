import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { FunctionInfo } from '../function/context.ts';

/** `<source>/<case>.event.json`: CloudEvents in structured mode. */
const samplesFolder = join(import.meta.dirname, '..', '..', 'functions', 'samples');

const sampleEvent = z.object({ type: z.string(), data: z.record(z.string(), z.unknown()) });

interface Sample extends z.infer<typeof sampleEvent> {
  /** `<source>-<case>` */
  readonly name: string;
}

function samples(): Sample[] {
  if (!existsSync(samplesFolder))
    throw new Error('--samples: the sample events are in the repository, not in the image');
  return readdirSync(samplesFolder).flatMap((source) =>
    readdirSync(join(samplesFolder, source))
      .filter((file) => file.endsWith('.event.json'))
      .map((file) => ({
        name: `${source}-${file.replace('.event.json', '')}`,
        ...sampleEvent.parse(JSON.parse(readFileSync(join(samplesFolder, source, file), 'utf8'))),
      })),
  );
}

function isObject({ type }: Sample): boolean {
  return type.startsWith('dev.knative.apiserver.');
}

/**
 * Writes the sample Kubernetes objects to a folder beside the store, where they are observed like any other, and can be
 * changed to see what happens. Resolves to the folder.
 */
export function sampleObjects(data: string): string {
  const folder = join(data, 'samples');
  mkdirSync(folder, { recursive: true });
  for (const { name, data: object } of samples().filter(isObject)) {
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(object, null, 2)}\n`);
  }
  return folder;
}

/** Posts the other samples to the paths that the real tools post to. */
export async function playSamples(url: string, functions: readonly FunctionInfo[]): Promise<void> {
  const webhooks = functions.flatMap((info) => info.webhooks);
  for (const sample of samples().filter((one) => !isObject(one))) {
    const webhook = webhooks.find(({ eventType }) => eventType === sample.type);
    if (!webhook) continue;
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url + webhook.path, { method: 'POST', headers, body: JSON.stringify(sample.data) });
    if (!response.ok) throw new Error(`sample ${sample.name}: ${response.status} ${await response.text()}`);
  }
}
