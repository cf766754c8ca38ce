import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  within as inTime,
  observationsOf,
  type Program,
  runProgram,
  startProgram,
  temporaryFolder,
} from './program.ts';

const within = <Value>(what: string, get: () => Promise<Value | undefined>): Promise<Value> => inTime(what, 2, get);

const filter = (name: string, spec: string) => `apiVersion: zen.kube-zen.io/v1alpha1
kind: ObservationFilter
metadata: { name: ${name} }
spec: { targetSource: falco, ${spec} }
`;

const exception = (match: string) => `apiVersion: zen.kube-zen.io/v1alpha1
kind: ObservationException
metadata: { name: it }
spec: { match: { ${match} }, reason: because }
`;

const ingester = (path: string) => `apiVersion: zen.kube-zen.io/v1alpha1
kind: Ingester
metadata: { name: hooks }
spec:
  source: hooks
  ingester: webhook
  webhook: { path: ${path} }
  mappings: { severity: .level, category: operational, eventType: hook, message: .text }
`;

describe('--config', () => {
  const [config, objects] = [temporaryFolder(), temporaryFolder()];
  let program: Program;
  let count = 0;
  const json = { 'content-type': 'application/json' };

  const post = async (path: string, body: object): Promise<number> =>
    (await fetch(program.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) })).status;
  const specs = async (source: string) =>
    (await observationsOf(program.url, `&source=${source}`)).map(({ spec }) => spec);
  const messages = async (source: string): Promise<string[]> =>
    (await specs(source)).map(({ details }) => Object.assign({ message: '' }, details).message);
  /** Whether an alert of this priority passes now. */
  const passes = async (priority: string): Promise<boolean> => {
    count += 1;
    const rule = `alert ${count}`;
    expect(await post('/falco/webhook', { rule, priority })).toBe(204);
    return (await specs('falco')).some((spec) => spec.rule === rule);
  };

  beforeAll(async () => {
    writeFileSync(join(config, 'falco.yaml'), filter('falco', 'minSeverity: HIGH'));
    const args = ['--port', '0', '--data', temporaryFolder(), '--config', config, '--objects', objects];
    program = await startProgram({ args });
  });

  afterAll(() => program.stop());

  it('filters from the first event on', async () => {
    expect([await passes('Warning'), await passes('Error')]).toEqual([false, true]);
  });

  it('is live', async () => {
    writeFileSync(join(config, 'falco.yaml'), filter('falco', 'minSeverity: CRITICAL'));
    await within('a changed filter', async () => ((await passes('Error')) ? undefined : true));
    rmSync(join(config, 'falco.yaml'));
    await within('a removed filter', async () => ((await passes('Warning')) ? true : undefined));
  });

  it('accepts what is there and what comes, live', async () => {
    const accepted = async (wanted: boolean) =>
      (await observationsOf(program.url, `&source=falco&accepted=${wanted}`)).length;
    const before = await accepted(false);
    expect(before).toBeGreaterThan(0);
    writeFileSync(join(config, 'falco-exception.yaml'), exception('sources: [falco]'));
    await within('what is there', async () => ((await accepted(true)) === before ? true : undefined));
    expect(await passes('Error')).toBe(true);
    expect([await accepted(true), await accepted(false)]).toEqual([before + 1, 0]);
    await within('its conditions in the log', async () =>
      program.log.find((line) => line.includes('set-status') && line.includes('ObservationException')),
    );
    writeFileSync(join(config, 'falco-exception.yaml'), exception('sources: [falco], rulez: [x]'));
    await within('word of it', async () => program.log.find((line) => line.includes('spec.match.rulez')));
    expect(await accepted(false)).toBe(0);
    rmSync(join(config, 'falco-exception.yaml'));
    await within('nothing accepted', async () => ((await accepted(true)) === 0 ? true : undefined));
  });

  it('keeps the last good filter while its file is broken', async () => {
    writeFileSync(join(config, 'falco.yaml'), filter('falco', 'minSeverity: HIGH'));
    await within('a new filter', async () => ((await passes('Warning')) ? undefined : true));
    writeFileSync(join(config, 'falco.yaml'), filter('falco', 'minSeverity: hgih'));
    await within('word of it', async () => program.log.find((line) => line.includes('spec.minSeverity')));
    expect(await passes('Warning')).toBe(false);
    writeFileSync(join(config, 'falco.yaml'), 'apiVersion: [');
    await within('word of it', async () =>
      program.log.find((line) => line.includes('falco.yaml') && !line.includes('minSeverity')),
    );
    expect(await passes('Warning')).toBe(false);
    rmSync(join(config, 'falco.yaml'));
  });

  it('reads the filter ConfigMap, too', async () => {
    await within('no filter', async () => ((await passes('Warning')) ? true : undefined));
    const configMap = (minSeverity: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'zen-watcher-filter' },
      data: { 'filter.json': JSON.stringify({ sources: { falco: { minSeverity } } }) },
    });
    const file = join(config, 'configmap.json');
    writeFileSync(file, JSON.stringify(configMap('HIGH')));
    await within('a filter of the ConfigMap', async () => ((await passes('Warning')) ? undefined : true));
    writeFileSync(file, JSON.stringify(configMap('hgih')));
    await within('word of its field', async () =>
      (await fetch(`${program.url}/observations?source=filters`))
        .text()
        .then((text) => (text.includes('sources.falco.minSeverity') ? true : undefined)),
    );
    expect(await passes('Warning')).toBe(false);
    rmSync(file);
    await within('no filter', async () => ((await passes('Warning')) ? true : undefined));
  });

  it('opens and closes doors below /ingest', async () => {
    expect(await post('/ingest/hooks', { level: 'high', text: 'too early' })).toBe(404);
    writeFileSync(join(config, 'hooks.yaml'), ingester('hooks'));
    await within('an Ingester', async () =>
      (await post('/ingest/hooks', { level: 'high', text: 'in time' })) === 204 ? true : undefined,
    );
    expect(await messages('hooks')).toEqual(['in time']);
    expect([await post('/ingest/other', {}), await post('/ingest/hooks/more', {}), await post('/ingest/', {})]).toEqual(
      [404, 404, 404],
    );
    expect((await fetch(`${program.url}/ingest/hooks`)).status).toBe(405);
    rmSync(join(config, 'hooks.yaml'));
    await within('no Ingester', async () => ((await post('/ingest/hooks', {})) === 404 ? true : undefined));
  });

  it('maps objects that are there and that come', async () => {
    const widget = (name: string) =>
      JSON.stringify({
        apiVersion: 'example.com/v1',
        kind: 'Widget',
        metadata: { name, namespace: 'shop' },
        text: name,
      });
    writeFileSync(join(objects, 'first.json'), widget('first'));
    const mapping = `apiVersion: zen.kube-zen.io/v1alpha1
kind: ObservationMapping
metadata: { name: widgets }
spec:
  sourceName: widgets
  group: example.com
  version: v1
  kind: Widget
  mappings: { severity: HIGH, category: operational, eventType: widget, message: .text }
`;
    writeFileSync(join(config, 'widgets.yaml'), mapping);
    await within('what was there before its mapping', async () =>
      (await messages('widgets')).includes('first') ? true : undefined,
    );
    writeFileSync(join(objects, 'second.json'), widget('second'));
    await within('what came after it', async () => ((await messages('widgets')).includes('second') ? true : undefined));
    await within('its conditions in the log', async () =>
      program.log.find((line) => line.includes('set-status') && line.includes('ObservationMapping')),
    );
  });
});

