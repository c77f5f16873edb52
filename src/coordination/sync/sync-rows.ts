import type { SyncOp } from "../../contract/sync.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import { numbersPerEpoch, type Tx } from "../kernel/tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncCheckpoints, syncForgotten, syncSessions, syncTotals } from "./sync-tables.ts";

/** Rows of mirrored sessions. Callers update the totals in memory and store them once. */

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

/** [SY4] [SY20] Exceeds every lost number after a restore, by the raised epoch. */
export function nextNumber(tx: Tx, last: number): number {
  return Math.max(last, tx.epoch * numbersPerEpoch) + 1;
}

export function nextRevision(tx: Tx, sums: Totals): number {
  sums.revision = nextNumber(tx, sums.revision);
  return sums.revision;
}

const sessionRows = syncSessions.without("changedAt", "envelope");

export type SessionRow = RowOf<typeof sessionRows>;
export const sessionColumns = sessionRows.columns();

function findRow({ sql }: Tx, device: string, session: string): SessionRow | null {
  return sessionRows.find(sql, { session, device });
}

export function findSession(tx: Tx, device: string, session: string): SessionRow | null {
  const row = findRow(tx, device, session);
  return row && row.chars > 0 ? row : null;
}

/** Whether a machine has stored the session, has not ended it, and no chat has taken it. */
export function isUnfinished(sql: Sql, session: string): boolean {
  const query = "SELECT isEnded, takenChat, chars FROM sync_sessions WHERE session = ?";
  const found = sql.all<Pick<SessionRow, "isEnded" | "takenChat" | "chars">>(query, session);
  const stored = found.filter(({ chars }) => chars > 0);
  return stored.length > 0 && stored.every((row) => row.isEnded === 0 && row.takenChat === null);
}

export interface Origin {
  readonly device: string;
  readonly machine: string;
  readonly epoch: number;
}

/** Later ops are newer within an epoch; across epochs the younger content is. */
export interface OpVersion {
  readonly epoch: number;
  readonly at: number;
}

/** Content becomes a little younger in transit; a new epoch may seal the same content again. */
const transitMs = 30_000;

export function isOlder(one: OpVersion, than: OpVersion): boolean {
  if (one.epoch === than.epoch) return false;
  return one.at < than.at - (one.epoch > than.epoch ? transitMs : 0);
}

export function createdAt({ now }: Tx, { ageMs }: SyncOp): number {
  return Math.max(0, now - ageMs);
}

export const contentColumns =
  "revision, session, device, machine, project, isEnded, epoch, seq, at, changedAt, chars, envelope";
export const replaceSession = `ON CONFLICT (session, device) DO UPDATE SET
  revision = excluded.revision, machine = excluded.machine, project = excluded.project, isEnded = excluded.isEnded,
  epoch = excluded.epoch, seq = excluded.seq, at = excluded.at, changedAt = excluded.changedAt,
  chars = excluded.chars, envelope = excluded.envelope`;
export const touchSession =
  "ON CONFLICT (session, device) DO UPDATE SET revision = excluded.revision, changedAt = excluded.changedAt";
export const replaceCheckpoint = `ON CONFLICT (checkpoint, device) DO UPDATE SET session = excluded.session, epoch = excluded.epoch,
  seq = excluded.seq, at = excluded.at, chars = excluded.chars, envelope = excluded.envelope`;

export function upsertSession(tx: Tx, sums: Totals, origin: Origin, op: SyncOp): boolean {
  const { session, seq, envelope = "" } = op;
  const { device, machine, epoch } = origin;
  const at = createdAt(tx, op);
  const row = findRow(tx, device, session);
  if (row && row.chars > 0 && isOlder({ epoch, at }, row)) return false;
  sums.chars += envelope.length - (row?.chars ?? 0);
  const key = { revision: nextRevision(tx, sums), session, device, machine, project: op.project };
  const version = { isEnded: op.isEnded ? 1 : 0, epoch, seq, at, changedAt: tx.now };
  syncSessions.insert(tx.sql, { ...key, ...version, chars: envelope.length, envelope }, replaceSession);
  if (op.isEnded) removeFiles(tx, sums, ofSessionSql, session, device);
  return true;
}

/** [SY21] Lists a session again after a change, even one without an envelope yet. */
export function touch(tx: Tx, sums: Totals, { device, machine, epoch }: Origin, session: string): void {
  const key = { revision: nextRevision(tx, sums), session, device, machine };
  const version = { isEnded: 0, epoch, seq: 0, at: 0, changedAt: tx.now, chars: 0, envelope: "" };
  syncSessions.insert(tx.sql, { ...key, ...version }, touchSession);
}

export interface Claimant {
  readonly chat: string;
  readonly machine: string;
}

