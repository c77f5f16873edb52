import { existsSync, statSync } from "node:fs";
import { createPrivateFile, inodeOf } from "../platform/private-files.ts";
import { type Migration, migrate, migratedState } from "../shared/migrate.ts";
import type { Sql } from "../shared/sql.ts";
import { backUpBeforeMigration } from "./backup.ts";
import { hasAllColumns, isReady, isSound, storeFilesOf, withMaintenanceLock, type StoreContext } from "./database.ts";
import { connect, transaction, type Connection, type Driver, type DriverName } from "./driver.ts";
import { machineTables, seenEvents, seenEventsIndex, usageIndexes, usageTables } from "./machine-tables.ts";
import { openCopy, openDatabase, openReadOnly, refuseDanglingLink } from "./open-database.ts";
import { setAside } from "./repair.ts";
import {
  claimIndex,
  claimSql,
  fileImageIndex,
  fileImages,
  recordingIndexes,
  projects,
  recordingTables,
  sessionIndexes,
  sessionTables,
  seenIndex,
  turnIndex,
  unsettledIndex,
} from "./session-tables.ts";
import {
  LostWritesError,
  NeedsHostError,
  StoreError,
  corruptError,
  isIndexDamage,
  isKeyConflict,
  isMissingName,
  olderError,
  toStoreError,
} from "./store-error.ts";
import { rowTriggers, sessionTriggers, syncTables, syncTriggers } from "./sync-tables.ts";
import { teamIndexes, teamTables } from "./team-tables.ts";
import { countWrite, lossOf, MarkFile, markOf, readMark, type Mark } from "./write-mark.ts";

const tables = [...machineTables, ...sessionTables, ...teamTables, ...syncTables, ...usageTables, ...recordingTables];

/**
 * A session that its client had opened again had no `recovery`. A new store has no such column, so
 * that the name there is the literal's.
 */
const returnedSql = `INSERT INTO recoveries (at, session, action) SELECT s.lastSeenAt, s.id, 'returned'
  FROM (SELECT 'unknown' AS recovery) JOIN sessions s WHERE ${claimSql("s.id")} IS NOT NULL
    AND (SELECT recovery FROM sessions WHERE id = s.id) IS NULL`;

/**
 * A new store has no such columns, so that the names there are the literals'. What was seen of an
 * end is not known in kinds: of a client that was closed, or that is gone, its time is kept.
 *
 * @param death SQL: cause and detail of its death
 */
function endingSql(table: string, key: string, death: string): string {
  const keyOf = (row: string): string => key.replaceAll(/\w+/g, `${row}.$&`);
  const isClosed = "coalesce(detachReason, '') IN ('closed', 'closed_open')";
  const how = `CASE WHEN endedAt IS NOT NULL THEN 'ended' WHEN ${isClosed} THEN 'closed'
    WHEN deathAt IS NOT NULL OR detachReason = 'interrupted' THEN 'died' ELSE 'detached' END`;
  const sign = `CASE detachReason WHEN 'closed' THEN 'asked' WHEN 'closed_open' THEN 'asked' WHEN 'interrupted' THEN 'asked'
    WHEN 'sigterm' THEN 'signal' WHEN 'sighup' THEN 'signal' WHEN 'sigint' THEN 'signal' ELSE 'front' END`;
  const signs = `json_patch(json_patch(
    iif(endedAt IS NULL, '{}', json_object('left', json_object('at', endedAt, 'reason', coalesce(endReason, 'unknown')))),
    iif(detachedAt IS NULL, '{}', json_object(${sign}, json_object('at', detachedAt, 'reason', detachReason)))),
    iif(deathAt IS NULL, '{}', json_object('gone', json_object('at', deathAt, 'reason', 'gone'))))`;
  const ending = `json_object('how', ${how}, 'at', coalesce(endedAt, detachedAt, deathAt),
    'reason', coalesce(endReason, detachReason, 'gone'),
    'isOpen', json(iif(endedAt IS NULL AND detachReason IS NOT 'closed', 'true', 'false')),
    'isSettled', json(iif(endedAt IS NULL AND deathAt IS NULL, 'false', 'true')),
    'cause', (SELECT cause FROM (${death})), 'detail', (SELECT detail FROM (${death})),
    'signs', json(${signs}), 'journalSeq', (SELECT coalesce(max(seq), 0) FROM journal WHERE session = one.id))`;
  return `UPDATE ${table} AS one SET ending = (SELECT (SELECT ${ending} FROM ${table} AS same
      WHERE (${keyOf("same")}) = (${keyOf("one")}) AND coalesce(endedAt, detachedAt, deathAt) IS NOT NULL
        AND coalesce(detachReason, '') NOT IN ('import', 'given'))
    FROM (SELECT NULL AS endedAt, NULL AS endReason, NULL AS detachedAt, NULL AS detachReason, NULL AS deathAt))
    WHERE ending IS NULL`;
}

