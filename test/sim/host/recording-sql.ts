import Database from "better-sqlite3";
import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { changes } from "#src/coordination/kernel/kernel-tables.ts";
import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { SqlValue, Sql } from "#src/shared/sql.ts";
import type { RowOf } from "#src/shared/table.ts";
import { claimDriver } from "#src/store/driver.ts";

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

const waiterColumns = ["seq", "resource", "chat", "until"] as const;
export type WaiterFact = Pick<WaiterRow, (typeof waiterColumns)[number]>;

const changeColumns = ["revision", "grp", "key", "op", "value", "at"] as const;
export type ChangeFact = Pick<RowOf<typeof changes>, (typeof changeColumns)[number]>;

const taskColumns = ["task", "state", "reason", "claim", "chat", "incarnation", "notBefore"] as const;
export type TaskFact = Pick<TaskRow, (typeof taskColumns)[number]>;

export type GrantContext = Readonly<{ isHolderGone: boolean; living: readonly number[] }>;

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
function watchTables(db: Database.Database, onFact: (fact: Fact) => void): void {
  for (const [table, { columns, updated, factOf }] of Object.entries(watchedTables)) {
    db.function(`sim_${table}`, { varargs: true }, (...values: unknown[]) => {
      const rowAt = (from: number): object | null =>
        values[from] === null ? null : Object.fromEntries(columns.map((name, at) => [name, values[from + at] ?? null]));
      const fact = factOf(rowAt(0) as never, rowAt(columns.length) as never);
      if (fact) onFact(fact);
      return null;
    });
    const none = columns.map(() => "NULL");
    const [old, fresh] = ["OLD", "NEW"].map((row) => columns.map((name) => `${row}.${name}`));
    const events = { INSERT: [none, fresh], DELETE: [old, none] };
    const all = updated ? { ...events, [`UPDATE OF ${updated.join(", ")}`]: [old, fresh] } : events;
    for (const [index, [event, rows]] of Object.entries(all).entries()) {
      const trigger = `sim_${table}_${index} AFTER ${event} ON main.${table}`;
      db.exec(`CREATE TEMP TRIGGER ${trigger} BEGIN SELECT sim_${table}(${rows.join(", ")}); END`);
    }
  }
}

type Prepared = Readonly<{ run: (...values: SqlValue[]) => number; all: (...values: SqlValue[]) => unknown[] }>;

/** A database in memory that records its writes as facts. */
export class RecordingSql implements Sql {
  readonly facts: Fact[] = [];
  /** Statements that may have written, since the beginning. */
  writes = 0;
  /** The same without statements that only set when the next check is due. */
  progress = 0;
  /** The settings or the epoch may have changed. */
  isMetaWritten = false;
  contextOf: (holder: string, incarnation: number) => GrantContext = () => ({ isHolderGone: false, living: [] });
  #db = new Database(":memory:");
  readonly #prepared = new Map<string, Prepared>();
  #depth = 0;
  readonly #control = new Map<string, Database.Statement>();

  constructor() {
    claimDriver("better-sqlite3");
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(query).all(...values) as Row[];
  }

  run(query: string, ...values: SqlValue[]): number {
    return this.#prepare(query).run(...values);
  }

  watch(): void {
    watchTables(this.#db, (fact) => this.facts.push(fact));
  }

  /** BEGIN, COMMIT, SAVEPOINT and the like, which are not the engine's. */
  control(statement: string): void {
    this.#controlOf(statement).run();
  }

  /** A query of the oracle, which counts as no write. */
  peek<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#controlOf(query).all(...values) as Row[];
  }

  #controlOf(text: string): Database.Statement {
    let prepared = this.#control.get(text);
    if (!prepared) this.#control.set(text, (prepared = this.#db.prepare(text)));
    return prepared;
  }

  takeFacts(): Fact[] {
    return this.facts.splice(0);
  }

  transaction<T>(work: () => T): T {
    const mark = this.facts.length;
    const name = `s${(this.#depth += 1)}`;
    this.control(`SAVEPOINT ${name}`);
    try {
      return work();
    } catch (error) {
      this.control(`ROLLBACK TO ${name}`);
      this.facts.length = mark;
      throw error;
    } finally {
      this.control(`RELEASE ${name}`);
      this.#depth -= 1;
    }
  }

  image(): Buffer {
    return this.#db.serialize();
  }

  restore(image: Buffer): void {
    this.#db.close();
    this.#db = new Database(image);
    this.#prepared.clear();
    this.#control.clear();
    this.isMetaWritten = true;
    this.watch();
  }

  close(): void {
    this.#db.close();
  }

  #prepare(query: string): Prepared {
    const known = this.#prepared.get(query);
    if (known) return known;
    // Generated statements quote their names.
    const prepared = this.#recorded(query.replaceAll('"', ""));
    this.#prepared.set(query, prepared);
    return prepared;
  }

  #recorded(query: string): Prepared {
    const statement = this.#db.prepare<SqlValue[]>(query);
    if (statement.readonly)
      return { all: (...values) => statement.all(...values), run: (...values) => statement.run(...values).changes };
    const isMeta = /\bmeta\b/.test(query);
    const isCheckTime = /^UPDATE (chats|tasks) SET dueAt/.test(query);
    const wrote = (): void => {
      this.writes += 1;
      if (!isCheckTime) this.progress += 1;
      if (isMeta) this.isMetaWritten = true;
    };
    return {
      all: (...values) => {
        wrote();
        return statement.all(...values);
      },
      run: (...values) => {
        wrote();
        const mark = this.facts.length;
        const { changes } = statement.run(...values);
        this.#complete(mark, query, values);
        return changes;
      },
    };
  }

  /** Adds the context of a grant, which a trigger cannot read, and joins facts of one deletion. */
  #complete(mark: number, query: string, [first]: readonly SqlValue[]): void {
    const added = this.facts.splice(mark);
    const isChatLeaving = query.startsWith("DELETE FROM waiters WHERE chat");
    for (const [at, fact] of added.entries()) {
      const isLast = added[at + 1]?.kind !== fact.kind;
      if (fact.kind === "granted") {
        const { holder, incarnation } = fact.lease;
        this.facts.push({ ...fact, context: this.contextOf(holder, incarnation) });
      } else if (fact.kind === "unqueued" && isChatLeaving) {
        if (isLast) this.facts.push({ kind: "unqueued-all", chat: String(first) });
      } else if (fact.kind !== "compacted" || isLast) this.facts.push(fact);
    }
  }
}
