import { existsSync, statSync } from "node:fs";
import { migrate, migratedState, type Migration } from "../shared/migrate.ts";
import type { Sql } from "../shared/sql.ts";
import { backUpBeforeMigration } from "./backup.ts";
import { connect } from "./connect.ts";
import { setAside } from "./corruption.ts";
import { isReady, type StoreContext } from "./database.ts";
import type { Connection, Driver, DriverName } from "./driver.ts";
import { withMaintenanceLock } from "./maintenance-lock.ts";
import { openCopy } from "./open-copy.ts";
import { openDatabase, refuseDanglingLink } from "./open-database.ts";
import { createPrivateFile, inodeOf, storeFilesOf } from "../platform/private-files.ts";
import { migrations as shimMigrations } from "./schema.ts";
import { isIndexDamage, isKeyConflict, StoreError, toStoreError } from "./store-error.ts";
import { transaction } from "./transaction.ts";

export interface StoreOptions {
  readonly path: string;
  readonly driver: Driver;
  readonly now: () => number;
  /** How long a write waits for another process, in ms. */
  readonly busyMs?: number;
  readonly migrations?: readonly Migration[];
  /** A repaired file has at least this epoch. */
  readonly minEpoch?: () => number;
  /** A process that is soon killed (a hook) leaves the repair and the migration of a larger file to others, in bytes. */
  readonly maxUpkeepBytes?: number;
  /** A store on a read-only disk is copied for reading; for processes that live for one command. */
  readonly canReadCopy?: boolean;
  /**
   * All waits for other processes together end so long after the store was made, in ms; without it each write waits `busyMs`. For a process
   * whose client waits for its answer.
   */
  readonly totalBusyMs?: number;
}

/**
 * `shim.db`: one SQLite file per user, shared by all local processes. Opening does nothing on disk; the first write makes
 * or migrates the file. Every write is one `BEGIN IMMEDIATE` transaction that is on the disk when it returns (WAL,
 * `synchronous=FULL`).
 */
export class Store {
  readonly path: string;
  /** What maintenance (backup, purge) needs to know of the store. */
  readonly context: StoreContext;
  readonly #maxUpkeepBytes: number;
  readonly #canReadCopy: boolean;
  readonly #isWaitLimited: boolean;
  #connection: Connection | null = null;
  /** Of a store that cannot be opened where it is. */
  #copy: Connection | null = null;
  #inode: bigint | null = null;
  /** Of the file that is open: once true, its table of migrations need not be looked for again. */
  #isMigrated = false;

  constructor(options: StoreOptions) {
    this.path = options.path;
    this.#maxUpkeepBytes = options.maxUpkeepBytes ?? Number.POSITIVE_INFINITY;
    this.#canReadCopy = options.canReadCopy ?? false;
    this.#isWaitLimited = options.totalBusyMs !== undefined;
    const { busyMs = 5_000, totalBusyMs, now } = options;
    const endAt = totalBusyMs === undefined ? Number.POSITIVE_INFINITY : now() + totalBusyMs;
    this.context = {
      files: storeFilesOf(options.path),
      driver: options.driver,
      now,
      get busyMs() {
        return endAt === Number.POSITIVE_INFINITY ? busyMs : Math.max(0, Math.min(busyMs, endAt - now()));
      },
      migrations: options.migrations ?? shimMigrations,
      minEpoch: options.minEpoch ?? (() => 0),
    };
  }

  get driver(): DriverName | null {
    return this.#connection?.driver ?? null;
  }

  exists(): boolean {
    // In the middle of a swap there is no database under the name, but there is one.
    if (inodeOf(this.path) !== null || existsSync(this.context.files.swap)) return true;
    refuseDanglingLink(this.path);
    return false;
  }

  /**
   * Reads in one consistent view. [ST1] Answers `empty` while there is no database or it has an older schema, and makes none. [ST91] Where
   * nothing can be written, and the options say so, reads a copy in the system's folder for temporary files.
   *
   * @throws {StoreError} when the file cannot be read or is newer than this program
   */
  read<T>(body: (sql: Sql) => T, empty: T): T {
    return this.#withRepair(() => {
      if (!this.exists()) return empty;
      const connection = this.#readableConnection();
      return transaction(connection, "BEGIN", () => (this.#isReady(connection) ? body(connection) : empty));
    });
  }

  /**
   * Runs `body` as one durable transaction; it is rolled back when it throws. `body` may run again on a new file when the old
   * one is found damaged or replaced meanwhile, so it must derive everything from its arguments.
   *
   * @throws {StoreError} when nothing could be written
   */
  write<T>(body: (sql: Sql) => T): T {
    let committed: { value: T } | null = null;
    return this.#withRepair(() => {
      for (;;) {
        const connection = this.#currentConnection();
        // [ST92] An open connection waits as long as it was told when it was opened.
        if (this.#isWaitLimited) connection.script(`PRAGMA busy_timeout = ${this.context.busyMs}`);
        try {
          const done = transaction(connection, "BEGIN IMMEDIATE", () =>
            this.#isReady(connection) ? { value: body(connection) } : null,
          );
          if (!done) this.#migrate(connection);
          // [ST7] A file that is still under its name after the commit is moved, if ever, only then; what it holds is taken over
          // after the move. Otherwise the row may be in a file that nobody reads any more: write it again.
          else if (inodeOf(this.path) === this.#inode) return done.value;
          else committed = done;
        } catch (error) {
          // The rows committed to the old file were taken over before we came back with the same keys.
          if (committed && isKeyConflict(error)) return committed.value;
          throw error;
        }
      }
    });
  }

