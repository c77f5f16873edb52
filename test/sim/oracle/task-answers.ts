import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { ClaimedTaskReference } from "#src/contract/tasks.ts";
import type { Commit, Reply } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { ClaimAnswers, wordless } from "./claims.ts";
import { ClaimCalls } from "./claim-calls.ts";
import type { KnownTask } from "./task-known.ts";
import { Repeats } from "./repeats.ts";
import type { TaskLedger } from "./task-ledger.ts";
import { TaskSubmits } from "./task-submits.ts";

const mayRepeat: ReadonlySet<string> = new Set(["tasks.cancel", "tasks.replay", "tasks.discard"]);

/** What chats are told of tasks must be what has become of them. */
export class TaskAnswers {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;
  readonly #told: ClaimAnswers;
  readonly #calls: ClaimCalls;
  readonly #submits: TaskSubmits;
  readonly #repeats: Repeats;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
    this.#told = new ClaimAnswers(sim, ledger);
    this.#calls = new ClaimCalls(sim, ledger, this.#told);
    this.#submits = new TaskSubmits(sim, ledger);
    this.#repeats = new Repeats(sim);
  }

  /** Goes before the ledger has read the commit. @returns what is looked at after it */
  committed({ request, result }: Commit): () => void {
    if (!request) return () => this.#told.looked();
    const { name, input } = request;
    if (!name.startsWith("tasks.")) return () => undefined;
    if (name === "tasks.submit") return this.#submits.committed(input as CheckedInputOf<"tasks.submit">, result);
    if (name === "tasks.claim") return this.#claimed(input as CheckedInputOf<"tasks.claim">, result);
    if (mayRepeat.has(name) && this.#repeats.isRepeat(request, result)) return () => undefined;
    if (name === "tasks.replay") return this.#submits.replayed(input as CheckedInputOf<"tasks.replay">, result);
    if (this.#calls.concerns(name)) return this.#calls.committed(name, input as ClaimedTaskReference, result);
    return () => this.#answered(name, input as { task: number }, result);
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

  /** [TA24] How each attempt ended, the newest first, and what came of it afterwards. The coordinator's own are no claims. */
  #remembered({ task, ends, input }: KnownTask, { attempts }: OutputOf<"tasks.history">): void {
    if (input.joinRule !== undefined) return;
    const expected = [...ends]
      .toReversed()
      .map(([claim, { end, became, lateCalls }]) => `${claim} ${end} ${became} ${lateCalls}`);
    const told = attempts.map(({ claim, end, state, lateCalls }) => `${claim} ${end} ${state} ${lateCalls}`);
    const isRight = expected.join() === told.join();
    if (!isRight) this.#sim.fail("task", `attempts of ${task}: ${told.join()}, not ${expected.join()}`);
  }

  /** [TA25] */
  #counted({ totalTasks, completedTasks, inProgressTasks }: OutputOf<"tasks.progress">): void {
    const states = [...this.#ledger.tasks.values()].map(({ state }) => state);
    const held = states.filter((state) => state === "assigned" || state === "running").length;
    const want = `${states.length} ${states.filter((state) => state === "done").length} ${held}`;
    const got = `${totalTasks} ${completedTasks} ${inProgressTasks}`;
    this.#sim.must(want === got, "task", () => `of tasks there are ${want} (all, done, under way); told were ${got}`);
  }
}
