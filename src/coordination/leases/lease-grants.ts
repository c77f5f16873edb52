import { selectColumn } from "../../shared/sql.ts";
import { among } from "../../shared/table.ts";
import { leaderScheme } from "../../contract/leases.ts";
import * as audit from "../kernel/audit.ts";
import * as changes from "../kernel/changes.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import {
  expiresAt,
  findOverlapping,
  haveWaiters,
  heldBy,
  isBlocked,
  isLive,
  leases,
  lockDelays,
  type LeaseRequest,
  type LeaseRow,
  type LockDelay,
  type WaiterRow,
} from "./lease-rows.ts";
import * as meta from "../kernel/meta.ts";
import { OverlapSet, projectOf } from "../../contract/resource-paths.ts";
import type { Tx } from "../kernel/tx.ts";
import * as waiters from "./waiters.ts";

/** Grants all; none overlaps another, or is blocked. */
export function grant(tx: Tx, chat: chatRows.LivenessRow, requests: readonly LeaseRequest[]): LeaseRow[] {
  const resources = requests.map(({ resource }) => resource);
  const first = audit.appendAll(tx, { kind: "lease.granted", actor: chat.chat }, resources);
  const rows = requests.map((request, at) => toRow(tx, chat, request, first + at));
  leases.insertAll(tx.sql, rows);
  const expiries = rows.map((row) => row.expiresAt);
  chatRows.scheduleCheck(tx, chat, Math.min(...expiries, chatRows.lastSeen(tx, chat) + tx.settings.chatTtlMs));
  changes.append(
    tx,
    rows.flatMap((row) => announcementOf(row.resource, row)),
  );
  return rows;
}

function toRow(tx: Tx, chat: chatRows.LivenessRow, request: LeaseRequest, seq: number): LeaseRow {
  const { resource, requestId, isBound, lockDelayMs } = request;
  const ttlMs = isBound ? tx.settings.chatTtlMs : request.ttlMs;
  return {
    resource,
    holder: chat.chat,
    incarnation: chat.incarnation,
    token: meta.epochStart(tx) + seq,
    ttlMs,
    isBound: isBound ? 1 : 0,
    expiresAt: tx.now + ttlMs,
    lockDelayMs,
    requestId,
    grantedAt: tx.now,
  };
}

const fileScheme = "file:";

/** Announces only `$leader/` and `$file/`; other leases would only cost rows. */
function announcementOf(resource: string, row: LeaseRow | null): changes.NewChange[] {
  if (resource.startsWith(leaderScheme)) {
    const leader = row && { leader: row.holder, incarnation: row.incarnation, term: row.token };
    return [changes.announcement(`$leader/${resource.slice(leaderScheme.length)}`, leader)];
  }
  if (resource.startsWith(fileScheme)) {
    const held = row && { holder: row.holder, incarnation: row.incarnation, token: row.token };
    return [changes.announcement(`$file/${resource.slice(fileScheme.length)}`, held)];
  }
  return [];
}

/** Returns the next expiry; null: the chat holds no lease. */
export function expireHeldBy(tx: Tx, chat: string): number | null {
  const expired = heldBy(tx.sql, chat).filter((row) => !isLive(tx, row));
  expire(tx, expired);
  const left = heldBy(tx.sql, chat).map((row) => expiresAt(tx, row));
  return left.length === 0 ? null : Math.min(...left);
}

export interface Overlap {
  readonly held: readonly LeaseRow[];
  readonly delays: readonly LockDelay[];
  readonly hasWaiters: boolean;
}

function findOverlap(tx: Tx, resource: string): Overlap {
  // Blocks every grant: leases of a lost history may still be trusted.
  const quiet = tx.quietUntil > tx.now ? [{ resource, until: tx.quietUntil }] : [];
  return {
    held: findOverlapping<LeaseRow>(tx.sql, "leases", resource),
    delays: [...findOverlapping<LockDelay>(tx.sql, "lock_delays", resource), ...quiet],
    hasWaiters: haveWaiters(tx.sql, [resource]),
  };
}

export function endQuietPeriod(tx: Tx): void {
  meta.remove(tx.sql, meta.quietKey);
  grantWaiting(tx, selectColumn(tx.sql, "SELECT DISTINCT resource FROM waiters"));
}

