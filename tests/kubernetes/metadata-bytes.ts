import { PbfWriter } from 'pbf';

export interface Item {
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

export interface List {
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
export function encode(list: List): Uint8Array {
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
