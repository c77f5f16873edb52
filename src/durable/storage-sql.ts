import type { Sql, SqlValue } from "../shared/sql.ts";

/** The object's SQLite as the engine sees it. Cursors never live over an await: all rows are read at once. */
export function storageSql(storage: DurableObjectStorage): Sql {
  const exec = (query: string, values: SqlValue[]): SqlStorageCursor<Record<string, SqlStorageValue>> =>
    storage.sql.exec(query, ...values);
  return {
    // The row type is the caller's promise about its own SQL; nothing can check it here.
    all: <Row>(query: string, ...values: SqlValue[]): Row[] => exec(query, values).toArray() as Row[],
    run: (query, ...values) => exec(query, values).rowsWritten,
  };
}
