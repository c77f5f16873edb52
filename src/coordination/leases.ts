import type { Refusal } from "../contract/errors.ts";
import type {
  AcquireLease,
  CheckLease,
  ForceRelease,
  Lease,
  ListLeases,
  ReleaseLease,
  RenewLease,
} from "../contract/leases.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { Guard } from "../contract/state.ts";
import { err, ok, type Result } from "../shared/result.ts";
import * as audit from "./audit.ts";
import * as changes from "./changes.ts";
import * as chatRows from "./chat-rows.ts";
import { coveringOf, expiresAt, heldBy, insert, isClear, isLive, near, rowOf, type LeaseRow } from "./lease-rows.ts";
import * as meta from "./meta.ts";
import { numbersPerEpoch, type Actor, type Tx } from "./tx.ts";
import * as waiters from "./waiters.ts";

/** Of what a lease is taken for: an operation of its own, or an election. */
export type Wanted = Omit<AcquireLease, "self">;
type Acquired = OutputOf<"leases.acquire">;

/**
 * [LE1] One live holder for whatever overlaps. [LE2] Each grant has a token above all before it. [LE3] The same request again returns the
 * grant that it got. [LE4] Nobody passes one who stands in line before him.
 */
export function acquire(tx: Tx, input: AcquireLease): Result<Acquired, Refusal> {
  const { self, ...wanted } = input;
  const actor = chatRows.acting(tx, self);
  return actor.ok ? take(tx, actor.value, wanted) : actor;
}

/** For a chat that is known to act. */
export function take(tx: Tx, chat: chatRows.LifeRow, wanted: Wanted): Result<Acquired, Refusal> {
  const { resource, requestId } = wanted;
  const isMine = (row: LeaseRow): boolean =>
    row.resource === resource && row.request_id === requestId && isOwn(row, chat) && isLive(tx, row);
  const now = settled(tx, resource);
  const mine = now.held.find(isMine);
  if (mine) return granted(tx, mine);
  const place = now.places.find((one) => waiters.isOf(one, resource, chat.chat, requestId));
  const ahead = place ? now.places.filter((one) => one.seq < place.seq).length : now.places.length;
  if (now.held.length + now.delays.length + ahead === 0) {
    if (place) waiters.remove(tx.sql, place.seq);
    return granted(tx, grant(tx, chat, wanted));
  }
  if (place) return ok({ state: "waiting", position: ahead + 1, waitMs: place.until - tx.now });
  if (wanted.waitMs === 0) return err(heldBySomebody(tx, resource, now));
  waiters.add(tx, chat, wanted);
  return ok({ state: "waiting", position: ahead + 1, waitMs: wanted.waitMs });
}

function isOwn(row: LeaseRow, { chat, incarnation }: { chat: string; incarnation: number }): boolean {
  return row.holder === chat && row.incarnation === incarnation;
}

function granted(tx: Tx, row: LeaseRow): Result<Acquired, Refusal> {
  return ok({ state: "granted", lease: told(tx, row) });
}

function heldBySomebody(tx: Tx, resource: string, { held, delays }: Around): Refusal {
  const until = Math.max(tx.now, ...held.map((row) => expiresAt(tx, row)), ...delays.map((delay) => delay.until));
  const why = `not free yet after ${tx.quietUntil > tx.now ? "a restore" : "an expiry"}`;
  const [first] = [
    ...held.map((row) => ({ name: row.resource, holder: row.holder, why: `held by chat ${row.holder}` })),
    ...delays.map((delay) => ({ name: delay.resource, holder: null, why })),
    { name: resource, holder: null, why: "wanted by others before" },
  ];
  const { name, holder } = first;
  return {
    code: "lease_held",
    message: name === resource ? `${resource} is ${first.why}` : `${resource} overlaps ${name}, which is ${first.why}`,
    retryAfterMs: Math.max(100, until - tx.now),
    details: { holder, resource: name },
  };
}

