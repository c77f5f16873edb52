import { readFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import { operations, type CheckedInputOf, type InputOf } from "#src/contract/operations.ts";
import * as due from "#src/coordination/due.ts";
import { EngineHost, type EngineOperation } from "#src/coordination/engine.ts";
import * as liveness from "#src/coordination/chats/liveness.ts";
import { hasWork } from "#src/coordination/tasks/candidates.ts";
import { heldDueSql } from "#src/coordination/tasks/task-rows.ts";
import { migrations } from "#src/coordination/schema.ts";
import type { Actor, Hint, Tx } from "#src/coordination/kernel/tx.ts";
import { connect, type Connection, type Driver } from "#src/store/driver.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { inSavepoint, type SqlValue } from "#src/shared/sql.ts";
import { m1, type Answered, type RuleHost } from "./engine-host.ts";
import { writeMigratedFile, tempHome, T0 } from "#harness/store/store-test.ts";
import * as dispatch from "#src/coordination/scheduling/dispatch.ts";
import { Peer } from "./peers.ts";

export class LocalHost implements RuleHost {
  readonly sql: Connection;
  readonly hints: Hint[] = [];
  bytesStored = 0;
  readonly #database = tempHome().database;
  readonly #host: EngineHost;
  readonly #seen = new Map<string, number>();
  #now = T0;

  constructor(driver: Driver) {
    const database = this.#database;
    writeMigratedFile(database, driver, migrations);
    this.sql = connect(driver, database, 0);
    // Rules ask nothing of the disk.
    this.sql.script("PRAGMA synchronous = OFF");
    onTestFinished(() => this.sql.close());
    this.#host = new EngineHost({
      store: { sql: this.sql, transaction: (work) => inSavepoint(this.sql, work) },
      presence: { lastSeen: ({ chat }) => this.#seen.get(chat) ?? null },
      now: () => this.#now,
      size: () => this.bytesStored,
    });
  }

  bytes(): string {
    return [this.#database, `${this.#database}-wal`].map((file) => readFileSync(file, "latin1")).join("");
  }

  now(): number {
    return this.#now;
  }

  wait(ms: number): void {
    this.#now += ms;
  }

  async call<N extends EngineOperation>(name: N, input: InputOf<N>, actor: Actor = m1): Promise<Answered<N>> {
    const parsed = operations[name].input.safeParse(input);
    if (!parsed.success) return err({ code: "bad_input", message: parsed.error.message });
    const result = this.#host.call(actor, name, parsed.data as CheckedInputOf<N>);
    this.#endEvent();
    return result;
  }

  async ring(): Promise<number | null> {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      const next = await this.nextDue();
      if (next === null || next > this.#now) return next;
      const problems = this.#host.sweep(100);
      this.#endEvent();
      if (problems.length > 0) throw new Error(problems.join("; "));
    }
    throw new Error("what is due stays due, however often the alarm rings");
  }

  async connect(chat: string): Promise<void> {
    this.#seen.set(chat, this.#now);
    this.commit((tx) => ok(liveness.markConnected(tx, chat)));
  }

  async ping(chat: string): Promise<void> {
    this.#seen.set(chat, this.#now);
  }

  async disconnect(chat: string): Promise<void> {
    const seen = this.#seen.get(chat) ?? 0;
    this.#seen.delete(chat);
    this.commit((tx) => ok(liveness.markDisconnected(tx, chat, seen)));
  }

  async loseConnections(): Promise<void> {
    this.#seen.clear();
    this.commit((tx) => ok(liveness.markLostConnections(tx)));
  }

  async rows<Row>(query: string, ...values: SqlValue[]): Promise<Row[]> {
    return this.sql.all<Row>(query, ...values);
  }

  async run(statement: string, ...values: SqlValue[]): Promise<void> {
    this.sql.run(statement, ...values);
  }

  async rowsWritten(): Promise<number> {
    const [row] = await this.rows<{ n: number }>("SELECT total_changes() AS n");
    return row?.n ?? 0;
  }

  async sweep(limit: number): Promise<string[]> {
    return this.commit((tx) => ok(due.sweep(tx, (work) => inSavepoint(this.sql, work), limit))).value;
  }

  async nextDue(): Promise<number | null> {
    return due.nextDue(this.#host.tx());
  }

  commit<R extends Result<unknown, unknown>>(work: (tx: Tx) => R): R {
    const result = this.#host.run((tx) => work(tx) as Result<unknown>);
    this.#endEvent();
    return result as R;
  }

  #endEvent(): void {
    this.#host.beginEvent();
    this.#host.dispatch((tx) => dispatch.enqueue(tx, () => hasWork(tx)));
    const [late] = this.sql.all(lateChatSql);
    if (late) throw new Error(`a task is due before the chat that holds it: ${JSON.stringify(late)}`);
    this.hints.push(...this.#host.takeHints());
  }
}

/** Held tasks are checked with their chats. */
const lateChatSql = `SELECT task, tasks.dueAt, chats.dueAt AS chat_due_at FROM tasks LEFT JOIN chats USING (chat)
  WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'import') AND tasks.chat IS NOT NULL AND ifnull(chats.dueAt, 9e15) > ${heldDueSql}`;

type MakeTaker = (host: LocalHost, chat: string, more?: Partial<InputOf<"chats.register">>) => Promise<Peer>;

/** Makes chats with a connection that take tasks as they come, so many at a time. */
export function takersOf(capacity: number): MakeTaker {
  return async (host, chat, more = {}) => {
    const hand = await Peer.join(host, chat, { taskTypes: ["*"], capacity, ...more });
    await host.connect(chat);
    return hand;
  };
}

/** What the consumer of the queue does with a token. @returns how many tasks were given */
export const assignQueued = (host: LocalHost): number => host.commit((tx) => ok(dispatch.assignQueued(tx))).value;

/** How often a token was asked for since it was last asked. */
export function tokens(host: LocalHost): number {
  const count = host.hints.filter(({ kind }) => kind === "dispatch").length;
  host.hints.length = 0;
  return count;
}
