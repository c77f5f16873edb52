import type { StorageSql } from "./storage-sql.ts";

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
