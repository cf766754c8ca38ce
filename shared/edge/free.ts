/** Larger buffers are given back as soon as nobody needs them: until garbage is collected, they could fill the memory. */
export const smallBytes = 65_536;

/** Gives the memory of a buffer back. Nobody may read it afterwards. */
export function free({ buffer }: Buffer): void {
  // Small ones may share theirs with others.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > smallBytes) buffer.transfer(0);
}
