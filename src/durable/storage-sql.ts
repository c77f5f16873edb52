import type { Sql, SqlValue } from "../shared/sql.ts";

/** Writes by table of each storage, whichever instance of StorageSql makes them. */
const writesByStorage = new WeakMap<SqlStorage, Map<string, number>>();

/** Estimated processor time of a statement, of a returned row and of a row only read, in µs. */
const microsOf = { statement: 10, returned: 1, read: 0.1 } as const;

/** Reads all rows at once, since a cursor must not live across an await. */
export class StorageSql implements Sql {
  readonly #sql: SqlStorage;
  /** Rows and index entries, including those of rolled-back transactions. */
  #written = 0;
  #micros = 0;
  #asked = 0;
  readonly #writes: Map<string, number>;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    this.#writes = writesByStorage.get(this.#sql) ?? new Map<string, number>();
    writesByStorage.set(this.#sql, this.#writes);
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    const cursor = this.#sql.exec(query, ...values);
    // The row type is the caller's promise about its SQL; nothing can check it here.
    const rows = cursor.toArray() as Row[];
    this.#micros += microsOf.statement + rows.length * microsOf.returned + cursor.rowsRead * microsOf.read;
    if (cursor.rowsWritten > 0) this.#note(query, cursor.rowsWritten);
    return rows;
  }

  run(query: string, ...values: SqlValue[]): number {
    const { rowsWritten, rowsRead } = this.#sql.exec(query, ...values);
    this.#micros += microsOf.statement + rowsRead * microsOf.read;
    if (rowsWritten > 0) this.#note(query, rowsWritten);
    return rowsWritten;
  }

  #note(query: string, rowsWritten: number): void {
    this.#written += rowsWritten;
    for (const table of tablesWrittenBy(query)) this.#writes.set(table, this.writesTo(table) + 1);
  }

  /** Grows with each statement that writes rows of the table, also where it is rolled back. */
  writesTo(table: string): number {
    return this.#writes.get(table) ?? 0;
  }

  hasWritten(): boolean {
    const has = this.#written > this.#asked;
    this.#asked = this.#written;
    return has;
  }

  get written(): number {
    return this.#written;
  }

  /** Estimated processor time, in µs: the clock stands still while a request runs. */
  get micros(): number {
    return this.#micros;
  }
}

const tablesOfQueries = new Map<string, readonly string[]>();

/** Names of the tables that a statement writes, triggers apart. May name more, never fewer. */
function tablesWrittenBy(query: string): readonly string[] {
  const parsed = tablesOfQueries.get(query);
  if (parsed) return parsed;
  const tables = Array.from(query.matchAll(/\b(?:INTO|UPDATE|DELETE FROM)\s+(\w+)/g), ([, table = ""]) => table);
  tablesOfQueries.set(query, tables);
  return tables;
}

/** More are dropped together, and read again when they are needed. */
const maxKept = 1_000;

/**
 * Copies of what is stored in one table, by key. Each write to the table drops them; the owner does
 * when a transaction is rolled back in which one may have been read. Conditions:
 * docs/decisions/0022-copies-of-rows-in-memory.md.
 */
export class KeptRows<Row> {
  readonly #sql: Pick<StorageSql, "writesTo">;
  readonly #table: string;
  readonly #kept = new Map<string, Row>();
  /** Reads what is stored. */
  readonly read: (key: string) => Row;
  #writes = 0;

  constructor(sql: Pick<StorageSql, "writesTo">, table: string, read: (key: string) => Row) {
    this.#sql = sql;
    this.#table = table;
    this.read = read;
  }

  get(key: string): Row {
    const writes = this.#sql.writesTo(this.#table);
    if (writes !== this.#writes || this.#kept.size >= maxKept) this.drop();
    this.#writes = writes;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const row = this.read(key);
    this.#kept.set(key, row);
    return row;
  }

  drop(): void {
    this.#kept.clear();
  }
}
