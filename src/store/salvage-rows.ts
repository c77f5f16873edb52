import type { SqlValue } from "../shared/sql.ts";
import type { Connection } from "./driver.ts";

export type TableRow = Record<string, SqlValue>;

export interface Table {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly isNumbered: boolean;
}

const pageRows = 200;
/** Bounds of numbers tried singly: in all, and in sequence where the highest is unknown. */
const maxProbes = 5_000;
const maxFailedProbes = 1_000;

export function* readableRows(source: Connection, table: Table): Generator<TableRow> {
  const at: Position = { last: 0, limit: pageRows, probes: 0, inVain: 0, gaps: [] };
  const isWhole = table.isNumbered ? yield* walkNumbers(source, table, at) : yield* walkKeys(source, table, "ASC");
  // Undetected damage may end a walk early: a number or key that is too high hides rows.
  if (isWhole && isInOrder(source, table)) return;
  yield* walkKeys(source, table, "DESC");
  yield* table.isNumbered ? probeGaps(source, table, at) : scan(source, table);
}

interface Position {
  last: number;
  limit: number;
  probes: number;
  inVain: number;
  readonly gaps: { low: number; high: number }[];
}

/** The quick check compares only row numbers; other keys need the whole check. */
function isInOrder(source: Connection, { name, isNumbered }: Table): boolean {
  const check = isNumbered ? "quick_check" : "integrity_check";
  return tryRead(source, `PRAGMA ${check}(${name})`, [])?.[0]?.[check] === "ok";
}

function* walkNumbers(source: Connection, table: Table, at: Position): Generator<TableRow, boolean> {
  const highest = highestNumber(source, table);
  while (at.probes < maxProbes && at.inVain < maxFailedProbes) {
    const rows = rowsAbove(source, table, at.last, at.limit);
    if (rows) {
      yield* rows;
      if (passRows(table, at, rows, highest)) return true;
    } else if (at.limit > 1) {
      at.limit = Math.floor(at.limit / 2);
    } else {
      if (highest !== null && at.last >= highest) return true;
      yield* probe(source, table, at, highest === null);
    }
  }
  return false;
}

function passRows(table: Table, at: Position, rows: readonly TableRow[], highest: number | null): boolean {
  for (const row of rows) passTo(at, rowNumber(row, table));
  const isLast = rows.length < at.limit;
  if (isLast) passTo(at, (highest ?? at.last + maxFailedProbes) + 1);
  at.limit = Math.min(pageRows, at.limit * 2);
  return isLast;
}

function passTo(at: Position, number: number): void {
  if (number > at.last + 1) at.gaps.push({ low: at.last + 1, high: number - 1 });
  at.last = Math.max(at.last, number);
}

/** A damaged number can make a gap of any width; hidden rows are near those found. */
function* probeGaps(source: Connection, table: Table, at: Position): Generator<TableRow> {
  for (let open = at.gaps; open.length > 0; open = open.filter(({ low, high }) => low <= high)) {
    for (const gap of open) {
      for (const number of new Set([gap.low, gap.high])) {
        if (at.probes >= maxProbes) return;
        at.probes += 1;
        yield* readRow(source, table, number) ?? [];
      }
      gap.low += 1;
      gap.high -= 1;
    }
  }
}

function rowNumber(row: TableRow, { key }: Table): number {
  return Number(row[unquoted(key[0] ?? "")]);
}

function* probe(source: Connection, table: Table, at: Position, isEndUnknown: boolean): Generator<TableRow> {
  at.last += 1;
  at.probes += 1;
  const found = readRow(source, table, at.last);
  at.inVain = found === null && isEndUnknown ? at.inVain + 1 : 0;
  yield* found ?? [];
}

function rowsAbove(
  source: Connection,
  { name, key, columns }: Table,
  last: number,
  limit: number,
): readonly TableRow[] | null {
  const query = `SELECT ${columns.join(", ")} FROM ${name} WHERE ${key[0]} > ? ORDER BY ${key[0]} LIMIT ${limit}`;
  return orderedRows(tryRead(source, query, [last]), key, [last], 1);
}

function readRow(source: Connection, { name, key, columns }: Table, number: number): readonly TableRow[] | null {
  return tryRead(source, `SELECT ${columns.join(", ")} FROM ${name} WHERE ${key[0]} = ?`, [number]);
}

function highestNumber(source: Connection, { name, key }: Table): number | null {
  const inTable = tryRead(source, `SELECT max(${key[0]}) AS n FROM ${name}`, []);
  const counted = tryRead(source, "SELECT max(seq) AS n FROM sqlite_sequence WHERE name = ?", [name]);
  const numbers = [inTable, counted].map((rows) => rows?.[0]?.["n"]).filter((n) => typeof n === "number");
  return inTable === null && numbers.length === 0 ? null : Math.max(0, ...numbers);
}

/** Returns null when the keys are out of order: damaged pages may form a circle. */
function orderedRows(
  rows: readonly TableRow[] | null,
  key: readonly string[],
  after: readonly SqlValue[] | null,
  direction: 1 | -1,
): readonly TableRow[] | null {
  let last = after;
  for (const row of rows ?? []) {
    const next = key.map((column) => row[unquoted(column)] ?? null);
    if (next.includes(null) || (last && compareKeys(next, last) !== direction)) return null;
    last = next;
  }
  return rows;
}

function compareKeys(one: readonly SqlValue[], other: readonly SqlValue[]): number {
  for (const [index, value] of one.entries()) {
    const beside = other[index];
    if (value === beside) continue;
    if (typeof value === "number" && typeof beside === "number") return Math.sign(value - beside);
    if (typeof value !== "string" || typeof beside !== "string") return 0;
    return Buffer.compare(Buffer.from(value), Buffer.from(beside));
  }
  return 0;
}

function* walkKeys(source: Connection, table: Table, direction: "ASC" | "DESC"): Generator<TableRow, boolean> {
  const order = table.key.map((name) => `${name} ${direction}`).join(", ");
  const key = `(${table.key.join(", ")})`;
  const placeholders = `(${table.key.map(() => "?").join(", ")})`;
  const comparison = direction === "ASC" ? ">" : "<";
  let last: SqlValue[] | null = null;
  let limit = pageRows;
  for (;;) {
    const where: string = last ? `WHERE ${key} ${comparison} ${placeholders}` : "";
    const query = `SELECT ${table.columns.join(", ")} FROM ${table.name} ${where} ORDER BY ${order} LIMIT ${limit}`;
    const rows = orderedRows(tryRead(source, query, last ?? []), table.key, last, direction === "ASC" ? 1 : -1);
    if (rows === null) {
      if (limit === 1) return false;
      limit = 1;
      continue;
    }
    yield* rows;
    const lastRow = rows.at(-1);
    if (!lastRow) return true;
    last = table.key.map((column) => lastRow[unquoted(column)] ?? null);
  }
}

function* scan(source: Connection, { name, columns }: Table): Generator<TableRow> {
  for (let offset = 0; ; offset += pageRows) {
    const query = `SELECT ${columns.join(", ")} FROM ${name} NOT INDEXED LIMIT ${pageRows} OFFSET ${offset}`;
    const rows = tryRead(source, query, []) ?? [];
    yield* rows;
    if (rows.length < pageRows) return;
  }
}

export function tryRead(source: Connection, query: string, values: readonly SqlValue[]): TableRow[] | null {
  try {
    return source.all<TableRow>(query, ...values);
  } catch {
    return null;
  }
}

export function unquoted(column: string): string {
  return column.slice(1, -1);
}
