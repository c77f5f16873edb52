import type { Tx } from "../kernel/tx.ts";

/** Rows of ended attempts, with the key (type, task, claim). [RT22] [RT23] */
type Table = "routes" | "attempt_models";

/** Limits of the rows of a type, newest tasks first, and of types. */
const maxRowsPerType = 2_000;
const maxTypes = 200;

export function hasRoom(sql: Tx["sql"], table: Table, type: string): boolean {
  const isKnown = sql.all(`SELECT 1 FROM ${table} WHERE type = ? LIMIT 1`, type).length > 0;
  return isKnown || listTypes(sql, table).length < maxTypes;
}

export function prune(sql: Tx["sql"], table: Table, type: string): void {
  sql.run(
    `DELETE FROM ${table} WHERE type = ? AND (task, claim) <=
       (SELECT task, claim FROM ${table} WHERE type = ? ORDER BY task DESC, claim DESC LIMIT 1 OFFSET ?)`,
    type,
    type,
    maxRowsPerType,
  );
}

/** Steps from one type to the next in the key, which has up to thousands of rows for each. */
export function listTypes(sql: Tx["sql"], table: Table): string[] {
  const query = `WITH RECURSIVE found (type) AS (
      SELECT min(type) FROM ${table}
      UNION ALL SELECT (SELECT min(type) FROM ${table} WHERE type > found.type) FROM found WHERE found.type IS NOT NULL)
    SELECT type FROM found WHERE type IS NOT NULL`;
  return sql.all<{ type: string }>(query).map(({ type }) => type);
}
