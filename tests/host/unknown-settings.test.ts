import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { unknownSettings } from '../../shared/host/unknown-settings.ts';

const folder = join(import.meta.dirname, '..', '..', 'knative');
const all = await loadFunctions();

const container = z.object({
  args: z.array(z.string()),
  env: z.array(z.object({ name: z.string() })).default([]),
});
const workload = z.object({
  spec: z.object({ template: z.object({ spec: z.object({ containers: z.array(container) }) }) }),
});

/** The containers of the generated manifests. */
const containers = ['base', 'namespaced', 'standalone', 'components']
  .flatMap((part) =>
    readdirSync(join(folder, part), { recursive: true, encoding: 'utf8' }).map((file) => join(part, file)),
  )
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).flatMap((document) => {
      const found = workload.safeParse(document.toJS()).data?.spec.template.spec.containers ?? [];
      return found.map(({ args: [name = ''], env }): [string, string, string[]] => [
        name,
        file,
        env.map((one) => one.name),
      ]);
    }),
  );

/** What is known where the function runs. */
function knownTo(name: string) {
  const own = all.filter((one) => one.name === name);
  return own.some(({ seesOthers }) => !seesOthers) ? own : all;
}

describe('unknownSettings', () => {
  it('is asked about many containers', () => {
    expect(containers.length).toBeGreaterThan(20);
  });

  it.each(containers)('says nothing of what a manifest sets: %s in %s', (name, _file, variables) => {
    const environment = Object.fromEntries(variables.map((variable) => [variable, '1']));
    expect(unknownSettings(environment, knownTo(name))).toEqual([]);
  });

  it.each([
    ['falco', 'FALCO_MINIMUM_PRIORTY', 'FALCO_MINIMUM_PRIORITY'],
    ['gc', 'MAX_OBSERVATION', 'MAX_OBSERVATIONS'],
    ['falco', 'FLACO_MINIMUM_PRIORITY', 'FALCO_MINIMUM_PRIORITY'],
    ['falco', 'LG_LEVL', 'LOG_LEVEL'],
    ['sender', 'SENDER_SINK_TOKEN_FIL', 'SENDER_SINK_TOKEN_FILE'],
  ])('tells %s that %s may be %s', (name, wrong, meant) => {
    const [warning] = unknownSettings({ [wrong]: '1' }, knownTo(name));
    expect(warning).toBe(`${wrong} is not a setting and has no effect: did you mean ${meant}?`);
  });

  it('says nothing of what is not ours, or what Kubernetes sets', () => {
    const environment = {
      HOSTNAME: 'a',
      FALCO_SERVICE_HOST: '1',
      FALCO_PORT_80_TCP: '1',
      K_REVISION: 'r',
      PATH: '/',
      LEVEL: '1',
      PO: '1',
    };
    expect(unknownSettings(environment, all)).toEqual([]);
  });
});
