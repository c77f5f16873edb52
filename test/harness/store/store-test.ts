import type { Driver } from "#src/store/driver.ts";
import { test } from "vitest";
import type { Store } from "#src/store/store.ts";
import { column } from "./store-rows.ts";
import { tempStore, T0 } from "./temp-store.ts";
import { StoreError } from "#src/store/store-error.ts";
import { closeSync, existsSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "#src/platform/paths.ts";
import { buildNext } from "#src/store/database.ts";
import * as notices from "#src/store/notices.ts";
import { beginRepair, finishRepair, newSetAsideFolder } from "#src/store/repair.ts";

/** The SQLite of the tests: better-sqlite3, or node:sqlite where a file of the night asks for it before it imports them. */
export const driver: Driver =
  process.env["SHIM_TEST_SQLITE"] === "node:sqlite"
    ? (await import("#src/store/driver-node-sqlite.ts")).openNodeSqlite
    : (await import("#src/store/driver-better-sqlite3.ts")).openBetterSqlite3;

/** Tests each with a store of its own in a home of its own. */
export const it = test
  .extend("home", () => tempStore(driver))
  .extend("store", ({ home }) => home.store)
  .extend("paths", ({ home }) => home.paths);

export function found(store: Store, query: string): unknown[] {
  return store.read((sql) => column(sql, query), []);
}

/** The StoreError that the work ends with; any other outcome fails the test. */
export function refusal(work: () => unknown): StoreError {
  try {
    work();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("expected a StoreError");
}

const PAGE = 4096;

/** Writes rubbish over one leaf page of a table; the store must be closed. */
export function breakPage(driver: Driver, paths: Paths, table: string, share: number): void {
  const connection = driver({ path: paths.database, readOnly: true, busyMs: 0 });
  const query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path";
  const leaves = column(connection, query, table);
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
