import { free, smallBytes } from '../../shared/edge/free.ts';
import { bytesOfBase64 } from '../../shared/edge/gunzip.ts';
import { parseJson } from '../../shared/function/json.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { aksEventOf, unquoted } from './aks.ts';
import { gkeEventOf } from './gke.ts';
import { at, isRecord, textAt } from './values.ts';

/**
 * How managed clusters ship audit events, since they have no audit webhook:
 * - EKS: CloudWatch Logs, by a subscription, through Firehose, as `records[].data`, base64 of gzip of `logEvents[].message`.
 *   https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
 * - GKE: Cloud Logging, by a sink, through a push subscription of Pub/Sub: `message.data`, base64 of a log entry.
 *   https://cloud.google.com/pubsub/docs/push
 * - AKS: a diagnostic setting's `records[]`, or one of them, with the event in `properties.log`, or the rows of a table.
 *   https://learn.microsoft.com/azure/aks/monitor-aks
 */

/** What was in a body: an event, or what could not be read and why. */
export type Shipped =
  | { readonly path: string; readonly event: unknown }
  | { readonly path: string; readonly fault: string }
  /** Sent along by the shipper itself, and no event. */
  | { readonly path: string };

/** What may be unpacked of one record, and of a whole body: nobody else is served meanwhile. */
const maxRecordBytes = 8_388_608;
const maxUnpackedBytes = 67_108_864;
const maxLines = 25_000;
const maxDepth = 6;

/** How a body is being read. */
interface Reading {
  readonly depth: number;
  readonly unpacked: { bytes: number };
}

const [openList, openObject, byteOrderMark] = [0x5b, 0x7b, 0xef];

/** Whether bytes may be JSON with events in it. What is long is not copied to find that there are none. */
function mayHoldEvents(bytes: Uint8Array): boolean {
  if (bytes.length <= smallBytes) return true;
  const first = bytes.find((byte) => byte > 0x20);
  return first === openObject || first === openList || first === byteOrderMark;
}

function* parsed(path: string, bytes: Uint8Array, reading: Reading): Generator<Shipped> {
  if (!mayHoldEvents(bytes)) return yield { path, fault: 'holds no events' };
  let value: unknown;
  try {
    value = parseJson(bytes, path);
  } catch (error) {
    if (error instanceof Refusal && error.status === 413) yield { path, fault: 'holds too many values' };
    else yield* linesIn(path, Buffer.from(bytes).toString(), reading);
    return;
  }
  yield* shippedIn(value, path, reading);
}

function parsedText(path: string, text: string, reading: Reading): Generator<Shipped> {
  return parsed(path, Buffer.from(text), reading);
}

/** Several documents, one a line. */
function* linesIn(path: string, text: string, reading: Reading): Generator<Shipped> {
  const all = text.split('\n', maxLines + 1);
  if (all.length > maxLines) return yield { path, fault: 'has too many lines' };
  const lines = all.filter((line) => line.trim() !== '');
  if (lines.length < 2) return yield { path, fault: 'is not valid JSON' };
  for (const [index, line] of lines.entries()) yield* lineIn(`${path}:${index + 1}`, line, reading);
}

function lineIn(path: string, line: string, reading: Reading): Iterable<Shipped> {
  try {
    return shippedIn(parseJson(Buffer.from(line), path), path, reading);
  } catch {
    return [{ path, fault: 'is not valid JSON' }];
  }
}

function* decoded(path: string, base64: string, reading: Reading): Generator<Shipped> {
  const { unpacked } = reading;
  let bytes: Buffer;
  try {
    bytes = bytesOfBase64(base64, Math.min(maxRecordBytes, maxUnpackedBytes - unpacked.bytes));
  } catch {
    // What was unpacked in vain took its time, too.
    unpacked.bytes += maxRecordBytes;
    return yield { path, fault: 'is not base64 of gzip, or too long' };
  }
  unpacked.bytes += bytes.length;
  try {
    yield* parsed(path, bytes, reading);
  } finally {
    free(bytes);
  }
}

function* each(path: string, list: readonly unknown[], reading: Reading): Generator<Shipped> {
  for (const [index, item] of list.entries()) yield* shippedIn(item, `${path}[${index}]`, reading);
}

