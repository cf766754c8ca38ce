import type { Refusal } from './refusal.ts';

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
export interface CloudEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string | undefined;
  /** RFC 3339. If the sender gave none: when the Broker received the event, or else when we did. */
  readonly time: string;
  readonly datacontenttype?: string | undefined;
  readonly extensions: Readonly<Record<string, string>>;
  /** Parsed JSON; or the raw bytes, if `fault` says why they could not be parsed; or `undefined` without a body. */
  readonly data: unknown;
  readonly fault?: Refusal | undefined;
}

export const pingType = 'dev.knative.sources.ping';

/**
 * https://knative.dev/docs/eventing/sources/apiserversource/reference. An event of type `ref` names an object, one of
 * type `resource` holds it. We treat both alike and read the object again.
 */
const apiServerTypes = /^dev\.knative\.apiserver\.(ref|resource)\.(add|update|delete)$/;

/** The event of a PingSource that has the name of the function that it wakes. */
export function pingOf(functionName: string, namespace: string, now: number): CloudEvent {
  return {
    id: crypto.randomUUID(),
    type: pingType,
    time: new Date(now).toISOString(),
    extensions: {},
    data: undefined,
    source: `/apis/v1/namespaces/${namespace}/pingsources/${functionName}`,
  };
}

export function isPing(event: CloudEvent): boolean {
  return event.type === pingType;
}

export function isReference(event: CloudEvent): boolean {
  return apiServerTypes.test(event.type);
}

/** Whether the data claims to be JSON but is not. Data of another content type is not malformed, only useless to us. */
export function isMalformed({ fault }: CloudEvent): boolean {
  return fault?.path === 'data';
}

/** The attribute of an event that says nothing but that its source is alive. */
export const signAttribute = 'signoflife';
