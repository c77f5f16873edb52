/** One workspace as its object hosts it: the shipped engine on a file of its own, with its processor time counted. */
import { join } from "node:path";
import type { CheckedInputOf, InputOf, OutputOf } from "../../src/contract/operations.ts";
import type { Settings } from "../../src/contract/workspaces.ts";
import * as liveness from "../../src/coordination/chats/liveness.ts";
import * as due from "../../src/coordination/due.ts";
import { EngineHost, runFirst, type EngineOperation } from "../../src/coordination/engine.ts";
import { chats } from "../../src/coordination/kernel/kernel-tables.ts";
import { messageTables } from "../../src/coordination/messages/inboxes.ts";
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
/** The contract's highest values, for what the largest size needs: the others are the defaults. */
const settings: Partial<Settings> = {
  maxConcurrentChats: 10_000,
  maxOfflineChatsPerMachine: 1_000_000,
  maxTasks: 5_000_000,
  chatTtlMs: 600_000,
};

export class Workspace {
  /** Ms of the processor. */
  busy = 0;
  readonly sql: Connection;
  readonly #host: EngineHost;
  readonly #connected = new Set<string>();

  constructor(folder: string, name: string) {
    const path = join(folder, `${name}.db`);
    createPrivateFile(path);
    this.sql = connect(openBetterSqlite3, path, 0);
    migrate(this.sql, startedAt, migrations);
    this.#host = new EngineHost({
      store: { sql: this.sql, transaction: (work) => inSavepoint(this.sql, work) },
      presence: { lastSeen: (chat) => (this.#connected.has(chat) ? startedAt : null) },
      now: () => startedAt,
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
      if (this.#countChanges() !== changes) due.nextDue(this.#host.tx());
      return done;
    });
    this.#host.takeHints();
    const { user, system } = process.cpuUsage(before);
    this.busy += (user + system) / 1_000;
    return value;
  }

  #countChanges(): number {
    return this.sql.all<{ n: number }>("SELECT total_changes() AS n")[0]?.n ?? 0;
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

  /** Chats that have ended, whose rows are kept for a day: copies of one that the engine has made. */
  addEnded(count: number): void {
    const ended = "ended";
    this.call("chats.unregister", { self: this.event(() => this.#registered(ended)) });
    const inboxes = messageTables.find(({ name }) => name === "inboxes");
    this.event(() => {
      this.#copy(chats, ended, count, ["chat", "session", "process"]);
      if (inboxes) this.#copy(inboxes, ended, count, ["chat"]);
    });
  }

  /** @param own columns that get a value of their own */
  #copy(table: { readonly name: string; readonly names: readonly string[] }, of: string, count: number, own: string[]) {
    const columns = table.names.map((name) => `"${name}"`);
    const values = table.names.map((name) => (own.includes(name) ? `'${of}-' || n` : `"${name}"`));
    this.sql.run(
      `WITH RECURSIVE numbers (n) AS (SELECT 1 WHERE ? > 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
       INSERT INTO ${table.name} (${columns.join(", ")}) SELECT ${values.join(", ")} FROM numbers, ${table.name} WHERE chat = '${of}'`,
      count,
      count,
    );
  }

  #registered(chat: string): Self {
    const own = { chat, session: chat, process: chat, machine: "bench", client: "bench", capacity: 100 };
    return { chat, incarnation: this.part("chats.register", own).incarnation };
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
