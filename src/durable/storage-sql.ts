import type { Sql, SqlValue } from "../shared/sql.ts";

/** The object's SQLite as the engine sees it. Cursors never live over an await: all rows are read at once. */
export class StorageSql implements Sql {
  readonly #sql: SqlStorage;
  /** Rows and index entries, also those of transactions that were undone. */
  #written = 0;
  #asked = 0;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    const cursor = this.#sql.exec(query, ...values);
    // The row type is the caller's promise about its own SQL; nothing can check it here.
    const rows = cursor.toArray() as Row[];
    this.#written += cursor.rowsWritten;
    return rows;
  }

  run(query: string, ...values: SqlValue[]): number {
    const { rowsWritten } = this.#sql.exec(query, ...values);
    this.#written += rowsWritten;
    return rowsWritten;
  }

  /** Whether anything was written since it was last asked. */
  hasWritten(): boolean {
    const has = this.#written > this.#asked;
    this.#asked = this.#written;
    return has;
  }

  /** Rows and index entries since the start. */
  get written(): number {
    return this.#written;
  }
}
