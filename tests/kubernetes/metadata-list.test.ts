import fc from 'fast-check';
import { PbfWriter } from 'pbf';
import { describe, expect, it } from 'vitest';
import { decodeMetadataList } from '../../shared/kubernetes/metadata-list.ts';

interface Item {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly seconds: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Of fields that nothing here reads, such as managedFields. */
  readonly other: string;
  /** In seconds. */
  readonly deleted: number | undefined;
  readonly owners: readonly Owner[];
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly controller: boolean;
}

interface List {
  readonly remaining: number | undefined;
  readonly resourceVersion: string;
  readonly continue: string;
  readonly items: readonly Item[];
}

/** Not by pbf's own way to write strings, which takes some characters for others. */
function writeText(writer: PbfWriter, tag: number, value: string): void {
  writer.writeBytesField(tag, Buffer.from(value));
}

function writeEntry([key, value]: readonly [string, string], writer: PbfWriter): void {
  writeText(writer, 1, key);
  writeText(writer, 2, value);
}

function writeTime(seconds: number, writer: PbfWriter): void {
  writer.writeVarintField(1, seconds);
}

function writeOwner({ apiVersion, kind, name, controller }: Owner, writer: PbfWriter): void {
  writeText(writer, 1, kind);
  writeText(writer, 3, name);
  writeText(writer, 4, 'a uid');
  writeText(writer, 5, apiVersion);
  writer.writeBooleanField(6, controller);
}

function writeMetadata(item: Item, writer: PbfWriter): void {
  writeText(writer, 1, item.name);
  writeText(writer, 2, item.other);
  writeText(writer, 3, item.namespace);
  writeText(writer, 5, item.uid);
  writeText(writer, 6, item.resourceVersion);
  writer.writeVarintField(7, 1);
  writer.writeMessage(8, writeTime, item.seconds);
  if (item.deleted !== undefined) writer.writeMessage(9, writeTime, item.deleted);
  for (const entry of Object.entries(item.labels)) writer.writeMessage(11, writeEntry, entry);
  writer.writeMessage(12, writeEntry, ['annotation', item.other]);
  writer.writeMessage(12, writeEntry, ['another annotation', item.other]);
  for (const owner of item.owners) writer.writeMessage(13, writeOwner, owner);
  writer.writeMessage(17, writeEntry, ['manager', item.other]);
}

/** As an API server answers. */
function encode(list: List): Uint8Array {
  const writer = new PbfWriter();
  for (const byte of 'k8s\0') writer.writeVarint(byte.charCodeAt(0));
  writer.writeMessage(1, writeEntry, ['meta.k8s.io/v1', 'PartialObjectMetadataList']);
  const writeItem = (item: Item, to: PbfWriter): void => to.writeMessage(1, writeMetadata, item);
  const writeListMetadata = (_list: List, to: PbfWriter): void => {
    writeText(to, 1, '');
    writeText(to, 2, list.resourceVersion);
    writeText(to, 3, list.continue);
    if (list.remaining !== undefined) to.writeVarintField(4, list.remaining);
  };
  const writeList = (_list: List, to: PbfWriter): void => {
    to.writeMessage(1, writeListMetadata, list);
    for (const item of list.items) to.writeMessage(2, writeItem, item);
  };
  writer.writeMessage(2, writeList, list);
  writeText(writer, 3, '');
  writeText(writer, 4, '');
  return writer.finish();
}

const text = fc.string({ unit: 'binary', maxLength: 40 });
const lists: fc.Arbitrary<List> = fc.record({
  remaining: fc.option(fc.nat(), { nil: undefined }),
  resourceVersion: text,
  continue: text,
  items: fc.array(
    fc.record({
      name: text,
      namespace: text,
      uid: text,
      resourceVersion: text,
      other: text,
      seconds: fc.integer({ min: 0, max: 4_102_444_800 }),
      deleted: fc.option(fc.integer({ min: 1, max: 4_102_444_800 }), { nil: undefined }),
      owners: fc.array(fc.record({ apiVersion: text, kind: text, name: text, controller: fc.boolean() }), {
        maxLength: 2,
      }),
      // No label of Kubernetes has that name.
      labels: fc.dictionary(
        text.filter((name) => name !== '__proto__'),
        text,
        { maxKeys: 8 },
      ),
    }),
    { maxLength: 20 },
  ),
});

const isWanted = (annotation: string): boolean => annotation === 'annotation';

describe('a list of metadata in protobuf', () => {
  it('is read as its JSON would be, whatever else is in it', () => {
    fc.assert(
      fc.property(lists, (list) => {
        expect(decodeMetadataList(Buffer.from(encode(list)), isWanted)).toEqual({
          resourceVersion: list.resourceVersion,
          continue: list.continue,
          remaining: list.remaining,
          items: list.items.map(({ seconds, other, deleted, owners, ...rest }) => ({
            ...rest,
            createdAt: seconds * 1000,
            deletedAt: deleted === undefined ? undefined : deleted * 1000,
            annotations: { annotation: other },
            hasAnnotations: true,
            ownerReferences: owners,
          })),
        });
      }),
    );
  });

  it('is refused where it is something else', () => {
    expect(() => decodeMetadataList(Buffer.from('{"kind":"PartialObjectMetadataList"}'), isWanted)).toThrow(
      "not Kubernetes' protobuf",
    );
    expect(() => decodeMetadataList(Buffer.alloc(0), isWanted)).toThrow("not Kubernetes' protobuf");
  });

  it('comes to an end with any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          decodeMetadataList(Buffer.concat([Buffer.from('k8s\0'), bytes]), isWanted);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
