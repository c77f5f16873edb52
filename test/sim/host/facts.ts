import type Database from "better-sqlite3";
import type { SqlValue } from "#src/shared/sql.ts";
import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { changes } from "#src/coordination/kernel/kernel-tables.ts";
import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { RowOf } from "#src/shared/table.ts";

/** What the engine wrote, told by triggers row by row: the rules are judged by the order of these, not by what the tables say later. */
export type Fact =
  | { readonly kind: "granted"; readonly lease: LeaseFact; readonly context: GrantContext }
  | { readonly kind: "renewed"; readonly resource: string; readonly expiresAt: number }
  | { readonly kind: "frozen"; readonly resource: string; readonly expiresAt: number }
  | { readonly kind: "freed"; readonly resource: string }
  | { readonly kind: "queued"; readonly place: PlaceFact }
  | { readonly kind: "unqueued"; readonly seq: number }
  | { readonly kind: "unqueued-all"; readonly chat: string }
  | { readonly kind: "delayed"; readonly resource: string; readonly until: number }
  | { readonly kind: "undelayed"; readonly resource: string }
  | { readonly kind: "changed"; readonly change: ChangeFact }
  | { readonly kind: "compacted"; readonly before: number }
  | { readonly kind: "offline"; readonly chat: string; readonly reason: string }
  | { readonly kind: "forgotten"; readonly chat: string }
  | { readonly kind: "task"; readonly before: TaskFact | null; readonly after: TaskFact | null };

const leaseColumns = [
  "resource",
  "holder",
  "incarnation",
  "token",
  "requestId",
  "isBound",
  "expiresAt",
  "lockDelayMs",
] as const;
export type LeaseFact = Pick<LeaseRow, (typeof leaseColumns)[number]>;

const placeColumns = ["seq", "resource", "chat", "incarnation", "until"] as const;
export type PlaceFact = Pick<WaiterRow, (typeof placeColumns)[number]>;

const changeColumns = ["revision", "grp", "key", "op", "value", "at"] as const;
export type ChangeFact = Pick<RowOf<typeof changes>, (typeof changeColumns)[number]>;

/** What of a task's row tells who has it and how it stands. */
const taskColumns = [
  "task",
  "state",
  "reason",
  "claim",
  "chat",
  "incarnation",
  "failures",
  "stalls",
  "lostChats",
  "notBefore",
] as const;
export type TaskFact = Pick<TaskRow, (typeof taskColumns)[number]>;

/** How things stood at the moment of a grant. */
export interface GrantContext {
  readonly isHolderGone: boolean;
  /** Numbers of the places in line whose chats live. */
  readonly living: readonly number[];
}

export type Look = (holder: string, incarnation: number) => GrantContext;

const nobody: GrantContext = { isHolderGone: false, living: [] };

interface WatchedTable {
  readonly columns: readonly string[];
  /** Columns whose update is told; absent: none is. */
  readonly updated?: readonly string[];
  /** Of rows with these columns; null: there was none, or is none. */
  readonly factOf: (before: never, after: never) => Fact | null;
}

type ChatFact = Pick<ChatRow, "chat" | "status" | "reason">;

const watchedTables: Readonly<Record<string, WatchedTable>> = {
  tasks: {
    columns: taskColumns,
    updated: taskColumns.slice(1),
    factOf: (before: TaskFact | null, after: TaskFact | null) => ({ kind: "task", before, after }),
  },
  leases: {
    columns: leaseColumns,
    updated: ["isBound", "expiresAt"],
    factOf(before: LeaseFact, after: LeaseFact | null) {
      if (!after) return { kind: "freed", resource: before.resource };
      if (!(before as LeaseFact | null)) return { kind: "granted", lease: after, context: nobody };
      const kind = before.isBound === after.isBound ? "renewed" : "frozen";
      return { kind, resource: after.resource, expiresAt: after.expiresAt };
    },
  },
  waiters: {
    columns: placeColumns,
    factOf: (before: PlaceFact, after: PlaceFact | null) =>
      after ? { kind: "queued", place: after } : { kind: "unqueued", seq: before.seq },
  },
  lock_delays: {
    columns: ["resource", "until"],
    updated: ["until"],
    factOf: (before: LockDelay, after: LockDelay | null) =>
      after ? { kind: "delayed", ...after } : { kind: "undelayed", resource: before.resource },
  },
  changes: {
    columns: changeColumns,
    factOf: (before: ChangeFact, after: ChangeFact | null) =>
      after ? { kind: "changed", change: after } : { kind: "compacted", before: before.revision + 1 },
  },
  chats: {
    columns: ["chat", "status", "reason"],
    updated: ["status"],
    factOf(before: ChatFact | null, after: ChatFact | null) {
      if (before && !after) return { kind: "forgotten", chat: before.chat };
      if (!before || after?.status !== "offline") return null;
      return { kind: "offline", chat: after.chat, reason: String(after.reason) };
    },
  },
};

/**
 * Tells each change as it is stored, by triggers of this connection alone: whatever statement made it, and whatever a planted bug made of
 * that.
 */
export function watchTables(db: Database.Database, onFact: (fact: Fact) => void): void {
  for (const [table, { columns, updated, factOf: toFact }] of Object.entries(watchedTables)) {
    db.function(`sim_${table}`, { varargs: true }, (...values: unknown[]) => {
      const rowAt = (from: number): object | null =>
        values[from] === null ? null : rowOf(columns, values.slice(from) as SqlValue[]);
      const fact = toFact(rowAt(0) as never, rowAt(columns.length) as never);
      if (fact) onFact(fact);
      return null;
    });
    const none = columns.map(() => "NULL");
    const [old, fresh] = ["OLD", "NEW"].map((row) => columns.map((name) => `${row}.${name}`));
    const events = { INSERT: [none, fresh], DELETE: [old, none] };
    const all = updated ? { ...events, [`UPDATE OF ${updated.join(", ")}`]: [old, fresh] } : events;
    for (const [place, [event, rows]] of Object.entries(all).entries())
      db.exec(
        `CREATE TEMP TRIGGER sim_${table}_${place} AFTER ${event} ON main.${table} BEGIN SELECT sim_${table}(${rows.join(", ")}); END`,
      );
  }
}

export function rowOf(names: readonly string[], values: readonly SqlValue[]): Readonly<Record<string, SqlValue>> {
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? null] as const));
}
