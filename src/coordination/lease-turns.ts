import type { AcquireLease } from "../contract/leases.ts";
import * as audit from "./audit.ts";
import * as changes from "./changes.ts";
import * as chatRows from "./chat-rows.ts";
import { expiresAt, heldBy, insert, isClear, isLive, isTaken, near, type LeaseRow } from "./lease-rows.ts";
import * as meta from "./meta.ts";
import { OverlapSet, projectOf } from "./paths.ts";
import { numbersPerEpoch, type Tx } from "./tx.ts";
import * as waiters from "./waiters.ts";

/** Grants and ends of leases, and whose turn follows from an end. */

/** Of what a lease is taken for: an operation of its own, or an election. */
export type Wanted = Omit<AcquireLease, "self">;

export function grant(tx: Tx, chat: chatRows.LifeRow, wanted: Wanted): LeaseRow {
  const { resource, requestId, ttlMs, isBound, lockDelayMs } = wanted;
  const seq = audit.append(tx, { kind: "lease.granted", subject: resource, actor: chat.chat });
  const row: LeaseRow = {
    resource,
    holder: chat.chat,
    incarnation: chat.incarnation,
    token: tx.epoch * numbersPerEpoch + seq,
    ttl_ms: isBound ? tx.settings.chatTtlMs : ttlMs,
    is_bound: isBound ? 1 : 0,
    expires_at: tx.now + (isBound ? tx.settings.chatTtlMs : ttlMs),
    lock_delay_ms: lockDelayMs,
    request_id: requestId,
    granted_at: tx.now,
  };
  insert(tx.sql, row);
  // [CH6] Whoever holds something is watched.
  chatRows.lookAt(tx, chat, Math.min(row.expires_at, chatRows.lastSeen(tx, chat) + tx.settings.chatTtlMs));
  announce(tx, resource, row);
  return row;
}

const leaderScheme = "leader:";
const fileScheme = "file:";

/** [EL3] [LE18] Watches of `$leader/` and of `$file/` are told of each change; of other leases it would only cost rows. */
function announce(tx: Tx, resource: string, row: LeaseRow | null): void {
  if (resource.startsWith(leaderScheme)) {
    const leader = row && { leader: row.holder, incarnation: row.incarnation, term: row.token };
    changes.announce(tx, `$leader/${resource.slice(leaderScheme.length)}`, leader);
  }
  if (resource.startsWith(fileScheme)) {
    const held = row && { holder: row.holder, incarnation: row.incarnation, token: row.token };
    changes.announce(tx, `$file/${resource.slice(fileScheme.length)}`, held);
  }
}

/** Frees what has run out of a chat's leases. @returns when the next one does; null: it holds nothing */
export function expireOf(tx: Tx, chat: string): number | null {
  const over = heldBy(tx.sql, chat).filter((row) => !isLive(tx, row));
  expire(tx, over);
  // Read again: what was freed may have been granted to the same chat anew.
  const left = heldBy(tx.sql, chat).map((row) => expiresAt(tx, row));
  return left.length === 0 ? null : Math.min(...left);
}

/** What overlaps a resource. */
export interface Around {
  readonly held: readonly LeaseRow[];
  readonly delays: readonly waiters.Delay[];
  /** Somebody waits for it, or for what overlaps it. */
  readonly isWanted: boolean;
}

function around(tx: Tx, resource: string): Around {
  return {
    held: near<LeaseRow>(tx.sql, "leases", resource),
    delays: [...near<waiters.Delay>(tx.sql, "lock_delays", resource), ...quiet(tx, resource)],
    isWanted: waiters.isWanted(tx.sql, resource),
  };
}

/** [LE19] In the way of every grant: what a lost history has granted may still be trusted. */
function quiet({ quietUntil, now }: Tx, resource: string): waiters.Delay[] {
  return quietUntil > now ? [{ resource, until: quietUntil }] : [];
}

/** [LE19] Then all who wait have their turn. For the sweep. */
export function endQuiet(tx: Tx): void {
  meta.endQuiet(tx.sql);
  grantWaiting(tx, waiters.allWanted(tx.sql));
}

