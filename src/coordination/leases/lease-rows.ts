import type { CheckedInputOf } from "../../contract/operations.ts";
import type { Sql } from "../../shared/sql.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { namesAbove, projectOf, rangeBelow } from "../../contract/resource-paths.ts";
import type { Tx } from "../kernel/tx.ts";
import { among, type RowOf, integer, serial, table, text } from "../../shared/table.ts";

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

/** No other chat gets the resource before the delay ends. */
export const lockDelays = table("lock_delays", { resource: text().primary(), until: integer() });

export const waiters = table("waiters", {
  seq: serial(),
  resource: text(),
  chat: text(),
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

export type LeaseRow = RowOf<typeof leases>;
export type LeaseRequest = Omit<CheckedInputOf<"leases.acquire">, "self">;

export function heldBy(sql: Sql, chat: string): LeaseRow[] {
  return leases.select(sql, "WHERE holder = ?", chat);
}

type Term = Pick<LeaseRow, "holder" | "ttlMs" | "isBound" | "expiresAt">;

/** No bound lease outlives the process of its holder: see `freezeAllOf`. */
export function expiresAt(tx: Tx, row: Term): number {
  const holder = row.isBound === 1 ? chatRows.findLiveness(tx, row.holder) : null;
  return holder ? Math.max(row.expiresAt, chatRows.lastSeen(tx, holder) + row.ttlMs) : row.expiresAt;
}

/** A lease has ended at its last instant. */
export function isLive(tx: Tx, row: Term): boolean {
  return expiresAt(tx, row) > tx.now;
}

/** Bound leases that only their chats keep are read once for each chat. */
export function countLive(tx: Tx): number {
  const [{ live } = { live: 0 }] = tx.sql.all<{ live: number }>(
    "SELECT count(*) AS live FROM leases WHERE expiresAt > ?",
    tx.now,
  );
  const byChat = tx.sql.all<Term & { readonly n: number }>(
    `SELECT holder, ttlMs, isBound, expiresAt, count(*) AS n FROM leases
     WHERE isBound = 1 AND expiresAt <= ? GROUP BY holder, ttlMs`,
    tx.now,
  );
  return byChat.reduce((sum, row) => sum + (isLive(tx, row) ? row.n : 0), live);
}

export type LockDelay = RowOf<typeof lockDelays>;
export type WaiterRow = RowOf<typeof waiters>;

const tables = ["leases", "lock_delays", "waiters"] as const;

/** Rows that overlap a resource: those of names above it, and those below a pattern. */
export function findOverlapping<Row>(sql: Sql, table: (typeof tables)[number], resource: string, limit = -1): Row[] {
  const above = among(namesAbove(resource));
  const range = rangeBelow(resource);
  if (!range) return sql.all<Row>(`SELECT * FROM ${table} WHERE resource ${above.text} LIMIT ?`, above.value, limit);
  const isFolder = resource.endsWith("/*");
  const inFolder = isFolder ? "AND instr(substr(resource, length(?) + 1), '/') = 0" : "";
  return sql.all<Row>(
    `SELECT * FROM ${table} WHERE resource ${above.text} OR (resource >= ? AND resource < ? ${inFolder}) LIMIT ?`,
    above.value,
    range.from,
    range.to,
    ...(isFolder ? [range.from] : []),
    limit,
  );
}

/** An expired lease blocks until handled: it may leave a delay. */
export function isBlocked({ sql, now }: Pick<Tx, "sql" | "now">, resource: string): boolean {
  return (
    findOverlapping(sql, "leases", resource, 1).length > 0 ||
    findOverlapping<LockDelay>(sql, "lock_delays", resource).some(({ until }) => until > now)
  );
}

/** The leases of this process of a chat among the named ones, by resource. */
export function heldLeases(
  sql: Sql,
  { chat, incarnation }: chatRows.LivenessRow,
  resources: readonly string[],
): Map<string, LeaseRow> {
  const { text, value } = among(resources);
  // Without the plus SQLite would read all leases of the holder.
  const rows = leases.select(
    sql,
    `WHERE resource ${text} AND +holder = ? AND incarnation = ?`,
    value,
    chat,
    incarnation,
  );
  return new Map(rows.map((row) => [row.resource, row]));
}

/**
 * Whether nothing overlaps the resources, or they each other, held, delayed or awaited. Patterns
 * count as overlapping.
 */
export function areFree(sql: Sql, resources: readonly string[]): boolean {
  const names = new Set(resources);
  if (names.size < resources.length) return false;
  for (const resource of resources) {
    if (rangeBelow(resource)) return false;
    for (const name of namesAbove(resource)) names.add(name);
  }
  const checks = tables.map((table) => `EXISTS (SELECT 1 FROM ${table} WHERE resource = name.value)`).join(" OR ");
  return sql.all(`SELECT 1 FROM json_each(?) AS name WHERE ${checks} LIMIT 1`, JSON.stringify([...names])).length === 0;
}

/** Whether anything waits for one of the resources, or for a path in the project of one. */
export function haveWaiters(sql: Sql, resources: readonly string[]): boolean {
  const byProject = Map.groupBy(resources, projectOf);
  const isIn = (project: string | null, names: readonly string[]): boolean =>
    project === null
      ? sql.all(
          "SELECT 1 FROM json_each(?) AS name CROSS JOIN waiters ON resource = name.value LIMIT 1",
          JSON.stringify(names),
        ).length > 0
      : sql.all("SELECT 1 FROM waiters WHERE resource >= ? AND resource <= ? LIMIT 1", project, prefixEnd(project))
          .length > 0;
  return [...byProject].some(([project, names]) => isIn(project, names));
}

/** Upper bound of all paths of a project: the character after "/" is "0". */
export function prefixEnd(project: string): string {
  return `${project.slice(0, -1)}0`;
}
