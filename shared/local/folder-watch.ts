import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';

/** How often a folder that is not there, or can't be watched, is looked for. */
const searchMilliseconds = 1000;

export interface FolderWatch {
  /** Watches what is there now: subfolders come and go. */
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
 * Word of changes in folders and all below them. Each folder is watched by itself: Node's own recursive watch loses a file
 * that another is renamed to, and throws where a folder vanishes. A folder that is gone is watched again when it is back.
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
    // The folder was removed, or is another one's by now: the search finds it if it comes back.
    watcher.on('error', () => {
      forget(folder);
      onChange();
    });
    watchers.set(folder, { watcher, inode: inodeOf(folder) });
  }

  /** Watches a folder and all below it; returns whether that was possible. */
  function cover(root: string, present: Set<string>): boolean {
    try {
      for (const folder of foldersBelow(root)) {
        present.add(folder);
        // One that was replaced has the old one's watcher, which says nothing of it.
        if (watchers.get(folder)?.inode !== inodeOf(folder)) forget(folder);
        if (!watchers.has(folder)) add(folder);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Whether all that should be watched is. */
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
