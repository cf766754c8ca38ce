import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';

/** How often to look for a folder that is missing or can't be watched. */
const searchMilliseconds = 1000;

export interface FolderWatch {
  /** Starts to watch new subfolders, and forgets those that are gone. */
  refresh(): void;
  stop(): void;
}

function* foldersBelow(folder: string): Generator<string> {
  yield folder;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) yield* foldersBelow(join(folder, entry.name));
  }
}

function inodeOf(folder: string): number | undefined {
  return statSync(folder, { throwIfNoEntry: false })?.ino;
}

/**
 * Reports changes in folders and everything below them. Each folder is watched on its own, because Node's recursive watch
 * loses a file that another one is renamed to, and throws when a folder vanishes. A folder that comes back is watched
 * again.
 */
export function watchFolders(folders: readonly string[], onChange: () => void): FolderWatch {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: number | undefined }>();
  let isSearching = false;

  function forget(folder: string): void {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  }

  function add(folder: string): void {
    const watcher = watch(folder, () => onChange());
    // The folder was removed, or can no longer be read: the search finds it if it comes back.
    watcher.on('error', () => {
      forget(folder);
      onChange();
    });
    watchers.set(folder, { watcher, inode: inodeOf(folder) });
  }

  /** Watches a folder and all below it. Returns whether that was possible. */
  function cover(root: string, present: Set<string>): boolean {
    try {
      for (const folder of foldersBelow(root)) {
        present.add(folder);
        // The watcher of a folder that was replaced still watches the old one.
        if (watchers.get(folder)?.inode !== inodeOf(folder)) forget(folder);
        if (!watchers.has(folder)) add(folder);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Returns whether every folder is now watched. */
  function refresh(): boolean {
    const present = new Set<string>();
    const isWhole = folders.map((root) => cover(root, present)).every(Boolean);
    for (const folder of watchers.keys()) if (!present.has(folder)) forget(folder);
    return isWhole;
  }

  const timer = setInterval(() => {
    if (!isSearching && folders.every((folder) => watchers.get(folder)?.inode === inodeOf(folder))) return;
    isSearching = !refresh();
    onChange();
  }, searchMilliseconds);
  timer.unref();

  return {
    refresh() {
      isSearching = !refresh();
    },
    stop() {
      clearInterval(timer);
      for (const folder of watchers.keys()) forget(folder);
    },
  };
}
