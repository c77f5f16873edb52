import { tablesWrittenBy } from "../coordination/kernel/written-tables.ts";
import type { Sql, SqlValue } from "../shared/sql.ts";

/** Reads all rows at once, since a cursor must not live across an await. */
export class StorageSql implements Sql {
  readonly #sql: SqlStorage;
  /** Rows and index entries, including those of rolled-back transactions. */
  #written = 0;
  #asked = 0;
  readonly #tables = new Set<string>();

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    const cursor = this.#sql.exec(query, ...values);
    // The row type is the caller's promise about its SQL; nothing can check it here.
    const rows = cursor.toArray() as Row[];
    if (cursor.rowsWritten > 0) this.#note(query, cursor.rowsWritten);
    return rows;
  }

  run(query: string, ...values: SqlValue[]): number {
    const { rowsWritten } = this.#sql.exec(query, ...values);
    if (rowsWritten > 0) this.#note(query, rowsWritten);
    return rowsWritten;
  }

  #note(query: string, rowsWritten: number): void {
    this.#written += rowsWritten;
    for (const table of tablesWrittenBy(query)) this.#tables.add(table);
  }

  /** Tables with rows written since the last call, also by transactions that were rolled back. */
  takeWrittenTables(): ReadonlySet<string> {
    const tables = new Set(this.#tables);
    this.#tables.clear();
    return tables;
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
