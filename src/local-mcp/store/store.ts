import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { migrate, schemaState, type Migration } from "../../shared/migrate.ts";
import type { Sql } from "../../shared/sql.ts";
import { backUpBeforeMigration } from "./backup.ts";
import { setAside } from "./corruption.ts";
import type { Connection, Driver, DriverName } from "./driver.ts";
import { migrations as shimMigrations } from "./schema.ts";
import { StoreError, toStoreError } from "./store-error.ts";

export interface StoreOptions {
  readonly path: string;
  readonly driver: Driver;
  readonly now: () => number;
  /** How long a write waits for another process, in ms. */
  readonly busyMs?: number;
  readonly migrations?: readonly Migration[];
}

/**
 * `shim.db`: one SQLite file per user, shared by all local processes. Opening does nothing on disk; the first write makes
 * or migrates the file. Every write is one `BEGIN IMMEDIATE` transaction that is on the disk when it returns (WAL,
 * `synchronous=FULL`).
 */
export class Store {
  readonly path: string;
  readonly #options: StoreOptions;
  readonly #migrations: readonly Migration[];
  #connection: Connection | null = null;
  #inode: bigint | null = null;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.path = options.path;
    this.#migrations = options.migrations ?? shimMigrations;
  }

  get driver(): DriverName | null {
    return this.#connection?.driver ?? null;
  }

  /**
   * Reads in one consistent view. [ST1] Answers `empty` while there is no database or it has an older schema, and makes none.
   *
   * @throws {StoreError} when the file cannot be read or is newer than this program
   */
  read<T>(body: (sql: Sql) => T, empty: T): T {
    return this.#guarded(() => {
      if (inodeOf(this.path) === null) return empty;
      const connection = this.#current();
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
    return this.#guarded(() => {
      for (;;) {
        createPrivateFile(this.path);
        const connection = this.#current();
        const done = transaction(connection, "BEGIN IMMEDIATE", () =>
          this.#isReady(connection) ? { value: body(connection) } : null,
        );
        if (!done) this.#migrate(connection);
        // [ST7] The file may have been set aside between our look and our commit: then the row is in the old file, write it again.
        else if (inodeOf(this.path) === this.#inode) return done.value;
      }
    });
  }

  /** Copies the whole database into a new private file while others work. */
  async backup(to: string): Promise<void> {
    try {
      createPrivateFile(to);
      await this.#current().backup(to);
    } catch (error) {
      throw toStoreError(error, to);
    }
  }

  /** A connection for maintenance (checks, vacuum); the caller must not leave a transaction open. */
  connection(): Connection {
    return this.#guarded(() => this.#current());
  }

  close(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#inode = null;
  }

  /** True when the schema is the one this program writes. [ST3] Refuses a file that asks for a newer program. */
  #isReady(sql: Sql): boolean {
    const known = this.#migrations.length;
    const { version, minReader } = schemaState(sql);
    if (minReader > known) {
      throw new StoreError(
        "store_newer",
        `${this.path} was written by a newer shim (schema ${version}, this program knows ${known}). Update this shim; nothing was changed.`,
      );
    }
    return version >= known;
  }

  #migrate(connection: Connection): void {
    backUpBeforeMigration(this.path, connection);
    transaction(connection, "BEGIN IMMEDIATE", () => {
      if (!this.#isReady(connection)) migrate(connection, this.#options.now(), this.#migrations);
    });
  }

  #current(): Connection {
    const inode = inodeOf(this.path);
    if (this.#connection && inode === this.#inode) return this.#connection;
    this.close();
    const connection = this.#options.driver({
      path: this.path,
      readOnly: false,
      busyMs: this.#options.busyMs ?? 5_000,
    });
    connection.script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    this.#connection = connection;
    this.#inode = inode;
    return connection;
  }

  /** Maps errors; a damaged file is set aside once, then the work is done on the new one. */
  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const mapped = toStoreError(error, this.path);
      if (!(mapped instanceof StoreError) || mapped.code !== "store_corrupt") throw mapped;
      this.close();
      setAside({ ...this.#options, migrations: this.#migrations });
    }
    try {
      return work();
    } catch (error) {
      throw toStoreError(error, this.path);
    }
  }
}

function transaction<T>(connection: Connection, begin: string, body: () => T): T {
  connection.run(begin);
  let result: T;
  try {
    result = body();
    connection.run("COMMIT");
  } catch (error) {
    rollBack(connection);
    throw error;
  }
  return result;
}

function rollBack(connection: Connection): void {
  try {
    connection.run("ROLLBACK");
  } catch {
    // SQLite has already rolled back by itself (disk full, I/O error); the first error is the one that counts.
  }
}

function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** [ST2] The folder is 0700 and the file 0600 before SQLite opens it; its -wal and -shm take over the file's mode. */
export function createPrivateFile(path: string): void {
  if (inodeOf(path) !== null) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
}
