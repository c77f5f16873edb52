import type Database from "better-sqlite3";
import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { changes } from "#src/coordination/kernel/kernel-tables.ts";
import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { SqlValue } from "#src/shared/sql.ts";
import type { RowOf } from "#src/shared/table.ts";

/** A change of a row, reported by a trigger. The oracle judges the order of these, not the tables as they are later. */
export type Fact =
  | { readonly kind: "granted"; readonly lease: LeaseFact; readonly context: GrantContext }
  | { readonly kind: "renewed" | "frozen"; readonly resource: string; readonly expiresAt: number }
  | { readonly kind: "freed"; readonly resource: string }
  | { readonly kind: "queued"; readonly waiter: WaiterFact }
  | { readonly kind: "unqueued"; readonly seq: number }
  | { readonly kind: "unqueued-all"; readonly chat: string }
  | { readonly kind: "delayed"; readonly resource: string; readonly until: number }
  | { readonly kind: "undelayed"; readonly resource: string }
  | { readonly kind: "changed"; readonly change: ChangeFact }
  | { readonly kind: "compacted"; readonly before: number }
  | { readonly kind: "offline"; readonly chat: string; readonly reason: string }
  | { readonly kind: "forgotten"; readonly chat: string }
  | { readonly kind: "task"; readonly before: TaskFact | null; readonly after: TaskFact | null };

const holderColumns = ["resource", "holder", "incarnation", "token", "requestId"] as const;
const leaseColumns = [...holderColumns, "isBound", "expiresAt", "lockDelayMs"] as const;
export type LeaseFact = Pick<LeaseRow, (typeof leaseColumns)[number]>;

const waiterColumns = ["seq", "resource", "chat", "incarnation", "until"] as const;
export type WaiterFact = Pick<WaiterRow, (typeof waiterColumns)[number]>;

const changeColumns = ["revision", "grp", "key", "op", "value", "at"] as const;
export type ChangeFact = Pick<RowOf<typeof changes>, (typeof changeColumns)[number]>;

const claimColumns = ["task", "state", "reason", "claim", "chat", "incarnation"] as const;
const taskColumns = [...claimColumns, "failures", "stalls", "lostChats", "notBefore"] as const;
export type TaskFact = Pick<TaskRow, (typeof taskColumns)[number]>;

/** The chats at the moment of a grant. */
export interface GrantContext {
  readonly isHolderGone: boolean;
  /** Waiters whose chats live, by number. */
  readonly living: readonly number[];
}

interface WatchedTable {
  readonly columns: readonly string[];
  /** Columns whose updates are reported; absent: none. */
  readonly updated?: readonly string[];
  /** Null: the row did not exist, or no longer exists. */
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
    factOf(before: LeaseFact | null, after: LeaseFact | null) {
      if (!after) return before && { kind: "freed", resource: before.resource };
      if (!before) return { kind: "granted", lease: after, context: { isHolderGone: false, living: [] } };
      const kind = before.isBound === after.isBound ? "renewed" : "frozen";
      return { kind, resource: after.resource, expiresAt: after.expiresAt };
    },
  },
  waiters: {
    columns: waiterColumns,
    factOf: (before: WaiterFact, after: WaiterFact | null) =>
      after ? { kind: "queued", waiter: after } : { kind: "unqueued", seq: before.seq },
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

/** Reports each stored change by triggers of this connection, whatever statement, or planted bug, made it. */
export function watchTables(db: Database.Database, onFact: (fact: Fact) => void): void {
  for (const [table, { columns, updated, factOf }] of Object.entries(watchedTables)) {
    db.function(`sim_${table}`, { varargs: true }, (...values: unknown[]) => {
      const rowAt = (from: number): object | null =>
        values[from] === null ? null : rowOf(columns, values.slice(from) as SqlValue[]);
      const fact = factOf(rowAt(0) as never, rowAt(columns.length) as never);
      if (fact) onFact(fact);
      return null;
    });
    const none = columns.map(() => "NULL");
    const [old, fresh] = ["OLD", "NEW"].map((row) => columns.map((name) => `${row}.${name}`));
    const events = { INSERT: [none, fresh], DELETE: [old, none] };
    const all = updated ? { ...events, [`UPDATE OF ${updated.join(", ")}`]: [old, fresh] } : events;
    for (const [index, [event, rows]] of Object.entries(all).entries())
      db.exec(
        `CREATE TEMP TRIGGER sim_${table}_${index} AFTER ${event} ON main.${table} BEGIN SELECT sim_${table}(${rows.join(", ")}); END`,
      );
  }
}

export function rowOf(names: readonly string[], values: readonly SqlValue[]): Readonly<Record<string, SqlValue>> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? null] as const));
}
