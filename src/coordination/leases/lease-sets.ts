import * as chatRows from "../kernel/chat-rows.ts";
import type { SetHandlers } from "../kernel/handlers.ts";
import * as grants from "./lease-grants.ts";
import { haveNoOverlap, isLive, listHeld, renewAll, type LeaseRow } from "./lease-rows.ts";
import * as leases from "./leases.ts";
import * as waiters from "./waiters.ts";

export const setHandlers = {
  /** One chat; free resources that do not overlap. */
  "leases.acquire"(tx, inputs) {
    const resources = inputs.map(({ resource }) => resource);
    const caller = chatRows.findCommonCaller(tx, inputs);
    if (!caller || tx.quietUntil > tx.now || !haveNoOverlap(tx.sql, resources)) return null;
    if (leases.checkLeaseLimit(tx, caller.chat, inputs.length)) return null;
    const rows = grants.grantAll(tx, chatRows.recordActivity(tx, caller), inputs);
    return rows.map((row) => ({ state: "granted", lease: leases.toLease(tx, row) }));
  },

  /** One chat; its held leases. */
  "leases.renew"(tx, inputs) {
    const caller = chatRows.findCommonCaller(tx, inputs);
    if (!caller || !areWhole(inputs)) return null;
    const held = listHeld<LeaseRow>(tx.sql, caller, namesOf(inputs), "leases.*");
    const renewed: LeaseRow[] = [];
    for (const { resource, token, ttlMs } of inputs) {
      const row = held.get(resource);
      if (row?.token !== token || !isLive(tx, row)) return null;
      renewed.push(leases.renew(tx, row, ttlMs));
      held.delete(resource);
    }
    chatRows.recordActivity(tx, caller);
    for (const [ttlMs, rows] of Map.groupBy(renewed, (row) => row.ttlMs))
      renewAll(tx.sql, namesOf(rows), ttlMs, tx.now + ttlMs);
    return renewed.map((row) => leases.toLease(tx, row));
  },

  /** One chat; resources without a waiter. */
  "leases.release"(tx, inputs) {
    const caller = chatRows.findCommonCaller(tx, inputs);
    if (!caller || !areWhole(inputs)) return null;
    const held = listHeld(tx.sql, caller, namesOf(inputs));
    const isReleased = inputs.map(
      ({ resource, token }) => held.get(resource)?.token === token && held.delete(resource),
    );
    const released = namesOf(inputs.filter((_, at) => isReleased[at]));
    if (waiters.haveWaiters(tx.sql, released)) return null;
    chatRows.recordActivity(tx, caller);
    grants.deleteUnawaited(tx, released);
    return isReleased.map((is) => ({ isReleased: is }));
  },
} satisfies SetHandlers;

function namesOf(rows: readonly { readonly resource: string }[]): string[] {
  return rows.map(({ resource }) => resource);
}

/** A lone surrogate is another character in JSON than as a bound value. */
function areWhole(inputs: readonly { readonly resource: string }[]): boolean {
  return inputs.every(({ resource }) => resource.isWellFormed());
}
