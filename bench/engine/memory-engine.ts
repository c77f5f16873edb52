/** The engine as the object hosts it, on SQLite in memory: what a workspace costs without network and disk. */
import type { InputOf, OutputOf } from "../../src/contract/operations.ts";
import * as due from "../../src/coordination/due.ts";
import * as liveness from "../../src/coordination/chats/liveness.ts";
import { EngineHost } from "../../src/coordination/engine-host.ts";
import { run, type EngineOperation } from "../../src/coordination/engine.ts";
import type { Hint, Tx } from "../../src/coordination/kernel/tx.ts";
import * as dispatch from "../../src/coordination/scheduling/dispatch.ts";
import { migrations } from "../../src/coordination/schema.ts";
import { checkInput } from "../../src/shared/check-input.ts";
import { ok } from "../../src/shared/result.ts";
import { migrate } from "../../src/shared/migrate.ts";
import type { Sql } from "../../src/shared/sql.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { inMemory } from "../../src/store/driver.ts";

const startedAt = 1_700_000_000_000;
const actor = { machine: "bench", isAdmin: true };

export class MemoryEngine {
  /** Epoch ms; only the bench moves it. */
  now = startedAt;
  readonly sql: Sql;
  /** Hints since the last call that took them. */
  hints: Hint[] = [];
  readonly #host: EngineHost;
  readonly #connected = new Set<string>();
  readonly #close: () => void;

  constructor() {
    const connection = openBetterSqlite3({ path: inMemory, readOnly: false, busyMs: 0 });
    this.#close = () => connection.close();
    this.sql = {
      all: (query, ...values) => connection.all(query, ...values),
      run: (query, ...values) => connection.run(query, ...values),
    };
    migrate(this.sql, this.now, migrations);
    this.#host = new EngineHost({
      store: { sql: this.sql, transaction: (work) => this.#nested(work) },
      presence: { lastSeen: (chat) => (this.#connected.has(chat) ? this.now : null) },
      now: () => this.now,
    });
  }

  /** One operation from the text of its input to the text of its answer. @throws {Error} for a refusal */
  call<Name extends EngineOperation>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    const checked = checkInput(name, JSON.parse(JSON.stringify(input)));
    if (!checked.ok) throw new Error(checked.error.message);
    const result = this.transaction((tx) => run(tx, actor, name, checked.value.input as never));
    if (!result.ok) throw new Error(`${name}: ${result.error.code}: ${result.error.message}`);
    JSON.stringify(result.value);
    return result.value;
  }

  /** What the object does at the end of an event: the due times are read. */
  transaction<T>(work: (tx: Tx) => T): T {
    const done = this.#host.run((tx) => ok(work({ ...tx, requestDispatch: null })));
    this.hints.push(...this.#host.takeHints());
    if (!done.ok) throw new Error(done.error.message);
    this.nextDue();
    return done.value;
  }

  nextDue(): number | null {
    return due.nextDue(this.tx());
  }

  /** The alarm: all that is due. @throws {Error} where a sweep failed */
  ring(limit = 200): void {
    for (let next = this.nextDue(); next !== null && next <= this.now; next = this.nextDue()) {
      const problems = this.transaction((tx) => due.sweep(tx, (work) => this.#nested(work), limit));
      if (problems.length > 0) throw new Error(problems.join("; "));
    }
  }

  dispatch(): number {
    return this.transaction((tx) => dispatch.assignQueued(tx));
  }

  register(chat: string, more: Partial<InputOf<"chats.register">> = {}): { chat: string; incarnation: number } {
    const own = { chat, session: chat, process: chat, machine: "bench", client: "bench", ...more };
    const { incarnation } = this.call("chats.register", own);
    this.#connected.add(chat);
    this.transaction((tx) => liveness.markConnected(tx, chat));
    return { chat, incarnation };
  }

  disconnect(chat: string): void {
    this.#connected.delete(chat);
    this.transaction((tx) => liveness.markDisconnected(tx, chat, this.now));
  }

  tx(): Tx {
    return this.#host.tx();
  }

  #nested<T>(work: () => T): T {
    this.sql.run("SAVEPOINT part");
    try {
      return work();
    } catch (error) {
      this.sql.run("ROLLBACK TO part");
      throw error;
    } finally {
      this.sql.run("RELEASE part");
    }
  }

  close(): void {
    this.#close();
  }
}
