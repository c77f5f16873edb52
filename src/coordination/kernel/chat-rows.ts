import type { ChatStatus } from "../../contract/chats.ts";
import type { Failure } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import * as changes from "./changes.ts";
import * as meta from "./meta.ts";
import type { Actor, Tx } from "./tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { chats } from "./kernel-tables.ts";

const livenessRows = chats.pick(
  "chat",
  "incarnation",
  "machine",
  "process",
  "status",
  "lastSeenAt",
  "isConnected",
  "graceUntil",
  "dueAt",
  "capabilities",
  "capacity",
);

export type LivenessRow = RowOf<typeof livenessRows>;
export type ChatRow = RowOf<typeof chats>;

export function find({ sql }: Pick<Tx, "sql">, chat: string): ChatRow | null {
  return chats.find(sql, { chat });
}

export function findLiveness({ sql }: Pick<Tx, "sql">, chat: string): LivenessRow | null {
  return livenessRows.find(sql, { chat });
}

export function lastSeen({ presence, now }: Tx, row: LivenessRow): number {
  const connectionSeenAt = presence.lastSeen(row);
  if (connectionSeenAt === null && row.isConnected === 1) return now;
  return Math.max(row.lastSeenAt, connectionSeenAt ?? 0);
}

export function offlineAt(tx: Tx, row: LivenessRow): { readonly at: number; readonly reason: "closed" | "timeout" } {
  const isConnected = tx.presence.lastSeen(row) !== null;
  if (!isConnected && row.graceUntil !== null) return { at: row.graceUntil, reason: "closed" };
  return { at: lastSeen(tx, row) + tx.settings.chatTtlMs, reason: "timeout" };
}

export function offlineReason(tx: Tx, row: LivenessRow): "offline" | "closed" | "timeout" | null {
  if (row.status === "offline") return "offline";
  const { at, reason } = offlineAt(tx, row);
  return at <= tx.now ? reason : null;
}

/** A token is valid for its machine's chats, an admin's for all. */
export function checkMachine({ isAdmin, machine }: Actor, ownerMachine: string): Failure | null {
  if (isAdmin || machine === ownerMachine) return null;
  return { code: "forbidden", message: `this token is for machine ${machine}, not ${ownerMachine}` };
}

export function requireCurrentIncarnation(tx: Tx, self: Self): Result<LivenessRow> {
  const row = findLiveness(tx, self.chat);
  if (!row) return fail("unknown_chat", `chat ${self.chat} is not registered; register it`);
  const refused = tx.actor ? checkMachine(tx.actor, row.machine) : null;
  if (refused) return err(refused);
  if (row.incarnation !== self.incarnation) {
    return fail(
      "chat_replaced",
      `another process continues chat ${self.chat} (incarnation ${row.incarnation}, not ${self.incarnation}); this one must stop`,
    );
  }
  return ok(row);
}

export function requireLiveChat(tx: Tx, self: Self): Result<LivenessRow> {
  const found = requireCurrentIncarnation(tx, self);
  if (!found.ok) return found;
  if (offlineReason(tx, found.value)) {
    return fail("chat_offline", `chat ${self.chat} is offline; register it again`);
  }
  return ok(recordActivity(tx, found.value));
}

/** Any action counts as life, stored a few times per ttl. Ends a grace period. */
function recordActivity(tx: Tx, row: LivenessRow): LivenessRow {
  // An open connection may be silent; then activity over another channel keeps the chat alive.
  const share = tx.presence.lastSeen(row) === null ? 3 : 2;
  if (row.graceUntil === null && tx.now - lastSeen(tx, row) < tx.settings.chatTtlMs / share) return row;
  tx.sql.run("UPDATE chats SET lastSeenAt = ?, graceUntil = NULL WHERE chat = ?", tx.now, row.chat);
  return { ...row, lastSeenAt: tx.now, graceUntil: null };
}

export function scheduleCheck(tx: Tx, row: LivenessRow, at: number): void {
  if (row.dueAt !== null && row.dueAt <= at) return;
  tx.sql.run("UPDATE chats SET dueAt = ? WHERE chat = ? AND (dueAt IS NULL OR dueAt > ?)", at, row.chat, at);
}

/**
 * A chat with a task is watched. The last assignment ranks it for the next.
 * @param firstDue earliest due time of the assigned tasks
 */
export function recordAssignment(tx: Tx, row: LivenessRow, firstDue: number): void {
  const at = Math.min(firstDue, lastSeen(tx, row) + tx.settings.chatTtlMs);
  const query = "UPDATE chats SET lastAssignedAt = ?, dueAt = min(ifnull(dueAt, ?), ?) WHERE chat = ?";
  tx.sql.run(query, tx.now, at, at, row.chat);
}

const floorKey = "incarnation_floor";

/** First incarnation of a chat without a row: above those of all deleted chats. */
export function firstIncarnation({ sql }: Tx): number {
  return Number(meta.read(sql, floorKey) ?? 0) + 1;
}

export function remove(tx: Tx, { chat, incarnation }: LivenessRow): void {
  tx.sql.run("DELETE FROM chats WHERE chat = ?", chat);
  if (incarnation >= firstIncarnation(tx)) meta.write(tx.sql, floorKey, String(incarnation));
}

export function announceStatus(tx: Tx, chat: string, status: ChatStatus, reason: string, incarnation: number): void {
  changes.append(tx, [changes.announcement(`$chat/${chat}`, { status, reason, incarnation })]);
}
