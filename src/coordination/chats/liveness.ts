import type { OfflineReason } from "../../contract/chats.ts";
import { maxMessageTtlMs } from "../../contract/messages.ts";
import * as audit from "../kernel/audit.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { announceStatus, type ChatRow, type LivenessRow } from "../kernel/chat-rows.ts";
import * as grants from "../leases/lease-grants.ts";
import * as leases from "../leases/leases.ts";
import { inboxes, subscriptions } from "../messages/inboxes.ts";
import * as meta from "../kernel/meta.ts";
import { chatPerformance, usage } from "../tasks/task-tables.ts";
import { requeueAllOf } from "../tasks/lifecycle.ts";
import * as syncRows from "../sync/sync-rows.ts";
import * as taskRows from "../tasks/task-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import { newestExpiry } from "../messages/unread.ts";
import * as waiters from "../leases/waiters.ts";

/** Retention of offline rows with their inbox; longer while a message there may be read. */
const keepOfflineMs = 86_400_000;

/** Returns the number of released leases; the ended process trusts none any more. */
export function end(tx: Tx, row: LivenessRow, reason: "left" | "attested"): number {
  return row.status === "offline" ? leases.releaseAllOf(tx, row) : goOffline(tx, row, reason);
}

export function goOfflineIfGone(tx: Tx, row: LivenessRow): void {
  const offlineReason = chatRows.offlineReason(tx, row);
  if (offlineReason === "closed" || offlineReason === "timeout") goOffline(tx, row, offlineReason);
}

export function goOffline(tx: Tx, row: LivenessRow, reason: OfflineReason): number {
  let released = 0;
  if (reason === "left" || reason === "attested") released = leases.releaseAllOf(tx, row);
  else leases.freezeAllOf(tx, row.chat);
  requeueAllOf(tx, row.chat, reason);
  // The presence of a process that is seen to live is sure for some time to come.
  const seenAt = Math.min(tx.now, chatRows.lastSeen(tx, row));
  const lease = grants.expireHeldBy(tx, row.chat);
  tx.sql.run(
    `UPDATE chats SET status = 'offline', reason = ?, statusAt = ?, isConnected = 0, graceUntil = NULL, lastSeenAt = ?,
       taskCount = 0, dueAt = ? WHERE chat = ?`,
    reason,
    tx.now,
    seenAt,
    lease ?? tx.now + keepOfflineMs,
    row.chat,
  );
  audit.append(tx, { kind: "chat.offline", subject: row.chat, detail: { reason, incarnation: row.incarnation } });
  announceStatus(tx, row.chat, "offline", reason, row.incarnation);
  tx.tell({ kind: "offline", chat: row.chat });
  if (lease === null) hintIfUnfinished(tx, chatRows.find(tx, row.chat));
  return released;
}

/** Its session can be taken over: it is unfinished, and its lease is free. */
function hintIfUnfinished(tx: Tx, row: ChatRow | null): void {
  const isGone = row?.status === "offline" && row.reason !== "left";
  if (isGone && syncRows.isUnfinished(tx.sql, row.session))
    tx.tell({ kind: "sync", machine: row.machine, isDeath: true });
}

export function markConnected(tx: Tx, chat: string): void {
  tx.sql.run(
    "UPDATE chats SET isConnected = 1, graceUntil = NULL, lastSeenAt = ? WHERE chat = ? AND status <> 'offline'",
    tx.now,
    chat,
  );
}

const unseenKey = "unseen_at";
const unseenMs = 3_600_000;

/**
 * Chats that hold nothing and have no connection are checked together, as each own check would
 * write. Never checked yet: an hour after the first change; 0: there are none.
 */
export const unseenDueAt = `SELECT CASE WHEN EXISTS (SELECT 1 FROM meta WHERE key = '${unseenKey}')
  THEN (SELECT nullif(CAST(value AS INTEGER), 0) FROM meta WHERE key = '${unseenKey}')
  ELSE (SELECT at + ${unseenMs} FROM changes ORDER BY revision DESC LIMIT 1) END`;

