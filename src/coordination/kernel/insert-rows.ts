import type { Sql, SqlValue } from "../../shared/sql.ts";

type Column = SqlValue | readonly SqlValue[];

/**
 * Inserts many rows with one statement, though the edge binds at most 100 values per statement.
 * @param columns by name: an array has one value per row, anything else is the value of all rows.
 *   The arrays have equal lengths; their texts are well-formed and far below 2 MB together.
 * @param suffix an upsert clause
 */
export function insertRows(sql: Sql, table: string, columns: Readonly<Record<string, Column>>, suffix = ""): void {
  const lists = Object.values(columns).filter(isList);
  const varying = lists.filter((list) => stepOf(list) === null);
  const bound: SqlValue[] = [];
  const terms = Object.values(columns).map((column) => {
    if (!isList(column)) return bind(bound, column);
    const step = stepOf(column);
    if (step === null) return varying.length === 1 ? "value" : `value ->> ${varying.indexOf(column)}`;
    return `${bind(bound, column[0] ?? null)}${step === 0 ? "" : " + key"}`;
  });
  const rows = varying.length > 1 ? varying[0]?.map((_, row) => varying.map((list) => list[row])) : varying[0];
  const names = Object.keys(columns).join(", ");
  sql.run(
    `INSERT INTO ${table} (${names}) SELECT ${terms.join(", ")} FROM json_each(?) ${suffix}`,
    ...bound,
    JSON.stringify(rows ?? lists[0]),
  );
}

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

function isList(column: Column): column is readonly SqlValue[] {
  return Array.isArray(column);
}

function bind(bound: SqlValue[], value: SqlValue): "?" {
  bound.push(value);
  return "?";
}

/** 0: all are equal; 1: numbers that grow by one; null: neither. */
function stepOf(list: readonly SqlValue[]): 0 | 1 | null {
  const [first] = list;
  if (list.every((value) => value === first)) return 0;
  return typeof first === "number" && list.every((value, row) => value === first + row) ? 1 : null;
}
