import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ClaimedTaskReference } from "#src/contract/tasks.ts";
import type { Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { type HeldClaim, type KnownTask, stepOf } from "./task-known.ts";
import { endings } from "./task-moves.ts";
import { afterOf, type TaskLedger } from "./task-ledger.ts";
import type { ClaimAnswers } from "./claims.ts";

/** How a call on a claim must be answered. */
interface Expected {
  readonly known: KnownTask | undefined;
  readonly isHeld: boolean;
  /** It has ended in this very way: the call is a repeat. */
  readonly isRepeat: boolean;
}

const calls = new Set(["tasks.heartbeat", "tasks.ack", "tasks.nack", "tasks.release"]);

/** What chats do with tasks that they have. */
export class ClaimCalls {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly #told: ClaimAnswers;

  constructor(sim: Sim, ledger: TaskLedger, told: ClaimAnswers) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#told = told;
  }

  concerns(name: string): boolean {
    return calls.has(name);
  }

  /** Goes before the ledger has read the commit. @returns what is looked at after it */
  committed(name: string, input: ClaimedTaskReference, result: Reply): () => void {
    const { task, claim, self } = input;
    const expected = this.#expected(name, input);
    this.#judged(name, input, expected, result);
    const { known, isHeld, isRepeat } = expected;
    if (!result.ok || !known) return () => undefined;
    if (isHeld) known.note((input as CheckedInputOf<"tasks.heartbeat">).usage);
    if (name === "tasks.ack" && isHeld) known.result = JSON.stringify((input as CheckedInputOf<"tasks.ack">).result);
    const { next } = input as CheckedInputOf<"tasks.ack"> | CheckedInputOf<"tasks.nack">;
    const asked = next && { ...self, requestId: afterOf(task, claim), request: next };
    const own = asked ? this.#told.expected(asked, isRepeat) : null;
    return () => {
      this.#kept(name, known, input, result);
      if (asked) this.#told.given(asked, own, (result.value as OutputOf<"tasks.ack">).next);
    };
  }

  #expected(name: string, { task, claim, self: { chat, incarnation } }: ClaimedTaskReference): Expected {
    const known = this.#ledger.tasks.get(task);
    const isHeld = known?.isHeldBy(chat, incarnation, claim, this.#sim.hostNow) ?? false;
    const ended = known?.ends.get(claim);
    const isOwn = ended?.chat === chat && ended.incarnation === incarnation;
    return { known, isHeld, isRepeat: !isHeld && isOwn && ended.end === endings[name] };
  }

  /** [TA5] [TA6] Accepted is what comes of the present claim, and a repeat of its end. */
  #judged(
    name: string,
    { task, claim, self }: ClaimedTaskReference,
    { known, isHeld, isRepeat }: Expected,
    result: Reply,
  ): void {
    const sim: Sim = this.#sim;
    const what = (): string => `${name} of task ${task} by ${self.chat} with claim ${claim}`;
    if (result.ok) {
      sim.count(isRepeat ? "end of a claim repeated" : `${name} accepted`);
      return sim.must(isHeld || isRepeat, "one-claim", () => `${what()} was accepted, not ${known?.held?.claim}`);
    }
    const { code } = result.error;
    if (code === "stale_claim") {
      sim.must(!isHeld && !isRepeat, "one-claim", () => `${what()} was refused, though it is held`);
      known?.isLate(claim, self.chat);
    }
    if (code === "unknown_task") sim.must(!known, "task", () => `${what()}: the task is not known, and was not pruned`);
  }

  /** What an accepted call leaves behind. */
  #kept(name: string, known: KnownTask, input: ClaimedTaskReference, result: Reply & { ok: true }): void {
    if (name === "tasks.heartbeat") return this.#beat(known, input, result.value as OutputOf<"tasks.heartbeat">);
    const { state } = result.value as OutputOf<"tasks.release">;
    const became = known.ends.get(input.claim)?.became;
    this.#sim.must(state === became, "task", () => `task ${known.task} became ${became}, not ${state}`);
  }

  /** [TA17] */
  #beat(
    known: KnownTask,
    { progress, checkpoint }: CheckedInputOf<"tasks.heartbeat">,
    told: OutputOf<"tasks.heartbeat">,
  ): void {
    const { held, input } = known;
    const next = {
      progress: progress === undefined ? known.progress : JSON.stringify(progress),
      checkpoint: checkpoint === undefined ? known.checkpoint : JSON.stringify(checkpoint),
    };
    const isNews = next.progress !== known.progress || next.checkpoint !== known.checkpoint;
    Object.assign(known, next);
    this.#lookAtTold(known, told);
    if (!held) return;
    if (isNews || this.#sim.hostNow - held.seenAt >= input.heartbeatMs / 3) held.seenAt = this.#sim.hostNow;
    if (checkpoint !== undefined) this.#lookAtStep(known.task, held, stepOf(checkpoint));
  }

  /** [SM18] */
  #lookAtStep(task: number, { chat, fromStep }: HeldClaim, step: number): void {
    if (step <= fromStep) this.#sim.fail("task", `${chat} went from step ${fromStep} to ${step} of task ${task}`);
  }

  #lookAtTold({ task, held, isCancelAsked }: KnownTask, told: OutputOf<"tasks.heartbeat">): void {
    const remainingMs = held ? held.closeAt - this.#sim.hostNow : 0;
    const isRight =
      told.isCancelled === isCancelAsked && told.isOverBudget === (held === null) && told.remainingMs === remainingMs;
    this.#sim.must(isRight, "task", () => `a heartbeat of task ${task} was answered with ${JSON.stringify(told)}`);
    if (told.isCancelled) this.#sim.count("told of a cancellation");
  }
}
