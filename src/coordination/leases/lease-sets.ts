import * as chatRows from "../kernel/chat-rows.ts";
import type { SetHandlers } from "../kernel/handlers.ts";
import * as grants from "./lease-grants.ts";
import { haveNoOverlap } from "./lease-rows.ts";
import * as leases from "./leases.ts";

export const setHandlers = {
  /** Of one chat, for free resources that do not overlap. */
  "leases.acquire"(tx, inputs) {
    const resources = inputs.map(({ resource }) => resource);
    const caller = chatRows.findCommonCaller(tx, inputs);
    if (!caller || tx.quietUntil > tx.now || !haveNoOverlap(tx.sql, resources)) return null;
    if (leases.checkLeaseLimit(tx, caller.chat, inputs.length)) return null;
    const rows = grants.grantAll(tx, chatRows.recordActivity(tx, caller), inputs);
    return rows.map((row) => ({ state: "granted", lease: leases.toLease(tx, row) }));
  },
} satisfies SetHandlers;