export function setClaimant(tx: Tx, sums: Totals, { session, device }: SessionRow, by: Claimant | null): void {
  const taken = { takenChat: by?.chat ?? null, takenMachine: by?.machine ?? null, takenAt: by && tx.now };
  const change = { revision: nextRevision(tx, sums), changedAt: tx.now, ...taken };
  syncSessions.update(tx.sql, { session, device }, change);
}

const checkpointRows = syncCheckpoints.without("envelope");

export type CheckpointRow = RowOf<typeof checkpointRows>;
export const checkpointColumns = checkpointRows.columns();

/**
 * [SY12] Keyed by id and device, since a copied SHIM folder stores the same ids. No device can
 * replace, delete or keep out what another one stored.
 * @returns new: the session may have too many now. older: it was not stored.
 */
export function upsertCheckpoint(
  tx: Tx,
  sums: Totals,
  { device, epoch }: Origin,
  op: SyncOp,
): "new" | "replaced" | "older" {
  const { session, checkpoint = "", seq, envelope = "" } = op;
  const at = createdAt(tx, op);
  const row = checkpointRows.find(tx.sql, { checkpoint, device });
  if (row && isOlder({ epoch, at }, row)) return "older";
  sums.chars += envelope.length - (row?.chars ?? 0);
  const stored = { checkpoint, device, session, epoch, seq, at, chars: envelope.length, envelope };
  syncCheckpoints.insert(tx.sql, stored, replaceCheckpoint);
  return row?.session === session ? "replaced" : "new";
}

/** [SY13] Deletes the oldest beyond `maxSyncCheckpoints` per session. */
export function pruneCheckpoints(tx: Tx, sums: Totals, device: string, session: string): void {
  const excessSql = `SELECT checkpoint FROM sync_checkpoints WHERE session = ? AND device = ?
    ORDER BY at DESC, epoch DESC, seq DESC LIMIT -1 OFFSET ?`;
  const { maxSyncCheckpoints } = tx.settings;
  removeCheckpoints(
    tx,
    sums,
    `device = ? AND checkpoint IN (${excessSql})`,
    device,
    session,
    device,
    maxSyncCheckpoints,
  );
}

export function forgetSessions(tx: Tx, sums: Totals, where: string, ...values: SqlValue[]): number {
  const removed = sessionRows.select(tx.sql, `WHERE ${where}`, ...values);
  const visible = removed.filter(({ chars }) => chars > 0);
  for (const { session, device } of visible) {
    syncForgotten.insert(tx.sql, { revision: nextRevision(tx, sums), session, device, at: tx.now });
  }
  remove(tx, sums, `sync_sessions WHERE ${where}`, values);
  removeFiles(tx, sums, where, ...values);
  return visible.length;
}

export function removeCheckpoints(tx: Tx, sums: Totals, where: string, ...values: SqlValue[]): number {
  return remove(tx, sums, `sync_checkpoints WHERE ${where}`, values);
}

export function removeFiles(tx: Tx, sums: Totals, where: string, ...values: SqlValue[]): void {
  remove(tx, sums, `sync_files WHERE ${where}`, values);
}

function remove({ sql }: Tx, sums: Totals, fromWhere: string, values: readonly SqlValue[]): number {
  const removed = sql.all<{ chars: number }>(`DELETE FROM ${fromWhere} RETURNING chars`, ...values);
  sums.chars -= removed.reduce((sum, { chars }) => sum + chars, 0);
  return removed.length;
}

export const dueAt = `SELECT min(at) + ? FROM (SELECT * FROM (SELECT changedAt AS at FROM sync_sessions ORDER BY revision LIMIT 1)
  UNION ALL SELECT * FROM (SELECT at FROM sync_forgotten ORDER BY revision LIMIT 1))`;

/** [SY14] Deletes without notice: other machines know the age of their copies. */
export function expire(tx: Tx, sums: Totals, limit: number): void {
  const expired = tx.sql.all<Pick<SessionRow, "session" | "device">>(
    "SELECT session, device FROM sync_sessions WHERE changedAt <= ? ORDER BY revision LIMIT ?",
    tx.now - tx.settings.keepSyncMs,
    limit,
  );
  let left = limit;
  for (const { session, device } of expired) {
    if (left <= 0) return;
    remove(tx, sums, `sync_sessions WHERE ${ofSessionSql}`, [session, device]);
    removeFiles(tx, sums, ofSessionSql, session, device);
    left -= 1 + removeCheckpoints(tx, sums, ofSessionSql, session, device);
  }
}

const ofSessionSql = "session = ? AND device = ?";

export function forgetSession(tx: Tx, sums: Totals, device: string, session: string): void {
  forgetSessions(tx, sums, ofSessionSql, session, device);
  removeCheckpoints(tx, sums, ofSessionSql, session, device);
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
