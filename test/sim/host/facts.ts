import type Database from "better-sqlite3";
import type { SqlValue } from "#src/shared/sql.ts";
import type { DeathReason, TaskState } from "#src/contract/tasks.ts";

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

export interface LeaseFact {
  readonly resource: string;
  readonly holder: string;
  readonly incarnation: number;
  readonly token: number;
  readonly requestId: string;
  readonly isBound: boolean;
  readonly expiresAt: number;
  readonly lockDelayMs: number;
}

export interface PlaceFact {
  readonly seq: number;
  readonly resource: string;
  readonly chat: string;
  readonly incarnation: number;
  readonly until: number;
}

export interface ChangeFact {
  readonly revision: number;
  readonly group: number;
  readonly key: string;
  readonly op: string;
  readonly value: string | null;
  readonly at: number;
}

/** How things stood at the moment of a grant. */
export interface GrantContext {
  readonly isHolderGone: boolean;
  /** Numbers of the places in line whose chats live. */
  readonly living: readonly number[];
}

/** What of a task's row tells who has it and how it stands. */
export interface TaskFact {
  readonly task: number;
  readonly state: TaskState;
  readonly reason: DeathReason | null;
  readonly claim: number;
  readonly chat: string | null;
  readonly incarnation: number | null;
  readonly failures: number;
  readonly stalls: number;
  readonly lostChats: number;
  readonly notBefore: number;
}

export type Look = (holder: string, incarnation: number) => GrantContext;

type Values = readonly SqlValue[];
type Row = Readonly<Record<string, SqlValue>>;

const nobody: GrantContext = { isHolderGone: false, living: [] };
const text = (value: SqlValue | undefined): string => String(value);
const number = (value: SqlValue | undefined): number => Number(value);

interface WatchedTable {
  readonly columns: readonly string[];
  /** Columns whose update is told; absent: none is. */
  readonly updated?: readonly string[];
  readonly factOf: (before: Row | null, after: Row | null) => Fact | null;
}

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
];

const watchedTables: Readonly<Record<string, WatchedTable>> = {
  tasks: {
    columns: taskColumns,
    updated: taskColumns.slice(1),
    factOf: (before, after) => ({
      kind: "task",
      before: before && (factOf(before) as TaskFact),
      after: after && (factOf(after) as TaskFact),
    }),
  },
  leases: {
    columns: ["resource", "holder", "incarnation", "token", "requestId", "isBound", "expiresAt", "lockDelayMs"],
    updated: ["isBound", "expiresAt"],
    factOf(before, after) {
      if (!after) return { kind: "freed", resource: text(before?.["resource"]) };
      if (!before) return { kind: "granted", lease: factOf(after) as LeaseFact, context: nobody };
      const kind = before["isBound"] === after["isBound"] ? "renewed" : "frozen";
      return { kind, resource: text(after["resource"]), expiresAt: number(after["expiresAt"]) };
    },
  },
  waiters: {
    columns: ["seq", "resource", "chat", "incarnation", "until"],
    factOf: (before, after) =>
      after
        ? { kind: "queued", place: factOf(after) as PlaceFact }
        : { kind: "unqueued", seq: number(before?.["seq"]) },
  },
  lock_delays: {
    columns: ["resource", "until"],
    updated: ["until"],
    factOf: (before, after) =>
      after
        ? { kind: "delayed", resource: text(after["resource"]), until: number(after["until"]) }
        : { kind: "undelayed", resource: text(before?.["resource"]) },
  },
  changes: {
    columns: ["revision", "grp", "key", "op", "value", "at"],
    factOf: (before, after) =>
      after
        ? { kind: "changed", change: factOf(after) as ChangeFact }
        : { kind: "compacted", before: number(before?.["revision"]) + 1 },
  },
  chats: {
    columns: ["chat", "status", "reason"],
    updated: ["status"],
    factOf(before, after) {
      const chat = text((after ?? before)?.["chat"]);
      if (!after) return { kind: "forgotten", chat };
      return before && after["status"] === "offline" ? { kind: "offline", chat, reason: text(after["reason"]) } : null;
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
      const rowAt = (from: number): Row | null =>
        values[from] === null ? null : rowOf(columns, values.slice(from) as SqlValue[]);
      const fact = toFact(rowAt(0), rowAt(columns.length));
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

export function rowOf(names: readonly string[], values: Values): Row {
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? null] as const));
}

/** A row as a fact: flags as booleans. */
function factOf(row: Row): object {
  const fact: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row))
    fact[name === "grp" ? "group" : name] = /^is[A-Z]/.test(name) ? value === 1 : value;
  return fact;
}
