import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../shared/migrate.ts";
import { connect } from "./connect.ts";
import { isReady, type StoreContext } from "./database.ts";
import type { Connection } from "./driver.ts";
import * as textIndex from "./text-index.ts";
import { transaction } from "./transaction.ts";

/** [ST91] SQLite opens a store on a read-only disk only without its log and newest rows. */
export function openCopy(context: StoreContext): Connection {
  const { files, driver, busyMs } = context;
  const folder = mkdtempSync(join(tmpdir(), "shim-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "shim.db");
    copyFileSync(files.database, path);
    if (existsSync(`${files.database}-wal`)) copyFileSync(`${files.database}-wal`, `${path}-wal`);
    for (const copied of [path, `${path}-wal`]) if (existsSync(copied)) chmodSync(copied, 0o600);
    const copy = connect(driver, path, busyMs);
    transaction(copy, "BEGIN IMMEDIATE", () => {
      if (!isReady(copy, files.database, context.migrations)) migrate(copy, context.now(), context.migrations);
      if (hasIndex(copy) && textIndex.hasPending(copy)) textIndex.indexPending(copy);
    });
    return {
      ...copy,
      close() {
        copy.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function hasIndex(copy: Connection): boolean {
  return copy.all("SELECT 1 FROM sqlite_schema WHERE name = 'checkpoints_unindexed'").length > 0;
}
