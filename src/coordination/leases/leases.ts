import type { Failure } from "../../contract/errors.ts";
import { type Lease, leaderScheme, type Leader } from "../../contract/leases.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { namesAbove } from "../../contract/resource-paths.ts";
import type { Guard } from "../../contract/state.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { among } from "../../shared/table.ts";
import * as audit from "../kernel/audit.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { byLiveChat, byOneChat, firstOf, repeatable, type Handlers, type ListHandlers } from "../kernel/handlers.ts";
import type { List, Tx } from "../kernel/tx.ts";
import * as grants from "./lease-grants.ts";
import type { Overlap } from "./lease-grants.ts";
import {
  areFree,
  expiresAt,
  findOverlapping,
  haveWaiters,
  heldBy,
  isLive,
  leases,
  heldLeases,
  type LeaseRequest,
  type LeaseRow,
} from "./lease-rows.ts";
import * as waiters from "./waiters.ts";

type Acquired = OutputOf<"leases.acquire">;

export const lists = {
  /** One live holder per overlap. Tokens grow. Repeats return the grant. */
  "leases.acquire": byOneChat((tx, inputs, caller) => acquireEach(tx, caller, inputs)),

  /** Needs the held lease with its token; never shortens it. */
  "leases.renew": byOneChat((tx, inputs, caller) => renewEach(tx, inputs, caller)),

  /** Releasing what is not held is no error, so a release can be repeated. */
  "leases.release": byOneChat((tx, inputs, caller) => releaseEach(tx, inputs, caller)),
} satisfies Partial<ListHandlers>;

export const handlers = {
  "leases.cancel-wait": byLiveChat((tx, { self, resource, requestId }) => {
    const waiter = waiters.find(tx.sql, resource, self.chat, requestId);
    if (!waiter) return ok({ isCancelled: false });
    waiters.remove(tx.sql, waiter.seq);
    grants.grantWaiting(tx, [resource]);
    return ok({ isCancelled: true });
  }),

  "leases.check": (tx, input) => ok(check(tx, input)),

  "leases.list"(tx, { holder, prefix, limit, cursor }) {
    // One lower bound: of two, SQLite seeks either and reads everything after it.
    const rows = tx.sql.all<LeaseRow>(
      `SELECT * FROM leases WHERE resource >= max(?, ?) AND resource <> ? AND resource < ? ${holder === undefined ? "" : "AND holder = ?"}
       ORDER BY resource LIMIT ?`,
      cursor ?? "",
      prefix,
      cursor ?? "",
      `${prefix}\u{10FFFF}`,
      ...(holder === undefined ? [] : [holder]),
      limit + 1,
    );
    const page = rows.slice(0, limit);
    return ok({
      leases: page.filter((row) => isLive(tx, row)).map((row) => toLease(tx, row)),
      cursor: rows.length > limit ? (page.at(-1)?.resource ?? null) : null,
    });
  },

  /** Admins only; the audit log records who, from whom and why. */
  "leases.force-release": repeatable("leases.force-release", (tx, { resource, reason }, actor) => {
    const row = leases.find(tx.sql, { resource });
    if (row) {
      const detail = { holder: row.holder, token: row.token, reason };
      audit.append(tx, { kind: "lease.forced", subject: resource, actor: actor.machine, detail });
      grants.deleteLeases(tx, [row]);
      tx.tell({ kind: "lease", chat: row.holder, resource });
    }
    return ok({ isReleased: row !== null });
  }),

  // An election is a lease on `leader:<name>` whose token is the term: one leader per term.
  "elections.campaign": byLiveChat((tx, { name, requestId, ttlMs, waitMs }, caller) => {
    const request = { resource: resourceOf(name), requestId, ttlMs, waitMs, lockDelayMs, isBound: false };
    const acquired = firstOf(acquireEach(tx, caller, [request]));
    if (!acquired.ok && acquired.error.code === "quota_exceeded") return acquired;
    const leader = findLeader(tx, name);
    // Requires this request: a lease of another one of the chat may be released at any moment.
    if (leader && acquired.ok && acquired.value.state === "granted") return ok({ state: "leading", leader });
    const position = acquired.ok && acquired.value.state === "waiting" ? acquired.value.position : null;
    return ok({ state: "following", leader, position });
  }),

  /** Resignation leaves no lock delay: the next waiter, another chat, leads at once. */
  "elections.resign": byLiveChat((tx, { name, term }, caller) => {
    const resource = resourceOf(name);
    for (const { seq } of waiters.listOfChat(tx.sql, resource, caller.chat)) waiters.remove(tx.sql, seq);
    grants.grantWaiting(tx, [resource]);
    const released = firstOf(releaseEach(tx, [{ resource, token: term }], caller));
    return released.ok ? ok({ hasResigned: released.value.isReleased }) : released;
  }),

  "elections.observe"(tx, { name }) {
    return ok({ leader: findLeader(tx, name) });
  },
} satisfies Partial<Handlers>;

