import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** The content type of Kubernetes' protobuf messages. */
export const protobuf = 'application/vnd.kubernetes.protobuf';

/** Whether this is the content type of a protobuf message; an API server reports faults in JSON all the same. */
export function isProtobuf(contentType: string | undefined): boolean {
  return contentType?.startsWith(protobuf) ?? false;
}

/** The whole body. Throws an Error if the connection breaks before its end. */
export function bytesOf(answer: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  answer
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('end', () => resolve(Buffer.concat(chunks)))
    .on('error', reject);
  return promise;
}

/**
 * The body as it arrives, no faster than it is read. Throws an Error if the connection breaks before its end, or nothing
 * arrives for so many milliseconds. Whoever stops before the end closes the connection.
 */
export async function* chunksOf(answer: Readable, milliseconds: number): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = answer[Symbol.asyncIterator]();
  // While a chunk is used, it is the reader who takes its time.
  let isWaiting = true;
  const timer = setTimeout(() => {
    if (isWaiting) answer.destroy(new Error('no answer in time'));
  }, milliseconds);
  try {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      isWaiting = false;
      yield next.value;
      isWaiting = true;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}

/**
 * The body as JSON; `undefined` if it is empty, or is the plain text that comes with some faults. Throws if the body of
 * a success is no JSON: it was cut short, and so is no answer.
 */
export function parseBody(text: string, status: number): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (status < 400) throw cause;
    return undefined;
  }
}

/** The JSON values of a body that has one on each line, as they arrive. Throws an Error if the connection breaks. */
export async function* valuesOf(answer: IncomingMessage): AsyncGenerator<unknown> {
  // readline does not report an error of its input.
  let fault: Error | undefined;
  answer.on('error', (error) => {
    fault = error;
  });
  try {
    for await (const line of createInterface({ input: answer })) if (line !== '') yield JSON.parse(line);
    if (fault) throw fault;
  } finally {
    answer.destroy();
  }
}