function grant(tx: Tx, chat: chatRows.LifeRow, wanted: Wanted): LeaseRow {
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

/** [LE5] Only a lease that is still held can be renewed, by its holder, with its token; it never becomes shorter. */
export function renew(tx: Tx, input: RenewLease): Result<Lease, Refusal> {
  const actor = chatRows.acting(tx, input.self);
  if (!actor.ok) return actor;
  const row = rowOf(tx.sql, input.resource);
  if (!row || !isOwn(row, actor.value) || row.token !== input.token || !isLive(tx, row)) {
    return err({
      code: "not_holder",
      message: `${input.resource} is not held by chat ${input.self.chat} with token ${input.token} any more; stop the work that it guards, then acquire it again`,
    });
  }
  // [LE14] A bound one has its holder's.
  const ttlMs = row.is_bound === 1 ? row.ttl_ms : (input.ttlMs ?? row.ttl_ms);
  const renewed = { ...row, ttl_ms: ttlMs, expires_at: Math.max(row.expires_at, tx.now + ttlMs) };
  // The index of what is due stays as it is: the holder is looked at when the old time comes.
  tx.sql.run(
    "UPDATE leases SET ttl_ms = ?, expires_at = ? WHERE resource = ?",
    ttlMs,
    renewed.expires_at,
    row.resource,
  );
  return ok(told(tx, renewed));
}

/** [LE6] Giving back what is not held is no error, so that it can be repeated. */
export function release(tx: Tx, input: ReleaseLease): Result<{ isReleased: boolean }, Refusal> {
  const actor = chatRows.acting(tx, input.self);
  if (!actor.ok) return actor;
  const { chat, incarnation } = actor.value;
  const query = "DELETE FROM leases WHERE resource = ? AND holder = ? AND incarnation = ? AND token = ?";
  const isReleased = tx.sql.run(query, input.resource, chat, incarnation, input.token) > 0;
  if (isReleased) freed(tx, input.resource);
  return ok({ isReleased });
}

export function cancelWait(
  tx: Tx,
  { self, resource, requestId }: { self: AcquireLease["self"]; resource: string; requestId: string },
): Result<{ isCancelled: boolean }, Refusal> {
  const actor = chatRows.acting(tx, self);
  if (!actor.ok) return actor;
  const place = waiters.find(tx.sql, resource, self.chat, requestId);
  if (!place) return ok({ isCancelled: false });
  waiters.remove(tx.sql, place.seq);
  grantWaiting(tx, resource);
  return ok({ isCancelled: true });
}

/** [LE7] A token is valid while the lease it came with is held and covers the resource. */
export function check(tx: Tx, { resource, token }: CheckLease | Guard): OutputOf<"leases.check"> {
  const covering = coveringOf(tx.sql, resource).filter((row) => isLive(tx, row));
  const found = covering.find((row) => row.token === token);
  const shown = found ?? covering[0];
  return {
    isValid: found !== undefined,
    remainingMs: found ? expiresAt(tx, found) - tx.now : 0,
    holder: shown?.holder ?? null,
  };
}

export function list(tx: Tx, { holder, prefix, limit, cursor }: ListLeases): OutputOf<"leases.list"> {
  const rows = tx.sql.all<LeaseRow>(
    `SELECT * FROM leases WHERE resource > ? AND resource >= ? AND resource < ? AND (? IS NULL OR holder = ?)
     ORDER BY resource LIMIT ?`,
    cursor ?? "",
    prefix,
    `${prefix}\u{10FFFF}`,
    holder ?? null,
    holder ?? null,
    limit + 1,
  );
  const page = rows.slice(0, limit);
  return {
    leases: page.filter((row) => isLive(tx, row)).map((row) => told(tx, row)),
    cursor: rows.length > limit ? (page.at(-1)?.resource ?? null) : null,
  };
}

/** [LE8] An admin may take a lease away; who, from whom and why stands in the audit log. */
export function forceRelease(tx: Tx, actor: Actor, { resource, reason }: ForceRelease): { isReleased: boolean } {
  const row = rowOf(tx.sql, resource);
  if (!row) return { isReleased: false };
  const detail = { holder: row.holder, token: row.token, reason };
  audit.append(tx, { kind: "lease.forced", subject: resource, actor: actor.machine, detail });
  free(tx, row);
  tx.tell({ kind: "lease", chat: row.holder, resource });
  return { isReleased: true };
}

/**
 * All that a chat waits for, and holds in this incarnation: an older process may still trust what it has.
 *
 * @returns how many leases were freed
 */
export function freeAllOf(tx: Tx, chat: chatRows.LifeRow): number {
  const waited = waiters.removeAllOf(tx, chat.chat);
  const rows = heldBy(tx.sql, chat.chat).filter((row) => isOwn(row, chat));
  for (const row of rows) free(tx, row);
  for (const resource of waited) grantWaiting(tx, resource);
  return rows.length;
}

/** [CH7] A chat that is gone may still trust what it holds: bound leases keep their last time, and nothing is freed before it. */
export function freezeAllOf(tx: Tx, chat: string): void {
  const waited = waiters.removeAllOf(tx, chat);
  for (const row of heldBy(tx.sql, chat)) {
    if (row.is_bound === 0) continue;
    tx.sql.run("UPDATE leases SET is_bound = 0, expires_at = ? WHERE resource = ?", expiresAt(tx, row), row.resource);
  }
  for (const resource of waited) grantWaiting(tx, resource);
}

/** Frees what has run out of a chat's leases. @returns when the next one does; null: it holds nothing */
export function expireOf(tx: Tx, chat: string): number | null {
  for (const row of heldBy(tx.sql, chat)) if (!isLive(tx, row)) expire(tx, row);
  // Read again: what was freed may have been granted to the same chat anew.
  const left = heldBy(tx.sql, chat).map((row) => expiresAt(tx, row));
  return left.length === 0 ? null : Math.min(...left);
}

interface Around {
  readonly held: LeaseRow[];
  readonly delays: waiters.Delay[];
  readonly places: waiters.Place[];
}

/** Everything that overlaps a resource: leases, delays, the line. */
function around(tx: Tx, resource: string): Around {
  return {
    held: near<LeaseRow>(tx.sql, "leases", resource),
    delays: [...near<waiters.Delay>(tx.sql, "lock_delays", resource), ...quiet(tx, resource)],
    places: waiters.near(tx, resource),
  };
}

/** [LE19] Stands in the way of every grant: what a lost history has granted may still be trusted. */
function quiet({ quietUntil, now }: Tx, resource: string): waiters.Delay[] {
  return quietUntil > now ? [{ resource, until: quietUntil }] : [];
}

/** [LE19] Then all who wait have their turn. For the sweep. */
export function endQuiet(tx: Tx): void {
  meta.endQuiet(tx.sql);
  for (const resource of waiters.allWanted(tx.sql)) grantWaiting(tx, resource);
}

function isOver({ now }: Tx): (delay: waiters.Delay) => boolean {
  return ({ until }) => until <= now;
}

/** What overlaps a resource once all that is over has gone and those in line have had their turn. */
function settled(tx: Tx, resource: string): Around {
  if (isClear(tx.sql, resource)) return { held: [], delays: quiet(tx, resource), places: [] };
  const found = around(tx, resource);
  const over = found.held.filter((row) => !isLive(tx, row));
  const ended = found.delays.filter(isOver(tx));
  if (over.length + ended.length + found.places.length === 0) return found;
  // Before an expiry puts a new delay in the place of an ended one. [LE11]
  for (const delay of ended) waiters.endDelay(tx.sql, delay.resource);
  for (const row of over) expire(tx, row);
  for (const delay of ended) grantWaiting(tx, delay.resource);
  grantWaiting(tx, resource);
  return around(tx, resource);
}

/** Delays whose time is over end, and those in line have their turn. For the sweep. */
export function endDelays(tx: Tx, limit: number): void {
  for (const resource of waiters.allDelaysOver(tx.sql, tx.now, limit)) endDelay(tx, resource);
}

function endDelay(tx: Tx, resource: string): void {
  waiters.endDelay(tx.sql, resource);
  grantWaiting(tx, resource);
}

/** [LE10] [LE11] The holder's time is over: it did not give it back, so a lock delay holds. */
function expire(tx: Tx, row: LeaseRow): void {
  audit.append(tx, { kind: "lease.expired", subject: row.resource, actor: row.holder, detail: { token: row.token } });
  if (row.lock_delay_ms > 0) waiters.delay(tx, row.resource, expiresAt(tx, row) + row.lock_delay_ms);
  free(tx, row);
}

function free(tx: Tx, { resource }: LeaseRow): void {
  tx.sql.run("DELETE FROM leases WHERE resource = ?", resource);
  freed(tx, resource);
}

function freed(tx: Tx, resource: string): void {
  announce(tx, resource, null);
  grantWaiting(tx, resource);
}

/** [LE4] First come, first served, among those who live; whoever is blocked still keeps his place before those behind him. */
export function grantWaiting(tx: Tx, freed: string): void {
  const resources = [freed];
  for (let resource = resources.pop(); resource !== undefined; resource = resources.pop()) {
    for (const place of waiters.near(tx, resource)) {
      const chat = waiters.waiting(tx, place);
      if (chat) grantTo(tx, chat, place);
      else {
        // [LE13] Those that stood behind it may wait for what is far from the resource that was freed.
        waiters.remove(tx.sql, place.seq);
        resources.push(place.resource);
      }
    }
  }
}

/** If nothing stands before it. */
function grantTo(tx: Tx, chat: chatRows.LifeRow, place: waiters.Place): void {
  const { held, delays, places } = around(tx, place.resource);
  const isFirst = !places.some((one) => one.seq < place.seq && waiters.waiting(tx, one));
  // A lease that is over, but not yet expired by somebody's look, may have a delay: its own turn comes first.
  if (!isFirst || held.length > 0 || delays.some(({ until }) => until > tx.now)) return;
  waiters.remove(tx.sql, place.seq);
  grant(tx, chat, waiters.wantedBy(place));
  tx.tell({ kind: "lease", chat: place.chat, resource: place.resource });
}

function told(tx: Tx, row: LeaseRow): Lease {
  return {
    resource: row.resource,
    holder: row.holder,
    incarnation: row.incarnation,
    token: row.token,
    ttlMs: row.ttl_ms,
    remainingMs: Math.max(0, expiresAt(tx, row) - tx.now),
    isBound: row.is_bound === 1,
    heldForMs: Math.max(0, tx.now - row.granted_at),
  };
}
