import type { Refusal } from './refusal.ts';

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
export interface CloudEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string | undefined;
  /** RFC 3339. Where the sender gave none: when the Broker got it, else when we did. */
  readonly time: string;
  readonly datacontenttype?: string | undefined;
  readonly extensions: Readonly<Record<string, string>>;
  /** Parsed JSON, or the bytes as they came where `fault` says why they are no JSON; `undefined` without a body. */
  readonly data: unknown;
  readonly fault?: Refusal | undefined;
}

export const pingType = 'dev.knative.sources.ping';

/** https://knative.dev/docs/eventing/sources/apiserversource/reference: references, and resources, which we read anew. */
const apiServerTypes = /^dev\.knative\.apiserver\.(ref|resource)\.(add|update|delete)$/;

/** What a PingSource sends that is named for the function that it wakes. */
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

/** Whether the data claims to be JSON and is not; data of another content type is only of no use to us. */
export function isMalformed({ fault }: CloudEvent): boolean {
  return fault?.path === 'data';
}
