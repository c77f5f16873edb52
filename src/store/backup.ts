import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Sql } from "../shared/sql.ts";
import { isSound, lengthProblem, nextName, removeDatabase, type StoreContext } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";
import { readForgetCount } from "./meta.ts";
import { createPrivateFile, createPrivateFolder, renameDurably, syncFile } from "../platform/private-files.ts";
import { isRunning } from "../platform/processes.ts";
import { corruptError, StoreError } from "./store-error.ts";
import { messageOf } from "../shared/error.ts";
import { isWithin } from "../shared/known-time.ts";

export interface Backup {
  readonly path: string;
  readonly at: number;
}

const dayMs = 86_400_000;
const minIntervalMs = 300_000;
/** Migrations back up without the configuration; the next daily backup applies it. */
const keptAtMigration = 5;

let copies = 0;

/** Keeps the old schema's content. Requires the exclusive maintenance lock. */
export function backUpBeforeMigration(site: StoreContext, connection: Connection): void {
  const { backups } = site.files;
  const partial = beginCopy(backups);
  try {
    connection.run("VACUUM INTO ?", partial);
    finalizeCopy(site, partial);
    keepCopy(backups, partial, site.now(), keptAtMigration);
  } catch (error) {
    // A damaged file can seem to have an older schema: it is to be repaired, not migrated.
    if (error instanceof StoreError && !isSound(connection)) throw corruptError(site.files.database, error);
    throw error;
  } finally {
    removeDatabase(partial);
  }
}

/** Intervals double from minutes up to a day; a backup from the future counts as due. */
export function isBackupDue(folder: string, now: number, firstAt: number | null): boolean {
  const newest = listBackups(folder)[0];
  if (firstAt === null) return newest === undefined || !isWithin(now - newest.at, dayMs);
  const isAfterFirst = newest !== undefined && (newest.at >= firstAt || now < firstAt);
  if (!isAfterFirst) return !isWithin(now - firstAt, minIntervalMs);
  const gap = Math.min(dayMs, Math.max(minIntervalMs, Math.abs(newest.at - firstAt)));
  return !isWithin(now - newest.at, gap);
}

export function firstCheckpointAt(sql: Sql): number | null {
  return sql.all<{ at: number }>("SELECT at FROM checkpoints ORDER BY seq LIMIT 1")[0]?.at ?? null;
}

/** Sorts newest first, by number: the clock may have been set back. */
export function listBackups(folder: string): Backup[] {
  if (!existsSync(folder)) return [];
  return (
    readdirSync(folder)
      .map((name) => /^(\d{6,})-(\d{4}-\d{2}-\d{2}T)(\d{2})-(\d{2})-([\d.]+Z)\.db$/.exec(name))
      .filter((match) => match !== null)
      .sort((a, b) => Number(b[1]) - Number(a[1]))
      .map(([name, , date, hour, minute, second]) => ({
        path: join(folder, name),
        at: Date.parse(`${date}${hour}:${minute}:${second}`),
      }))
      // An empty file is no copy: SQLite would take it for new.
      .filter(({ path }) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0)
  );
}

/** Why a backup cannot take the store's place, in words; null: it can. */
export function backupProblem({ driver, busyMs }: StoreContext, { path }: Backup): string | null {
  try {
    if (lengthProblem(path) !== null) return "it is cut off";
    return withConnection(driver({ path, readOnly: true, busyMs }), isSound) ? null : "its integrity check fails";
  } catch (error) {
    return messageOf(error);
  }
}

export function beginCopy(folder: string): string {
  createPrivateFolder(folder);
  for (const name of readdirSync(folder)) {
    const pid = /^partial-(\d+)-\d+\.db$/.exec(name)?.[1];
    if (pid && !isRunning(Number(pid))) removeDatabase(join(folder, name));
  }
  const partial = join(folder, `partial-${process.pid}-${++copies}.db`);
  removeDatabase(partial);
  createPrivateFile(partial);
  return partial;
}

/** Makes the copy one self-contained synced file, checks it and returns its forget count. */
export function finalizeCopy(site: StoreContext, path: string): number {
  const forgetCount = withConnection(site.driver({ path, readOnly: false, busyMs: site.busyMs }), (copy) => {
    copy.all("PRAGMA journal_mode = DELETE");
    if (!isSound(copy)) {
      throw new StoreError("store_unavailable", `${path}: the backup is damaged; check the disk, then try again`);
    }
    const hasMeta = copy.all("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").length > 0;
    return hasMeta ? readForgetCount(copy) : 0;
  });
  syncFile(path);
  return forgetCount;
}

export function keepCopy(folder: string, partial: string, now: number, keep: number): string {
  const path = join(folder, `${nextName(folder, now)}.db`);
  renameDurably(partial, path);
  for (const old of listBackups(folder).slice(Math.max(keep, 1))) rmSync(old.path, { force: true });
  return path;
}