describe('--config at the start', () => {
  it.each<[string, string, string]>([
    ['a filter with a misspelt word', filter('f', 'minSeverity: hgih'), 'spec.minSeverity'],
    ['a filter with a misspelt field', filter('f', 'minSeverty: HIGH'), 'spec.minSeverty'],
    ['an exception with a misspelt field', exception('rulez: [a]'), 'spec.match.rulez'],
    ['an exception with a wrong expression', exception("expression: 'sorce == 1'"), 'spec.match.expression'],
    ['an Ingester with a bad path', ingester('../up'), 'spec.webhook.path'],
    [
      'a filter with a wrong expression',
      filter('f', 'expression: sevrity == "HIGH"'),
      'spec.expression: at 1:1: there is no sevrity',
    ],
    ['what is no YAML', 'apiVersion: [', 'it.yaml'],
  ])('stops at %s, and names the file and the field', async (_case, text, field) => {
    const config = temporaryFolder();
    writeFileSync(join(config, 'it.yaml'), text);
    const { code, output } = await runProgram({
      args: ['--port', '0', '--data', temporaryFolder(), '--config', config],
    });
    expect(code).toBe(1);
    expect(output).toContain('it.yaml');
    expect(output).toContain(field);
  });

  it('stops without the folder', async () => {
    const { code, output } = await runProgram({
      args: ['--port', '0', '--data', temporaryFolder(), '--config', '/nowhere'],
    });
    expect([code, output]).toEqual([1, expect.stringContaining('--config: no folder')]);
  });
});
