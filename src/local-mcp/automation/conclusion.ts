import type { Usage } from "../../contract/budgets.ts";
import type { ClaimedTask, ClaimOptions, TaskState } from "../../contract/tasks.ts";
import { read, type Instant } from "../edge/trust.ts";
import { redact } from "../redaction/redact.ts";
import type { News } from "./news.ts";
import type { Pulse } from "./pulse.ts";
import { gaveUp, report, type ReportSurroundings } from "./report.ts";
import type { Verdict } from "./verdict.ts";
import type { Trouble } from "../link/chat-link.ts";
import type { End } from "./worker-events.ts";

/** How an attempt ended, as the coordinator knows it. */
export interface Ended {
  readonly end: End;
  /** Of the task, now; null: it is another's, or unknown. */
  readonly state: TaskState | null;
  readonly reason: string | null;
  /** What came with the answer, and the start of that request. */
  readonly next: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant };
}

export interface ConclusionSurroundings extends ReportSurroundings {
  /** What is to come with the answer. */
  readonly next: (isFailed: boolean) => ClaimOptions | undefined;
}

type Failure = Extract<Verdict, { kind: "failed" }>;

/** As the contract has it, in characters. */
const mostReasonChars = 500;
/** The result itself is what is wrong. */
const unfit: ReadonlySet<string> = new Set(["bad_input", "too_large"]);

/** Tells the coordinator how one attempt ended. [WK7] */
export class Conclusion {
  readonly #around: ConclusionSurroundings;
  readonly #held: Pick<ClaimedTask, "task" | "claim">;
  readonly #pulse: Pulse;
  readonly #news: News;

  constructor(around: ConclusionSurroundings, { task, claim }: ClaimedTask, pulse: Pulse, news: News) {
    this.#around = around;
    this.#held = { task, claim };
    this.#pulse = pulse;
    this.#news = news;
  }

  async tell(verdict: Verdict): Promise<Ended> {
    this.#pulse.measure();
    switch (verdict.kind) {
      case "done":
        return this.#done(verdict.result);
      case "failed":
        return (await this.#flushed()) ?? this.#failed(verdict);
      case "over_budget":
        return this.#overBudget(verdict.reason);
      case "given_back":
        return (await this.#flushed()) ?? this.#givenBack(verdict);
      case "lost":
        this.#pulse.end();
        return this.#ended("lost", null, verdict.reason);
    }
  }

  async #done(result: Extract<Verdict, { kind: "done" }>["result"]): Promise<Ended> {
    this.#pulse.end();
    const since = read(this.#around.outside.clock);
    const answer = await report(this.#around, "tasks.ack", {
      ...this.#held,
      result,
      ...this.#usage,
      ...this.#next(false),
    });
    if (answer.ok)
      return { ...this.#ended("done", answer.value.state, null), next: { tasks: answer.value.next, since } };
    if (!unfit.has(answer.error.code)) return this.#unheard("thrown_away", answer.error);
    const reason = `its result is not taken: ${answer.error.message}`;
    return this.#failed({ kind: "failed", end: "failed", reason, isRetryable: false });
  }

  async #failed({ end, reason: said, isRetryable, delayMs }: Failure): Promise<Ended> {
    const reason = told(said);
    const since = read(this.#around.outside.clock);
    const answer = await report(this.#around, "tasks.nack", {
      ...this.#held,
      reason,
      isRetryable,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...this.#usage,
      ...this.#next(true),
    });
    if (answer.ok)
      return { ...this.#ended(end, answer.value.state, reason), next: { tasks: answer.value.next, since } };
    // When its time is over the coordinator ends it by itself.
    return end === "timeout" ? this.#ended(end, null, reason) : this.#unheard("lost", answer.error);
  }

  /** The coordinator judges by what it is told; where it sees no limit reached, this end is final all the same. */
  async #overBudget(reason: string): Promise<Ended> {
    const over = await this.#flushed();
    if (over) return over;
    const ended = await this.#failed({ kind: "failed", end: "failed", reason, isRetryable: false });
    return ended.end === "failed" ? { ...ended, end: "budget_exceeded" } : ended;
  }

  /** The last heartbeat. @returns the end, where the coordinator has ended it for its budget */
  async #flushed(): Promise<Ended | null> {
    if (this.#pulse.spent === null) await this.#pulse.flush();
    const { spent } = this.#pulse;
    return spent === null ? null : this.#ended("budget_exceeded", "dead", spent);
  }

  async #givenBack({ end, reason }: Extract<Verdict, { kind: "given_back" }>): Promise<Ended> {
    const answer = await report(this.#around, "tasks.release", { ...this.#held, ...this.#usage });
    return answer.ok ? this.#ended(end, answer.value.state, reason) : this.#unheard("lost", answer.error);
  }

  get #usage(): { readonly usage: Usage } {
    return { usage: this.#news.usage };
  }

  #next(isFailed: boolean): { readonly next?: ClaimOptions } {
    const next = this.#around.next(isFailed);
    return next ? { next } : {};
  }

  #unheard(end: "lost" | "thrown_away", { code, message }: Trouble): Ended {
    return this.#ended(code === gaveUp ? "untold" : end, null, message);
  }

  #ended(end: End, state: TaskState | null, reason: string | null): Ended {
    return { end, state, reason, next: { tasks: [], since: read(this.#around.outside.clock) } };
  }
}

/** A reason is kept by the coordinator, and must not be empty. */
function told(reason: string): string {
  return redact(reason).text.slice(0, mostReasonChars) || "no reason given";
}
