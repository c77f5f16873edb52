import { leaderScheme, type Leader } from "../../contract/leases.ts";
import { ok } from "../../shared/result.ts";
import { expiresAt, isLive, findLease, type LeaseRow } from "./lease-rows.ts";
import * as grants from "./lease-grants.ts";
import * as leases from "./leases.ts";
import { byLiveChat, firstOf, type Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as waiters from "./waiters.ts";

/** Lease on `leader:<name>` whose token is the term. One leader per term. */

/** Time without a leader after one vanished: it may still believe that it leads. */
const lockDelayMs = 15_000;

function resourceOf(name: string): string {
  return leaderScheme + name;
}

export const handlers = {
  "elections.campaign": byLiveChat((tx, { name, requestId, ttlMs, waitMs }, caller) => {
    const request = { resource: resourceOf(name), requestId, ttlMs, waitMs, lockDelayMs, isBound: false };
    const acquired = leases.acquireFor(tx, caller, request);
    if (!acquired.ok && acquired.error.code === "quota_exceeded") return acquired;
    const leader = findLeader(tx, name);
    // Requires this request: a lease of another one of the chat may be released at any moment.
    if (leader && acquired.ok && acquired.value.state === "granted") return ok({ state: "leading", leader });
    const position = acquired.ok && acquired.value.state === "waiting" ? acquired.value.position : null;
    return ok({ state: "following", leader, position });
  }),

  /** Resignation leaves no lock delay: the next waiter, another chat, leads at once. */
  "elections.resign": byLiveChat((tx, { name, term }, caller) => {
    removeWaits(tx, name, caller.chat);
    const released = firstOf(leases.releaseEach(tx, [{ resource: resourceOf(name), token: term }], caller));
    return released.ok ? ok({ hasResigned: released.value.isReleased }) : released;
  }),

  "elections.observe"(tx, { name }) {
    return ok({ leader: findLeader(tx, name) });
  },
} satisfies Partial<Handlers>;

function removeWaits(tx: Tx, name: string, chat: string): void {
  const resource = resourceOf(name);
  for (const waiter of waiters.listOfChat(tx.sql, resource, chat)) waiters.remove(tx.sql, waiter.seq);
  grants.grantWaiting(tx, [resource]);
}

function findLeader(tx: Tx, name: string): Leader | null {
  const row = findLease(tx.sql, resourceOf(name));
  return row && isLive(tx, row) ? toLeader(tx, name, row) : null;
}

function toLeader(tx: Tx, name: string, row: LeaseRow): Leader {
  const { holder: leader, incarnation, token: term, ttlMs } = row;
  return { name, leader, incarnation, term, ttlMs, remainingMs: Math.max(0, expiresAt(tx, row) - tx.now) };
}