const ofSessions = (column: string) => ["sessions", "sessions_elsewhere"].map((table) => ({ table, column }));

/**
 * Stored. Append only: each step only adds, since an older copy may be migrated. From the first
 * release on, step 1 gets its texts as they were then, and a new column is declared and added by a
 * step.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "all tables",
    statements: [
      ...tables.map(({ ddl }) => ddl),
      ...sessionIndexes,
      ...teamIndexes,
      ...syncTriggers,
      ...usageIndexes,
      ...recordingIndexes,
    ],
  },
  { id: 2, name: "images of files", statements: [fileImages.ddl, fileImageIndex] },
  {
    id: 3,
    name: "the journal says where a chat stands",
    statements: ["DROP INDEX IF EXISTS journal_turns", "DROP INDEX IF EXISTS sessions_waiting", turnIndex],
    minReader: 3,
  },
  // For a short time it was among the tables of the first step.
  { id: 4, name: "folders of projects", statements: [ifMissing(projects.ddl)] },
  {
    id: 5,
    name: "events by their id",
    statements: [seenEvents.ddl, seenEventsIndex, "DELETE FROM meta WHERE key = 'recorded_events'"],
  },
  {
    id: 6,
    name: "who continues a session is its newest decision",
    statements: [
      ...["sessions_open", "sessions_offered"].map((name) => `DROP INDEX IF EXISTS ${name}`),
      claimIndex,
      ...["sync_session_new", "sync_session_changed", "sync_claim_changed"].map(
        (name) => `DROP TRIGGER IF EXISTS ${name}`,
      ),
      ...sessionTriggers,
      returnedSql,
    ],
    minReader: 6,
  },
  {
    id: 7,
    name: "how a session is over is one value",
    columns: ofSessions("ending TEXT"),
    statements: [
      "DROP INDEX IF EXISTS sessions_not_known_dead",
      unsettledIndex,
      ...["sync_session_new", "sync_session_changed"].map((name) => `DROP TRIGGER IF EXISTS ${name}`),
      endingSql("sessions", "id", "SELECT cause, detail FROM crashes WHERE session = one.id AND at = deathAt"),
      endingSql(
        "sessions_elsewhere",
        "workspace, device, id",
        "SELECT sealed ->> '$.death.cause' AS cause, sealed ->> '$.death.detail' AS detail",
      ),
      ...rowTriggers,
    ],
    minReader: 7,
  },
  {
    id: 8,
    name: "chats of persons and runs of scripts",
    columns: ofSessions("isScripts INTEGER NOT NULL DEFAULT 0"),
    statements: [],
  },
  { id: 9, name: "sessions by the time of their newest event", statements: [seenIndex] },
];

function ifMissing(ddl: string): string {
  return ddl.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
}

export interface StoreOptions {
  readonly path: string;
  readonly driver: Driver;
  readonly now: () => number;
  /** Wait of a write for other processes, in ms. */
  readonly busyMs?: number;
  readonly migrations?: readonly Migration[];
  readonly minEpoch?: () => number;
  /** A process beside the host, to which all that writes is left. */
  readonly isReadOnly?: boolean;
}

/**
 * `shim.db`: one SQLite file of a home, which its host alone writes, and other processes read.
 * Opening does nothing on disk; the first write creates or migrates it. Every write is one
 * durable `BEGIN IMMEDIATE` transaction.
 */
export class Store {
  readonly path: string;
  readonly context: StoreContext;
  readonly #options: StoreOptions;
  #connection: Connection | null = null;
  #copy: Connection | null = null;
  #inode: bigint | null = null;
  #logInode: bigint | null = null;
  #isMigrated = false;
  /** Read before the database was opened. */
  #markAtOpening: Mark | null = null;
  #madeAt = 0;
  readonly #markFile: MarkFile;
  readonly #commitListeners = new Set<(changed: ReadonlySet<string>) => void>();

