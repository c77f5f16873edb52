import { watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";

/** SQLite writes its log before the commit can be read, by a millisecond or two. */
const recheckMs = 1;
const maxRechecks = 10;
/** Time in ms between two checks that found something: writers must not keep all readers busy. */
const minGapMs = 20;

/**
 * Calls `check` after writes to the log of a SQLite database in WAL mode, by any process, and again
 * until it returns true. On network disks no call may come, so the caller polls as well. Returns a
 * stop function; null while the folder cannot be watched.
 */
export function watchCommits(
  database: string,
  setTimer: (work: () => void, ms: number) => () => void,
  check: () => boolean,
): (() => void) | null {
  const log = `${basename(database)}-wal`;
  let cancel: (() => void) | null = null;
  let isMissed = false;
  const recheck = (left: number): void => {
    isMissed = false;
    if (check()) cancel = setTimer(endGap, minGapMs);
    else cancel = left === 0 ? null : setTimer(() => recheck(left - 1), recheckMs);
  };
  const endGap = (): void => {
    cancel = null;
    if (isMissed) recheck(maxRechecks);
  };
  const watcher = tryWatch(dirname(database), (name) => {
    if (name !== log) return;
    if (cancel) isMissed = true;
    else recheck(maxRechecks);
  });
  if (!watcher) return null;
  return () => {
    cancel?.();
    watcher.close();
  };
}

/** The folder, because the log is deleted and created again. */
function tryWatch(folder: string, onWrite: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_type, name) => onWrite(name));
    return watcher.on("error", () => watcher.close());
  } catch {
    // No folder yet, or no watches left in the system: the poll remains.
    return null;
  }
}
