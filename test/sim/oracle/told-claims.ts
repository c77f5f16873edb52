import type { ClaimedTask } from "#src/contract/tasks.ts";
import type { Sim } from "../sim.ts";
import { wordless } from "./joins.ts";
import type { KnownTask } from "./task-known.ts";
import type { TaskLedger } from "./task-ledger.ts";
import { Turns, type Asked } from "./turns.ts";

/** What a chat is told of the tasks that it gets. */
export class ToldClaims {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly turns: Turns;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.turns = new Turns(sim, ledger);
  }

  /** @param expected what it must be; null: what was queued, in its turn */
  given(asked: Asked, expected: readonly number[] | null, claims: readonly ClaimedTask[]): void {
    this.turns.given(asked, expected, claims);
    for (const claimed of claims) this.#tellsOf(claimed, asked);
  }

  /** [TA12] [TA19] All that goes along with a claim. */
  #tellsOf(told: ClaimedTask, { chat, incarnation, requestId }: Asked): void {
    const sim: Sim = this.#sim;
    const known = this.#ledger.tasks.get(told.task);
    sim.must(known !== undefined, "task", () => `${chat} was given task ${told.task}, which nobody has submitted`);
    const isHeld = known.isHeldBy(chat, incarnation, told.claim, sim.hostNow);
    sim.must(isHeld, "one-claim", () => `${chat} was given task ${told.task}, and has it not (claim ${told.claim})`);
    if (known.held) known.held.requestId = requestId;
    const expected = this.#expectedOf(known, told);
    const wrong = Object.keys(expected).find((name) => differs(expected[name], told[name as keyof ClaimedTask]));
    sim.must(wrong === undefined, "task", () => {
      const got = JSON.stringify(told[wrong as keyof ClaimedTask]);
      return `${chat} was given task ${told.task} with ${wrong} ${got}, not ${JSON.stringify(expected[wrong ?? ""])}`;
    });
    sim.must(
      told.attempt <= told.maxAttempts,
      "task",
      () => `task ${told.task} is at attempt ${told.attempt} of ${told.maxAttempts}`,
    );
  }

  #expectedOf({ input, held, ...known }: KnownTask, told: ClaimedTask): Record<string, unknown> {
    const { hostNow: now } = this.#sim;
    if (told.progress !== null) this.#sim.count("progress went along");
    return {
      ...timesOf(held, input.startToCloseMs, now),
      attempt: known.failures + 1,
      maxAttempts: input.maxAttempts,
      type: input.type,
      priority: input.priority,
      payload: JSON.parse(known.payload) as unknown,
      isStarted: known.state === "running",
      progress: JSON.parse(known.progress ?? "null") as unknown,
      checkpoint: JSON.parse(known.checkpoint ?? "null") as unknown,
      inputs: this.#inputsOf(known.needs),
      heartbeatMs: input.heartbeatMs,
      budget: { wallMs: null, tokens: leftOf(told.task, this.#ledger), costMicros: null },
    };
  }

  #inputsOf(needs: readonly number[]): ClaimedTask["inputs"] {
    if (needs.length > 0) this.#sim.count("results went along");
    return needs.flatMap((need) => {
      const other = this.#ledger.tasks.get(need);
      const result = other?.state === "done" ? (JSON.parse(other.result ?? "null") as null) : null;
      return other ? [{ task: need, ref: other.input.ref ?? null, state: other.state, result, isLeftOut: false }] : [];
    });
  }
}

/** What is left to begin it, or to end it. */
function timesOf(
  held: KnownTask["held"],
  wholeMs: number,
  now: number,
): Pick<ClaimedTask, "startInMs" | "remainingMs"> {
  if (!held || held.startBy === null) return { startInMs: null, remainingMs: (held?.closeAt ?? 0) - now };
  return { startInMs: held.startBy - now, remainingMs: wholeMs };
}

/** [BU5] */
function leftOf(task: number, { tasks }: TaskLedger): number | null {
  const known = tasks.get(task);
  const limit = known?.input.budget?.tokens;
  return known === undefined || limit === undefined ? null : Math.max(0, limit - known.usedWith());
}

function differs(one: unknown, other: unknown): boolean {
  return wordless(one) !== wordless(other);
}
