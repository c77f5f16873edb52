import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ClaimedTask, ClaimedTaskReference, ClaimOptions } from "#src/contract/tasks.ts";
import type { Commit, Reply, Request } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { Answered } from "./state-and-messages.ts";
import { type KnownTask, stepOf, afterOf, isAble, type Grant, type TaskLedger } from "./task-ledger.ts";
import { endings } from "./task-moves.ts";

const callsOnClaims: ReadonlySet<string> = new Set(["tasks.heartbeat", "tasks.ack", "tasks.nack", "tasks.release"]);

/** Runs after the ledger has read the commit. */
type Check = () => void;
const noCheck: Check = () => undefined;

type Asked = Readonly<{ chat: string; incarnation: number; requestId: string; request: ClaimOptions }>;

export class TaskAnswers {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly #first: Answered<string>;
  readonly #submits: Answered<string>;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#first = new Answered(sim);
    this.#submits = new Answered(sim);
  }

  /** Runs before the ledger has read the commit. */
  committed({ request, result }: Commit): Check {
    if (!request) return () => this.#dispatched();
    const { name, input } = request;
    if (!name.startsWith("tasks.")) return noCheck;
    if (name === "tasks.submit") return this.#submitted(input as CheckedInputOf<"tasks.submit">, result);
    if (name === "tasks.claim") return this.#claimed(input as CheckedInputOf<"tasks.claim">, result);
    if (name === "tasks.cancel" && this.#isRepeat(request, result)) return noCheck;
    if (callsOnClaims.has(name)) return this.#called(name, input as ClaimedTaskReference, result);
    return () => this.#answered(name, input as { task: number }, result);
  }

  /** A repeat gets the first answer, whatever the task has become since. A first request without effect may run again. */
  #isRepeat({ input, actor }: Request, result: Reply): boolean {
    const { requestId } = input as { requestId?: string };
    if (requestId === undefined || !result.ok) return false;
    const id = `${actor.machine} ${requestId}`;
    const answer = JSON.stringify(result.value);
    if (this.#first.get(id) === answer) {
      this.#sim.count("answer repeated");
      return true;
    }
    this.#first.add(id, answer);
    return false;
  }

  #submitted(input: CheckedInputOf<"tasks.submit">, result: Reply): Check {
    const id = `${input.by} ${input.requestId}`;
    const first = this.#submits.get(id);
    if (!result.ok) return first === undefined ? noCheck : this.#mustRepeat(null);
    const { tasks } = result.value as OutputOf<"tasks.submit">;
    if (first !== undefined) return this.#mustRepeat(JSON.stringify(tasks) === first ? first : null);
    this.#submits.add(id, JSON.stringify(tasks));
    for (const { task } of tasks) this.#ledger.numbered(task);
    return () => this.#checkStates(tasks);
  }

  #mustRepeat(answer: string | null): Check {
    this.#sim.count("submit repeated");
    this.#sim.must(answer !== null, "requests", () => "a repeated submit has another answer");
    return noCheck;
  }

  #checkStates(answers: readonly { readonly task: number; readonly state: string | null }[]): void {
    for (const { task, state } of answers) {
      const is = this.#ledger.tasks.get(task)?.state ?? null;
      this.#sim.must(is === state, "task", () => `task ${task} is ${is}, and was reported as ${state}`);
    }
  }

  #claimed({ self, requestId, ...request }: CheckedInputOf<"tasks.claim">, result: Reply): Check {
    const asked = { chat: self.chat, incarnation: self.incarnation, requestId, request };
    const expected = this.#expectedClaims(asked);
    return () => {
      if (result.ok) return this.#received(asked, expected, (result.value as OutputOf<"tasks.claim">).claims);
      if (result.error.code !== "chat_draining") return;
      const isRight = this.#ledger.statusOf(self.chat) === "draining" && expected === null;
      this.#sim.must(isRight, "task", () => `${self.chat} was refused as draining`);
    };
  }

  /** Tasks that the chat has under this request, or from a dispatch; null: it gets queued ones. A repeat gets no more. */
  #expectedClaims({ chat, incarnation, requestId, request }: Asked, isRepeat = false): readonly number[] | null {
    const own = this.#ledger.heldBy(chat).filter(({ held }) => held?.incarnation === incarnation);
    const live = own.filter((known) => this.#sim.hostNow < known.endsAt());
    const again = live.filter(({ held }) => held?.requestId === requestId);
    if (again.length > 0 || isRepeat) return again.map(({ task }) => task);
    const given = live.filter(({ held, input }) => held?.requestId === null && isOfTypes(input.type, request));
    if (given.length === 0) return null;
    this.#sim.count("took what was given");
    return given.slice(0, request.limit).map(({ task }) => task);
  }

  #received(asked: Asked, expected: readonly number[] | null, claims: readonly ClaimedTask[]): void {
    const { chat, request, requestId } = asked;
    const { grants } = this.#ledger;
    const want = expected ?? grants.map(({ known }) => known.task);
    const got = claims.map(({ task }) => task);
    const isSame = want.length === got.length && want.every((task) => got.includes(task));
    if (!isSame) this.#sim.fail("task", `${chat} got tasks ${got.join(" ")}, not ${want.join(" ")}`);
    if (expected && grants.length > 0) this.#sim.fail("task", `${chat} got more by repeating ${requestId}`);
    if (!expected) {
      this.#checkTurns(grants, ({ input }) => isOfTypes(input.type, request));
      if (grants.length < request.limit) this.#mustLeaveNothing(asked);
    }
    for (const claimed of claims) this.#checkClaim(claimed, asked);
  }

  #dispatched(): void {
    for (const [chat, own] of Map.groupBy(this.#ledger.grants, (grant) => grant.chat))
      this.#checkTurns(own, (known) => this.#ledger.isOpen(chat, known));
  }

  #checkTurns(grants: readonly Grant[], isWanted: (known: KnownTask) => boolean): void {
    for (const { chat, known } of grants) {
      const { priority } = known.input;
      const passed = this.#leftFor(chat).find((left) => left.input.priority > priority && isWanted(left));
      this.#sim.must(!passed, "turn", () => `${chat} got task ${known.task} before ${passed?.task}`);
    }
  }

  #mustLeaveNothing({ chat, request }: Asked): void {
    const { workers } = this.#ledger;
    const isFull = this.#ledger.countHeld(chat) >= (workers.get(chat)?.capacity ?? 0);
    if (isFull || this.#ledger.statusOf(chat) === "draining") return;
    const left = this.#leftFor(chat).find(({ input }) => isOfTypes(input.type, request));
    this.#sim.must(!left, "turn", () => `${chat} asked with free capacity, and task ${left?.task} was left`);
  }

  #leftFor(chat: string): KnownTask[] {
    const worker = this.#ledger.workers.get(chat);
    const able = [...this.#ledger.queued.values()].filter((known) => worker && isAble(worker, known));
    return able.filter((known) => !known.isExpired(this.#sim.hostNow));
  }

  /** A claim carries the state of the work, and what is left of its time and budget. */
  #checkClaim(claimed: ClaimedTask, { chat, incarnation, requestId }: Asked): void {
    const sim: Sim = this.#sim;
    const { hostNow: now } = sim;
    const { task, claim } = claimed;
    const known = this.#ledger.tasks.get(task);
    const isHeld = known?.isHeldBy(chat, incarnation, claim, now) ?? false;
    sim.must(isHeld, "one-claim", () => `${chat} got task ${task}, and has it not (claim ${claim})`);
    if (!known?.held) return;
    known.held.requestId = requestId;
    if (claimed.progress !== null) sim.count("progress went along");
    const { input, held } = known;
    const isStarted = known.state === "running";
    const expected: Partial<Record<keyof ClaimedTask, unknown>> = {
      payload: input.payload,
      isStarted,
      progress: JSON.parse(known.progress ?? "null"),
      checkpoint: JSON.parse(known.checkpoint ?? "null"),
      startInMs: held.startBy === null ? null : held.startBy - now,
      remainingMs: held.startBy === null ? held.closeAt - now : input.startToCloseMs,
    };
    for (const [name, value] of Object.entries(expected)) {
      const [want, got] = [value, claimed[name as keyof ClaimedTask]].map((one) => JSON.stringify(one));
      sim.must(want === got, "task", () => `${chat} got task ${task} with ${name} ${got}, not ${want}`);
    }
  }

  #called(name: string, input: ClaimedTaskReference, result: Reply): Check {
    const { task, claim, self } = input;
    const known = this.#ledger.tasks.get(task);
    const isHeld = known?.isHeldBy(self.chat, self.incarnation, claim, this.#sim.hostNow) ?? false;
    const isRepeat = this.#judged(name, input, isHeld, result);
    if (!result.ok || !known) return noCheck;
    if (name === "tasks.heartbeat") return () => this.#beat(known, input, result.value as OutputOf<"tasks.heartbeat">);
    const { next } = input as CheckedInputOf<"tasks.ack">;
    const asked = next && { ...self, requestId: afterOf(task, claim), request: next };
    const expected = asked ? this.#expectedClaims(asked, isRepeat) : null;
    return () => {
      const { state, next: claims } = result.value as OutputOf<"tasks.ack">;
      const became = known.ends.get(claim)?.became;
      this.#sim.must(state === became, "task", () => `task ${task} became ${became}, not ${state}`);
      if (asked) this.#received(asked, expected, claims);
    };
  }

  /** Accepted are calls on the present claim, and repeats of its end. @returns whether it is a repeat */
  #judged(name: string, { task, claim, self }: ClaimedTaskReference, isHeld: boolean, result: Reply): boolean {
    const sim: Sim = this.#sim;
    const known = this.#ledger.tasks.get(task);
    const ended = known?.ends.get(claim);
    const isOwn = ended?.chat === self.chat && ended.incarnation === self.incarnation;
    const isRepeat = !isHeld && isOwn && ended.end === endings[name];
    const what = (): string => `${name} of task ${task} by ${self.chat} with claim ${claim}`;
    if (result.ok) {
      sim.count(isRepeat ? "end of a claim repeated" : `${name} accepted`);
      sim.must(isHeld || isRepeat, "one-claim", () => `${what()} was accepted, not ${known?.held?.claim}`);
      return isRepeat;
    }
    const { code } = result.error;
    const isFenced = code !== "stale_claim" || (!isHeld && !isRepeat);
    sim.must(isFenced, "one-claim", () => `${what()} was refused, though it is held`);
    sim.must(code !== "unknown_task" || !known, "task", () => `${what()}: the task is known, and was not pruned`);
    return isRepeat;
  }

  #beat(known: KnownTask, news: CheckedInputOf<"tasks.heartbeat">, answer: OutputOf<"tasks.heartbeat">): void {
    const { progress, checkpoint } = news;
    const sim: Sim = this.#sim;
    const { held, input, task, isCancelAsked } = known;
    const next = {
      progress: progress === undefined ? known.progress : JSON.stringify(progress),
      checkpoint: checkpoint === undefined ? known.checkpoint : JSON.stringify(checkpoint),
    };
    const isNews = next.progress !== known.progress || next.checkpoint !== known.checkpoint;
    Object.assign(known, next);
    const { isCancelled, remainingMs } = answer;
    const leftMs = held ? held.closeAt - sim.hostNow : 0;
    const isRight = isCancelled === isCancelAsked && remainingMs === leftMs;
    sim.must(isRight, "task", () => `a heartbeat of task ${task} was answered with ${JSON.stringify(answer)}`);
    if (isCancelled) sim.count("heard of a cancellation");
    if (!held) return;
    if (isNews || sim.hostNow - held.seenAt >= input.heartbeatMs / 3) held.seenAt = sim.hostNow;
    const step = stepOf(checkpoint);
    const isAhead = checkpoint === undefined || step > held.fromStep;
    sim.must(isAhead, "task", () => `${held.chat} went from step ${held.fromStep} to ${step} of task ${task}`);
  }

  #answered(name: string, { task }: { task: number }, result: Reply): void {
    const known = this.#ledger.tasks.get(task);
    if (!result.ok) {
      const isRight = result.error.code !== "unknown_task" || !known;
      return this.#sim.must(isRight, "task", () => `task ${task} is not found, and was not pruned`);
    }
    if (name !== "tasks.cancel") return;
    this.#checkStates([{ task, state: (result.value as OutputOf<"tasks.cancel">).state }]);
    if (known?.state === "running") known.isCancelAsked = true;
  }
}

const isOfTypes = (type: string, { types }: ClaimOptions): boolean => types?.includes(type) ?? true;
