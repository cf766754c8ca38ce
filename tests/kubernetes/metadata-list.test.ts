import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMetadataReader, decodeMetadataList } from '../../shared/kubernetes/metadata-list.ts';
import { anyCharacter } from '../finding/any-character.ts';
import { encode, type List } from './metadata-bytes.ts';

const text = fc.string({ unit: anyCharacter, maxLength: 40 });
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

  it('is read alike however it arrives', () => {
    fc.assert(
      fc.property(lists, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 }), (list, sizes) => {
        const bytes = Buffer.from(encode(list));
        const reader = createMetadataReader(isWanted);
        const items: unknown[] = [];
        for (let index = 0, turn = 0; index < bytes.length; turn += 1) {
          const end = index + (sizes[turn % sizes.length] ?? 1);
          items.push(...reader.read(bytes.subarray(index, end)));
          index = end;
        }
        const { items: whole, ...rest } = decodeMetadataList(bytes, isWanted);
        expect(items).toEqual(whole);
        expect({ continue: reader.continue(), remaining: reader.remaining() }).toEqual(rest);
        expect(reader.isComplete()).toBe(true);
      }),
    );
  });

  it('is not complete before its last byte', () => {
    fc.assert(
      fc.property(lists, fc.nat(), (list, at) => {
        // The two empty fields that follow the list have two bytes each.
        const bytes = Buffer.from(encode(list)).subarray(0, -4);
        const cut = bytes.subarray(0, at % bytes.length);
        const reader = createMetadataReader(isWanted);
        reader.read(cut);
        expect(reader.isComplete()).toBe(false);
        expect(() => decodeMetadataList(cut, isWanted)).toThrow("not Kubernetes' protobuf");
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
