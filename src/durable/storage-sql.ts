import type { Sql, SqlValue } from "../shared/sql.ts";

/** Reads all rows at once, since a cursor must not live across an await. */
export class StorageSql implements Sql {
  readonly #sql: SqlStorage;
  /** Rows and index entries, including those of rolled-back transactions. */
  #written = 0;
  #asked = 0;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    const cursor = this.#sql.exec(query, ...values);
    // The row type is the caller's promise about its SQL; nothing can check it here.
    const rows = cursor.toArray() as Row[];
    this.#written += cursor.rowsWritten;
    return rows;
  }

  run(query: string, ...values: SqlValue[]): number {
    const { rowsWritten } = this.#sql.exec(query, ...values);
    this.#written += rowsWritten;
    return rowsWritten;
  }

  hasWritten(): boolean {
    const has = this.#written > this.#asked;
    this.#asked = this.#written;
    return has;
  }

  get written(): number {
    return this.#written;
  }
}
