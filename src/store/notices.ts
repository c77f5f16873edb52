import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import { notices } from "./machine-tables.ts";

export type Notice = RowOf<typeof notices>;

/** Lists oldest first. */
export function list(sql: Sql): Notice[] {
  return notices.select(sql, "WHERE acknowledgedAt IS NULL ORDER BY id");
}

export function add(sql: Sql, now: number, kind: string, text: string): number {
  return notices.append(sql, { at: now, kind, text });
}

export function acknowledge(sql: Sql, now: number, id: number | null): number {
  return notices.update(sql, { acknowledgedAt: null, id: id ?? undefined }, { acknowledgedAt: now });
}