function acquireEach(tx: Tx, chat: chatRows.LivenessRow, requests: List<LeaseRequest>): readonly Result<Acquired>[] {
  const isFree = tx.quietUntil <= tx.now && areFree(tx.sql, namesOf(requests));
  if (isFree && !checkLeaseLimit(tx, chat.chat, requests.length))
    return grants.grant(tx, chat, requests).map((row) => toGranted(tx, row));
  return [acquireOrWait(tx, chat, requests[0])];
}

function acquireOrWait(tx: Tx, chat: chatRows.LivenessRow, request: LeaseRequest): Result<Acquired> {
  const { resource, requestId } = request;
  const full = checkNewWait(tx, chat, request);
  if (full) return err(full);
  const overlap = grants.resolveOverlap(tx, resource);
  const mine = overlap.held.find((row) => isGrantOf(tx, row, chat, request));
  if (mine) return toGranted(tx, mine);
  const waiter = overlap.hasWaiters ? waiters.findOpen(tx, resource, chat.chat, requestId) : null;
  const ahead = overlap.hasWaiters ? waiters.countAhead(tx, resource, waiter?.seq) : 0;
  if (overlap.held.length + overlap.delays.length + ahead > 0) {
    const position = ahead + 1;
    if (waiter) return ok({ state: "waiting", position, waitMs: waiter.until - tx.now });
    const refused = request.waitMs > 0 ? checkWaitLimits(tx, chat.chat, resource) : leaseHeld(tx, resource, overlap);
    if (refused) return err(refused);
    waiters.enqueue(tx, chat, request);
    return ok({ state: "waiting", position, waitMs: request.waitMs });
  }
  if (waiter) waiters.remove(tx.sql, waiter.seq);
  const refused = checkLeaseLimit(tx, chat.chat);
  return refused ? err(refused) : toGranted(tx, firstOf(grants.grant(tx, chat, [request])));
}

/** Up to the first that is not held, or comes twice. */
function renewEach(
  tx: Tx,
  requests: List<Omit<CheckedInputOf<"leases.renew">, "self">>,
  caller: chatRows.LivenessRow,
): readonly Result<Lease>[] {
  const held = heldLeases(tx.sql, caller, namesOf(requests));
  const renewed: LeaseRow[] = [];
  for (const { resource, token, ttlMs: newTtlMs } of requests) {
    const row = held.get(resource);
    if (row?.token !== token || !isLive(tx, row)) break;
    // A bound lease keeps its ttl.
    const ttlMs = row.isBound === 1 ? row.ttlMs : (newTtlMs ?? row.ttlMs);
    renewed.push({ ...row, ttlMs, expiresAt: Math.max(row.expiresAt, tx.now + ttlMs) });
    held.delete(resource);
  }
  if (renewed.length === 0) {
    const message = `${requests[0].resource} is no longer held by chat ${caller.chat} with token ${requests[0].token}; stop the work that it guards, then acquire it again`;
    return [fail("not_holder", message)];
  }
  // The due index stays unchanged: the holder is checked at the old time.
  const changes = renewed.map(({ resource, ttlMs, expiresAt: at }) => ({ resource, ttlMs, expiresAt: at }));
  leases.updateAll(tx.sql, changes, {});
  return renewed.map((row) => ok(toLease(tx, row)));
}

/** Only the first where anything waits for one: a grant comes before the next release. */
function releaseEach(
  tx: Tx,
  requests: List<Omit<CheckedInputOf<"leases.release">, "self">>,
  caller: chatRows.LivenessRow,
): readonly Result<OutputOf<"leases.release">>[] {
  const held = heldLeases(tx.sql, caller, namesOf(requests));
  const isHeld = requests.map(({ resource, token }) => held.get(resource)?.token === token && held.delete(resource));
  const released = namesOf(requests.filter((_, at) => isHeld[at]));
  const isAlone = requests.length === 1 || haveWaiters(tx.sql, released);
  if (!isAlone) grants.remove(tx, released);
  else if (isHeld[0]) grants.deleteLeases(tx, [requests[0]]);
  return (isAlone ? isHeld.slice(0, 1) : isHeld).map((isReleased) => ok({ isReleased }));
}

function namesOf(rows: readonly { readonly resource: string }[]): string[] {
  return rows.map(({ resource }) => resource);
}

function isGrantOf(tx: Tx, row: LeaseRow, chat: chatRows.LivenessRow, request: LeaseRequest): boolean {
  const isSame = row.resource === request.resource && row.requestId === request.requestId;
  return isSame && isHeldBy(row, chat) && isLive(tx, row);
}

/** Refuses a wait beyond a limit before all that overlaps is read. */
function checkNewWait(tx: Tx, chat: chatRows.LivenessRow, request: LeaseRequest): Failure | null {
  const { resource, requestId, waitMs } = request;
  const [blocker] = waitMs > 0 ? findOverlapping<LeaseRow>(tx.sql, "leases", resource, 1) : [];
  if (!blocker || !isLive(tx, blocker) || isGrantOf(tx, blocker, chat, request)) return null;
  return waiters.find(tx.sql, resource, chat.chat, requestId) ? null : checkWaitLimits(tx, chat.chat, resource);
}

