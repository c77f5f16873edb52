import { beginCopy, finalizeCopy, keepCopy } from "./backup.ts";
import { removeDatabase, withMaintenanceLock } from "./database.ts";
import { readForgetCount } from "./meta.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import type { Store } from "./store.ts";

/**
 * Copies the store while others work, checks the copy and keeps the newest `keep`. Damage that no
 * read has met shows in the copy: the store is repaired first then.
 * @throws {StoreError} when the copy failed or is not sound; older backups stay
 */
export async function backUp(store: Store, now: number, keep: number): Promise<string> {
  try {
    return await copyStore(store, now, keep);
  } catch (error) {
    if (!(error instanceof StoreError) || !["store_corrupt", "store_unavailable"].includes(error.code)) throw error;
    store.repairIfDamaged();
    return copyStore(store, now, keep);
  }
}

async function copyStore(store: Store, now: number, keep: number): Promise<string> {
  const { context: site } = store;
  try {
    const partial = beginCopy(site.files.backups);
    try {
      await store.backup(partial);
      const forgetCount = finalizeCopy(site, partial);
      // A copy begun before a forget would bring the rows back.
      return withMaintenanceLock(site, "shared", () => {
        if (store.read(readForgetCount, forgetCount) !== forgetCount) {
          throw new StoreError("store_locked", "rows were deleted while the backup was written; try again");
        }
        return keepCopy(site.files.backups, partial, now, keep);
      });
    } finally {
      removeDatabase(partial);
    }
  } catch (error) {
    throw toStoreError(error, site.files.database);
  }
}
