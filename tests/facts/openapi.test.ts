import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { viewPaths } from '../../shared/host/view-routes.ts';
import { querySchemas } from '../../shared/view/viewer.ts';
import { type Program, samplesPlayed, startProgram } from '../host/program.ts';

const file = 'shared/view/openapi.yaml';
const document = parse(readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8'));

/** With what it refers to in place of the references. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved);
  if (typeof value !== 'object' || value === null) return value;
  if ('$ref' in value) {
    const steps = String(value.$ref).replace('#/', '').split('/');
    return resolved(steps.reduce((at, step) => at[step], document));
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, resolved(member)]));
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: {
    readonly type?: string;
    readonly enum?: readonly string[];
    readonly default?: unknown;
    readonly maximum?: number;
    readonly maxItems?: number;
    readonly items?: { readonly enum?: readonly string[] };
  };
}

function parametersOf(path: string): readonly Parameter[] {
  const parameters: unknown = resolved(document.paths[path].get?.parameters ?? []);
  return parameters as readonly Parameter[];
}

const paths = Object.keys(querySchemas) as (keyof typeof querySchemas)[];

describe(file, () => {
  it('has every path, and no other', () => {
    expect(Object.keys(document.paths).sort()).toEqual(['/', ...viewPaths].sort());
  });

  it.each(paths)('has every parameter of %s, and no other, with its values and its default', (path) => {
    const { shape } = querySchemas[path];
    const described = parametersOf(path);
    expect(described.map(({ name }) => name).sort()).toEqual(Object.keys(shape).sort());
    for (const { name, required = false, schema } of described) {
      const given: z.ZodType = Reflect.get(shape, name);
      const withoutValue = given.safeParse(undefined);
      expect([name, withoutValue.success]).toEqual([name, !required]);
      expect([name, withoutValue.data]).toEqual([name, schema.default]);
      const words = schema.enum ?? schema.items?.enum;
      for (const value of words ?? []) expect([name, given.safeParse(value).success]).toEqual([name, true]);
      if (words) expect([name, given.safeParse('no-such').success]).toEqual([name, false]);
      if (schema.type === 'array') {
        const most = Array.from({ length: schema.maxItems ?? 0 }, () => words?.[0] ?? 'x');
        expect([name, given.safeParse(most).success]).toEqual([name, true]);
        expect([name, given.safeParse([...most, ...most]).success]).toEqual([name, false]);
      } else expect([name, given.safeParse(['1', '1']).success]).toEqual([name, false]);
      if (schema.maximum === undefined) continue;
      const bounds = [schema.maximum, schema.maximum + 1].map((bound) => given.safeParse(String(bound)).success);
      expect([name, bounds]).toEqual([name, [true, false]]);
    }
  });
});

describe('real answers', () => {
  let program: Program;

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples'] });
    await samplesPlayed(program.log);
  }, 120_000);

  afterAll(() => program.stop());

  function schemaFor(path: string, status: number, type: string): z.ZodType {
    const responses: unknown = resolved(document.paths[path].get.responses);
    const response = Reflect.get(Object(responses), String(status));
    return z.fromJSONSchema(response.content[type].schema);
  }

  it.each([
    ['/observations', ''],
    ['/observations', '?limit=2'],
    ['/observations/counts', '?by=rule'],
    ['/observations/table', '?view=all'],
    ['/observations/session', '?namespace=shop'],
    ['/observations/export', ''],
  ])('%s%s is as it is described', async (path, query) => {
    const response = await fetch(program.url + path + query);
    expect(response.status).toBe(200);
    const body = await response.json();
    expect(schemaFor(path, 200, 'application/json').safeParse(body).error).toBeUndefined();
  });

  it('one Observation is as it is described', async () => {
    const rows = z.object({ items: z.array(z.object({ namespace: z.string(), name: z.string() })) });
    const { items } = rows.parse(await (await fetch(`${program.url}/observations/table`)).json());
    const response = await fetch(`${program.url}/observations/one?${new URLSearchParams(items[0])}`);
    const schema = schemaFor('/observations/one', 200, 'application/json');
    expect(schema.safeParse(await response.json()).error).toBeUndefined();
  });

  it.each([
    ['/observations', '?nonsense=1', 400],
    ['/observations', '?watch=2', 400],
    ['/observations/table', '?view=closed', 400],
    ['/observations/one', '?namespace=shop&name=nobody', 404],
  ])('the fault of %s%s is as it is described', async (path, query, status) => {
    const response = await fetch(program.url + path + query);
    expect(response.status).toBe(status);
    expect(schemaFor(path, status, 'application/json').safeParse(await response.json()).error).toBeUndefined();
  });

  it('an exception is not applied in local mode, where it is a file', async () => {
    const response = await fetch(`${program.url}/observations/exceptions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Requested-By': 'zen-watcher' },
      body: JSON.stringify({ kind: 'ObservationException', metadata: { namespace: 'shop' }, spec: { reason: 'x' } }),
    });
    expect(response.status).toBe(405);
    const body = await response.json();
    expect(body).toMatchObject({ error: expect.stringContaining('--config') });
    const described: unknown = resolved(document.paths['/observations/exceptions'].post.responses['405']);
    const { schema } = Object(described).content['application/json'];
    expect(z.fromJSONSchema(schema).safeParse(body).error).toBeUndefined();
  });

  it.each(['', '&brief=1'])('a change is as it is described: watch=1%s', async (more) => {
    const stopping = new AbortController();
    const response = await fetch(`${program.url}/observations?watch=1${more}`, { signal: stopping.signal });
    const post = (rule: string) =>
      fetch(`${program.url}/falco/webhook`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ rule, priority: 'Error' }),
      });
    await post(`changed ${more}`);
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.trim() !== '') break;
    }
    stopping.abort();
    const [line = ''] = text.trim().split('\n');
    const schema = schemaFor('/observations', 200, 'application/x-ndjson');
    expect(schema.safeParse(JSON.parse(line)).error).toBeUndefined();
    expect(JSON.parse(line).type).toBe('ADDED');
  });
});
