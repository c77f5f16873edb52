import { chmodSync, copyFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { migrate, schemaState, type Migration } from "../shared/migrate.ts";
import { selectColumn } from "../shared/sql.ts";
import { connect, inMemory, transaction, withConnection, type Connection, type Driver } from "./driver.ts";
import { pathsIn } from "../platform/paths.ts";
import { createPrivateFile, inodeOf, syncFile } from "../platform/private-files.ts";
import { StoreError, toStoreError } from "./store-error.ts";

export interface StoreFiles {
  readonly database: string;
  readonly companions: readonly string[];
  readonly next: string;
  /** Says that a damaged file is being replaced; see repair.ts. */
  readonly swap: string;
  /** See {@link MarkFile}. */
  readonly mark: string;
  /** An empty SQLite file, only locked; see {@link withMaintenanceLock}. */
  readonly lock: string;
  readonly backups: string;
  readonly setAside: string;
}

export function storeFilesOf(database: string): StoreFiles {
  const { backups, setAside } = pathsIn(dirname(database));
  return {
    database,
    companions: [`${database}-wal`, `${database}-shm`],
    next: `${database}.next`,
    swap: `${database}.swap`,
    mark: `${database}.mark`,
    lock: join(dirname(database), "maintenance.db"),
    backups,
    setAside,
  };
}

export interface StoreContext {
  readonly files: StoreFiles;
  readonly driver: Driver;
  readonly now: () => number;
  readonly busyMs: number;
  readonly migrations: readonly Migration[];
  /** Minimum epoch of a repaired file: its backup may have been restored before. */
  readonly minEpoch: () => number;
}

export function isReady(
  connection: Connection,
  path: string,
  migrations: readonly Migration[],
  stateOf = schemaState,
): boolean {
  const knownVersion = migrations.length;
  const { version, minReader } = stateOf(connection);
  if (minReader > knownVersion) {
    throw new StoreError(
      "store_newer",
      `${path} was written by a newer shim (schema ${version}, this program knows ${knownVersion}). Update this shim, then try again; nothing was changed.`,
    );
  }
  return version >= knownVersion;
}

/** Requires a write transaction. */
export function migrateOlder(connection: Connection, path: string, { migrations, now }: StoreContext): void {
  if (!isReady(connection, path, migrations)) migrate(connection, now(), migrations);
}

/**
 * Builds a whole database at `files.next` from a copy or afresh, migrated; invisible until renamed.
 * @param fill runs in a transaction of its own, when the file has the whole schema
 * @throws {StoreError} `store_corrupt` or `store_newer` when `from` is unusable
 */
export function buildNext(context: StoreContext, from: string | null, fill: (connection: Connection) => void): void {
  const { next } = context.files;
  removeDatabase(next);
  try {
    if (from === null) createPrivateFile(next);
    else copyFileSync(from, next);
    chmodSync(next, 0o600);
    changeNext(context, (connection) => {
      if (from !== null && !isSound(connection)) throw new StoreError("store_corrupt", `${from} is damaged`);
      transaction(connection, "BEGIN IMMEDIATE", () => migrateOlder(connection, from ?? next, context));
    });
    changeNext(context, (connection) => transaction(connection, "BEGIN IMMEDIATE", () => fill(connection)));
    syncFile(next);
  } catch (error) {
    removeDatabase(next);
    throw error;
  }
}

/** Leaves no log behind. */
function changeNext({ files: { next }, driver, busyMs }: StoreContext, change: (connection: Connection) => void): void {
  withConnection(connect(driver, next, busyMs), (connection) => {
    change(connection);
    connection.all("PRAGMA wal_checkpoint(TRUNCATE)");
  });
  if ((statSync(`${next}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  throw new StoreError("store_unavailable", `${next} could not be written completely; try again. Nothing was changed.`);
}

export function removeDatabase(path: string): void {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
}

export function isSound(connection: Connection): boolean {
  const rows = connection.all<{ integrity_check: string }>("PRAGMA integrity_check(1)");
  return rows.length === 1 && rows[0]?.integrity_check === "ok";
}

/** Whether each table has its columns: a damaged byte may rename one, which SQLite finds sound. */
export function hasAllColumns({ driver, busyMs, migrations }: StoreContext, connection: Connection): boolean {
  const expected = withConnection(driver({ path: inMemory, readOnly: false, busyMs }), (fresh) => {
    migrate(fresh, 0, migrations);
    return columnsOf(fresh);
  });
  const found = new Set(columnsOf(connection));
  return expected.every((column) => found.has(column));
}

function columnsOf(connection: Connection): string[] {
  return selectColumn(
    connection,
    `SELECT t.name || '.' || c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c
     WHERE t.schema = 'main' AND t.type = 'table'`,
  );
}

/** `<number>-<time>`: the number orders names even when the clock was set back. */
export function nextName(folder: string, now: number): string {
  const numbers = readdirSync(folder).map((name) => Number.parseInt(name, 10) || 0);
  const time = new Date(now).toISOString().replaceAll(":", "-");
  return `${String(Math.max(0, ...numbers) + 1).padStart(6, "0")}-${time}`;
}

/** SQLite's default page size in bytes; SHIM uses no other. */
export const pageBytes = 4_096;

/** Why it holds no whole pages, as far as its type and length tell; null: it may hold them. */
export function lengthProblem(database: string): "no file" | "truncated" | null {
  const stats = statSync(database);
  if (!stats.isFile()) return "no file";
  const { size } = stats;
  const hasLog = (statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
  return size === 0 || (size % pageBytes !== 0 && !hasLog) ? "truncated" : null;
}

/**
 * Runs `body` while no other process opens (`exclusive`) or replaces (`shared`) the
 * database. Uses SQLite's lock on an empty file, which the system releases when its holder dies.
 * Not reentrant.
 * @throws {StoreError} `store_locked` after `busyMs`
 */
export function withMaintenanceLock<T>(context: StoreContext, mode: LockMode, body: () => T): T {
  for (;;) {
    const lock = tryAcquire(context, mode);
    if (!lock) continue;
    try {
      return body();
    } finally {
      lock.close();
    }
  }
}

type LockMode = "shared" | "exclusive";

/** Returns null when the lock file was replaced: no other process checks the old one. */
function tryAcquire({ files, driver, busyMs }: StoreContext, mode: LockMode): Connection | null {
  let connection: Connection | null = null;
  try {
    createPrivateFile(files.lock);
    const inode = inodeOf(files.lock);
    connection = driver({ path: files.lock, readOnly: false, busyMs });
    connection.run(mode === "exclusive" ? "BEGIN EXCLUSIVE" : "BEGIN");
    if (mode === "shared") connection.all("SELECT count(*) AS n FROM sqlite_schema");
    if (inode !== null && inodeOf(files.lock) === inode) return connection;
  } catch (error) {
    connection?.close();
    const mapped = toStoreError(error, files.lock);
    if (!(mapped instanceof StoreError) || mapped.code !== "store_corrupt") throw mapped;
    rmSync(files.lock, { force: true });
    return null;
  }
  connection.close();
  return null;
}
