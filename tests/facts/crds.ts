import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';
import { ingesterObject } from '../../shared/api/ingester.ts';
import { exceptionSpec } from '../../shared/api/observation-exception.ts';
import { filterSpec } from '../../shared/api/observation-filter.ts';
import { mappingObject } from '../../shared/api/observation-mapping.ts';
import { root } from './markdown.ts';

/** The keywords for limits and defaults that JSON Schema and a CRD's schema share. */
export const keywords = [
  'type',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'maxProperties',
  'enum',
  'default',
] as const;

export type Keyword = (typeof keywords)[number];

/** The parts of a schema that are compared. */
export interface Schema extends Partial<Readonly<Record<Keyword, unknown>>> {
  readonly required?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly items?: Schema | undefined;
  readonly additionalProperties?: Schema | boolean | undefined;
}

const schema: z.ZodType<Schema> = z.looseObject({
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), schema).optional();
  },
  get items() {
    return schema.optional();
  },
  get additionalProperties() {
    return z.union([schema, z.boolean()]).optional();
  },
});

const crd = z.object({
  spec: z.object({
    names: z.object({ kind: z.string() }),
    versions: z.tuple([
      z.object({
        additionalPrinterColumns: z.array(
          z.object({ name: z.string(), jsonPath: z.string(), priority: z.number().default(0) }),
        ),
        schema: z.object({ openAPIV3Schema: z.object({ properties: z.object({ spec: schema }) }) }),
      }),
    ]),
  }),
});

export interface Crd {
  /** Its path in the project. */
  readonly file: string;
  readonly kind: string;
  readonly columns: readonly { readonly name: string; readonly jsonPath: string; readonly priority: number }[];
  /** The schema of `spec`. */
  readonly spec: Schema;
}

/** The CRDs by kind. */
export const crds: ReadonlyMap<string, Crd> = new Map(
  readdirSync(join(root, 'crds'))
    .filter((file) => file.endsWith('.yaml'))
    .map((name) => {
      const file = `crds/${name}`;
      const { spec } = crd.parse(parse(readFileSync(join(root, file), 'utf8')));
      const [version] = spec.versions;
      const { kind } = spec.names;
      const columns = version.additionalPrinterColumns;
      return [kind, { file, kind, columns, spec: version.schema.openAPIV3Schema.properties.spec }];
    }),
);

export function crdOf(kind: string): Crd {
  const found = crds.get(kind);
  if (!found) throw new Error(`crds/ has no ${kind}`);
  return found;
}

/** Fields by path (`spec.when[].path`, `spec.details.*`), and whether they are required. */
export type Fields = ReadonlyMap<string, Schema & { readonly isRequired: boolean }>;

/** All fields of a CRD's schema. */
export function fieldsOf(of: Schema, path = 'spec', isRequired = true): Fields {
  const { properties = {}, required = [], items, additionalProperties: entry } = of;
  return new Map([
    [path, { ...of, isRequired }],
    ...Object.entries(properties).flatMap(([name, child]) => [
      ...fieldsOf(child, `${path}.${name}`, required.includes(name)),
    ]),
    ...(items ? fieldsOf(items, `${path}[]`) : []),
    ...(typeof entry === 'object' ? fieldsOf(entry, `${path}.*`) : []),
  ]);
}

/** The kinds that functions read, each with its schema and the file that holds it. */
export const readKinds = [
  { kind: 'ObservationFilter', file: 'shared/api/observation-filter.ts', spec: filterSpec },
  { kind: 'ObservationMapping', file: 'shared/api/observation-mapping.ts', spec: mappingObject.shape.spec },
  { kind: 'ObservationException', file: 'shared/api/observation-exception.ts', spec: exceptionSpec },
  { kind: 'Ingester', file: 'shared/api/ingester.ts', spec: ingesterObject.shape.spec },
];

/** All fields that one of our schemas reads, as far as JSON Schema shows them. */
export function fieldsRead(spec: z.ZodType): Fields {
  return fieldsOf(schema.parse(z.toJSONSchema(spec, { io: 'input' })));
}