/** What overlaps a resource once all that is over has gone and those who wait have had their turn. */
export function settled(tx: Tx, resource: string): Around {
  if (isClear(tx.sql, resource)) return { held: [], delays: quiet(tx, resource), isWanted: false };
  const found = around(tx, resource);
  const over = found.held.filter((row) => !isLive(tx, row));
  const ended = found.delays.filter(({ until }) => until <= tx.now);
  const isHeld = found.held.length + found.delays.length > 0;
  if (over.length + ended.length === 0 && (!found.isWanted || (isHeld && projectOf(resource) === null))) return found;
  // Before an expiry puts a new delay in the place of an ended one. [LE11]
  for (const delay of ended) waiters.endDelay(tx.sql, delay.resource);
  expire(tx, over);
  grantWaiting(tx, [resource, ...ended.map((delay) => delay.resource)]);
  return around(tx, resource);
}

/** Delays whose time is over end, and those who wait have their turn. For the sweep. */
export function endDelays(tx: Tx, limit: number): void {
  const over = waiters.allDelaysOver(tx.sql, tx.now, limit);
  for (const resource of over) waiters.endDelay(tx.sql, resource);
  grantWaiting(tx, over);
}

/** [LE10] [LE11] The holder's time is over: it did not give them back, so a lock delay holds. */
function expire(tx: Tx, over: readonly LeaseRow[]): void {
  for (const row of over) {
    audit.append(tx, { kind: "lease.expired", subject: row.resource, actor: row.holder, detail: { token: row.token } });
    if (row.lock_delay_ms > 0) waiters.delay(tx, row.resource, expiresAt(tx, row) + row.lock_delay_ms);
  }
  free(tx, over);
}

/** All of them before anybody has a turn, so that the waiters are read once. @param left what else may be free now */
export function free(tx: Tx, rows: readonly LeaseRow[], left: readonly string[] = []): void {
  for (const { resource } of rows) tx.sql.run("DELETE FROM leases WHERE resource = ?", resource);
  freed(
    tx,
    rows.map(({ resource }) => resource),
    left,
  );
}

export function freed(tx: Tx, resources: readonly string[], left: readonly string[] = []): void {
  for (const resource of resources) announce(tx, resource, null);
  grantWaiting(tx, [...resources, ...left]);
}

/**
 * [LE4] First come, first served, among those who live; whoever is blocked keeps the place before those behind. [LE21] A name costs the same
 * however many wait for it, a path as much as there are waiters in its project.
 *
 * @param freed what may be free now
 */
export function grantWaiting(tx: Tx, freed: readonly string[]): void {
  if (tx.quietUntil > tx.now) return;
  const paths = Map.groupBy(new Set(freed), projectOf);
  for (const [project, resources] of paths) {
    if (project === null) for (const resource of resources) grantName(tx, resource);
    else grantPaths(tx, project, resources);
  }
}

/** A name overlaps only itself: the first waiter that lives has it. */
function grantName(tx: Tx, resource: string): void {
  let place = waiters.first(tx.sql, resource);
  if (!place || isTaken(tx, resource)) return;
  for (; place; place = waiters.first(tx.sql, resource)) {
    waiters.remove(tx.sql, place.seq);
    const chat = waiters.waiting(tx, place);
    if (chat) return give(tx, chat, place);
  }
}

/** One pass in the order of arrival. */
function grantPaths(tx: Tx, project: string, freed: readonly string[]): void {
  const [changed, ahead] = [new OverlapSet(), new OverlapSet()];
  for (const resource of freed) changed.add(resource);
  for (const place of waiters.inProject(tx.sql, project)) {
    const { resource, seq } = place;
    const chat = waiters.waiting(tx, place);
    if (!chat) {
      // [LE13] Those behind it may have waited for it alone, also far from what was freed.
      waiters.remove(tx.sql, seq);
      changed.add(resource);
    } else {
      const isFree = changed.overlaps(resource) && !ahead.overlaps(resource) && !isTaken(tx, resource);
      if (isFree) {
        waiters.remove(tx.sql, seq);
        give(tx, chat, place);
      }
      // What was granted stands in the way of those behind, as what is still waited for.
      ahead.add(resource);
    }
  }
}

function give(tx: Tx, chat: chatRows.LifeRow, place: waiters.Place): void {
  grant(tx, chat, waiters.wantedBy(place));
  tx.tell({ kind: "lease", chat: place.chat, resource: place.resource });
}
