import { HTTP, CloudEvent as SdkCloudEvent } from 'cloudevents';
import { readTime, timeOf } from '../finding/values.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import { parseJson } from '../function/json.ts';
import { Refusal } from '../function/refusal.ts';

/** The parts of an HTTP request that matter here; header names in lower case. */
export interface HttpMessage {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

const structuredType = 'application/cloudevents+json';
const batchType = 'application/cloudevents-batch+json';

function header(message: HttpMessage, name: string): string | undefined {
  const value = message.headers[name];
  return typeof value === 'string' ? value : value?.join(', ');
}

function mediaType(message: HttpMessage): string {
  return (header(message, 'content-type') ?? '').split(';', 1).join('').trim().toLowerCase();
}

function isJson(type: string): boolean {
  return type === 'application/json' || type === 'text/json' || type.endsWith('+json');
}

const attributeName = /^[a-z0-9]{1,64}$/;

/** CloudEvents are expected to have 64 KiB altogether; an id is kept for a while, hashed and compared. */
const longestAttribute = 65_536;

function checkLengths(attributes: Readonly<Record<string, unknown>>, at: string): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'data' || name === 'data_base64') continue;
    if (typeof value === 'string' && value.length > longestAttribute) {
      throw new Refusal(400, 'not a CloudEvent: an attribute is too long', { path: `${at}${name}` });
    }
  }
}

function required(attributes: Readonly<Record<string, unknown>>, name: string, at: string): string {
  const value = attributes[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new Refusal(400, 'not a CloudEvent: a required attribute is missing or empty', { path: `${at}${name}` });
}

function optional(attributes: Readonly<Record<string, unknown>>, name: string, at: string): string | undefined {
  const value = attributes[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new Refusal(400, 'not a CloudEvent: an attribute is empty or not a string', { path: `${at}${name}` });
}

const known: ReadonlySet<string> = new Set([
  'id',
  'source',
  'type',
  'specversion',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'data',
  'data_base64',
]);

function extensionsOf(attributes: Readonly<Record<string, unknown>>, at: string): Record<string, string> {
  const extensions: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (known.has(name) || value === null || value === undefined) continue;
    if (!attributeName.test(name)) {
      throw new Refusal(400, 'not a CloudEvent: an attribute has a bad name', { path: `${at}${name.slice(0, 64)}` });
    }
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new Refusal(400, 'not a CloudEvent: an attribute is not a scalar', { path: `${at}${name}` });
    }
    extensions[name] = String(value);
  }
  return extensions;
}

interface Payload {
  readonly data: unknown;
  readonly fault?: Refusal | undefined;
}

function fromAttributes(
  attributes: Readonly<Record<string, unknown>>,
  payload: Payload,
  received: string,
  at: string,
): CloudEvent {
  if (attributes.specversion !== '1.0') {
    throw new Refusal(400, 'not a CloudEvent: specversion must be "1.0"', { path: `${at}specversion` });
  }
  checkLengths(attributes, at);
  const extensions = extensionsOf(attributes, at);
  const given = optional(attributes, 'time', at);
  const sent = given === undefined ? undefined : readTime(given);
  if (given !== undefined && sent === undefined) {
    throw new Refusal(400, 'not a CloudEvent: time is not RFC 3339', { path: `${at}time` });
  }
  // An event without a time must get the same one at every redelivery, or its Observation would get another name.
  return {
    id: required(attributes, 'id', at),
    source: required(attributes, 'source', at),
    type: required(attributes, 'type', at),
    subject: optional(attributes, 'subject', at),
    time: sent ?? timeOf(extensions.knativearrivaltime, received),
    datacontenttype: optional(attributes, 'datacontenttype', at),
    extensions,
    ...payload,
  };
}

function binaryPayload(type: string, body: Uint8Array): Payload {
  if (body.length === 0) return { data: undefined };
  if (!isJson(type)) {
    return { data: body, fault: new Refusal(400, 'the data is not JSON', { path: 'content-type' }) };
  }
  try {
    return { data: parseJson(body, 'data') };
  } catch (fault) {
    if (fault instanceof Refusal) return { data: body, fault };
    throw fault;
  }
}

function percentDecoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new Refusal(400, 'not a CloudEvent: a header is badly percent-encoded', { path: name, cause });
  }
}

