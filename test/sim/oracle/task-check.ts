import type { TaskState } from "#src/contract/tasks.ts";
import type { SimHost } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import type { KnownTask } from "./task-known.ts";
import type { TaskLedger } from "./task-ledger.ts";
import { standing } from "./task-moves.ts";

interface Row {
  readonly task: number;
  readonly state: TaskState;
  readonly claim: number;
  readonly chat: string | null;
  readonly progress: string | null;
  readonly checkpoint: string | null;
  readonly due_at: number | null;
  readonly watched_at: number | null;
}

/** Looks at the tables of tasks as a whole, now and then. */
export class TaskCheck {
  readonly #sim: Sim;
  readonly #host: SimHost;
  readonly #ledger: TaskLedger;

  constructor(sim: Sim, host: SimHost, ledger: TaskLedger) {
    this.#sim = sim;
    this.#host = host;
    this.#ledger = ledger;
  }

  run(): void {
    const rows = this.#host.sql.peek<Row>(
      `SELECT t.task, t.state, t.claim, t.chat, t.progress, t.checkpoint, t.due_at, c.due_at AS watched_at
       FROM tasks t LEFT JOIN chats c ON c.chat = t.chat`,
    );
    const { size } = this.#ledger.tasks;
    this.#sim.must(rows.length === size, "mirror", () => `${rows.length} tasks are stored, ${size} were accepted`);
    for (const row of rows) {
      const known = this.#ledger.tasks.get(row.task);
      if (!known || !isSame(row, known))
        this.#sim.fail("mirror", `task ${row.task} is stored as ${JSON.stringify(row)}`);
      this.#lookAtTime(row, known);
      if (known.state === "blocked") this.#lookAtBlocked(known);
    }
  }

  /** [TA16] Somebody looks no later than its claim, its wait or its keep is over. */
  #lookAtTime({ task, chat, due_at: at, watched_at: watchedAt }: Row, known: KnownTask): void {
    const { alarm } = this.#host;
    const end = endOfTime(known);
    this.#sim.must(end === null || (at !== null && at <= end), "due", () => `task ${task} will not be looked at`);
    const isOver = at !== null && at <= this.#sim.hostNow;
    if (alarm.isOnTime && isOver) this.#sim.fail("due", `task ${task} is due and was not looked at`);
    this.#sim.must(chat === null || watchedAt !== null, "due", () => `${chat} has task ${task} and is not looked at`);
  }

  /** [TA12] [TA13] */
  #lookAtBlocked(known: KnownTask): void {
    const now = standing(known, (task) => this.#ledger.tasks.get(task));
    this.#sim.must(now === "blocked", "due", () => `task ${known.task} waits, and all that it waits for has ended`);
  }
}

function isSame(row: Row, { state, topClaim, held, progress, checkpoint }: KnownTask): boolean {
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