export function resolveOverlap(tx: Tx, resource: string): Overlap {
  const overlap = findOverlap(tx, resource);
  const expired = overlap.held.filter((row) => !isLive(tx, row));
  const endedDelays = overlap.delays.filter(({ until }) => until <= tx.now);
  const isHeld = overlap.held.length + overlap.delays.length > 0;
  if (expired.length + endedDelays.length === 0 && (!overlap.hasWaiters || (isHeld && projectOf(resource) === null)))
    return overlap;
  for (const delay of endedDelays) lockDelays.delete(tx.sql, delay);
  expire(tx, expired);
  grantWaiting(tx, [resource, ...endedDelays.map((delay) => delay.resource)]);
  return findOverlap(tx, resource);
}

export const delayDueAt = "SELECT min(until) FROM lock_delays";

export function endDelays(tx: Tx, limit: number): void {
  const { sql, now } = tx;
  const ended = lockDelays.select(sql, "WHERE until <= ? ORDER BY until LIMIT ?", now, limit);
  for (const { resource } of ended) lockDelays.delete(sql, { resource });
  grantWaiting(
    tx,
    ended.map(({ resource }) => resource),
  );
}

/** Involuntary end, so a lock delay applies. */
function expire(tx: Tx, expired: readonly LeaseRow[]): void {
  for (const row of expired) {
    audit.append(tx, { kind: "lease.expired", subject: row.resource, actor: row.holder, detail: { token: row.token } });
    const until = expiresAt(tx, row) + row.lockDelayMs;
    if (row.lockDelayMs > 0 && until > tx.now) lockDelays.put(tx.sql, { resource: row.resource, until });
  }
  deleteLeases(tx, expired);
}

export function deleteLeases(tx: Tx, rows: readonly Pick<LeaseRow, "resource">[], left: readonly string[] = []): void {
  const resources = rows.map(({ resource }) => resource);
  remove(tx, resources);
  grantWaiting(tx, [...resources, ...left]);
}

/** Leaves the waiters to the caller. */
export function remove(tx: Tx, resources: readonly string[]): void {
  if (resources.length === 0) return;
  const { text, value } = among(resources);
  tx.sql.run(`DELETE FROM leases WHERE resource ${text}`, value);
  changes.append(
    tx,
    resources.flatMap((resource) => announcementOf(resource, null)),
  );
}

/**
 * First come, first served; a blocked waiter keeps its position. The cost is constant
 * for a name, and linear in the project's waiters for a path.
 */
export function grantWaiting(tx: Tx, freed: readonly string[]): void {
  if (tx.quietUntil > tx.now) return;
  const paths = Map.groupBy(new Set(freed), projectOf);
  for (const [project, resources] of paths) {
    if (project === null) for (const resource of resources) grantName(tx, resource);
    else grantPaths(tx, project, resources);
  }
}

function grantName(tx: Tx, resource: string): void {
  let waiter = waiters.findFirst(tx.sql, resource);
  if (!waiter || isBlocked(tx, resource)) return;
  for (; waiter; waiter = waiters.findFirst(tx.sql, resource)) {
    waiters.remove(tx.sql, waiter.seq);
    const chat = waiters.findLiveChat(tx, waiter);
    if (chat) return grantWaiter(tx, chat, waiter);
  }
}

function grantPaths(tx: Tx, project: string, freed: readonly string[]): void {
  const [changed, ahead] = [new OverlapSet(), new OverlapSet()];
  for (const resource of freed) changed.add(resource);
  for (const waiter of waiters.listInProject(tx.sql, project)) {
    const { resource, seq } = waiter;
    const chat = waiters.findLiveChat(tx, waiter);
    if (!chat) {
      // Later waiters may have waited for this one alone, even far from the freed resource.
      waiters.remove(tx.sql, seq);
      changed.add(resource);
    } else {
      const isFree = changed.overlaps(resource) && !ahead.overlaps(resource) && !isBlocked(tx, resource);
      if (isFree) {
        waiters.remove(tx.sql, seq);
        grantWaiter(tx, chat, waiter);
      }
      ahead.add(resource);
    }
  }
}

function grantWaiter(tx: Tx, chat: chatRows.LivenessRow, waiter: WaiterRow): void {
  grant(tx, chat, [waiters.toRequest(waiter)]);
  tx.tell({ kind: "lease", chat: waiter.chat, resource: waiter.resource });
}
