import * as meta from "../../../store/meta.ts";
import * as totals from "../../../store/metric-totals.ts";
import * as snapshotDrops from "../../../store/snapshot-drops.ts";
import type { Config } from "../../../contract/config.ts";
import { isWithin } from "../../../shared/known-time.ts";
import { selectColumn, type Sql, type SqlValue } from "../../../shared/sql.ts";
import * as heldAtHandOver from "../../sessions/held-at-hand-over.ts";
import { forgetUnit } from "../../sessions/session-settings.ts";
import {
  crashes,
  fileImages,
  hasContentSql,
  sessionTables,
  sessions,
  snapshots,
  recordingTables,
  isOpenSql,
} from "../../../store/session-tables.ts";
import { teamCalls, teamChats, teamConflicts, teamTables } from "../../../store/team-tables.ts";
import { usageCosts, usageMessages, usageTables } from "../../../store/machine-tables.ts";

const dayMs = 86_400_000;
/** Folded journal rows are kept this long for `shim sessions show <session>`. */
const foldedJournalMs = 7 * dayMs;
/** Crashes hold no text of the user's and serve later tuning: kept this many times longer. */
const crashAgeFactor = 12;

/** Usage is kept this many times longer than sessions. */
const usageAgeFactor = 3;
/** Longer than any reason to notify lasts. */
const sentMs = 90 * 86_400_000;

/** An incomplete session can still be recovered. The table must not be aliased. */
const incompleteSql = `(${isOpenSql("sessions")} AND coalesce(sessions.ending ->> 'isOpen', 1))`;
const newestSeqSql = "(SELECT max(seq) FROM checkpoints newest WHERE newest.session = checkpoints.session)";

/** A longer time without a run counts as a jump of the clock; so does one back. */
const maxGapMs = 7 * dayMs;
const settleMs = 3_600_000;

/**
 * The time by which rows are old: 0, when none is, until an hour after a jump of the clock. Ahead
 * for a minute, it would have everything deleted. Notes the time for the next call.
 */
export function pruneTime(sql: Sql, now: number): number {
  const [heldSince = 0, last = 0] = (meta.read(sql, "clock") ?? "").split(" ").map(Number);
  const since = isWithin(now - last, maxGapMs) ? heldSince : now;
  meta.write(sql, "clock", `${since} ${now}`);
  return now - since >= settleMs ? now : 0;
}

/**
 * Keeps unfolded journal rows and the newest checkpoint of a session that is incomplete or
 * still kept. Deletes at most about `limit` rows.
 */
export function prune(sql: Sql, now: number, retention: Config["retention"], limit: number): void {
  const budget = new Budget(limit);
  pruneOldSessions(sql, now - retention.maxAgeMs, budget);
  removeCheckpoints(sql, `${agedSql("checkpoints")} AND seq < ${newestSeqSql}`, [now - retention.maxAgeMs], budget);
  pruneExcessCheckpoints(sql, retention.checkpointsPerSession, budget);
  const foldedSql =
    "SELECT journalSeq FROM checkpoints WHERE session = journal.session ORDER BY checkpoints.seq DESC LIMIT 1";
  const folded = `${agedSql("journal")} AND seq <= (${foldedSql})`;
  pruneRows(sql, budget, "journal", "seq", folded, now - Math.min(foldedJournalMs, retention.maxAgeMs));
  pruneRows(sql, budget, "file_images", "seq", "at < ?", now - Math.min(foldedJournalMs, retention.maxAgeMs));
  // Undelivered news stays as long as its session.
  pruneRows(sql, budget, "team_news", "seq", "deliveredAt < ?", now - retention.maxAgeMs);
  pruneRows(sql, budget, "crashes", "session, at", "at < ?", now - retention.maxAgeMs * crashAgeFactor);
  pruneRows(sql, budget, "sent_notifications", "key", "at < ?", now - sentMs);
  const usageBefore = now - retention.maxAgeMs * usageAgeFactor;
  pruneRows(sql, budget, "usage_messages", "key", "at < ?", usageBefore);
  pruneRows(sql, budget, "usage_costs", "session, day, model, task, claim", "at < ?", usageBefore);
  sql.run("DELETE FROM notices WHERE acknowledgedAt < ?", now - retention.maxAgeMs);
  sql.run("DELETE FROM seen_events WHERE at < ?", now - foldedJournalMs);
  pruneToSize(sql, retention.maxBytes, budget);
}

class Budget {
  remaining: number;

  constructor(limit: number) {
    this.remaining = limit;
  }

  /** Never negative: SQLite reads a negative LIMIT as none. */
  get limit(): number {
    return Math.max(0, this.remaining);
  }
}

/** Deletes sessions that ended, were recovered or dismissed, or never had content. */
function pruneOldSessions(sql: Sql, before: number, budget: Budget): void {
  const ids = selectColumn(
    sql,
    `SELECT id FROM sessions WHERE lastSeenAt < ? AND (NOT ${incompleteSql} OR NOT ${hasContentSql("sessions.id")}) ORDER BY lastSeenAt LIMIT ?`,
    before,
    budget.limit,
  );
  for (const id of ids) {
    if (budget.remaining <= 0) return;
    pruneSession(sql, id, budget);
  }
}

