import type { Sql, SqlValue } from "../../shared/sql.ts";
import { integer, serial, table, text, type RowOf } from "../../shared/table.ts";
import { epochStart } from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";

/** Envelopes are last, so that lists and counts do not read them. */

/** One row: a put writes one, nothing is summed up again, and no number recurs. */
const syncTotals = table("sync_totals", {
  one: serial(),
  keyId: text().nullable(),
  revision: integer(),
  chars: integer(),
  /** Sessions and records of files. */
  records: integer(),
});

export const syncDevices = table("sync_devices", {
  device: text().primary(),
  machine: text(),
  /** Revision of its first put; another one after a purge. */
  since: integer(),
  putAt: integer(),
});

/** Ordered by change, from which pulls continue. */
export const syncSessions = table("sync_sessions", {
  revision: serial(),
  session: text(),
  device: text(),
  machine: text(),
  /** Checkpoint in the envelope. */
  checkpoint: text().nullable(),
  project: text().nullable(),
  isEnded: integer(),
  /** Revision of its last put: a takeover changes the revision alone. */
  version: integer(),
  at: integer(),
  changedAt: integer(),
  takenChat: text().nullable(),
  takenMachine: text().nullable(),
  chars: integer(),
  envelope: text(),
});

/** Files of sessions: at most two bundles of each, one complete and one incoming. */
export const syncContents = table("sync_contents", {
  session: text().primary(),
  device: text().primary(),
  kind: text<"files" | "part">().primary(),
  /** Name of a part; the header has none. */
  item: text().primary(),
  checkpoint: text(),
  bundle: text(),
  at: integer(),
  chars: integer(),
  envelope: text(),
});

/** The bundle of each session of which parts were stored and no header. */
export const syncIncoming = table("sync_incoming", {
  session: text().primary(),
  device: text().primary(),
  bundle: text(),
  /** Epoch ms of its first part. */
  begunAt: integer(),
});

/** Sessions that other machines have read and must delete. */
const syncForgotten = table("sync_forgotten", {
  revision: serial(),
  session: text(),
  device: text(),
  at: integer(),
});

export const syncTables = [syncTotals, syncDevices, syncSessions, syncContents, syncIncoming, syncForgotten];

export const syncIndexes: readonly string[] = [
  "INSERT INTO sync_totals (one, keyId, revision, chars, records) VALUES (1, NULL, 0, 0, 0)",
  "CREATE UNIQUE INDEX sync_sessions_keys ON sync_sessions (session, device)",
  "CREATE INDEX sync_incoming_begun ON sync_incoming (begunAt)",
];

/** Rows of sealed records. Callers update the totals in memory and store them once. */

const totalRows = syncTotals.without("one");

export type Totals = { -readonly [Name in keyof RowOf<typeof totalRows>]: RowOf<typeof totalRows>[Name] };

export function totals(sql: Sql): Totals {
  const row = totalRows.select(sql, "")[0];
  if (!row) throw new Error("the counts of the sync are missing");
  return { ...row };
}

export function saveTotals(sql: Sql, totals: Totals): void {
  syncTotals.update(sql, { one: 1 }, totals);
}

/** Exceeds every lost number after a restore, by the raised epoch. */
export function nextRevision(tx: Tx, sums: Totals): number {
  sums.revision = Math.max(sums.revision, epochStart(tx)) + 1;
  return sums.revision;
}

export const sessionRows = syncSessions.without("changedAt", "envelope");

export type SessionRow = RowOf<typeof sessionRows>;

/** @param device absent: of all devices */
export function countSessions(sql: Sql, device?: string): { readonly sessions: number; readonly checkpoints: number } {
  const query = `SELECT count(*) AS sessions, count(checkpoint) AS checkpoints FROM sync_sessions
    WHERE ? IS NULL OR device = ?`;
  const [counts] = sql.all<{ sessions: number; checkpoints: number }>(query, device ?? null, device ?? null);
  return counts ?? { sessions: 0, checkpoints: 0 };
}

export function countSessionsOfMachine(sql: Sql, machine: string): number {
  const query = `SELECT count(*) AS sessions FROM sync_sessions
    WHERE device IN (SELECT device FROM sync_devices WHERE machine = ?)`;
  return sql.all<{ sessions: number }>(query, machine)[0]?.sessions ?? 0;
}

