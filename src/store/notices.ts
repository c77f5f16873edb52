import type { Sql } from "../shared/sql.ts";

/** Shown in every answer and in the status line until acknowledged. */
export interface Notice {
  readonly id: number;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

/** [ST20] Lists oldest first. */
export function list(sql: Sql): Notice[] {
  return sql.all<Notice>("SELECT id, at, kind, text FROM notices WHERE acknowledged_at IS NULL ORDER BY id");
}

export function add(sql: Sql, now: number, kind: string, text: string): number {
  const [row] = sql.all<{ id: number }>(
    "INSERT INTO notices (at, kind, text) VALUES (?, ?, ?) RETURNING id",
    now,
    kind,
    text,
  );
  if (!row) throw new Error("INSERT RETURNING gave no row");
  return row.id;
}

export function acknowledge(sql: Sql, now: number, id: number | null): number {
  return id === null
    ? sql.run("UPDATE notices SET acknowledged_at = ? WHERE acknowledged_at IS NULL", now)
    : sql.run("UPDATE notices SET acknowledged_at = ? WHERE acknowledged_at IS NULL AND id = ?", now, id);
}