/** A record of a list: Firehose's has base64 in `data`. */
function recordIn(record: unknown, path: string, reading: Reading): Iterable<Shipped> {
  const data = textAt(record, 'data');
  return data === undefined ? shippedIn(record, path, reading) : decoded(`${path}.data`, data, reading);
}

function* fromCloudWatch(body: Readonly<Record<string, unknown>>, path: string, reading: Reading): Generator<Shipped> {
  // The log group of a cluster has other streams, too: of the authenticator, the scheduler, the controllers.
  const stream = textAt(body, 'logStream') ?? 'kube-apiserver-audit';
  const isAudit = body.messageType !== 'CONTROL_MESSAGE' && stream.startsWith('kube-apiserver-audit');
  if (!isAudit || !Array.isArray(body.logEvents)) return yield { path };
  for (const [index, entry] of body.logEvents.entries()) {
    const place = `${path}.logEvents[${index}].message`;
    const message = textAt(entry, 'message');
    if (message === undefined) yield { path: place, fault: 'is no text' };
    else yield* parsedText(place, message, reading);
  }
}

function fromAzure(
  body: Readonly<Record<string, unknown>>,
  path: string,
  reading: Reading,
): Iterable<Shipped> | undefined {
  const row = aksEventOf(body);
  if (row !== undefined) return [{ path, event: row }];
  const category = textAt(body, 'category') ?? textAt(body, 'Category');
  const log = at(unquoted(body.properties ?? body.Properties), 'log') ?? body.log_s;
  const isRecordOfAzure = category !== undefined && (textAt(body, 'operationName') ?? body.OperationName) !== undefined;
  if (log === undefined && !isRecordOfAzure) return undefined;
  if (log === undefined || category?.startsWith('kube-audit') === false) return [{ path }];
  const place = `${path}.properties.log`;
  return typeof log === 'string' ? parsedText(place, log, reading) : shippedIn(log, place, reading);
}

function fromGoogle(
  body: Readonly<Record<string, unknown>>,
  path: string,
  reading: Reading,
): Iterable<Shipped> | undefined {
  const data = textAt(body, 'message', 'data');
  if (data !== undefined) return decoded(`${path}.message.data`, data, reading);
  const payload = body.protoPayload ?? body.proto_payload;
  if (!isRecord(payload)) return undefined;
  const event = gkeEventOf(body, payload);
  return [event === undefined ? { path } : { path, event }];
}

/**
 * The events in a body, in whatever they are wrapped; anything else is taken for an event. What is unpacked is not kept: of 12
 * MiB it may be many times as much.
 */
export function* shippedIn(
  body: unknown,
  path: string,
  reading: Reading = { depth: 0, unpacked: { bytes: 0 } },
): Generator<Shipped> {
  if (reading.depth > maxDepth) return yield { path, fault: 'is nested too deeply' };
  const deeper = { ...reading, depth: reading.depth + 1 };
  // A list is a batch if its first member may be an event; anything else is no batch of ours.
  if (Array.isArray(body) && isRecord(body[0])) return yield* each(path, body, deeper);
  if (!isRecord(body)) return yield { path, event: body };
  const prefix = path === 'body' ? '' : `${path}.`;
  if (body.kind === 'EventList' && Array.isArray(body.items)) {
    for (const [index, event] of body.items.entries()) yield { path: `${prefix}items[${index}]`, event };
  } else if (Array.isArray(body.records)) {
    for (const [index, record] of body.records.entries()) yield* recordIn(record, `${prefix}records[${index}]`, deeper);
  } else if (Array.isArray(body.logEvents)) yield* fromCloudWatch(body, path, deeper);
  else yield* fromAzure(body, path, deeper) ?? fromGoogle(body, path, deeper) ?? [{ path, event: body }];
}

/** Whether a body says that it is a list and has none. */
export function isBrokenList(body: unknown): boolean {
  return at(body, 'kind') === 'EventList' && !Array.isArray(at(body, 'items'));
}

/** What Firehose wants to read; a 204 is a failure to it. */
export function answerTo(body: unknown): Readonly<Record<string, unknown>> | undefined {
  const requestId = textAt(body, 'requestId');
  if (requestId === undefined || !Array.isArray(at(body, 'records'))) return undefined;
  const timestamp = at(body, 'timestamp');
  return { requestId: requestId.slice(0, 256), timestamp: typeof timestamp === 'number' ? timestamp : 0 };
}
