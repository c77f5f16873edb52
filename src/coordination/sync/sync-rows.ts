import type { SyncOp } from "../../contract/sync.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import { numbersPerEpoch, type Tx } from "../kernel/tx.ts";

/** Rows of mirrored sessions. Callers update the totals in memory and store them once. */

export interface Totals {
  key_id: string | null;
  epoch: number;
  revision: number;
  chars: number;
}

export function totals(sql: Sql): Totals {
  const [row] = sql.all<Totals>("SELECT key_id, epoch, revision, chars FROM sync_totals");
  if (!row) throw new Error("the counts of the sync are missing");
  return { ...row };
}

export function saveTotals(sql: Sql, { key_id: keyId, epoch, revision, chars }: Totals): void {
  sql.run("UPDATE sync_totals SET key_id = ?, epoch = ?, revision = ?, chars = ?", keyId, epoch, revision, chars);
}

/** [SY4] [SY20] Exceeds every lost number after a restore, by the raised epoch. */
export function nextNumber(tx: Tx, last: number): number {
  return Math.max(last, tx.epoch * numbersPerEpoch) + 1;
}

export function nextRevision(tx: Tx, sums: Totals): number {
  sums.revision = nextNumber(tx, sums.revision);
  return sums.revision;
}

export interface SessionRow {
  readonly revision: number;
  readonly session: string;
  readonly device: string;
  readonly machine: string;
  readonly project: string | null;
  readonly is_ended: number;
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
  readonly taken_chat: string | null;
  readonly taken_machine: string | null;
  readonly taken_at: number | null;
  /** 0: not listed yet. */
  readonly chars: number;
}

export const sessionColumns =
  "revision, session, device, machine, project, is_ended, epoch, seq, at, taken_chat, taken_machine, taken_at, chars";

function findRow({ sql }: Tx, device: string, session: string): SessionRow | null {
  const query = `SELECT ${sessionColumns} FROM sync_sessions WHERE session = ? AND device = ?`;
  return sql.all<SessionRow>(query, session, device)[0] ?? null;
}

export function findSession(tx: Tx, device: string, session: string): SessionRow | null {
  const row = findRow(tx, device, session);
  return row && row.chars > 0 ? row : null;
}

/** Whether a machine has stored the session, has not ended it, and no chat has taken it. */
export function isUnfinished(sql: Sql, session: string): boolean {
  const query = "SELECT is_ended, taken_chat, chars FROM sync_sessions WHERE session = ?";
  const found = sql.all<Pick<SessionRow, "is_ended" | "taken_chat" | "chars">>(query, session);
  const stored = found.filter(({ chars }) => chars > 0);
  return stored.length > 0 && stored.every((row) => row.is_ended === 0 && row.taken_chat === null);
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
  "revision, session, device, machine, project, is_ended, epoch, seq, at, changed_at, chars, envelope";
export const replaceSession = `ON CONFLICT (session, device) DO UPDATE SET
  revision = excluded.revision, machine = excluded.machine, project = excluded.project, is_ended = excluded.is_ended,
  epoch = excluded.epoch, seq = excluded.seq, at = excluded.at, changed_at = excluded.changed_at,
  chars = excluded.chars, envelope = excluded.envelope`;
export const touchSession =
  "ON CONFLICT (session, device) DO UPDATE SET revision = excluded.revision, changed_at = excluded.changed_at";
export const replaceCheckpoint = `ON CONFLICT (checkpoint, device) DO UPDATE SET session = excluded.session, epoch = excluded.epoch,
  seq = excluded.seq, at = excluded.at, chars = excluded.chars, envelope = excluded.envelope`;

export function upsertSession(tx: Tx, sums: Totals, origin: Origin, op: SyncOp): boolean {
  const { session, seq, envelope = "" } = op;
  const { device, machine, epoch } = origin;
  const at = createdAt(tx, op);
  const row = findRow(tx, device, session);
  if (row && row.chars > 0 && isOlder({ epoch, at }, row)) return false;
  sums.chars += envelope.length - (row?.chars ?? 0);
  tx.sql.run(
    `INSERT INTO sync_sessions (${contentColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ${replaceSession}`,
    nextRevision(tx, sums),
    session,
    device,
    machine,
    op.project,
    op.isEnded ? 1 : 0,
    epoch,
    seq,
    at,
    tx.now,
    envelope.length,
    envelope,
  );
  if (op.isEnded) removeFiles(tx, sums, ofSessionSql, session, device);
  return true;
}

/** [SY21] Lists a session again after a change, even one without an envelope yet. */
export function touch(tx: Tx, sums: Totals, { device, machine, epoch }: Origin, session: string): void {
  tx.sql.run(
    `INSERT INTO sync_sessions (revision, session, device, machine, is_ended, epoch, seq, at, changed_at, chars, envelope)
     VALUES (?, ?, ?, ?, 0, ?, 0, 0, ?, 0, '') ${touchSession}`,
    nextRevision(tx, sums),
    session,
    device,
    machine,
    epoch,
    tx.now,
  );
}

export interface Claimant {
  readonly chat: string;
  readonly machine: string;
}

export function setClaimant(tx: Tx, sums: Totals, { session, device }: SessionRow, by: Claimant | null): void {
  tx.sql.run(
    `UPDATE sync_sessions SET revision = ?, changed_at = ?, taken_chat = ?, taken_machine = ?, taken_at = ?
     WHERE session = ? AND device = ?`,
    nextRevision(tx, sums),
    tx.now,
    by?.chat ?? null,
    by?.machine ?? null,
    by && tx.now,
    session,
    device,
  );
}

export interface CheckpointRow {
  readonly checkpoint: string;
  readonly device: string;
  readonly session: string;
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
  readonly chars: number;
}

export const checkpointColumns = "checkpoint, device, session, epoch, seq, at, chars";

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
  const [row] = tx.sql.all<CheckpointRow>(
    `SELECT ${checkpointColumns} FROM sync_checkpoints WHERE checkpoint = ? AND device = ?`,
    checkpoint,
    device,
  );
  if (row && isOlder({ epoch, at }, row)) return "older";
  sums.chars += envelope.length - (row?.chars ?? 0);
  tx.sql.run(
    `INSERT INTO sync_checkpoints (${checkpointColumns}, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${replaceCheckpoint}`,
    checkpoint,
    device,
    session,
    epoch,
    seq,
    at,
    envelope.length,
    envelope,
  );
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
  const removed = tx.sql.all<SessionRow>(`SELECT ${sessionColumns} FROM sync_sessions WHERE ${where}`, ...values);
  const visible = removed.filter(({ chars }) => chars > 0);
  for (const { session, device } of visible) {
    tx.sql.run(
      "INSERT INTO sync_forgotten (revision, session, device, at) VALUES (?, ?, ?, ?)",
      nextRevision(tx, sums),
      session,
      device,
      tx.now,
    );
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

export const dueAt = `SELECT min(at) + ? FROM (SELECT * FROM (SELECT changed_at AS at FROM sync_sessions ORDER BY revision LIMIT 1)
  UNION ALL SELECT * FROM (SELECT at FROM sync_forgotten ORDER BY revision LIMIT 1))`;

/** [SY14] Deletes without notice: other machines know the age of their copies. */
export function expire(tx: Tx, sums: Totals, limit: number): void {
  const expired = tx.sql.all<Pick<SessionRow, "session" | "device">>(
    "SELECT session, device FROM sync_sessions WHERE changed_at <= ? ORDER BY revision LIMIT ?",
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
