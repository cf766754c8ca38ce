import { PbfReader } from 'pbf';

const protobuf = 'application/vnd.kubernetes.protobuf';

/** Whether this is the content type of a protobuf message; what an API server says of faults is JSON all the same. */
export function isProtobuf(contentType: string | undefined): boolean {
  return contentType?.startsWith(protobuf) ?? false;
}

function metadataAs(kind: string): string {
  const as = `;as=${kind};g=meta.k8s.io;v=v1`;
  return `${protobuf}${as}, application/json${as}`;
}

/**
 * What to ask for where metadata is enough. In protobuf it costs the API server a fourth less than in JSON, and us
 * nothing for what is not looked at, such as managedFields.
 */
export const metadataOfOne = metadataAs('PartialObjectMetadata');
export const metadataOfMany = metadataAs('PartialObjectMetadataList');

interface List {
  metadata: { continue?: string; resourceVersion?: string };
  readonly items: { readonly metadata: Metadata }[];
}

interface Metadata {
  name?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  readonly labels: Record<string, string>;
}

interface Time {
  seconds: number;
}

/** The magic number of Kubernetes' protobuf. */
const magic = 'k8s\0';

/**
 * The fields that we use of a PartialObjectMetadataList in protobuf, as JSON has them. The field numbers are those of
 * https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/generated.proto and, around it,
 * https://github.com/kubernetes/apimachinery/blob/master/pkg/runtime/generated.proto. Throws where it is none.
 */
export function decodeMetadataList(bytes: Uint8Array): List {
  if (String.fromCharCode(...bytes.subarray(0, magic.length)) !== magic) throw new Error('no protobuf of Kubernetes');
  const reader = new PbfReader(bytes);
  reader.pos = magic.length;
  const list: List = { metadata: {}, items: [] };
  return reader.readFields(readEnvelope, list);
}

function readEnvelope(tag: number, list: List, reader: PbfReader): void {
  if (tag === 2) reader.readMessage(readList, list);
}

function readList(tag: number, list: List, reader: PbfReader): void {
  if (tag === 1) reader.readMessage(readListMetadata, list.metadata);
  else if (tag === 2) {
    const metadata: Metadata = { labels: {} };
    reader.readMessage(readItem, metadata);
    list.items.push({ metadata });
  }
}

function readListMetadata(tag: number, metadata: List['metadata'], reader: PbfReader): void {
  if (tag === 2) metadata.resourceVersion = reader.readString();
  else if (tag === 3) metadata.continue = reader.readString();
}

function readItem(tag: number, metadata: Metadata, reader: PbfReader): void {
  if (tag === 1) reader.readMessage(readMetadata, metadata);
}

function readMetadata(tag: number, metadata: Metadata, reader: PbfReader): void {
  if (tag === 1) metadata.name = reader.readString();
  else if (tag === 3) metadata.namespace = reader.readString();
  else if (tag === 5) metadata.uid = reader.readString();
  else if (tag === 6) metadata.resourceVersion = reader.readString();
  else if (tag === 8) {
    const { seconds } = reader.readMessage(readTime, { seconds: 0 });
    metadata.creationTimestamp = new Date(seconds * 1000).toISOString();
  } else if (tag === 11) {
    const [name, value] = reader.readMessage(readEntry, ['', '']);
    metadata.labels[name] = value;
  }
}

function readTime(tag: number, time: Time, reader: PbfReader): void {
  if (tag === 1) time.seconds = reader.readVarint(true);
}

function readEntry(tag: number, entry: [string, string], reader: PbfReader): void {
  if (tag === 1 || tag === 2) entry[tag - 1] = reader.readString();
}
