import { onTestFinished } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import { operations, type CheckedInputOf, type InputOf, type OutputOf } from "#src/contract/operations.ts";
import * as due from "#src/coordination/due.ts";
import { EngineHost, type EngineOperation } from "#src/coordination/engine.ts";
import * as liveness from "#src/coordination/chats/liveness.ts";
import { enqueueDispatch } from "#src/coordination/tasks/lifecycle.ts";
import { heldDueSql } from "#src/coordination/tasks/task-rows.ts";
import { migrations } from "#src/coordination/schema.ts";
import type { Actor, Hint, Tx } from "#src/coordination/kernel/tx.ts";
import { connect, type Connection, type Driver } from "#src/store/driver.ts";
import { createPrivateFile } from "#src/platform/private-files.ts";
import { migrate } from "#src/shared/migrate.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import type { SqlValue } from "#src/shared/sql.ts";
import { m1, type RowHost } from "./engine-host.ts";
import { writeMigratedFile } from "#harness/store/migrated-file.ts";
import { tempHome, T0 } from "#harness/store/temp-store.ts";

/** The engine in this process, on a file of its own. */
export class LocalHost implements RowHost {
  readonly sql: Connection;
  /** Of the commits, oldest first. */
  readonly hints: Hint[] = [];
  readonly #host: EngineHost;
  readonly #seen = new Map<string, number>();
  #now = T0;
  #depth = 0;

  /** @param prepare runs on the empty file, such as what an older program left there */
  constructor(driver: Driver, prepare?: (sql: Connection) => void) {
    const { database } = tempHome();
    if (prepare) createPrivateFile(database);
    else writeMigratedFile(database, driver, migrations);
    this.sql = connect(driver, database, 0);
    // Rules ask nothing of the disk.
    this.sql.script("PRAGMA synchronous = OFF");
    prepare?.(this.sql);
    migrate(this.sql, T0, migrations);
    onTestFinished(() => this.sql.close());
    this.#host = new EngineHost({
      store: { sql: this.sql, transaction: (work) => this.#atomically(work) },
      presence: { lastSeen: (chat) => this.#seen.get(chat) ?? null },
      now: () => this.#now,
    });
  }

  now(): number {
    return this.#now;
  }

  wait(ms: number): void {
    this.#now += ms;
  }

  async call<Name extends EngineOperation>(
    name: Name,
    input: InputOf<Name>,
    actor: Actor = m1,
  ): Promise<Result<OutputOf<Name>, Refusal>> {
    const parsed = operations[name].input.safeParse(input);
    if (!parsed.success) return err({ code: "bad_input", message: parsed.error.message });
    const result = this.#host.call(actor, name, parsed.data as CheckedInputOf<Name>);
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
    this.commit((tx) => ok(liveness.markLostConnections(tx, 1_000)));
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
    return this.commit((tx) => ok(due.sweep(tx, (work) => this.#atomically(work), limit))).value;
  }

  async nextDue(): Promise<number | null> {
    return due.nextDue(this.#host.tx());
  }

  /** One transaction; rolled back when it refuses or throws. */
  commit<R extends Result<unknown, unknown>>(work: (tx: Tx) => R): R {
    const result = this.#host.run((tx) => work(tx) as Result<unknown, Refusal>);
    this.#endEvent();
    return result as R;
  }

  /** All tasks go through the queue. */
  #endEvent(): void {
    this.#host.dispatch((tx) => enqueueDispatch({ ...tx, requestDispatch: null }));
    this.#checkDueTimes();
    this.hints.push(...this.#host.takeHints());
  }

  #checkDueTimes(): void {
    const [late] = this.sql.all(lateChatSql);
    if (late) throw new Error(`a task is due before the chat that holds it: ${JSON.stringify(late)}`);
  }

  #atomically<T>(work: () => T): T {
    const name = `s${(this.#depth += 1)}`;
    this.sql.run(`SAVEPOINT ${name}`);
    try {
      return work();
    } catch (error) {
      this.sql.run(`ROLLBACK TO ${name}`);
      throw error;
    } finally {
      this.sql.run(`RELEASE ${name}`);
      this.#depth -= 1;
    }
  }
}

/** Held tasks are checked with their chats. */
const lateChatSql = `SELECT task, tasks.dueAt, chats.dueAt AS chat_due_at FROM tasks LEFT JOIN chats USING (chat)
  WHERE tasks.chat IS NOT NULL AND ifnull(chats.dueAt, 9e15) > ${heldDueSql}`;
