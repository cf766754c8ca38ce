/**
 * Ends the program when its output can't be written: quietly if the reader has read enough (`| head`), otherwise, as with
 * a full disk, with one line that says so.
 */
export function endWithReader(name: string): void {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0);
    process.stderr.write(`${name}: the output can't be written: ${code ?? message}\n`);
    process.exit(1);
  });
  // If standard error is closed, there is no one left to tell.
  process.stderr.on('error', () => undefined);
}
