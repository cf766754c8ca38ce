import { gunzipSync } from 'node:zlib';

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** What is in base64, decompressed if it is gzip. Throws if that is longer than `maxBytes`, or broken. */
export function bytesOfBase64(base64: string, maxBytes: number): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  return isGzip(bytes) ? gunzipSync(bytes, { maxOutputLength: maxBytes }) : bytes;
}
