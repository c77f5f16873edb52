import type { AuditEntry } from "../../contract/workspaces.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Handlers } from "./handlers.ts";
import * as meta from "./meta.ts";
import * as totals from "./metric-totals.ts";
import type { Tx } from "./tx.ts";
import { audit } from "./kernel-tables.ts";

/** Entry numbers serve as fencing tokens, so a grant costs one row for both. */

export interface NewAuditEntry {
  readonly kind: string;
  readonly subject: string;
  readonly actor?: string | null;
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

export function append(tx: Pick<Tx, "sql" | "now">, { kind, subject, actor, detail }: NewAuditEntry): number {
  const seq = audit.append(tx.sql, { at: tx.now, kind, subject, actor, detail: JSON.stringify(detail ?? {}) });
  compact(tx, seq);
  return seq;
}

/** Adds an entry for each subject, with consecutive numbers. Returns the first number. */
export function appendAll(
  tx: Pick<Tx, "sql" | "now">,
  { kind, actor = null }: Pick<NewAuditEntry, "kind" | "actor">,
  subjects: readonly string[],
): number {
  const [only] = subjects;
  if (subjects.length === 1 && only !== undefined) return append(tx, { kind, subject: only, actor });
  const first = newestNumber(tx.sql) + 1;
  const rows = subjects.map((subject, at) => ({ seq: first + at, at: tx.now, kind, subject, actor, detail: "{}" }));
  audit.insertAll(tx.sql, rows);
  for (const { seq } of rows) compact(tx, seq);
  return first;
}

function newestNumber(sql: Sql): number {
  return sql.all<{ seq: number }>("SELECT seq FROM audit ORDER BY seq DESC LIMIT 1")[0]?.seq ?? 0;
}

/** Entries since a time, epoch ms, by kind, most first. */
export function countSince(sql: Sql, since: number): { readonly kind: string; readonly count: number }[] {
  return sql.all("SELECT kind, count(*) AS count FROM audit WHERE at > ? GROUP BY kind ORDER BY 2 DESC, 1", since);
}

/** Newest entry of some kinds. */
export function newestOf(sql: Sql, kinds: readonly string[]): { readonly kind: string } | null {
  const query = "SELECT kind FROM audit WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY seq DESC LIMIT 1";
  return sql.all<{ kind: string }>(query, JSON.stringify(kinds))[0] ?? null;
}

export const handlers = {
  "audit.list"({ sql, now }, { cursor, kind = null, subject = "", actor = "", maxAgeMs = now, limit }) {
    const rows = audit.select(
      sql,
      `WHERE seq < ? AND kind = ifnull(?, kind) AND instr(subject, ?) = 1 AND instr(ifnull(actor, ''), ?) = 1 AND at >= ?
       ORDER BY seq DESC LIMIT ?`,
      cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor),
      kind,
      subject,
      actor,
      now - maxAgeMs,
      limit + 1,
    );
    const page = rows.slice(0, limit);
    return ok({
      entries: page.map(({ seq, at, kind, subject, actor, detail }) => ({
        seq,
        kind,
        subject,
        actor,
        ageMs: Math.max(0, now - at),
        detail: JSON.parse(detail) as AuditEntry["detail"],
      })),
      cursor: rows.length > limit ? String(page.at(-1)?.seq) : null,
    });
  },
} satisfies Partial<Handlers>;

/** An election is a lease on `leader:<name>`. */
const isLeaderGrantSql = "kind = 'lease.granted' AND subject >= 'leader:' AND subject < 'leader;'";

const summedKey = "audit_summed_to";
const events = "shim_workspace_events_total";
const leaderChanges = "shim_leader_changes_total";

/** Number of the last entry that the totals contain. */
function summedTo(sql: Sql): number {
  return Number(meta.read(sql, summedKey) ?? 0);
}

interface KindCount {
  readonly kind: string;
  readonly n: number;
  readonly leaders: number;
}

/** @param upTo number of the last entry */
function countKinds(sql: Sql, upTo: number): KindCount[] {
  return sql.all<KindCount>(
    `SELECT kind, count(*) AS n, sum(${isLeaderGrantSql}) AS leaders FROM audit WHERE seq > ? AND seq <= ? GROUP BY kind`,
    summedTo(sql),
    upTo,
  );
}

/** Entries ever by kind, and elections ever; reads few rows, however long the log. */
export function readTotals(sql: Sql): { readonly kinds: ReadonlyMap<string, number>; readonly leaderChanges: number } {
  const kinds = new Map(totals.list(sql, events).map(({ label, value }) => [label, value]));
  let leaders = totals.get(sql, leaderChanges);
  for (const { kind, n, leaders: granted } of countKinds(sql, Number.MAX_SAFE_INTEGER)) {
    kinds.set(kind, (kinds.get(kind) ?? 0) + n);
    leaders += granted;
  }
  return { kinds, leaderChanges: leaders };
}

/** Adds entries to the totals, each once. @param upTo number of the last one */
function sumKinds(sql: Sql, upTo: number): void {
  if (upTo <= summedTo(sql)) return;
  for (const { kind, n, leaders } of countKinds(sql, upTo)) {
    totals.add({ sql }, events, kind, n);
    totals.add({ sql }, leaderChanges, "", leaders);
  }
  meta.write(sql, summedKey, String(upTo));
}

const keepMs = 30 * 86_400_000;
const keepRows = 20_000;
const pruneEvery = 256;

/** Due time of the oldest row, by age or number; never of the newest row. */
export const dueAt = `
  SELECT min(at + ${keepMs}, ifnull((SELECT at FROM audit WHERE seq > oldest.seq + ${keepRows} ORDER BY seq LIMIT 1), at + ${keepMs}))
  FROM (SELECT seq, at FROM audit ORDER BY seq LIMIT 1) AS oldest
  WHERE seq < (SELECT max(seq) FROM audit)`;

/** Oldest first, at most `limit` rows; never the newest, whose number must not recur. */
export function prune({ sql, now }: Pick<Tx, "sql" | "now">, limit: number, newest = newestNumber(sql)): void {
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
  sumKinds(sql, last.seq - 1);
  sql.run("DELETE FROM audit WHERE seq < ?", last.seq);
}

/** @param newest number of an entry */
function compact(tx: Pick<Tx, "sql" | "now">, newest: number): void {
  if (newest % pruneEvery > 0) return;
  sumKinds(tx.sql, newest);
  prune(tx, 2 * pruneEvery, newest);
}
