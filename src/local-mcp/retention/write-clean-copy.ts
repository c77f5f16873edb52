import { setImmediate as nextTurn } from "node:timers/promises";
import { createPrivateFile, syncFile } from "../../platform/private-files.ts";
import { removeDatabase } from "../../store/database.ts";
import { withConnection, type Driver } from "../../store/driver.ts";
import * as meta from "../../store/meta.ts";
import { rebuild } from "../../store/text-index.ts";

export interface CleanCopyInput {
  readonly database: string;
  /** The copy; a file there is replaced. */
  readonly next: string;
  /** Row of `meta` that the copy leaves out. */
  readonly withoutKey: string;
  readonly signal?: AbortSignal;
}

const busyMs = 5_000;

/** [ST61] Copies the rows, so that the copy holds no byte of a deleted one. */
export async function writeCleanCopy(
  driver: Driver,
  { database, next, withoutKey, signal }: CleanCopyInput,
): Promise<void> {
  removeDatabase(next);
  createPrivateFile(next);
  withConnection(driver({ path: database, readOnly: true, busyMs }), (store) => store.run("VACUUM INTO ?", next));
  withConnection(driver({ path: next, readOnly: false, busyMs }), (copy) => {
    meta.remove(copy, withoutKey);
    // A backup that was begun before has a lower number.
    meta.incrementForgetCount(copy);
    // The index keeps words of deleted rows, and its new pages take the place of old ones.
    rebuild(copy);
    copy.run("VACUUM");
  });
  syncFile(next);
  await nextTurn();
  if (signal?.aborted) removeDatabase(next);
}
