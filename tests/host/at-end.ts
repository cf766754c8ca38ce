/** What is still to be undone of what the tests of this process have begun, in the order of its beginning. */
const left = new Set<() => void>();

/** Vitest ends a process of its own by a signal, so that `exit` never comes there: tests/setup.ts undoes before. */
process.once('exit', undoAll);

/** Undoes something when the tests of a file are over, whatever becomes of them. The result calls that off. */
export function atEnd(undo: () => void): () => void {
  left.add(undo);
  return () => void left.delete(undo);
}

/** Undoes all that is left, the newest first: a program is gone before its folder is. */
export function undoAll(): void {
  const all = [...left].reverse();
  left.clear();
  for (const undo of all) undo();
}
