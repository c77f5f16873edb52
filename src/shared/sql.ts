/** Value that both SQLite hosts bind the same way. Integers stay below 2^53; no booleans. */
export type SqlValue = string | number | null | Uint8Array;

/**
 * Same on better-sqlite3, `node:sqlite` and the Durable Object, which number placeholders
 * differently: use bare `?` only.
 */
export interface Sql {
  all<Row>(query: string, ...values: SqlValue[]): Row[];
  /** Returns rows inserted, updated or deleted (the Durable Object also counts index entries). */
  run(query: string, ...values: SqlValue[]): number;
}

/** Runs work as a transaction, or as a part of one; rolled back when it throws. */
export function inSavepoint<T>(sql: Sql, work: () => T): T {
  sql.run("SAVEPOINT part");
  let isDone = false;
  try {
    const value = work();
    isDone = true;
    return value;
  } finally {
    if (!isDone) sql.run("ROLLBACK TO part");
    sql.run("RELEASE part");
  }
}

/** The values of all columns, which are texts. */
export function selectColumn(sql: Sql, query: string, ...values: readonly SqlValue[]): string[] {
  return sql.all<Record<string, string>>(query, ...values).flatMap((row) => Object.values(row));
}