  constructor(options: StoreOptions) {
    this.path = options.path;
    this.#options = options;
    const { busyMs = 5_000, now } = options;
    this.context = {
      files: storeFilesOf(options.path),
      driver: options.driver,
      now,
      busyMs,
      migrations: options.migrations ?? migrations,
      minEpoch: options.minEpoch ?? (() => 0),
    };
    this.#markFile = new MarkFile(this.context.files.mark);
  }

  get #log(): string {
    return `${this.path}-wal`;
  }

  get driver(): DriverName | null {
    return this.#connection?.driver ?? null;
  }

  exists(): boolean {
    if (inodeOf(this.path) !== null || existsSync(this.context.files.swap)) return true;
    refuseDanglingLink(this.path);
    return false;
  }

  /**
   * Returns `empty` without a database, and creates none. An older schema is migrated first.
   * A process that only reads takes a temporary copy where nothing can be written.
   * @throws {NeedsHostError} when this process only reads a file to migrate or to repair
   * @throws {StoreError} when the file cannot be read or is newer than this program
   */
  read<T>(body: (sql: Sql) => T, empty: T): T {
    return this.#withRepair(() => {
      for (let connection = this.#findReadableConnection(); connection;) {
        const found = connection;
        const answer = transaction(found, "BEGIN", () => (this.#isReady(found) ? { value: body(found) } : null));
        if (answer) return answer.value;
        try {
          this.#migrate(found);
          connection = this.#findReadableConnection();
        } catch (error) {
          connection = this.#copyInstead(error);
        }
      }
      return empty;
    });
  }

  /** Calls `listener` with the changed tables after a write that changed any. @returns ends that */
  onCommit(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#commitListeners.add(listener);
    return () => void this.#commitListeners.delete(listener);
  }

  /**
   * Runs `body` as one durable transaction. `body` may run again on a new file when the old one is
   * damaged or replaced, so it must derive everything from its arguments.
   * @throws {StoreError} when nothing could be written
   */
  write<T>(body: (sql: Sql) => T): T {
    return this.commit(body).value;
  }

  /** {@link write}, which also says of which tables it has changed rows. */
  commit<T>(body: (sql: Sql) => T): Committed<T> {
    if (this.#options.isReadOnly === true) throw new Error(`${this.path} is written by the host only`);
    let committed: Written<T> | null = null;
    const done = this.#withRepair((): Written<T> => {
      for (;;) {
        const connection = this.#currentConnection();
        try {
          const written = transaction(connection, "BEGIN IMMEDIATE", (): Written<T> | null => {
            if (!this.#isReady(connection)) return null;
            const value = body(connection);
            const changed = connection.changed();
            return { value, changed, mark: changed.size === 0 ? null : countWrite(connection, this.#madeAt) };
          });
          if (!written) this.#migrate(connection);
          // A file that still has its name after the commit can only be moved later, with its
          // rows salvaged. Otherwise the row may be in an abandoned file: write it again.
          else if (this.#findOpenConnection() === null) committed = written;
          else {
            if (written.mark) this.#markFile.write(written.mark);
            return written;
          }
        } catch (error) {
          // The salvage has already copied the committed rows with the same keys.
          if (committed && isKeyConflict(error)) return committed;
          throw error;
        }
      }
    });
    if (done.changed.size > 0) for (const listener of this.#commitListeners) listener(done.changed);
    return done;
  }

  /** Writes what can be had again, so a process that only reads leaves it out. */
  keep(body: (sql: Sql) => void): void {
    if (this.#options.isReadOnly !== true) this.write(body);
  }

  async backup(to: string): Promise<void> {
    this.connection();
    const { driver, busyMs } = this.context;
    try {
      createPrivateFile(to);
      // A copy on the shared connection would fail during a write. The open read transaction fixes
      // one state; without it each write of another process would restart the copy.
      const source = withMaintenanceLock(this.context, "shared", () => connect(driver, this.path, busyMs));
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

  /** Reads the whole file, for damage that no other read has met. */
  repairIfDamaged(): void {
    this.#withRepair(() => {
      if (!isSound(this.#currentConnection())) throw corruptError(this.path, new Error("its integrity check fails"));
    });
  }

  /** Moves the log into the file as far as readers allow, so that no write has to. */
  checkpointWal(): void {
    const [moved] = this.#withRepair(() =>
      this.#currentConnection().all<{ log: number; checkpointed: number }>("PRAGMA wal_checkpoint(PASSIVE)"),
    );
    // Rows in a log that was deleted would end with this process.
    if (inodeOf(this.#log) !== this.#logInode && moved?.log === moved?.checkpointed) this.close();
  }

  connection(): Connection {
    return this.#withRepair(() => this.#currentConnection());
  }

  close(): void {
    this.#connection?.close();
    this.#copy?.close();
    this.#markFile.close();
    this.#connection = null;
    this.#copy = null;
    this.#inode = null;
  }

  /**
   * Only the host migrates, and closes the file before another host opens it: a process that writes
   * reads the version once for each file that it opens, a process beside the host each time.
   * @throws {LostWritesError} at the first use of an opened file that is behind its mark
   */
  #isReady(connection: Connection): boolean {
    if (this.#isMigrated && this.#options.isReadOnly !== true) return true;
    const stateOf = this.#isMigrated ? migratedState : undefined;
    const isMigrated = isReady(connection, this.path, this.context.migrations, stateOf);
    if (isMigrated && !this.#isMigrated && connection === this.#connection) this.#requireMarked(connection);
    this.#isMigrated = isMigrated;
    return isMigrated;
  }

  #requireMarked(connection: Connection): void {
    const present = markOf(connection);
    const loss = lossOf(present, this.#markAtOpening);
    if (loss !== null) throw new LostWritesError(this.path, loss);
    this.#madeAt = present.madeAt;
  }

  #migrate(connection: Connection): void {
    if (this.#options.isReadOnly === true) throw olderError(this.path);
    const { migrations, now } = this.context;
    withMaintenanceLock(this.context, "exclusive", () => {
      if (inodeOf(this.path) !== this.#inode || this.#isReady(connection)) return;
      backUpBeforeMigration(this.context, connection);
      transaction(connection, "BEGIN IMMEDIATE", () => migrate(connection, now(), migrations));
    });
  }

  #findReadableConnection(): Connection | null {
    if (!this.#findOpenConnection() && !this.exists()) return null;
    try {
      return this.#currentConnection();
    } catch (error) {
      return this.#copyInstead(error);
    }
  }

  /** @throws the error, unless nothing can be written and a copy may be read */
  #copyInstead(error: unknown): Connection {
    const mapped = toStoreError(error, this.path);
    // On a full disk SQLite has no room for its companions.
    const isUnwritable = mapped instanceof StoreError && ["store_readonly", "store_full"].includes(mapped.code);
    if (!isUnwritable || this.#options.isReadOnly !== true) throw error;
    return (this.#copy ??= openCopy(this.context));
  }

  /** Null unless the open file still has its name. */
  #findOpenConnection(): Connection | null {
    const found = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    return found && found.ino === this.#inode && found.size > 0n ? this.#connection : null;
  }

  #currentConnection(): Connection {
    const current = this.#findOpenConnection();
    if (current) return current;
    this.close();
    const open = this.#options.isReadOnly === true ? openReadOnly : openDatabase;
    // Before a transaction fixes what is read: a write may be stored at any time.
    this.#markAtOpening = readMark(this.context.files.mark);
    const { connection, inode } = open(this.context);
    this.#connection = connection;
    this.#inode = inode;
    this.#logInode = inodeOf(this.#log);
    this.#isMigrated = false;
    return connection;
  }

  #withRepair<T>(work: () => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        return work();
      } catch (error) {
        const mapped = this.#toStoreError(error);
        if (!(mapped instanceof StoreError) || mapped.code !== "store_corrupt" || attempt === 3) throw mapped;
        if (this.#options.isReadOnly === true) {
          // The next read opens the file that the host leaves.
          this.close();
          throw new NeedsHostError("store_corrupt", mapped.message, { cause: error });
        }
        this.#repair(mapped, attempt > 1);
      }
    }
  }

  #toStoreError(error: unknown): unknown {
    const connection = this.#connection;
    const isDamaged = isMissingName(error) && connection !== null && !hasAllColumns(this.context, connection);
    return isDamaged ? corruptError(this.path, error) : toStoreError(error, this.path);
  }

  #repair(error: StoreError, isCertain: boolean): void {
    const inode = this.#inode ?? inodeOf(this.path);
    this.close();
    try {
      const message = error.cause instanceof Error ? error.cause.message : error.message;
      const isBehind = error instanceof LostWritesError;
      setAside(this.context, { inode, isCertain, isIndexOnly: isIndexDamage(error), isBehind, message });
    } catch (failure) {
      throw toStoreError(failure, this.path);
    }
  }
}

export interface Committed<T> {
  readonly value: T;
  readonly changed: ReadonlySet<string>;
}

interface Written<T> extends Committed<T> {
  /** Number of the write; null where it changed no row. */
  readonly mark: Mark | null;
}