/** Tables whose rows belong to a session; snapshots leave their repository first. */
const ownedTables = [...sessionTables, fileImages, ...teamTables, ...usageTables, ...recordingTables]
  .filter((table) => "session" in table.declared && table !== snapshots)
  .map(({ name }) => name);

/** Kept longer than their session. Unsent calls are sent without it. */
const keptTables: ReadonlySet<string> = new Set(
  [crashes, teamChats, teamCalls, usageMessages, usageCosts].map(({ name }) => name),
);

function pruneSession(sql: Sql, id: string, budget: Budget): void {
  removeCheckpoints(sql, "session = ?", [id], budget);
  budget.remaining -= sql.run(
    "DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE session = ? LIMIT ?)",
    id,
    budget.limit,
  );
  if (budget.remaining <= 0) return;
  removeSession(sql, id, keptTables);
  budget.remaining -= 1;
}

/** @returns the number of deleted rows. What its calls were still counts in the metrics. */
export function removeSession(sql: Sql, id: string, kept: ReadonlySet<string>): number {
  const tables = ownedTables.filter((name) => !kept.has(name));
  const owned = tables.reduce((sum, name) => sum + sql.run(`DELETE FROM ${name} WHERE session = ?`, id), 0);
  const rows = owned + teamConflicts.delete(sql, { other: id });
  forgetUnit(sql, id);
  heldAtHandOver.forget(sql, id);
  heldAtHandOver.markGivenBack(sql, id);
  const { toolCalls, toolErrors } = sessions.find(sql, { id }) ?? { toolCalls: 0, toolErrors: 0 };
  totals.add(sql, "shim_tool_calls_total", { value: toolCalls });
  totals.add(sql, "shim_tool_errors_total", { value: toolErrors });
  return rows + sessions.delete(sql, { id });
}

/** Rows before the first younger one: their numbers follow time. Binds the time. */
function agedSql(table: "checkpoints" | "journal"): string {
  const youngest = `SELECT seq FROM ${table} young WHERE young.at >= ? ORDER BY young.seq LIMIT 1`;
  return `seq < coalesce((${youngest}), ${Number.MAX_SAFE_INTEGER})`;
}

function pruneExcessCheckpoints(sql: Sql, keep: number, budget: Budget): void {
  const sessionsOverLimit = selectColumn(
    sql,
    "SELECT session FROM checkpoints GROUP BY session HAVING count(*) > ? LIMIT ?",
    keep,
    budget.limit,
  );
  for (const id of sessionsOverLimit) {
    const oldestKept = "(SELECT seq FROM checkpoints kept WHERE kept.session = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)";
    removeCheckpoints(sql, `session = ? AND seq < ${oldestKept}`, [id, id, keep - 1], budget);
  }
}

/** @param aged condition on the time @param key names of its columns */
function pruneRows(sql: Sql, budget: Budget, table: string, key: string, aged: string, before: number): void {
  const found = `SELECT ${key} FROM ${table} WHERE ${aged} LIMIT ?`;
  budget.remaining -= sql.run(`DELETE FROM ${table} WHERE (${key}) IN (${found})`, before, budget.limit);
}

/** Deletes oldest checkpoints, then ended sessions, first those of scripts. Pages are reused. */
function pruneToSize(sql: Sql, maxBytes: number, budget: Budget): void {
  const portion = 50;
  while (budget.remaining > 0 && usedBytes(sql) > maxBytes) {
    const step = new Budget(Math.min(portion, budget.remaining));
    const allowed = step.remaining;
    removeCheckpoints(sql, `seq < ${newestSeqSql}`, [], step);
    if (step.remaining === allowed) {
      const oldest = `SELECT id FROM sessions WHERE NOT ${incompleteSql} ORDER BY isScripts DESC, lastSeenAt LIMIT 1`;
      for (const id of selectColumn(sql, oldest)) pruneSession(sql, id, step);
    }
    budget.remaining -= allowed - step.remaining;
    // Only the newest checkpoints of incomplete sessions are left.
    if (step.remaining === allowed) return;
  }
}

function usedBytes(sql: Sql): number {
  const read = (pragma: string): number =>
    Object.values(sql.all<Record<string, number>>(`PRAGMA ${pragma}`)[0] ?? {})[0] ?? 0;
  return (read("page_count") - read("freelist_count")) * read("page_size");
}

function removeCheckpoints(sql: Sql, where: string, values: SqlValue[], budget: Budget): void {
  const rows = sql.all<{ seq: number; id: string }>(
    `SELECT seq, id FROM checkpoints WHERE ${where} ORDER BY seq LIMIT ?`,
    ...values,
    budget.limit,
  );
  for (const { seq, id } of rows) {
    snapshotDrops.enqueue(sql, "checkpointId = ?", id);
    budget.remaining -= sql.run("DELETE FROM checkpoints WHERE seq = ?", seq);
  }
}
