import { gunzipSync } from 'node:zlib';

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The text in base64, decompressed if it is gzip. Throws if it is longer than `maxBytes`, or broken. */
export function textOfBase64(base64: string, maxBytes: number): string {
  const bytes = Buffer.from(base64, 'base64');
  if (!isGzip(bytes)) return bytes.toString('utf8');
  return gunzipSync(bytes, { maxOutputLength: maxBytes }).toString('utf8');
}
