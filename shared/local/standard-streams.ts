/**
 * A program that prints is over when its reader is: quietly where that has read enough (`| head`), with one line where it
 * is a disk that is full.
 */
export function endWithReader(name: string): void {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0);
    process.stderr.write(`${name}: the output can't be written: ${code ?? message}\n`);
    process.exit(1);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => undefined);
}
