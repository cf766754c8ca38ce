import { randomUUID } from 'node:crypto';

/** https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id and flags. */
const traceparent =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,256})?$/;

/** The sender's trace ID; `undefined` if the header is absent or invalid. */
export function traceIdOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : traceparent.exec(header)?.[1];
}

/** Continues the sender's trace, or starts a new one that is marked as not recorded. */
export function continueTrace(header: string | undefined): { readonly traceparent: string; readonly traceId: string } {
  const given = traceIdOf(header);
  if (header !== undefined && given !== undefined) return { traceparent: header, traceId: given };
  const traceId = randomHex();
  return { traceparent: `00-${traceId}-${randomHex().slice(0, 16)}-00`, traceId };
}

/** 32 hex digits with 122 random bits. UUIDs are cheap, since Node generates them in batches. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '');
}