function decodeBinary(message: HttpMessage, type: string, received: string): CloudEvent {
  const attributes: Record<string, unknown> = {};
  for (const name of Object.keys(message.headers)) {
    if (!name.startsWith('ce-')) continue;
    const value = header(message, name);
    if (value !== undefined && (value !== '' || !known.has(name.slice(3)))) {
      attributes[name.slice(3)] = percentDecoded(name, value);
    }
  }
  const contentType = header(message, 'content-type');
  if (contentType !== undefined && contentType !== '') attributes.datacontenttype = contentType;
  return fromAttributes(attributes, binaryPayload(type, message.body), received, 'ce-');
}

function structuredPayload(attributes: Readonly<Record<string, unknown>>, at: string): Payload {
  const base64 = attributes.data_base64;
  if (base64 === undefined || base64 === null) return { data: attributes.data ?? undefined };
  if (typeof base64 !== 'string' || attributes.data !== undefined) {
    throw new Refusal(400, 'not a CloudEvent: data_base64 must be a string, without data', {
      path: `${at}data_base64`,
    });
  }
  const type = typeof attributes.datacontenttype === 'string' ? attributes.datacontenttype : 'application/json';
  return binaryPayload(type.split(';', 1).join('').trim().toLowerCase(), Buffer.from(base64, 'base64'));
}

function decodeObject(value: unknown, received: string, at: string): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'not a CloudEvent: not an object', { path: at === '' ? 'body' : at });
  }
  const prefix = at === '' ? '' : `${at}.`;
  const attributes: Readonly<Record<string, unknown>> = { ...value };
  return fromAttributes(attributes, structuredPayload(attributes, prefix), received, prefix);
}

/** Senders batch hundreds of events; more are refused, since each member that is no event costs an error. */
const longestBatch = 10_000;

/** One member of a batch: an event, or the reason why it is none. */
export type Decoded = CloudEvent | Refusal;

/**
 * Decodes an HTTP request in binary, structured or batch content mode (CloudEvents HTTP binding 1.0.2), more strictly
 * than the SDK: no id is invented, no bad time replaced, and header values are percent-decoded. `received` (RFC 3339)
 * is used if neither the sender nor a Broker gave a time. Throws a Refusal 400 that names the attribute; in a batch a
 * bad member takes its place in the list instead.
 */
export function decodeRequest(message: HttpMessage, received: string): CloudEvent | readonly Decoded[] {
  const type = mediaType(message);
  if (type === structuredType) return decodeObject(parseJson(message.body, 'body'), received, '');
  if (type !== batchType) return decodeBinary(message, type, received);
  const members = parseJson(message.body, 'body');
  if (!Array.isArray(members)) throw new Refusal(400, 'not a batch: not an array', { path: 'body' });
  if (members.length > longestBatch) throw new Refusal(413, 'the batch holds too many events', { path: 'body' });
  return members.map((member, index) => {
    try {
      return decodeObject(member, received, `[${index}]`);
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
  });
}

/** An HTTP request that carries the event: structured if its data is JSON, binary if it is unreadable bytes. */
export function encodeRequest(event: CloudEvent): { headers: Record<string, string>; body: string | Uint8Array } {
  const { id, source, type, time, subject, datacontenttype, extensions, data } = event;
  const attributes = { ...extensions, specversion: '1.0', id, source, type, time, ...(subject && { subject }) };
  const bytes = data instanceof Uint8Array ? data : undefined;
  // Not strictly: what came in goes out, even if its source is no URI reference.
  const message = bytes
    ? HTTP.binary(new SdkCloudEvent({ ...attributes, ...(datacontenttype && { datacontenttype }) }, false))
    : HTTP.structured(new SdkCloudEvent({ ...attributes, datacontenttype: 'application/json', data }, false));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (typeof value === 'string') headers[name] = bytes ? encodeHeader(value) : value;
  }
  return { headers, body: bytes ?? String(message.body) };
}

/** Percent-encodes what the HTTP binding asks for: space, double quote, percent, and all but printable ASCII. */
function encodeHeader(value: string): string {
  return value
    .toWellFormed()
    .replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
      character === ' ' || character.charCodeAt(0) < 0x80
        ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
        : encodeURIComponent(character),
    );
}
