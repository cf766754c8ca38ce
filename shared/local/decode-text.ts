/** Decodes a file as UTF-16 if it starts with that byte order mark, as what PowerShell's `>` writes does; else as UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}
