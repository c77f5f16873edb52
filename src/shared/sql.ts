/** A value that both SQLite hosts bind the same way. Integers stay below 2^53; there is no boolean. */
export type SqlValue = string | number | null | Uint8Array;

/**
 * The one door to SQLite, the same on better-sqlite3, `node:sqlite` and the Durable Object.
 * Placeholders are bare `?` only: numbered ones differ between the hosts.
 */
export interface Sql {
  /** Rows of a query, as plain objects keyed by column name. */
  all<Row>(query: string, ...values: SqlValue[]): Row[];
  /** Runs a statement; answers how many rows it inserted, updated or deleted (the Durable Object counts index entries, too). */
  run(query: string, ...values: SqlValue[]): number;
}