/** Whether a machine has stored the session, has not ended it, and no chat has taken it. */
export function isUnfinished(sql: Sql, session: string): boolean {
  const query = "SELECT isEnded, takenChat FROM sync_sessions WHERE session = ?";
  const found = sql.all<Pick<SessionRow, "isEnded" | "takenChat">>(query, session);
  return found.length > 0 && found.every((row) => row.isEnded === 0 && row.takenChat === null);
}

export function setClaimant(
  tx: Tx,
  { session, device }: SessionRow,
  by: { readonly chat: string; readonly machine: string } | null,
): void {
  const sums = totals(tx.sql);
  const taken = { takenChat: by?.chat ?? null, takenMachine: by?.machine ?? null };
  const change = { revision: nextRevision(tx, sums), changedAt: tx.now, ...taken };
  syncSessions.update(tx.sql, { session, device }, change);
  saveTotals(tx.sql, sums);
}

/** Deletes sessions with all their records, and keeps for the readers that they are gone. */
export function forgetSessions(tx: Tx, sums: Totals, where: string, ...values: SqlValue[]): void {
  const removed = sessionRows.select(tx.sql, `WHERE ${where}`, ...values);
  for (const { session, device } of removed) {
    syncForgotten.insert(tx.sql, { revision: nextRevision(tx, sums), session, device, at: tx.now });
  }
  remove(tx, sums, `sync_sessions WHERE ${where}`, ...values);
  removeContents(tx, sums, where, ...values);
}

/** @returns the number of deleted records */
export function removeContents(tx: Tx, sums: Totals, where: string, ...values: SqlValue[]): number {
  return remove(tx, sums, `sync_contents WHERE ${where}`, ...values);
}

function remove({ sql }: Tx, sums: Totals, fromWhere: string, ...values: SqlValue[]): number {
  const removed = sql.all<{ chars: number }>(`DELETE FROM ${fromWhere} RETURNING chars`, ...values);
  sums.records -= removed.length;
  sums.chars -= removed.reduce((sum, { chars }) => sum + chars, 0);
  return removed.length;
}

export const dueAt = `SELECT min(at) + ? FROM (SELECT * FROM (SELECT changedAt AS at FROM sync_sessions ORDER BY revision LIMIT 1)
  UNION ALL SELECT * FROM (SELECT at FROM sync_forgotten ORDER BY revision LIMIT 1))`;

/** Deletes without notice: other machines know the age of their copies. */
export function expire(tx: Tx, sums: Totals, limit: number): void {
  const expired = tx.sql.all<Pick<SessionRow, "session" | "device">>(
    "SELECT session, device FROM sync_sessions WHERE changedAt <= ? ORDER BY revision LIMIT ?",
    tx.now - tx.settings.keepSyncMs,
    limit,
  );
  const ofSession = "session = ? AND device = ?";
  let left = limit;
  for (const { session, device } of expired) {
    if (left <= 0) return;
    remove(tx, sums, `sync_sessions WHERE ${ofSession}`, session, device);
    left -= 1 + removeContents(tx, sums, ofSession, session, device);
  }
}

/** Time in which a bundle is to be completed. */
const incomingMs = 86_400_000;

export const incomingDueAt = `SELECT min(begunAt) + ${incomingMs} FROM sync_incoming`;

/** Deletes the parts of bundles that were not completed in time. */
export function sweepIncoming(tx: Tx, limit: number): void {
  const late = syncIncoming.select(tx.sql, "WHERE begunAt <= ? ORDER BY begunAt LIMIT ?", tx.now - incomingMs, limit);
  const sums = totals(tx.sql);
  for (const incoming of late) endIncoming(tx, sums, incoming);
  saveTotals(tx.sql, sums);
}

/** Deletes what is stored of a bundle that has no header. */
export function endIncoming(tx: Tx, sums: Totals, { session, device, bundle }: RowOf<typeof syncIncoming>): void {
  const where = "session = ? AND device = ? AND kind = 'part' AND bundle = ?";
  removeContents(tx, sums, where, session, device, bundle);
  syncIncoming.delete(tx.sql, { session, device });
}

export function sweep(tx: Tx, limit: number): void {
  const sums = totals(tx.sql);
  expire(tx, sums, limit);
  tx.sql.run(
    "DELETE FROM sync_forgotten WHERE revision IN (SELECT revision FROM sync_forgotten WHERE at <= ? ORDER BY revision LIMIT ?)",
    tx.now - tx.settings.keepSyncMs,
    limit,
  );
  saveTotals(tx.sql, sums);
}
