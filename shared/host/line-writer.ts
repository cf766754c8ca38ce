import { write, writeSync } from 'node:fs';

/**
 * A write a line costs more than the rest of an event: lines go out together, at the latest after a tenth of a second.
 */
const batchLength = 8192;
const batchMilliseconds = 100;
/** For a pipe that is full: its reader is slow. */
const retryMilliseconds = 20;
/** Of a reader that has stopped reading no more is kept. */
const longestPending = 16_777_216;
/** How long the end of the process waits for a reader. */
const flushMilliseconds = 1000;

export interface LineWriter {
  write(line: string): void;
  /** Resolves when what was written before is out, or can't be; after a second at the latest. */
  flush(): Promise<void>;
}

/**
 * Writes lines to a file descriptor, and ends nothing when it can't (a full disk, a reader that is gone): events are
 * worth more than lines. `onFault` is told so once. What is left when the process ends is written then, if it can be.
 */
export function createLineWriter(descriptor: number, onFault: (code: string) => void): LineWriter {
  let pending = '';
  let isWriting = false;
  let hasFailed = false;
  let timer: NodeJS.Timeout | undefined;
  let waiting: (() => void)[] = [];

  function done(): void {
    isWriting = false;
    if (pending !== '') return start();
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  function fail(code: string): void {
    if (hasFailed) return;
    hasFailed = true;
    onFault(code);
  }

  function writeOut(bytes: Buffer): void {
    write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') return void setTimeout(() => writeOut(bytes), retryMilliseconds).unref();
      if (error) fail(error.code ?? error.message);
      if (error || written === bytes.length) done();
      else writeOut(bytes.subarray(written));
    });
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (isWriting || pending === '') return;
    isWriting = true;
    const bytes = Buffer.from(pending);
    pending = '';
    writeOut(bytes);
  }

  process.once('exit', () => {
    // What is under way is not known to have arrived, and a reader that lets it wait would let this wait.
    if (isWriting || pending === '') return;
    try {
      writeSync(descriptor, pending);
    } catch {
      // Nobody is left to be told.
    }
  });

  return {
    write(line) {
      if (pending.length < longestPending) pending += line;
      if (pending.length >= batchLength) start();
      else timer ??= setTimeout(start, batchMilliseconds).unref();
    },
    flush() {
      start();
      if (!isWriting) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
        setTimeout(resolve, flushMilliseconds);
      });
    },
  };
}
