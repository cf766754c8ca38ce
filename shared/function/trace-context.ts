import { randomUUID } from 'node:crypto';

/** https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id and flags. */
const traceparent =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,256})?$/;

/** The trace that a sender is in; `undefined` where it says none, or nonsense. */
export function traceIdOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : traceparent.exec(header)?.[1];
}

/** The sender's trace, or one that begins here and that nobody records. */
export function continueTrace(header: string | undefined): { readonly traceparent: string; readonly traceId: string } {
  const given = traceIdOf(header);
  if (header !== undefined && given !== undefined) return { traceparent: header, traceId: given };
  const traceId = randomHex();
  return { traceparent: `00-${traceId}-${randomHex().slice(0, 16)}-00`, traceId };
}

/** 32 digits, 122 bits of them random; Node makes UUIDs many at a time. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '');
}
