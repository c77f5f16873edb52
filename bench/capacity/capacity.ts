import { join } from "node:path";
import type { CheckedInputOf, InputOf, OutputOf } from "../../src/contract/operations.ts";
import type { Settings } from "../../src/contract/workspaces.ts";
import * as liveness from "../../src/coordination/chats/liveness.ts";
import * as due from "../../src/coordination/due.ts";
import { EngineHost, runFirst, type EngineOperation } from "../../src/coordination/engine.ts";
import type { ListHandlers } from "../../src/coordination/kernel/handlers.ts";
import { chats } from "../../src/coordination/kernel/kernel-tables.ts";
import { messageTables } from "../../src/coordination/messages/inboxes.ts";
import * as dispatch from "../../src/coordination/scheduling/dispatch.ts";
import { migrations } from "../../src/coordination/schema.ts";
import { createPrivateFile } from "../../src/platform/private-files.ts";
import { checkInput } from "../../src/shared/check-input.ts";
import { migrate } from "../../src/shared/migrate.ts";
import { ok } from "../../src/shared/result.ts";
import { inSavepoint } from "../../src/shared/sql.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { connect, transaction, type Connection } from "../../src/store/driver.ts";
import { range, sample, scaled, timed, folderOnDisk } from "../measure.ts";
import { payload, perSubmit } from "../tasks/worker.ts";

type Self = InputOf<"chats.heartbeat">["self"];

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

/** One workspace as its object hosts it: the shipped engine on a file of its own, with its processor time counted. */
class Workspace {
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
      presence: { lastSeen: ({ chat }) => (this.#connected.has(chat) ? startedAt : null) },
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
  parts<Name extends keyof ListHandlers>(name: Name, inputs: readonly InputOf<Name>[]): void {
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

/** The largest, and one of a fiftieth of its chats and a hundredth of its tasks. */
const sizes = {
  small: { chats: scaled(1_000, 20), tasks: scaled(10_000, 200) },
  large: { chats: scaled(50_000, 40), tasks: scaled(1_000_000, 400) },
};
/** The others have ended, and are kept for a day. */
const liveShare = 0.2;
/** `maxConcurrentChats` is at most 10,000. */
const maxLive = 9_999;
const types = 50;
/** Of the tasks: those that are done, and wait for the end of their retention. */
const doneShare = 0.9;
const perClaim = 50;
const rounds = scaled(2_000, 5);

interface Size {
  readonly chats: number;
  readonly tasks: number;
}

interface Filled {
  readonly workspace: Workspace;
  readonly live: readonly Self[];
}

/**
 * One workspace on the shipped engine, with neither network nor runtime: submit, claim and acknowledge, in which
 * each event is one commit. The sizes take turns.
 */
export async function capacity() {
  const folder = folderOnDisk("capacity");
  const [small, large] = [filled(folder, sizes.small), filled(folder, sizes.large)];
  const times: { small: number[]; large: number[] } = { small: [], large: [] };
  let busy = 0;
  for (let n = -Math.ceil(rounds / 10); n < rounds; n++) {
    const timeOfSmall = await timed(() => oneTask(small, n + rounds));
    const before = large.workspace.busy;
    const timeOfLarge = await timed(() => oneTask(large, n + rounds));
    if (n < 0) continue;
    times.small.push(timeOfSmall);
    times.large.push(timeOfLarge);
    busy += large.workspace.busy - before;
  }
  const megabytes = large.workspace.bytes() / 1e6;
  for (const { workspace } of [small, large]) workspace.close();
  const growth = sample(times.large).p50 / sample(times.small).p50;
  return { ...sizes.large, eventsPerSecond: (3 * rounds * 1_000) / busy, growth, megabytes };
}

function filled(folder: string, size: Size): Filled {
  const workspace = new Workspace(folder, `workspace-${size.tasks}`);
  const live = range(Math.min(maxLive, Math.floor(size.chats * liveShare)), (n) => workspace.register(`chat-${n}`));
  workspace.addEnded(size.chats - live.length);
  const all = { workspace, live };
  const perType = Math.ceil(size.tasks / types);
  for (let n = 0; n < types; n++) {
    for (let from = 0; from < perType; from += perSubmit) {
      const tasks = range(Math.min(perSubmit, perType - from), (at) => aTask(n, from + at));
      workspace.call("tasks.submit", { tasks });
    }
    doTasks(all, n, Math.floor(perType * doneShare));
  }
  return all;
}

function aTask(type: number, n: number) {
  return { type: `type-${type % types}`, tags: ["project"], payload: payload(n) };
}

function selfOf({ live }: Filled, n: number): Self {
  const self = live[n % live.length];
  if (!self) throw new Error("no chat lives");
  return self;
}

/** Claims and acknowledges `count` tasks of a type, fifty in each event. */
function doTasks(filled: Filled, type: number, count: number): void {
  const { workspace } = filled;
  const self = selfOf(filled, type);
  for (let done = 0; done < count;) {
    done += workspace.event(() => {
      const limit = Math.min(perClaim, count - done);
      const claim = { self, requestId: `${type}-${done}`, limit, types: [`type-${type}`] };
      const { claims } = workspace.part("tasks.claim", claim);
      if (claims.length === 0) throw new Error("no task came");
      const acks = claims.map(({ task, claim }) => ({ self, task, claim, result: { isDone: true } }));
      workspace.parts("tasks.ack", acks);
      return claims.length;
    });
  }
}

/** One task from its submit to its end: three events. */
function oneTask(filled: Filled, n: number): void {
  const { workspace } = filled;
  const self = selfOf(filled, n);
  const task = aTask(n, n);
  workspace.call("tasks.submit", { tasks: [task] });
  const [claimed] = workspace.call("tasks.claim", { self, requestId: `c${n}`, limit: 1, types: [task.type] }).claims;
  if (!claimed) throw new Error("no task came");
  workspace.call("tasks.ack", { self, task: claimed.task, claim: claimed.claim, result: n });
}
