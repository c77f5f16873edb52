import type { AuditEntry } from "../../contract/workspaces.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Handlers } from "./handlers.ts";
import { insertRows } from "./insert-rows.ts";
import * as totals from "./metric-totals.ts";
import type { Tx } from "./tx.ts";

/** Entry numbers serve as fencing tokens, so a grant costs one row for both. */

export interface NewAuditEntry {
  readonly kind: string;
  readonly subject: string;
  readonly actor?: string | null;
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

export function append({ sql, now }: Pick<Tx, "sql" | "now">, { kind, subject, actor, detail }: NewAuditEntry): number {
  const [row] = sql.all<{ seq: number }>(
    "INSERT INTO audit (at, kind, subject, actor, detail) VALUES (?, ?, ?, ?, ?) RETURNING seq",
    now,
    kind,
    subject,
    actor ?? null,
    JSON.stringify(detail ?? {}),
  );
  if (!row) throw new Error("no row was added to the audit log");
  if (row.seq % pruneEvery === 0) prune(sql, now, 2 * pruneEvery);
  return row.seq;
}

/** Adds one entry per subject, with consecutive numbers. Returns the first number. */
export function appendAll(
  { sql, now }: Pick<Tx, "sql" | "now">,
  { kind, actor }: Pick<NewAuditEntry, "kind" | "actor">,
  subjects: readonly string[],
): number {
  const first = newestNumber(sql) + 1;
  const seq = subjects.map((_, at) => first + at);
  insertRows(sql, "audit", { seq, at: now, kind, subject: subjects, actor: actor ?? null, detail: "{}" });
  for (const number of seq) if (number % pruneEvery === 0) prune(sql, now, 2 * pruneEvery, number);
  return first;
}

function newestNumber(sql: Sql): number {
  return sql.all<{ seq: number }>("SELECT seq FROM audit ORDER BY seq DESC LIMIT 1")[0]?.seq ?? 0;
}

export const handlers = {
  "audit.list"({ sql, now }, { before, kind, limit }) {
    const rows = sql.all<{
      seq: number;
      at: number;
      kind: string;
      subject: string;
      actor: string | null;
      detail: string;
    }>(
      "SELECT * FROM audit WHERE seq < ? AND (? IS NULL OR kind = ?) ORDER BY seq DESC LIMIT ?",
      before ?? Number.MAX_SAFE_INTEGER,
      kind ?? null,
      kind ?? null,
      limit,
    );
    return ok({
      entries: rows.map(({ seq, at, kind, subject, actor, detail }) => ({
        seq,
        kind,
        subject,
        actor,
        ageMs: Math.max(0, now - at),
        detail: JSON.parse(detail) as AuditEntry["detail"],
      })),
    });
  },
} satisfies Partial<Handlers>;

/** An election is a lease on `leader:<name>`. */
export const isLeaderGrantSql = "kind = 'lease.granted' AND subject >= 'leader:' AND subject < 'leader;'";

const keepMs = 30 * 86_400_000;
const keepRows = 20_000;
const pruneEvery = 256;

/** Due time of the oldest row, by age or number; never of the newest row. */
export const dueAt = `
  SELECT min(at + ${keepMs}, ifnull((SELECT at FROM audit WHERE seq > oldest.seq + ${keepRows} ORDER BY seq LIMIT 1), at + ${keepMs}))
  FROM (SELECT seq, at FROM audit ORDER BY seq LIMIT 1) AS oldest
  WHERE seq < (SELECT max(seq) FROM audit)`;

/** Oldest first, at most `limit` rows; never the newest, whose number must not recur. */
export function prune(sql: Sql, now: number, limit: number, newest = newestNumber(sql)): void {
  const oldest = "SELECT seq, at FROM audit ORDER BY seq LIMIT ?";
  const [kept] = sql.all<{ seq: number }>(
    `SELECT seq FROM (${oldest}) WHERE at > ? AND seq >= ? LIMIT 1`,
    limit,
    now - keepMs,
    newest - keepRows,
  );
  const [last] = kept
    ? [kept]
    : sql.all<{ seq: number }>(`SELECT seq FROM (${oldest}) ORDER BY seq DESC LIMIT 1`, limit);
  if (!last) return;
  const pruned = "SELECT kind AS label, count(*) AS value FROM audit WHERE seq < ? GROUP BY kind";
  totals.addAll({ sql }, "shim_workspace_events_total", pruned, last.seq);
  const leaders = `SELECT '' AS label, count(*) AS value FROM audit WHERE seq < ? AND ${isLeaderGrantSql} HAVING count(*) > 0`;
  totals.addAll({ sql }, "shim_leader_changes_total", leaders, last.seq);
  sql.run("DELETE FROM audit WHERE seq < ?", last.seq);
}