  /**
   * Another text after each commit, whichever process made it; "" while there is no database. Cheap enough to ask for often.
   *
   * @throws {StoreError} when the file cannot be opened
   */
  version(): string {
    return this.#withRepair(() => {
      if (!this.exists()) return "";
      const connection = this.#currentConnection();
      const [others] = connection.all<{ data_version: number }>("PRAGMA data_version");
      const [own] = connection.all<{ n: number }>("SELECT total_changes() AS n");
      return `${this.#inode} ${others?.data_version} ${own?.n}`;
    });
  }

  /** Copies the whole database into a new private file while others work. */
  async backup(to: string): Promise<void> {
    this.connection();
    const { files, driver, busyMs } = this.context;
    try {
      createPrivateFile(to);
      // Its own connection: a copy fails when it meets the connection in a write. An open read transaction holds one state
      // still; without it the copy would begin again with every write of another process.
      const source = withMaintenanceLock(files, driver, busyMs, "shared", () => connect(driver, this.path, busyMs));
      try {
        source.run("BEGIN");
        source.all("SELECT count(*) AS n FROM sqlite_schema");
        await source.backup(to);
      } finally {
        source.close();
      }
    } catch (error) {
      throw toStoreError(error, to);
    }
  }

  /** Brings the log into the file as far as nobody reads it, so that no write has to. Quick when there is little. */
  checkpointWal(): void {
    this.#withRepair(() => this.#currentConnection().all("PRAGMA wal_checkpoint(PASSIVE)"));
  }

  /** A connection for maintenance (checks, vacuum); the caller must not leave a transaction open. */
  connection(): Connection {
    return this.#withRepair(() => this.#currentConnection());
  }

  close(): void {
    this.#connection?.close();
    this.#copy?.close();
    this.#connection = null;
    this.#copy = null;
    this.#inode = null;
  }

  #isReady(connection: Connection): boolean {
    this.#isMigrated = isReady(
      connection,
      this.path,
      this.context.migrations,
      this.#isMigrated ? migratedState : undefined,
    );
    return this.#isMigrated;
  }

  #migrate(connection: Connection): void {
    this.#checkUpkeep("brought to the newest schema");
    const { files, driver, busyMs, migrations, now } = this.context;
    withMaintenanceLock(files, driver, busyMs, "exclusive", () => {
      // Replaced meanwhile: the new file is looked at next.
      if (inodeOf(this.path) !== this.#inode || this.#isReady(connection)) return;
      backUpBeforeMigration(this.context, connection);
      transaction(connection, "BEGIN IMMEDIATE", () => migrate(connection, now(), migrations));
    });
  }

  #readableConnection(): Connection {
    try {
      return this.#currentConnection();
    } catch (error) {
      const mapped = toStoreError(error, this.path);
      const isReadOnly = mapped instanceof StoreError && mapped.code === "store_readonly";
      if (!isReadOnly || !this.#canReadCopy) throw error;
      return (this.#copy ??= openCopy(this.context));
    }
  }

  #currentConnection(): Connection {
    const found = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (this.#connection && found && found.ino === this.#inode && found.size > 0n) return this.#connection;
    this.close();
    const { connection, inode } = openDatabase(this.context);
    this.#connection = connection;
    this.#inode = inode;
    this.#isMigrated = false;
    return connection;
  }

  /** Maps errors; a damaged file is repaired or set aside, then the work is done again. */
  #withRepair<T>(work: () => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        return work();
      } catch (error) {
        const mapped = toStoreError(error, this.path);
        if (!(mapped instanceof StoreError) || mapped.code !== "store_corrupt" || attempt === 3) throw mapped;
        this.#repair(mapped, attempt > 1);
      }
    }
  }

  /** [ST22] Begun and killed again and again, the work would never be done. */
  #checkUpkeep(what: string): void {
    const bytes = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= this.#maxUpkeepBytes) return;
    const size = `${Math.ceil(bytes / 1_000_000)} MB`;
    throw new StoreError(
      "store_upkeep",
      `${this.path} (${size}) must be ${what} first, for which a hook has no time; the MCP process of any chat does it.`,
    );
  }

  #repair(error: StoreError, isCertain: boolean): void {
    this.#checkUpkeep("repaired");
    const inode = this.#inode ?? inodeOf(this.path);
    this.close();
    try {
      setAside(this.context, { inode, isCertain, isIndexOnly: isIndexDamage(error), message: sqliteMessage(error) });
    } catch (failure) {
      throw toStoreError(failure, this.path);
    }
  }
}

/** What SQLite itself said. */
function sqliteMessage(error: StoreError): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