function checkWaitLimits(tx: Tx, chat: string, resource: string): Failure | null {
  return checkLeaseLimit(tx, chat) ?? waiters.checkLimits(tx, chat, resource);
}

/** Waiters count too: each may be granted at any moment. */
function checkLeaseLimit(tx: Tx, chat: string, added = 1): Failure | null {
  const maxLeases = tx.settings.maxLeasesPerChat;
  const [row] = tx.sql.all<{ n: number }>(
    "SELECT (SELECT count(*) FROM leases WHERE holder = ?) + (SELECT count(*) FROM waiters WHERE chat = ?) AS n",
    chat,
    chat,
  );
  if ((row?.n ?? 0) + added <= maxLeases) return null;
  return {
    code: "quota_exceeded",
    message: `chat ${chat} holds and waits for ${maxLeases} leases, the limit for one chat (maxLeasesPerChat); release some, or lease a folder instead of its files`,
  };
}

function isHeldBy(row: LeaseRow, { chat, incarnation }: { chat: string; incarnation: number }): boolean {
  return row.holder === chat && row.incarnation === incarnation;
}

function toGranted(tx: Tx, row: LeaseRow): Result<Acquired> {
  return ok({ state: "granted", lease: toLease(tx, row) });
}

function leaseHeld(tx: Tx, resource: string, { held, delays }: Overlap): Failure {
  const until = Math.max(tx.now, ...held.map((row) => expiresAt(tx, row)), ...delays.map((delay) => delay.until));
  const why = `not free yet after ${tx.quietUntil > tx.now ? "a restore" : "an expiry"}`;
  const [first] = [
    ...held.map((row) => ({ name: row.resource, holder: row.holder, why: `held by chat ${row.holder}` })),
    ...delays.map((delay) => ({ name: delay.resource, holder: null, why })),
    { name: resource, holder: null, why: "requested by earlier waiters" },
  ];
  const { name, holder } = first;
  return {
    code: "lease_held",
    message: name === resource ? `${resource} is ${first.why}` : `${resource} overlaps ${name}, which is ${first.why}`,
    retryAfterMs: Math.max(100, until - tx.now),
    details: { holder, resource: name },
  };
}

/** A token is valid while its lease is held and covers the resource. */
export function check(tx: Tx, { resource, token }: CheckedInputOf<"leases.check"> | Guard): OutputOf<"leases.check"> {
  const { text, value } = among(namesAbove(resource));
  const covering = leases.select(tx.sql, `WHERE resource ${text}`, value).filter((row) => isLive(tx, row));
  const found = covering.find((row) => row.token === token);
  const reported = found ?? covering[0];
  return {
    isValid: found !== undefined,
    remainingMs: found ? expiresAt(tx, found) - tx.now : 0,
    holder: reported?.holder ?? null,
  };
}

/** Returns the number of released leases; an older process may still trust its own. */
export function releaseAllOf(tx: Tx, chat: chatRows.LivenessRow): number {
  const waitedFor = waiters.removeOfChat(tx, chat.chat);
  const rows = heldBy(tx.sql, chat.chat).filter((row) => isHeldBy(row, chat));
  grants.deleteLeases(tx, rows, waitedFor);
  return rows.length;
}

/** A chat that is gone may still trust its leases: bound ones keep their last time. */
export function freezeAllOf(tx: Tx, chat: string): void {
  const waitedFor = waiters.removeOfChat(tx, chat);
  for (const row of heldBy(tx.sql, chat)) {
    if (row.isBound === 0) continue;
    tx.sql.run("UPDATE leases SET isBound = 0, expiresAt = ? WHERE resource = ?", expiresAt(tx, row), row.resource);
  }
  grants.grantWaiting(tx, waitedFor);
}

function toLease(tx: Tx, row: LeaseRow): Lease {
  return {
    resource: row.resource,
    holder: row.holder,
    incarnation: row.incarnation,
    token: row.token,
    ttlMs: row.ttlMs,
    remainingMs: Math.max(0, expiresAt(tx, row) - tx.now),
    isBound: row.isBound === 1,
    heldForMs: Math.max(0, tx.now - row.grantedAt),
  };
}

/** Time without a leader after one vanished: it may still believe that it leads. */
const lockDelayMs = 15_000;

function resourceOf(name: string): string {
  return leaderScheme + name;
}

function findLeader(tx: Tx, name: string): Leader | null {
  const row = leases.find(tx.sql, { resource: resourceOf(name) });
  if (!row || !isLive(tx, row)) return null;
  const { holder: leader, incarnation, token: term, ttlMs } = row;
  return { name, leader, incarnation, term, ttlMs, remainingMs: expiresAt(tx, row) - tx.now };
}
