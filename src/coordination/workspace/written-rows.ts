import type { Sql } from "../../shared/sql.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";

/** Rows written in a month, as the host counts them: what Cloudflare bills. */

export const key = "written_rows";

interface Written {
  /** Year and month in UTC: "2026-11". */
  readonly month: string;
  readonly rows: number;
}

export function ofMonth({ sql, now }: Pick<Tx, "sql" | "now">): number {
  const stored = read(sql);
  return stored?.month === monthOf(now) ? stored.rows : 0;
}

export function add(tx: Pick<Tx, "sql" | "now">, rows: number): void {
  const written: Written = { month: monthOf(tx.now), rows: ofMonth(tx) + rows };
  meta.write(tx.sql, key, JSON.stringify(written));
}

function read(sql: Sql): Written | null {
  return JSON.parse(meta.read(sql, key) ?? "null") as Written | null;
}

function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7);
}
