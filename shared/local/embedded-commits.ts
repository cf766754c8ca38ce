import type { DatabaseSync } from 'node:sqlite';
import type { Refusal } from '../function/refusal.ts';
import { storageFault } from './embedded-rows.ts';

interface PendingWrite {
  /** Writes, and returns what is to be called once that is on disk. */
  readonly work: () => () => void;
  readonly reject: (error: Refusal) => void;
}

/**
 * Commits writes that arrive together in one transaction: one wait for the disk for all of them. If the database fails, all
 * of them fail; what only one of them can't read is that one's failure.
 */
export function createCommits(database: DatabaseSync) {
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  let pending: PendingWrite[] = [];

  function flush(): void {
    const writes = pending;
    pending = [];
    try {
      begin.run();
      const answers = writes.map(({ work }) => work());
      commit.run();
      for (const answer of answers) answer();
    } catch (cause) {
      if (database.isOpen && database.isTransaction) database.exec('ROLLBACK');
      for (const { reject } of writes) reject(storageFault(cause));
    }
  }

  return {
    /** `write` reads as much as it likes, and changes at most one row with at most one statement, its last. */
    write<Result>(write: () => Result): Promise<Result> {
      return new Promise((resolve, reject) => {
        const work = (): (() => void) => {
          try {
            const result = write();
            return () => resolve(result);
          } catch (cause) {
            if (cause instanceof Error && 'errcode' in cause) throw cause;
            return () => reject(storageFault(cause));
          }
        };
        pending.push({ work, reject });
        if (pending.length === 1) setImmediate(flush);
      });
    },

    /** Commits what is still waiting. */
    finish(): void {
      if (pending.length > 0) flush();
    },
  };
}