/** Once an hour while there are such chats, and with the changes that a registration makes. */
export function sweepUnseen(tx: Tx): void {
  expireGone(tx);
  const hasMore = tx.sql.all("SELECT 1 FROM chats WHERE status <> 'offline' AND isConnected = 0 LIMIT 1").length > 0;
  const next = hasMore ? String(tx.now + unseenMs) : "0";
  if (meta.read(tx.sql, unseenKey) !== next) meta.write(tx.sql, unseenKey, next);
}

export function expireGone(tx: Tx): void {
  for (const row of tx.sql.all<ChatRow>("SELECT * FROM chats WHERE status <> 'offline'")) goOfflineIfGone(tx, row);
}

/** Starts a grace period, unless the chat has another connection. */
export function markDisconnected(tx: Tx, chat: string, seenAt: number): void {
  const row = chatRows.find(tx, chat);
  // Ignores a connection already known to be gone, such as that of an older process.
  if (!row || row.isConnected === 0 || tx.presence.lastSeen(row) !== null) return;
  const { interactiveGraceMs, workerGraceMs } = tx.settings;
  startGrace(tx, row, seenAt, tx.now + (row.isInteractive === 1 ? interactiveGraceMs : workerGraceMs));
}

/** Connections lost without a close (deploy, crash of the host) get one long grace period. */
export function markLostConnections(tx: Tx): void {
  const rows = tx.sql.all<ChatRow>("SELECT * FROM chats WHERE status <> 'offline' AND isConnected = 1");
  const lost = rows.filter((row) => tx.presence.lastSeen(row) === null);
  for (const row of lost) startGrace(tx, row, chatRows.lastSeen(tx, row), tx.now + tx.settings.lostSocketGraceMs);
}

function startGrace(tx: Tx, row: LivenessRow, seenAt: number, until: number): void {
  tx.sql.run(
    "UPDATE chats SET isConnected = 0, graceUntil = ?, lastSeenAt = ? WHERE chat = ?",
    until,
    Math.max(row.lastSeenAt, seenAt),
    row.chat,
  );
  chatRows.scheduleCheck(tx, row, until);
}

export const dueAt = "SELECT min(dueAt) FROM chats WHERE dueAt IS NOT NULL";

export function listDue({ sql, now }: Tx, limit: number): string[] {
  return sql
    .all<{ chat: string }>("SELECT chat FROM chats WHERE dueAt <= ? ORDER BY dueAt LIMIT ?", now, limit)
    .map(({ chat }) => chat);
}

/** Checks one due chat: whether it is gone, what has expired, when to check next. */
export function checkChat(tx: Tx, chat: string): void {
  const found = chatRows.find(tx, chat);
  if (!found) return;
  goOfflineIfGone(tx, found);
  const ownWaits = waiters.expireOfChat(tx, chat);
  grants.grantWaiting(tx, ownWaits.expired);
  const lease = grants.expireHeldBy(tx, chat);
  const row = chatRows.find(tx, chat) ?? found;
  const next = row.status === "offline" ? (lease ?? keptUntil(tx, row)) : nextCheckAt(tx, row, lease, ownWaits.next);
  if (row.status === "offline" && next !== null && next <= tx.now) return deleteChat(tx, row);
  if (lease === null) hintIfUnfinished(tx, found);
  tx.sql.run("UPDATE chats SET dueAt = ? WHERE chat = ?", next, chat);
}

/** Checks the inbox after a day, and when what keeps it has expired. */
function keptUntil(tx: Tx, row: ChatRow): number {
  const dayOver = row.statusAt + keepOfflineMs;
  if (dayOver > tx.now) return dayOver;
  return Math.max(dayOver, newestExpiry(tx, row.chat, dayOver + maxMessageTtlMs));
}

function nextCheckAt(tx: Tx, row: ChatRow, lease: number | null, wait: number | null): number | null {
  const { at, reason } = chatRows.offlineAt(tx, row);
  const task = taskRows.firstDueOf(tx, row.chat);
  const isWatched = reason === "closed" || lease !== null || wait !== null || task !== null;
  const times = [isWatched ? at : null, lease, wait, task].filter((time) => time !== null);
  return times.length === 0 ? null : Math.min(...times);
}

function deleteChat(tx: Tx, row: ChatRow): void {
  const { chat } = row;
  for (const table of [inboxes, subscriptions, chatPerformance]) table.delete(tx.sql, { chat });
  usage.delete(tx.sql, { kind: "chat", key: chat });
  chatRows.remove(tx, row);
}
