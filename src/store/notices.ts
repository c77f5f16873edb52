import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import { notices } from "./machine-tables.ts";

export type Notice = RowOf<typeof notices>;

/** Lists oldest first. */
export function list(sql: Sql): Notice[] {
  return notices.select(sql, "WHERE acknowledgedAt IS NULL ORDER BY id");
}

/** Epoch ms; null where no damaged store, or one that was deleted, came before this one. */
export function storeDamagedAt(sql: Sql): number | null {
  return (
    sql.all<{ at: number | null }>(
      "SELECT max(at) AS at FROM notices WHERE kind IN ('store_damaged', 'store_missing')",
    )[0]?.at ?? null
  );
}

export function add(sql: Sql, now: number, kind: string, text: string): number {
  return notices.append(sql, { at: now, kind, text });
}

export function acknowledge(sql: Sql, now: number, id: number | null): number {
  return notices.update(sql, { acknowledgedAt: null, id: id ?? undefined }, { acknowledgedAt: now });
}
