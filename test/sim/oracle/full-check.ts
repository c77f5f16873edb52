import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { state } from "#src/coordination/state/state.ts";
import { heldDueSql, type TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { RowOf } from "#src/shared/table.ts";
import type { SimHost } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import type { KnownTask } from "./task-ledger.ts";
import type { Oracle } from "./oracle.ts";
import { standing } from "./task-moves.ts";

interface Watched {
  readonly dueAt: number | null;
}

interface WatchedTask extends Pick<TaskRow, "task" | "chat" | "progress" | "checkpoint">, Watched {
  readonly is_watched: 0 | 1;
}

/** Compares the tables with the models, and checks that whatever is due will be noticed. */
export class FullCheck {
  readonly #sim: Sim;
  readonly #host: SimHost;
  readonly #oracle: Oracle;

  constructor(sim: Sim, host: SimHost, oracle: Oracle) {
    this.#sim = sim;
    this.#host = host;
    this.#oracle = oracle;
  }

  run(): void {
    this.#leases();
    this.#waiters();
    this.#keys();
    this.#tasks();
    const next = this.#host.nextDue();
    const { at } = this.#host.alarm;
    if (at !== null && next !== null && at > next) this.#sim.fail("due", `the alarm is set ${at - next} ms too late`);
  }

  get #isOnTime(): boolean {
    return this.#host.alarm.isOnTime;
  }

  #leases(): void {
    const sim: Sim = this.#sim;
    const rows = this.#host.sql.peek<LeaseRow & Watched>(
      "SELECT l.*, c.dueAt FROM leases l LEFT JOIN chats c ON c.chat = l.holder ORDER BY l.resource",
    );
    for (const { resource, holder, expiresAt, isBound, dueAt } of rows) {
      sim.must(dueAt !== null, "due", () => `${holder} holds ${resource} and will not be checked`);
      if (isBound === 1) continue;
      sim.must(dueAt <= expiresAt, "due", () => `${resource} ends before its holder is checked`);
      const isOver = this.#isOnTime && expiresAt <= sim.hostNow;
      sim.must(!isOver, "due", () => `${resource} is held ${sim.hostNow - expiresAt} ms too long`);
    }
    for (const { resource, until } of this.#host.sql.peek<LockDelay>("SELECT * FROM lock_delays")) {
      if (this.#isOnTime && until <= sim.hostNow) sim.fail("due", `the lock delay of ${resource} is over and stored`);
    }
  }

  #waiters(): void {
    const rows = this.#host.sql.peek<WaiterRow & Watched>(
      "SELECT w.*, c.dueAt FROM waiters w LEFT JOIN chats c ON c.chat = w.chat",
    );
    for (const { chat, resource, until, dueAt } of rows)
      if (dueAt === null || dueAt > until)
        this.#sim.fail("due", `the wait of ${chat} for ${resource} ends before it is checked`);
  }

  #keys(): void {
    const sim: Sim = this.#sim;
    const { keys, raised } = this.#oracle.state;
    const rows = this.#host.sql.peek<RowOf<typeof state>>("SELECT * FROM state");
    sim.must(rows.length === keys.size, "state", () => `${rows.length} keys are stored, not ${keys.size}`);
    let sum = 0;
    for (const { key, value, version, expiresAt } of rows) {
      const model = keys.get(key);
      const isSame = model?.value === value && model.version === version && model.expiresAt === expiresAt;
      sim.must(isSame, "state", () => `${key} is stored as ${value}`);
      const isCounted = !key.startsWith("count/") || raised.get(key) === JSON.parse(value);
      sim.must(isCounted, "compare-and-set", () => `${key} is ${value} after ${raised.get(key)} increments`);
      if (key.startsWith("acct/")) sum += Number(value);
    }
    sim.must(sum === 0, "compare-and-set", () => `transfers have changed the sum of the accounts by ${sum}`);
  }

  #tasks(): void {
    const sim: Sim = this.#sim;
    const rows = this.#host.sql.peek<WatchedTask>(
      `SELECT tasks.task, tasks.chat, progress, checkpoint, ${heldDueSql} AS dueAt,
         iif(state IN ('done', 'dead', 'cancelled'), EXISTS (SELECT 1 FROM task_prunes WHERE at <= max(tasks.dueAt, ?)),
           tasks.chat IS NULL OR ifnull(c.dueAt <= ${heldDueSql}, 0)) AS is_watched
       FROM tasks LEFT JOIN (SELECT chat, dueAt FROM chats) AS c ON c.chat = tasks.chat`,
      sim.hostNow,
    );
    const { tasks } = this.#oracle.tasks;
    for (const { task, chat, progress, checkpoint, dueAt: at, is_watched: isWatched } of rows) {
      const known = tasks.get(task);
      const isKept = known?.progress === progress && known.checkpoint === checkpoint;
      sim.must(isKept, "task", () => `task ${task} is stored with ${progress} and ${checkpoint}`);
      const end = endOfTime(known);
      sim.must(end === null || (at !== null && at <= end), "due", () => `task ${task} will not be checked`);
      const isOver = this.#isOnTime && at !== null && at <= sim.hostNow;
      sim.must(!isOver, "due", () => `task ${task} is due and was not checked`);
      sim.must(isWatched === 1, "due", () => `task ${task} of ${chat} will be checked too late`);
      const isStuck = known.state === "blocked" && standing(known, (other) => tasks.get(other)) !== "blocked";
      sim.must(!isStuck, "due", () => `task ${task} waits, and everything that it waits for has ended`);
    }
  }
}

/** Null: the task waits for no time, or for the full hour of the housekeeping. */
function endOfTime(known: KnownTask): number | null {
  const { state, input, queuedAt, notBefore } = known;
  if (state === "assigned" || state === "running") return known.endsAt();
  if (state === "scheduled") return notBefore;
  if (state !== "queued" || input.scheduleToStartMs === undefined) return null;
  return queuedAt + input.scheduleToStartMs;
}
