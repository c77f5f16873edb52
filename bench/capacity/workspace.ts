/** One workspace as its object hosts it: the shipped engine on a file of its own, with its processor time counted. */
import { join } from "node:path";
import type { CheckedInputOf, InputOf, OutputOf } from "../../src/contract/operations.ts";
import type { Settings } from "../../src/contract/workspaces.ts";
import * as liveness from "../../src/coordination/chats/liveness.ts";
import * as due from "../../src/coordination/due.ts";
import { EngineHost } from "../../src/coordination/engine-host.ts";
import { runFirst, type EngineOperation } from "../../src/coordination/engine.ts";
import { migrations } from "../../src/coordination/schema.ts";
import * as dispatch from "../../src/coordination/scheduling/dispatch.ts";
import { createPrivateFile } from "../../src/platform/private-files.ts";
import { checkInput } from "../../src/shared/check-input.ts";
import { migrate } from "../../src/shared/migrate.ts";
import { ok } from "../../src/shared/result.ts";
import { inSavepoint } from "../../src/shared/sql.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { connect, transaction, type Connection } from "../../src/store/driver.ts";

export type Self = InputOf<"chats.heartbeat">["self"];

/** In 2026, so that each minute has an epoch. */
const startedAt = 1_790_000_000_000;
const actor = { machine: "bench", isAdmin: true };
/** As `src/durable/alarm.ts` has it. */
const sweepRows = 200;
/** The contract's highest values, for what the largest size needs: the others are the defaults. */
const settings: Partial<Settings> = {
  maxConcurrentChats: 10_000,
  maxOfflineChatsPerMachine: 1_000_000,
  maxTasks: 5_000_000,
  chatTtlMs: 600_000,
};

export class Workspace {
  /** Epoch ms; only the bench moves it. */
  now = startedAt;
  /** Ms of the processor. */
  busy = 0;
  events = 0;
  readonly sql: Connection;
  readonly #host: EngineHost;
  readonly #connected = new Set<string>();

  constructor(folder: string, name: string) {
    const path = join(folder, `${name}.db`);
    createPrivateFile(path);
    this.sql = connect(openBetterSqlite3, path, 0);
    migrate(this.sql, this.now, migrations);
    this.#host = new EngineHost({
      store: { sql: this.sql, transaction: (work) => inSavepoint(this.sql, work) },
      presence: { lastSeen: (chat) => (this.#connected.has(chat) ? this.now : null) },
      now: () => this.now,
      size: () => this.bytes(),
    });
    this.call("settings.set", { settings });
  }

  /** One event: an operation from the text of its input to the text of its answer. @throws {Error} for a refusal */
  call<Name extends EngineOperation>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return this.event(() => this.part(name, input));
  }

  /** One operation of an event. @throws {Error} for a refusal */
  part<Name extends EngineOperation>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    const checked = checkInput(name, JSON.parse(JSON.stringify(input)));
    if (!checked.ok) throw new Error(checked.error.message);
    const result = this.#host.call(actor, name, checked.value.input as CheckedInputOf<Name>);
    if (!result.ok) throw new Error(`${name}: ${result.error.code}: ${result.error.message}`);
    JSON.stringify(result.value);
    return result.value;
  }

  /** Requests of one operation in a frame, which the engine does together. @throws {Error} for a refusal */
  parts<Name extends EngineOperation>(name: Name, inputs: readonly InputOf<Name>[]): void {
    const checked = inputs.map((input) => {
      const result = checkInput(name, JSON.parse(JSON.stringify(input)));
      if (!result.ok) throw new Error(result.error.message);
      return result.value.input as CheckedInputOf<Name>;
    });
    for (let [first, ...rest] = checked; first !== undefined; [first, ...rest] = checked) {
      const done = this.#host.run((tx) => {
        const results = runFirst(tx, actor, name, [first, ...rest]);
        return results.find((result) => !result.ok) ?? ok(results);
      });
      if (!done.ok) throw new Error(`${name}: ${done.error.code}: ${done.error.message}`);
      checked.splice(0, done.value.length);
    }
  }

  /** All of `work` in one commit, with the dispatch and, where it has written, the due times. */
  event<T>(work: () => T): T {
    const before = process.cpuUsage();
    this.#host.beginEvent();
    const changes = this.#countChanges();
    const value = transaction(this.sql, "BEGIN IMMEDIATE", () => {
      const done = work();
      this.#host.dispatch(dispatch.assignAtOnce);
      if (this.#countChanges() !== changes) this.nextDue();
      return done;
    });
    this.#host.takeHints();
    const { user, system } = process.cpuUsage(before);
    this.busy += (user + system) / 1_000;
    this.events += 1;
    return value;
  }

  #countChanges(): number {
    return this.sql.all<{ n: number }>("SELECT total_changes() AS n")[0]?.n ?? 0;
  }

  nextDue(): number | null {
    return due.nextDue(this.#host.tx());
  }

  /** One alarm. @throws {Error} where a sweep failed */
  sweep(): void {
    const problems = this.event(() => this.#host.sweep(sweepRows));
    if (problems.length > 0) throw new Error(problems.join("; "));
  }

  /** Registers and connects a chat. */
  register(chat: string): Self {
    return this.event(() => {
      const self = this.#registered(chat);
      this.#connected.add(chat);
      this.#host.run((tx) => ok(liveness.markConnected(tx, chat)));
      return self;
    });
  }

  /** The connection is lost: a grace period begins. */
  disconnect(chat: string): void {
    this.#connected.delete(chat);
    this.event(() => this.#host.run((tx) => ok(liveness.markDisconnected(tx, chat, this.now))));
  }

  /** The chat ends, and its row is kept for a day. */
  unregister(self: Self): void {
    this.call("chats.unregister", { self });
    this.#connected.delete(self.chat);
  }

  /** Chats that have ended, all in one event. */
  addEnded(chats: readonly string[]): void {
    this.event(() => {
      for (const chat of chats) this.part("chats.unregister", { self: this.#registered(chat) });
    });
  }

  #registered(chat: string): Self {
    const own = { chat, session: chat, process: chat, machine: "bench", client: "bench", capacity: 100 };
    return { chat, incarnation: this.part("chats.register", own).incarnation };
  }

  count(query: string, ...values: readonly string[]): number {
    return this.sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${query}`, ...values)[0]?.n ?? 0;
  }

  /** Of all tables. */
  rows(): number {
    const tables = this.sql.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'");
    return tables.reduce((sum, { name }) => sum + this.count(`"${name}"`), 0);
  }

  bytes(): number {
    const [size] = this.sql.all<{ bytes: number }>(
      "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()",
    );
    return size?.bytes ?? 0;
  }

  close(): void {
    this.sql.close();
  }
}
