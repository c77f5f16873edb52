import { closeSync, existsSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "#src/platform/paths.ts";
import { buildNext } from "#src/store/database.ts";
import type { Driver } from "#src/store/driver.ts";
import * as notices from "#src/store/notices.ts";
import type { Store } from "#src/store/store.ts";
import { beginRepair, finishRepair, newSetAsideFolder } from "#src/store/repair.ts";
import { column } from "./store-rows.ts";
import { T0 } from "./temp-store.ts";

const PAGE = 4096;

/** Writes rubbish over one leaf page of a table; the store must be closed. */
export function breakPage(driver: Driver, paths: Paths, table: string, share: number): void {
  const connection = driver({ path: paths.database, readOnly: true, busyMs: 0 });
  const leaves = column(
    connection,
    "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path",
    table,
  );
  connection.close();
  const page = Number(leaves[Math.floor(leaves.length * share)]);
  const file = openSync(paths.database, "r+");
  writeSync(file, Buffer.alloc(PAGE, 0xff), 0, PAGE, (page - 1) * PAGE);
  closeSync(file);
}

/** Does by hand what a process does until it is killed. */
export function dieAt(step: string, store: Store, paths: Paths): void {
  store.close();
  const { context: site } = store;
  const folder = newSetAsideFolder(site.files, T0);
  beginRepair(site.files, folder, "found by a test");
  if (step === "recorded") return;
  if (step === "renamed") {
    finishRepair(site);
    beginRepair(site.files, folder, "found by a test");
    return;
  }
  const moved = join(folder, "shim.db");
  renameSync(paths.database, moved);
  if (step === "database moved") return;
  if (existsSync(`${paths.database}-wal`)) renameSync(`${paths.database}-wal`, `${moved}-wal`);
  if (step === "log moved") return;
  buildNext(site, null, (sql) => notices.add(sql, T0, "store_damaged", "damaged."));
}
