import type { Sql, SqlValue } from "../../shared/sql.ts";

/** Values per statement at the edge. */
const maxBound = 100;

/**
 * Inserts rows of long texts, which JSON would copy, with as few statements as the edge allows.
 * @param rows with the columns in their order
 */
export function insertLongRows(sql: Sql, into: string, rows: readonly (readonly SqlValue[])[], suffix: string): void {
  const width = rows[0]?.length ?? 1;
  const perStatement = Math.floor(maxBound / width);
  const placeholders = `(${Array.from({ length: width }, () => "?").join(", ")})`;
  for (let first = 0; first < rows.length; first += perStatement) {
    const part = rows.slice(first, first + perStatement);
    sql.run(`INSERT INTO ${into} VALUES ${part.map(() => placeholders).join(", ")} ${suffix}`, ...part.flat());
  }
}
