import type Database from "better-sqlite3";
import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { changes } from "#src/coordination/kernel/kernel-tables.ts";
import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { SqlValue } from "#src/shared/sql.ts";
import type { RowOf } from "#src/shared/table.ts";
import type { Sim } from "../sim.ts";
import type { SimHost } from "./sim-host.ts";

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

const holderColumns = ["resource", "holder", "incarnation", "token"] as const;
const leaseColumns = [...holderColumns, "isBound", "expiresAt", "lockDelayMs"] as const;
export type LeaseFact = Pick<LeaseRow, (typeof leaseColumns)[number]>;

const waiterColumns = ["seq", "resource", "chat", "incarnation", "until"] as const;
export type WaiterFact = Pick<WaiterRow, (typeof waiterColumns)[number]>;

const changeColumns = ["revision", "grp", "key", "op", "value", "at"] as const;
export type ChangeFact = Pick<RowOf<typeof changes>, (typeof changeColumns)[number]>;

const claimColumns = ["task", "state", "reason", "claim", "chat", "incarnation"] as const;
const taskColumns = [...claimColumns, "failures", "stalls", "lostChats", "notBefore"] as const;
export type TaskFact = Pick<TaskRow, (typeof taskColumns)[number]>;

export interface GrantContext {
  readonly isHolderGone: boolean;
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

/** Reports each stored change by triggers of this connection, whatever statement made it. */
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

function rowOf(names: readonly string[], values: readonly SqlValue[]): Readonly<Record<string, SqlValue>> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? null] as const));
}

/** Rings at one instant that change only when the next check is due; each may check a few chats only. */
const mostIdleRings = 50;

/**
 * The one alarm of the host. A write sets it earlier, only a ring sets it later. It may ring late, twice or never;
 * then the watchdog finds at the next request that something is due and no alarm is set.
 */
export class Alarm {
  at: number | null = null;
  readonly #sim: Sim;
  readonly #host: SimHost;
  #turn = 0;
  #isRinging = false;
  #writesSeen = 0;
  #idleRings = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  arm(): void {
    if (this.#writesSeen === this.#host.sql.writes) return;
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    if (next !== null && (this.at === null || next < this.at)) this.#set(next);
  }

  /** The watchdog, which runs with each request. */
  watch(): void {
    if (this.at !== null || this.#isRinging) return;
    const next = this.#host.nextDue();
    if (next === null) return;
    if (next <= this.#sim.hostNow) this.#sim.count("watchdog found what was due");
    this.#set(next);
  }

  lose(): void {
    this.at = null;
    this.#turn += 1;
  }

  /** Sets the alarm again in the present weather: a late one is then on time. */
  reset(): void {
    if (this.at !== null) this.#set(this.at);
  }

  /** Nothing may be overdue: the alarm is set, and its time has not come. */
  get isOnTime(): boolean {
    return this.at !== null && this.at > this.#sim.hostNow;
  }

  #set(at: number): void {
    const { rng } = this.#sim;
    const { alarmLost, alarmLate, alarmTwice } = this.#host.weather;
    const waitMs = at - this.#sim.hostNow;
    const turn = (this.#turn += 1);
    this.at = at;
    if (rng.chance(alarmLost)) {
      this.#sim.later(waitMs, "alarm lost", () => (turn === this.#turn ? void (this.at = null) : false));
      return;
    }
    const lateMs = rng.chance(alarmLate) ? rng.between(1, rng.chance(0.2) ? 60_000 : 1_500) : 0;
    this.#sim.later(waitMs + lateMs, lateMs > 0 ? "alarm late" : "alarm", () =>
      turn === this.#turn ? this.#ring() : false,
    );
    if (rng.chance(alarmTwice))
      this.#sim.later(waitMs + lateMs + rng.between(0, 3_000), "alarm again", () => this.#ring());
  }

  #ring(): void {
    const before = this.#host.sql.progress;
    this.lose();
    this.#isRinging = true;
    const problems = this.#host.sweep();
    this.#isRinging = false;
    if (problems.length > 0) this.#sim.fail("due", `a sweep failed: ${problems.join("; ")}`);
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    const isIdle = next !== null && next <= this.#sim.hostNow && before === this.#host.sql.progress;
    this.#idleRings = isIdle ? this.#idleRings + 1 : 0;
    if (this.#idleRings >= mostIdleRings) this.#sim.fail("due", "the alarm rings again and again, and nothing changes");
    if (next !== null) this.#set(next);
  }
}

/** A token whose dispatch failed comes again, a few times. */
const failedMs = 2_000;
const mostTries = 4;

/** The queue between the outbox and the dispatch. It doubles, reorders, delays and drops tokens, and a restart empties it. */
export class DispatchQueue {
  readonly #sim: Sim;
  readonly #host: SimHost;
  #restarts = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  send(): void {
    const { rng } = this.#sim;
    const { queueLoss, queueTwice } = this.#host.weather;
    if (rng.chance(queueLoss)) return this.#sim.count("token lost");
    this.#deliver(this.#delay(), "token");
    if (rng.chance(queueTwice)) this.#deliver(this.#delay(), "token again");
  }

  forget(): void {
    this.#restarts += 1;
    this.#sim.count("queue forgot");
  }

  #delay(): number {
    const { rng } = this.#sim;
    if (rng.chance(this.#host.weather.queueSlow)) return rng.between(500, rng.chance(0.2) ? 400_000 : 20_000);
    return rng.between(2, 60);
  }

  #deliver(inMs: number, label: string, tries = 1): void {
    const restarts = this.#restarts;
    this.#sim.later(inMs, label, () => {
      if (restarts !== this.#restarts) return false;
      if (this.#host.dispatch()) return true;
      if (tries < mostTries) return this.#deliver(failedMs, "token after a failure", tries + 1);
      return this.#host.lostToken();
    });
  }
}
