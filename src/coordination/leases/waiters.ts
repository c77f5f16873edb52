import type { Failure } from "../../contract/errors.ts";
import { selectColumn, type Sql } from "../../shared/sql.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { findOverlapping, prefixEnd, waiters, type LeaseRequest, type WaiterRow } from "./lease-rows.ts";
import { projectOf } from "../../contract/resource-paths.ts";
import type { Tx } from "../kernel/tx.ts";

export function find(sql: Sql, resource: string, chat: string, requestId: string): WaiterRow | null {
  return waiters.find(sql, { resource, chat, requestId });
}

/** An expired one is removed. */
export function findOpen(tx: Tx, resource: string, chat: string, requestId: string): WaiterRow | null {
  const waiter = find(tx.sql, resource, chat, requestId);
  if (!waiter || waiter.until > tx.now) return waiter;
  remove(tx.sql, waiter.seq);
  return null;
}

export function countAhead(tx: Tx, resource: string, before = Number.MAX_SAFE_INTEGER): number {
  const { sql, now } = tx;
  if (projectOf(resource) !== null) {
    return findOverlapping<WaiterRow>(sql, "waiters", resource).filter(({ seq, until }) => seq < before && until > now)
      .length;
  }
  const query = "SELECT count(*) AS n FROM waiters WHERE resource = ? AND seq < ? AND until > ?";
  return sql.all<{ n: number }>(query, resource, before, now)[0]?.n ?? 0;
}

export function findFirst(sql: Sql, resource: string): WaiterRow | null {
  return waiters.select(sql, "WHERE resource = ? ORDER BY seq LIMIT 1", resource)[0] ?? null;
}

export function listInProject(sql: Sql, project: string): WaiterRow[] {
  return waiters.select(sql, "WHERE resource > ? AND resource < ? ORDER BY seq", project, prefixEnd(project));
}

export function listOfChat(sql: Sql, resource: string, chat: string): WaiterRow[] {
  return waiters.select(sql, "WHERE resource = ? AND chat = ?", resource, chat);
}

const maxPerChatAndResource = 20;

export function checkLimits({ sql, settings }: Tx, chat: string, resource: string): Failure | null {
  const { maxWaitersPerChat, maxWaitersPerResource, maxWaiters } = settings;
  const [row] = sql.all<{ own: number; mine: number; line: number; total: number }>(
    `SELECT (SELECT count(*) FROM waiters WHERE resource = ? AND chat = ?) AS own,
       (SELECT count(*) FROM waiters WHERE chat = ?) AS mine,
       (SELECT count(*) FROM waiters WHERE resource = ?) AS line,
       (SELECT count(*) FROM (SELECT 1 FROM waiters LIMIT ?)) AS total`,
    resource,
    chat,
    chat,
    resource,
    maxWaiters,
  );
  if (!row) throw new Error("the count query returned no row");
  const limits = [
    { count: row.own, most: maxPerChatAndResource, what: `requests of chat ${chat} wait for ${resource}` },
    { count: row.mine, most: maxWaitersPerChat, what: `requests of chat ${chat} wait (maxWaitersPerChat)` },
    { count: row.line, most: maxWaitersPerResource, what: `requests wait for ${resource} (maxWaitersPerResource)` },
    { count: row.total, most: maxWaiters, what: "requests wait in this workspace (maxWaiters)" },
  ];
  const full = limits.find(({ count, most }) => count >= most);
  if (!full) return null;
  const message = `${full.count} ${full.what}, which is the limit; cancel a wait (leases.cancel-wait), or try again later with waitMs 0`;
  return { code: "quota_exceeded", message };
}

export function findLiveChat(tx: Tx, waiter: WaiterRow): chatRows.LivenessRow | null {
  const chat = waiter.until > tx.now ? chatRows.findLiveness(tx, waiter.chat) : null;
  return chat && chatRows.offlineReason(tx, chat) === null ? chat : null;
}

export function enqueue(tx: Tx, chat: chatRows.LivenessRow, request: LeaseRequest): void {
  const until = tx.now + request.waitMs;
  const { resource, requestId, ttlMs, lockDelayMs } = request;
  const isBound = request.isBound ? 1 : 0;
  waiters.insert(tx.sql, { resource, chat: chat.chat, requestId, ttlMs, isBound, lockDelayMs, until });
  chatRows.scheduleCheck(tx, chat, Math.min(until, chatRows.lastSeen(tx, chat) + tx.settings.chatTtlMs));
}

export function toRequest(waiter: WaiterRow): LeaseRequest {
  return {
    resource: waiter.resource,
    requestId: waiter.requestId,
    ttlMs: waiter.ttlMs,
    isBound: waiter.isBound === 1,
    lockDelayMs: waiter.lockDelayMs,
    waitMs: 0,
  };
}

export function remove(sql: Sql, seq: number): void {
  waiters.delete(sql, { seq });
}

export function removeOfChat({ sql }: Tx, chat: string): string[] {
  const resources = selectColumn(sql, "SELECT resource FROM waiters WHERE chat = ?", chat);
  if (resources.length > 0) sql.run("DELETE FROM waiters WHERE chat = ?", chat);
  return resources;
}

export function expireOfChat({ sql, now }: Tx, chat: string): { expired: string[]; next: number | null } {
  const rows = waiters.select(sql, "WHERE chat = ?", chat);
  const expired = rows.filter(({ until }) => until <= now);
  for (const { seq } of expired) remove(sql, seq);
  const left = rows.filter(({ until }) => until > now).map(({ until }) => until);
  return { expired: expired.map(({ resource }) => resource), next: left.length === 0 ? null : Math.min(...left) };
}
