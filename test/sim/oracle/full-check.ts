import type { SimHost } from "../host/sim-host.ts";
import { maskOf } from "../resources.ts";
import type { Sim } from "../sim.ts";
import type { Oracle } from "./oracle.ts";
import type { LeaseRow, LockDelay, WaiterRow } from "#src/coordination/leases/lease-rows.ts";
import type { state } from "#src/coordination/state/state.ts";
import { heldDueSql, type TaskRow } from "#src/coordination/tasks/task-rows.ts";
import type { RowOf } from "#src/shared/table.ts";
import type { KnownTask } from "./task-known.ts";
import { standing } from "./task-moves.ts";

/** When the chat of a row is looked at. */
interface Watched {
  readonly dueAt: number | null;
}

interface WatchedTask extends Pick<TaskRow, "task" | "state" | "claim" | "chat" | "progress" | "checkpoint">, Watched {
  readonly is_watched: 0 | 1;
}

/** Looks at the tables as a whole, now and then: what is due will be noticed, and they say what the models say. */
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
    this.#delays();
    this.#keys();
    this.#counts();
    this.#tasks();
    const next = this.#host.nextDue();
    const { at } = this.#host.alarm;
    if (at !== null && next !== null && at > next) this.#sim.fail("due", `the alarm is set ${at - next} ms too late`);
  }

  #leases(): void {
    const rows = this.#host.sql.peek<LeaseRow & Watched>(
      "SELECT l.*, c.dueAt FROM leases l LEFT JOIN chats c ON c.chat = l.holder ORDER BY l.resource",
    );
    const { size } = this.#oracle.leases.leases;
    this.#sim.must(rows.length === size, "mirror", () => `${rows.length} leases are stored, ${size} were granted`);
    for (const row of rows) {
      const { resource, holder, token, expiresAt } = row;
      const held = this.#oracle.leases.leases.get(resource);
      const isSame = held?.token === token && held.expiresAt === expiresAt;
      this.#sim.must(isSame, "mirror", () => `${resource} is stored otherwise than it was granted`);
      this.#sim.must(row.dueAt !== null, "due", () => `${holder} holds ${resource} and will not be looked at`);
      this.#lookAtEnd(row, row.dueAt);
    }
  }

  #lookAtEnd({ resource, holder, expiresAt: at, isBound: bound, ttlMs }: LeaseRow, dueAt: number): void {
    const sim: Sim = this.#sim;
    const { isOnTime } = this.#host.alarm;
    if (bound === 0) {
      sim.must(dueAt <= at, "due", () => `${resource} runs out before its holder is looked at`);
      sim.must(!isOnTime || at > sim.hostNow, "due", () => `${resource} has run out and is still held`);
      return;
    }
    const last = this.#oracle.life.lastOf(holder, ttlMs);
    sim.must(!isOnTime || last > sim.hostNow, "due", () => `${resource} is held ${sim.hostNow - last} ms too long`);
  }

  #waiters(): void {
    const rows = this.#host.sql.peek<WaiterRow & Watched>(
      "SELECT w.*, c.dueAt FROM waiters w LEFT JOIN chats c ON c.chat = w.chat",
    );
    const sim: Sim = this.#sim;
    if (rows.length !== this.#oracle.leases.places.size)
      sim.fail("mirror", `${rows.length} stand in line, by what was written ${this.#oracle.leases.places.size}`);
    for (const { chat, resource, until, dueAt, seq } of rows) {
      if (this.#oracle.leases.places.get(seq)?.mask !== maskOf(resource))
        sim.fail("mirror", `place ${seq} in line is stored otherwise`);
      if (dueAt === null || dueAt > until)
        sim.fail("due", `the wait of ${chat} for ${resource} ends before it is looked at`);
    }
  }

  #delays(): void {
    const rows = this.#host.sql.peek<LockDelay>("SELECT * FROM lock_delays");
    for (const { resource, until } of rows) {
      if (this.#host.alarm.isOnTime && until <= this.#sim.hostNow)
        this.#sim.fail("due", `the lock delay of ${resource} is over and still there`);
    }
  }

  #keys(): void {
    const sim: Sim = this.#sim;
    const rows = this.#host.sql.peek<RowOf<typeof state>>("SELECT * FROM state");
    const { size } = this.#oracle.state.keys;
    sim.must(rows.length === size, "state", () => `${rows.length} keys are stored, not ${size}`);
    for (const row of rows) this.#lookAtKey(row);
    const sum = rows
      .filter(({ key }) => key.startsWith("acct/"))
      .reduce((total, { value }) => total + Number(value), 0);
    sim.must(sum === 0, "compare-and-set", () => `transfers have made ${sum} of nothing`);
  }

  #lookAtKey({ key, value, version, expiresAt }: RowOf<typeof state>): void {
    const { keys, raised } = this.#oracle.state;
    const model = keys.get(key);
    const isSame = model?.value === value && model.version === version && model.expiresAt === expiresAt;
    this.#sim.must(isSame, "state", () => `${key} is stored as ${value}`);
    const isCounted = !key.startsWith("count/") || raised.get(key) === JSON.parse(value);
    this.#sim.must(isCounted, "compare-and-set", () => `${key} is ${value} after ${raised.get(key)} increments`);
  }

  /** Running totals are what they are totals of. */
  #counts(): void {
    const [row] = this.#host.sql.peek<Record<string, number>>(
      `SELECT (SELECT count(*) FROM state) AS keys, (SELECT coalesce(sum(chars), 0) FROM state) AS chars,
         coalesce((SELECT totalKeys FROM changes ORDER BY revision DESC LIMIT 1), 0) AS totalKeys,
         coalesce((SELECT totalChars FROM changes ORDER BY revision DESC LIMIT 1), 0) AS totalChars,
         (SELECT count(*) FROM chats WHERE status <> 'offline') AS living,
         (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'live_chats') AS live_chats`,
    );
    if (!row) return;
    if (row["keys"] !== row["totalKeys"] || row["chars"] !== row["totalChars"])
      this.#sim.fail("state", `the totals of keys are wrong: ${JSON.stringify(row)}`);
    if (row["living"] !== row["live_chats"])
      this.#sim.fail("life", `${row["living"]} chats live, ${row["live_chats"]} are counted`);
  }

  #tasks(): void {
    const rows = this.#host.sql.peek<WatchedTask>(
      `SELECT tasks.task, state, claim, tasks.chat, progress, checkpoint, ${heldDueSql} AS dueAt,
         iif(state IN ('done', 'dead', 'cancelled'), EXISTS (SELECT 1 FROM task_prunes WHERE at <= max(tasks.dueAt, ?)),
           tasks.chat IS NULL OR ifnull(c.dueAt <= ${heldDueSql}, 0)) AS is_watched
       FROM tasks LEFT JOIN (SELECT chat, dueAt FROM chats) AS c ON c.chat = tasks.chat`,
      this.#sim.hostNow,
    );
    const { size } = this.#oracle.tasks.tasks;
    this.#sim.must(rows.length === size, "mirror", () => `${rows.length} tasks are stored, ${size} were accepted`);
    for (const row of rows) {
      const known = this.#oracle.tasks.tasks.get(row.task);
      if (!known || !isSame(row, known))
        this.#sim.fail("mirror", `task ${row.task} is stored as ${JSON.stringify(row)}`);
      this.#lookAtTime(row, known);
      if (known.state === "blocked") this.#lookAtBlocked(known);
    }
  }

  /** Somebody looks no later than its claim, its wait or its keep is over. */
  #lookAtTime({ task, chat, dueAt: at, is_watched: isWatched }: WatchedTask, known: KnownTask): void {
    const end = endOfTime(known);
    this.#sim.must(end === null || (at !== null && at <= end), "due", () => `task ${task} will not be looked at`);
    const isOver = at !== null && at <= this.#sim.hostNow;
    if (this.#host.alarm.isOnTime && isOver) this.#sim.fail("due", `task ${task} is due and was not looked at`);
    this.#sim.must(isWatched === 1, "due", () => `task ${task} of ${chat} will be looked at too late`);
  }

  #lookAtBlocked(known: KnownTask): void {
    const now = standing(known, (task) => this.#oracle.tasks.tasks.get(task));
    this.#sim.must(now === "blocked", "due", () => `task ${known.task} waits, and all that it waits for has ended`);
  }
}

function isSame(row: WatchedTask, { state, topClaim, held, progress, checkpoint }: KnownTask): boolean {
  const isHolder = row.chat === (held?.chat ?? null) && row.claim === topClaim;
  return isHolder && row.state === state && row.progress === progress && row.checkpoint === checkpoint;
}

/** Null: it waits for no time; of one that has ended housekeeping looks at the full hour. */
function endOfTime(known: KnownTask): number | null {
  const { state, input, queuedAt, notBefore } = known;
  if (state === "assigned" || state === "running") return known.endsAt();
  if (state === "scheduled") return notBefore;
  if (state !== "queued" || input.scheduleToStartMs === undefined) return null;
  return queuedAt + input.scheduleToStartMs;
}
