import * as z from 'zod';

/** The part of a CRD's schema of a field that says what may stand there. */
export interface FieldSchema {
  readonly type: string;
  readonly maxLength?: number | undefined;
  readonly maxItems?: number | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly pattern?: string | undefined;
  readonly enum?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, FieldSchema>> | undefined;
  readonly items?: FieldSchema | undefined;
  readonly additionalProperties?: FieldSchema | boolean | undefined;
}

const fieldSchema: z.ZodType<FieldSchema> = z.lazy(() =>
  z.object({
    type: z.string().default('any'),
    maxLength: z.number().optional(),
    maxItems: z.number().optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    pattern: z.string().optional(),
    enum: z.array(z.string()).optional(),
    properties: z.record(z.string(), fieldSchema).optional(),
    items: fieldSchema.optional(),
    additionalProperties: z.union([fieldSchema, z.boolean()]).optional(),
  }),
);

const crdSchema = z.object({
  spec: z.object({
    versions: z.tuple([z.object({ schema: z.object({ openAPIV3Schema: fieldSchema }) })], z.unknown()),
  }),
});

/** The schema of `spec` in a CRD. */
export function specSchemaOf(crd: unknown): FieldSchema {
  const [version] = crdSchema.parse(crd).spec.versions;
  const spec = version.schema.openAPIV3Schema.properties?.spec;
  if (!spec) throw new Error('the CRD has no spec');
  return spec;
}

/** A spec with one thing wrong. */
export interface BadInput {
  /** What was done to which field. */
  readonly what: string;
  /** The name that a message must have. */
  readonly field: string;
  readonly spec: unknown;
}

type Key = string | number;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same with something else in one place; `undefined` removes it. */
function replaced(value: unknown, [key, ...rest]: readonly Key[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? replaced(item, rest, by) : item));
  const given = isObject(value) ? value : {};
  return { ...given, [key]: replaced(given[key], rest, by) };
}

/** Values that a field of a type can't have: those of all other types. */
function otherTypes(type: string): [string, unknown][] {
  const values: [string, unknown][] = [
    ['string', 'text'],
    ['integer', 7],
    ['boolean', true],
    ['array', ['text']],
    ['object', { key: 'text' }],
  ];
  return values.filter(([other]) => other !== type);
}

/** Not of what may be a path or any text: of a text, nobody knows how it is spelt. */
function isMisspelt({ pattern, enum: words }: FieldSchema, word: string): boolean {
  return words !== undefined || (pattern !== undefined && !new RegExp(pattern).test(word));
}

function outOfRange(schema: FieldSchema, value: unknown): [string, unknown][] {
  const { maxLength, maxItems, minimum, maximum } = schema;
  return [
    ...(maxLength === undefined ? [] : [['a text that is too long', 'x'.repeat(maxLength + 1)] as [string, unknown]]),
    ...(maxItems === undefined || !Array.isArray(value)
      ? []
      : [['too many items', Array.from({ length: maxItems + 1 }, () => value[0])] as [string, unknown]]),
    ...(minimum === undefined ? [] : [['a number that is too small', minimum - 1] as [string, unknown]]),
    ...(maximum === undefined ? [] : [['a number that is too large', maximum + 1] as [string, unknown]]),
    ...(isMisspelt(schema, `${value}!`) ? [['a misspelt word', `${value}!`] as [string, unknown]] : []),
  ];
}

interface Place {
  readonly path: readonly Key[];
  readonly schema: FieldSchema;
  readonly value: unknown;
}

/** Everything in an example that a schema describes, `spec` itself too. */
function placesIn({ path, schema, value }: Place): Place[] {
  const here = { path, schema, value };
  const { items, additionalProperties } = schema;
  if (Array.isArray(value) && items) {
    return [here, ...value.slice(0, 1).flatMap((item) => placesIn({ path: [...path, 0], schema: items, value: item }))];
  }
  if (!isObject(value)) return [here];
  const inside = Object.entries(value).flatMap(([key, member]) => {
    const ofMember =
      schema.properties?.[key] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    return ofMember ? placesIn({ path: [...path, key], schema: ofMember, value: member }) : [];
  });
  return [here, ...inside];
}

function nameOf(path: readonly Key[]): string {
  return path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
}

/** The name of the field that a place is in. */
function fieldOf(path: readonly Key[]): string {
  return String(path.findLast((key) => typeof key === 'string') ?? 'spec');
}

/** All that can be wrong with one field of an example: its type, its range and its spelling. */
export function badInputsOf(schema: FieldSchema, spec: unknown): BadInput[] {
  return placesIn({ path: [], schema, value: spec }).flatMap(({ path, schema: of, value }) => {
    const wrong = [
      ...(of.type === 'any'
        ? []
        : otherTypes(of.type).map(([type, other]): [string, unknown] => [`of type ${type}`, other])),
      ...outOfRange(of, value),
    ].map(([what, by]) => ({
      what: `spec${nameOf(path)}: ${what}`,
      field: fieldOf(path),
      spec: replaced(spec, path, by),
    }));
    if (!of.properties || !isObject(value)) return wrong;
    const misspelt = Object.keys(value).map((key) => {
      const { [key]: member, ...others } = value;
      const name = `${key}x`;
      return {
        what: `spec${nameOf(path)}.${name}: a misspelt field`,
        field: name,
        spec: replaced(spec, path, { ...others, [name]: member }),
      };
    });
    return [...wrong, ...misspelt];
  });
}

/** The fields that a schema has, as paths without indices. */
export function fieldsOf(schema: FieldSchema, path = ''): string[] {
  const { properties = {}, items } = schema;
  return [
    ...(path === '' ? [] : [path]),
    ...Object.entries(properties).flatMap(([key, member]) => fieldsOf(member, `${path}.${key}`)),
    ...(items ? fieldsOf(items, `${path}[]`).filter((field) => field !== `${path}[]`) : []),
  ];
}

/** The fields that an example has, as paths without indices. */
export function fieldsIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsIn(item, `${path}[]`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => [`${path}.${key}`, ...fieldsIn(member, `${path}.${key}`)]);
}
