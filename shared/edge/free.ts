import type { IncomingMessage } from 'node:http';

/** Of bodies, and what is in them, the larger ones are counted apart, and not copied. */
export const smallBytes = 65_536;

/**
 * Gives the memory of a buffer back, as soon as nobody needs it: until garbage is collected, it could fill the memory. Nobody may read
 * it afterwards.
 */
export function free({ buffer }: Buffer): void {
  // Small ones may share theirs with others.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

/** Of less, Node would take more time to give it back than it is worth. */
const smallestChunk = 4096;

/**
 * The same for a piece of a body, which has up to 64 KiB: V8 collects them as garbage only when there are 32 MiB of them, and between
 * them lies what is kept, so that hardly any of it returns to the system.
 */
export function freeChunk({ buffer, length }: Buffer): void {
  const isAlone = buffer.byteLength === length;
  if (isAlone && length >= smallestChunk && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Reads past what is left of a body. */
export function discard(request: IncomingMessage): void {
  request.on('data', freeChunk).resume();
}
