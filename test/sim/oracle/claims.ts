import type { ClaimedTask, ClaimOptions } from "#src/contract/tasks.ts";
import type { Sim } from "../sim.ts";
import type { KnownTask } from "./task-known.ts";
import type { Grant, TaskLedger } from "./task-ledger.ts";
import { isAble } from "./workers.ts";
import type { Json } from "#src/contract/json.ts";
import type { Act } from "./task-moves.ts";

/** What a chat is told of the tasks that it gets. */
export class ClaimAnswers {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
  }

  /** @param expected what it must be; null: what was queued, in its turn */
  given(asked: Asked, expected: readonly number[] | null, claims: readonly ClaimedTask[]): void {
    this.#lookAtTurns(asked, expected, claims);
    for (const claimed of claims) this.#tellsOf(claimed, asked);
  }

  /** All that goes along with a claim. */
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
    if (told.attempt > told.maxAttempts) sim.fail("task", `attempt ${told.attempt} of task ${told.task}`);
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

  /** What the chat has already under this request; or what a look has given it; null: something new. A repeat brings nothing more. */
  expected({ chat, incarnation, requestId, request }: Asked, isRepeat = false): readonly number[] | null {
    const own = this.#ledger.heldBy(chat).filter(({ held }) => held?.incarnation === incarnation);
    const live = own.filter((known) => this.#sim.hostNow < known.endsAt());
    const again = live.filter(({ held }) => held?.requestId === requestId);
    if (again.length > 0 || isRepeat) return again.map(({ task }) => task);
    const given = live.filter(
      ({ held, input }) => held?.requestId === null && (request.types?.includes(input.type) ?? true),
    );
    if (given.length === 0) return null;
    this.#sim.count("took what was given");
    return given.slice(0, request.limit).map(({ task }) => task);
  }

  /** Whose turn it is: what a claim must bring, and that nobody passes. */
  #lookAtTurns(
    { chat, request, requestId }: Asked,
    expected: readonly number[] | null,
    claims: readonly ClaimedTask[],
  ): void {
    const { grants } = this.#ledger;
    const want = expected ?? grants.map(({ known }) => known.task);
    const got = claims.map(({ task }) => task);
    const isSame = want.length === got.length && want.every((task) => got.includes(task));
    if (!isSame) this.#sim.fail("task", `${chat} got ${got.join(" ")}, not ${want.join(" ")}`);
    if (expected) {
      return this.#sim.must(grants.length === 0, "task", () => `${chat} got more by repeating ${requestId}`);
    }
    this.#inTurn(grants, ({ input }) => request.types?.includes(input.type) ?? true, true);
    if (grants.length < request.limit) this.#leavesNothing(chat, request.types);
  }

  /** What a look has given out. */
  looked(): void {
    const { grants } = this.#ledger;
    if (grants.length === 0) return;
    const byChat = Map.groupBy(grants, ({ chat }) => chat);
    for (const [chat, own] of byChat) this.#inTurn(own, (known) => this.#ledger.isOpen(chat, known), false);
  }

  /** Nothing that is left, and that the chat could have taken, has its turn before what it got. */
  #inTurn(grants: readonly Grant[], isWanted: (known: KnownTask) => boolean, isOwnFirst: boolean): void {
    for (const { chat, known: got } of grants) {
      for (const left of this.#left(chat)) {
        if (!isWanted(left)) continue;
        const isPassed = isBefore(left, got, isOwnFirst ? chat : null);
        if (isPassed) this.#sim.fail("turn", `${chat} got ${shown(got)} before ${shown(left)}`);
      }
    }
  }

  /** Who asks, and has room, gets what there is. */
  #leavesNothing(chat: string, types: readonly string[] | undefined): void {
    const { workers } = this.#ledger;
    const { capacity = 0 } = workers.all.get(chat) ?? {};
    if (workers.draining.has(chat) || this.#ledger.queued.size === 0 || this.#ledger.countHeld(chat) >= capacity)
      return;
    const left = this.#left(chat).find(({ input }) => types?.includes(input.type) ?? true);
    this.#sim.must(!left, "turn", () => `${chat} asked and has room, and ${left && shown(left)} was left`);
  }

  /** Queued, and something that the chat could take. */
  #left(chat: string): KnownTask[] {
    const worker = this.#ledger.workers.all.get(chat);
    const { hostNow: now } = this.#sim;
    return [...this.#ledger.queued.values()].filter(
      (known) => worker && isAble(worker, known) && !known.isExpired(now),
    );
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

function leftOf(task: number, { tasks }: TaskLedger): number | null {
  const known = tasks.get(task);
  const limit = known?.input.budget?.tokens;
  return known === undefined || limit === undefined ? null : Math.max(0, limit - known.usedWith());
}

function differs(one: unknown, other: unknown): boolean {
  return wordless(one) !== wordless(other);
}

/** Who asks for tasks. */
export interface Asked {
  readonly chat: string;
  readonly incarnation: number;
  readonly requestId: string;
  readonly request: ClaimOptions;
}

function isBefore(one: KnownTask, other: KnownTask, chat: string | null): boolean {
  if (one.input.priority !== other.input.priority) return one.input.priority > other.input.priority;
  const [own, others] = [one, other].map(({ input }) => chat !== null && input.affinity === chat);
  if (own !== others) return own === true;
  return one.task < other.task;
}

function shown({ task, input: { priority, affinity } }: KnownTask): string {
  return `task ${task} (priority ${priority}${affinity === undefined ? "" : `, for ${affinity}`})`;
}

/** What must come of a join by rule, as JSON, written down a second time; without the words of what is missing. The simulation merges nothing. */
export function resultOfJoin({ needs, input }: KnownTask, get: Act["get"]): string {
  const parts = needs.flatMap((need) => get(need) ?? []);
  const done = parts.filter(({ state }) => state === "done");
  const missing = parts
    .filter((part) => part.state !== "done")
    .map((part) => ({ part: nameOf(part, parts), state: part.state === "cancelled" ? "cancelled" : "dead" }));
  const collected = done.map((part) => ({
    part: nameOf(part, parts),
    result: JSON.parse(part.result ?? "null") as Json,
  }));
  const value = input.joinRule === "count" ? countsOf(parts) : collected;
  return JSON.stringify({ value, isComplete: missing.length === 0, missing });
}

function countsOf(parts: readonly KnownTask[]): Record<string, number> {
  const count = (state: KnownTask["state"]): number => parts.filter((part) => part.state === state).length;
  const [done, cancelled] = [count("done"), count("cancelled")];
  return { parts: parts.length, done, dead: parts.length - done - cancelled, cancelled };
}

/** Its ref; where two have the same, or it has none, its number. */
function nameOf({ input: { ref }, task }: KnownTask, parts: readonly KnownTask[]): string {
  const isOnly = ref !== undefined && parts.filter((other) => other.input.ref === ref).length === 1;
  return isOnly ? ref : String(task);
}

/** A result as JSON without the words of what is missing in it. */
export function wordless(result: unknown): string {
  return JSON.stringify(result, (name, value: unknown) => (name === "reason" ? undefined : value));
}
