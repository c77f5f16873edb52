import { integer, serial, table, text } from "../../shared/table.ts";

export const leases = table("leases", {
  resource: text().primary(),
  holder: text(),
  incarnation: integer(),
  token: integer(),
  ttlMs: integer(),
  isBound: integer(),
  expiresAt: integer(),
  lockDelayMs: integer(),
  requestId: text(),
  grantedAt: integer(),
});

/** [LE11] No other chat gets the resource before the delay ends. */
export const lockDelays = table("lock_delays", { resource: text().primary(), until: integer() });

export const waiters = table("waiters", {
  seq: serial(),
  resource: text(),
  chat: text(),
  incarnation: integer(),
  requestId: text(),
  ttlMs: integer(),
  isBound: integer(),
  lockDelayMs: integer(),
  until: integer(),
});

export const leaseTables = [leases, lockDelays, waiters];

export const leaseIndexes: readonly string[] = [
  "CREATE INDEX leases_holder ON leases (holder)",
  "CREATE UNIQUE INDEX waiters_requests ON waiters (resource, chat, requestId)",
  "CREATE INDEX waiters_chat ON waiters (chat)",
  "CREATE INDEX waiters_resource ON waiters (resource)",
];
