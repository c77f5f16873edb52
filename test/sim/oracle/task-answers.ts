import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ClaimedTaskReference } from "#src/contract/tasks.ts";
import type { Commit, Reply, Request } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { Answered } from "./answered.ts";
import { ClaimAnswers, wordless } from "./claims.ts";
import { type HeldClaim, type KnownTask, stepOf } from "./task-known.ts";
import { afterOf, type TaskLedger } from "./task-ledger.ts";
import { endings } from "./task-moves.ts";
import { TaskSubmits } from "./task-submits.ts";

const mayRepeat: ReadonlySet<string> = new Set(["tasks.cancel", "tasks.replay", "tasks.discard"]);

const calls: ReadonlySet<string> = new Set(["tasks.heartbeat", "tasks.ack", "tasks.nack", "tasks.release"]);

/** How a call on a claim must be answered. */
interface Expected {
  readonly known: KnownTask | undefined;
  readonly isHeld: boolean;
  /** It has ended in this very way: the call is a repeat. */
  readonly isRepeat: boolean;
}

/** What chats are told of tasks must be what has become of them. */
export class TaskAnswers {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly #told: ClaimAnswers;
  readonly #submits: TaskSubmits;
  /** Answers as JSON, to requests with an id that anybody may send. */
  readonly #first: Answered<string>;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#told = new ClaimAnswers(sim, ledger);
    this.#submits = new TaskSubmits(sim, ledger);
    this.#first = new Answered(sim);
  }

  /** Goes before the ledger has read the commit. @returns what is looked at after it */
  committed({ request, result }: Commit): () => void {
    if (!request) return () => this.#told.looked();
    const { name, input } = request;
    if (!name.startsWith("tasks.")) return () => undefined;
    if (name === "tasks.submit") return this.#submits.committed(input as CheckedInputOf<"tasks.submit">, result);
    if (name === "tasks.claim") return this.#claimed(input as CheckedInputOf<"tasks.claim">, result);
    if (mayRepeat.has(name) && this.#isRepeat(request, result)) return () => undefined;
    if (name === "tasks.replay") return this.#submits.replayed(input as CheckedInputOf<"tasks.replay">, result);
    if (calls.has(name)) return this.#called(name, input as ClaimedTaskReference, result);
    return () => this.#answered(name, input as { task: number }, result);
  }

  /**
   * Whether it is answered as the first time, whatever has become of the task since. One that changed nothing then may also be carried out
   * now.
   */
  #isRepeat({ name, input, actor }: Request, result: Reply): boolean {
    const { requestId } = input as { requestId?: string };
    if (requestId === undefined || !result.ok) return false;
    const id = `${name} ${actor.machine} ${requestId}`;
    const answer = JSON.stringify(result.value);
    if (this.#first.get(id) === answer) {
      this.#sim.count("answer repeated");
      return true;
    }
    this.#first.add(id, answer);
    return false;
  }

  /** A claim that is asked again is answered with what it got; else with what a look has given; else with what is queued. */
  #claimed({ self, requestId, ...request }: CheckedInputOf<"tasks.claim">, result: Reply): () => void {
    const asked = { chat: self.chat, incarnation: self.incarnation, requestId, request };
    const expected = this.#told.expected(asked);
    return () => {
      if (result.ok) return this.#told.given(asked, expected, (result.value as OutputOf<"tasks.claim">).claims);
      if (result.error.code !== "chat_draining") return;
      const isRight = this.#ledger.workers.draining.has(self.chat) && expected === null;
      this.#sim.must(isRight, "task", () => `${self.chat} was told that it drains`);
    };
  }

  /** A call on a claim. */
  #called(name: string, input: ClaimedTaskReference, result: Reply): () => void {
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

  /** Accepted is what comes of the present claim, and a repeat of its end. */
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

  /** What is only read, and what is asked for by anybody. */
  #answered(name: string, { task }: { task: number }, result: Reply): void {
    const known = this.#ledger.tasks.get(task);
    if (!result.ok) {
      const isRight = result.error.code !== "unknown_task" || !known;
      return this.#sim.must(isRight, "task", () => `task ${task} is not known, and was not pruned`);
    }
    if (name === "tasks.get") return this.#got(known, result.value as OutputOf<"tasks.get">);
    if (name === "tasks.history" && known) return this.#remembered(known, result.value as OutputOf<"tasks.history">);
    if (name === "tasks.progress") return this.#counted(result.value as OutputOf<"tasks.progress">);
    if (name === "tasks.cancel" || name === "tasks.discard")
      this.#changed(name, task, result.value as OutputOf<"tasks.cancel">);
  }

  #changed(name: string, task: number, { state }: OutputOf<"tasks.cancel">): void {
    const known = this.#ledger.tasks.get(task);
    this.#sim.must(state === known?.state, "task", () => `task ${task} is ${known?.state}, and was told as ${state}`);
    if (name === "tasks.cancel" && known.state === "running") known.isCancelAsked = true;
  }

  #got(known: KnownTask | undefined, told: OutputOf<"tasks.get">): void {
    const expected = known && {
      state: known.state,
      reason: known.reason,
      chat: known.held?.chat ?? null,
      failures: known.failures,
      result: known.state === "done" ? known.result : "null",
      checkpoint: known.checkpoint ?? "null",
    };
    const { state, reason, chat, failures } = told;
    const [result, checkpoint] = [wordless(told.result), JSON.stringify(told.checkpoint)];
    const got = { state, reason, chat, failures, result, checkpoint };
    const [want, is] = [JSON.stringify(expected), JSON.stringify(got)];
    this.#sim.must(want === is, "task", () => `task ${told.task} is ${want}, and was told as ${is}`);
  }

  /** How each attempt ended, the newest first, and what came of it afterwards. The coordinator's own are no claims. */
  #remembered({ task, ends, input }: KnownTask, { attempts }: OutputOf<"tasks.history">): void {
    if (input.joinRule !== undefined) return;
    const expected = [...ends]
      .toReversed()
      .map(([claim, { end, became, lateCalls }]) => `${claim} ${end} ${became} ${lateCalls}`);
    const told = attempts.map(({ claim, end, state, lateCalls }) => `${claim} ${end} ${state} ${lateCalls}`);
    const isRight = expected.join() === told.join();
    if (!isRight) this.#sim.fail("task", `attempts of ${task}: ${told.join()}, not ${expected.join()}`);
  }

  #counted({ totalTasks, completedTasks, inProgressTasks }: OutputOf<"tasks.progress">): void {
    const states = [...this.#ledger.tasks.values()].map(({ state }) => state);
    const held = states.filter((state) => state === "assigned" || state === "running").length;
    const want = `${states.length} ${states.filter((state) => state === "done").length} ${held}`;
    const got = `${totalTasks} ${completedTasks} ${inProgressTasks}`;
    this.#sim.must(want === got, "task", () => `of tasks there are ${want} (all, done, under way); told were ${got}`);
  }
}
