import { isBadInput, type CallError } from "../contract/errors.ts";
import type { Usage } from "../contract/budgets.ts";
import type { ClaimedTask, ClaimOptions, TaskState } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { Ran, Route } from "../contract/routes.ts";
import type { Result } from "../shared/result.ts";
import { callUntilAnswered, gaveUpCode } from "../coordinator-client/call-until-answered.ts";
import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import type { CallInput } from "../contract/operations.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import { readClock, type Instant } from "../coordinator-client/edge/trust.ts";
import { redact } from "../redaction/redact.ts";
import type { RunOutcome, Stop } from "./executor.ts";
import type { HeartbeatData } from "./heartbeat-data.ts";
import type { CommittedWork } from "./task-folder.ts";
import type { TaskHeartbeat } from "./task-heartbeat.ts";
import type { AttemptEndKind } from "./worker-events.ts";

export interface AttemptEnd {
  readonly end: AttemptEndKind;
  /** Null if the task is another's or unknown. */
  readonly state: TaskState | null;
  readonly reason: string | null;
  /** How long no task of the type can be done here; null: not known of any such time. */
  readonly typeWaitMs: number | null;
  readonly next: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant };
}

export interface AttemptFinisherDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly giveUp: AbortSignal;
  readonly next: (isFailed: boolean) => ClaimOptions | undefined;
}

type FailedResult = Extract<AttemptResult, { kind: "failed" }>;

type ReportName = "tasks.ack" | "tasks.nack" | "tasks.release";

const maxReasonChars = 500;
const reportTiming = { timeoutMs: 30_000, maxPauseMs: 10_000 };

export class AttemptFinisher {
  readonly #deps: AttemptFinisherDeps;
  readonly #claim: Pick<ClaimedTask, "task" | "claim">;
  readonly #heartbeat: TaskHeartbeat;
  readonly #heartbeatData: HeartbeatData;

  constructor(
    deps: AttemptFinisherDeps,
    { task, claim }: ClaimedTask,
    heartbeat: TaskHeartbeat,
    heartbeatData: HeartbeatData,
  ) {
    this.#deps = deps;
    this.#claim = { task, claim };
    this.#heartbeat = heartbeat;
    this.#heartbeatData = heartbeatData;
  }

  async finish(attemptResult: AttemptResult): Promise<AttemptEnd> {
    this.#heartbeat.measure();
    switch (attemptResult.kind) {
      case "done":
        return this.#acknowledge(attemptResult.result);
      case "failed":
        return (await this.#flushHeartbeat()) ?? this.#fail(attemptResult);
      case "over_budget":
        return this.#failOverBudget(attemptResult.reason);
      case "given_back":
        return (await this.#flushHeartbeat()) ?? this.#release(attemptResult);
      case "lost":
        this.#heartbeat.end();
        return this.#toEnd("lost", null, attemptResult.reason);
    }
  }

  async #acknowledge(result: Extract<AttemptResult, { kind: "done" }>["result"]): Promise<AttemptEnd> {
    this.#heartbeat.end();
    const since = readClock(this.#deps.platform.clock);
    const answer = await this.#report("tasks.ack", {
      ...this.#claim,
      result,
      ...this.#usage,
      ...this.#next(false),
    });
    if (answer.ok)
      return { ...this.#toEnd("done", answer.value.state, null), next: { tasks: answer.value.next, since } };
    if (!isBadInput(answer.error)) return this.#notReported("thrown_away", answer.error);
    const reason = `its result was rejected: ${answer.error.message}`;
    return this.#fail({ kind: "failed", end: "failed", reason, isRetryable: false });
  }

  async #fail({ end, reason: rawReason, isRetryable, delayMs }: FailedResult): Promise<AttemptEnd> {
    const reason = toReason(rawReason);
    const since = readClock(this.#deps.platform.clock);
    const answer = await this.#report("tasks.nack", {
      ...this.#claim,
      reason,
      isRetryable,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...this.#usage,
      ...this.#next(true),
    });
    if (answer.ok)
      return { ...this.#toEnd(end, answer.value.state, reason), next: { tasks: answer.value.next, since } };
    // The coordinator ends an attempt at its deadline by itself.
    return end === "timeout" ? this.#toEnd(end, null, reason) : this.#notReported("lost", answer.error);
  }

  /** The end is final even if the coordinator sees no limit reached. */
  async #failOverBudget(reason: string): Promise<AttemptEnd> {
    const budgetEnd = await this.#flushHeartbeat();
    if (budgetEnd) return budgetEnd;
    const failedEnd = await this.#fail({ kind: "failed", end: "failed", reason, isRetryable: false });
    return failedEnd.end === "failed" ? { ...failedEnd, end: "budget_exceeded" } : failedEnd;
  }

  async #flushHeartbeat(): Promise<AttemptEnd | null> {
    if (this.#heartbeat.budgetReason === null) await this.#heartbeat.flush();
    const { budgetReason } = this.#heartbeat;
    return budgetReason === null ? null : this.#toEnd("budget_exceeded", "dead", budgetReason);
  }

  async #release(givenBack: Extract<AttemptResult, { kind: "given_back" }>): Promise<AttemptEnd> {
    const { end, reason, delayMs, isOfType = false } = givenBack;
    const wait = delayMs === undefined ? {} : { reason: toReason(reason), delayMs };
    const answer = await this.#report("tasks.release", { ...this.#claim, ...wait, ...this.#usage });
    const attemptEnd = answer.ok
      ? this.#toEnd(end, answer.value.state, reason)
      : this.#notReported("lost", answer.error);
    return isOfType ? { ...attemptEnd, typeWaitMs: delayMs ?? null } : attemptEnd;
  }

  #report<Name extends ReportName>(name: Name, input: CallInput<Name>): ReturnType<typeof callUntilAnswered<Name>> {
    return callUntilAnswered(this.#deps, name, input, { ...reportTiming, signal: this.#deps.giveUp });
  }

  get #usage(): { readonly usage: Usage; readonly route?: Route; readonly ran?: Ran } {
    const { usage, models } = this.#heartbeatData;
    return { usage, ...models };
  }

  #next(isFailed: boolean): { readonly next?: ClaimOptions } {
    const next = this.#deps.next(isFailed);
    return next ? { next } : {};
  }

  #notReported(end: "lost" | "thrown_away", { code, message }: CallError): AttemptEnd {
    return this.#toEnd(code === gaveUpCode ? "untold" : end, null, message);
  }

  #toEnd(end: AttemptEndKind, state: TaskState | null, reason: string | null): AttemptEnd {
    return { end, state, reason, typeWaitMs: null, next: { tasks: [], since: readClock(this.#deps.platform.clock) } };
  }
}

function toReason(text: string): string {
  return redact(text).text.slice(0, maxReasonChars) || "no reason given";
}

export type AttemptResult =
  | { readonly kind: "done"; readonly result: Json }
  | {
      readonly kind: "failed";
      readonly end: "failed" | "timeout";
      readonly reason: string;
      readonly isRetryable: boolean;
      readonly delayMs?: number;
    }
  | { readonly kind: "over_budget"; readonly reason: string }
  | {
      readonly kind: "given_back";
      readonly end: "cancelled" | "released";
      readonly reason: string;
      readonly delayMs?: number;
      readonly isOfType?: true;
    }
  | { readonly kind: "lost"; readonly reason: string };

export function toAttemptResult(
  outcome: RunOutcome,
  stop: Stop | null,
  work: Result<CommittedWork | null, string>,
): AttemptResult {
  // The coordinator decides whether the result still counts.
  if (outcome.kind === "done") return doneResult(outcome, work);
  if (outcome.kind === "over_budget") return outcome;
  if (stop) return stoppedResult(stop);
  if (outcome.kind === "failed") return { ...outcome, end: "failed" };
  if (outcome.kind === "waiting") return { ...outcome, kind: "given_back", end: "released" };
  return failedResult("failed", "it stopped on its own");
}

function doneResult(
  { result: output, tests }: Extract<RunOutcome, { kind: "done" }>,
  work: Result<CommittedWork | null, string>,
): AttemptResult {
  if (!work.ok) return failedResult("failed", `its work could not be saved: ${work.error}`);
  if (work.value === null) return { kind: "done", result: output };
  return { kind: "done", result: { ...work.value, ...(tests ? { tests } : {}), output } };
}

function stoppedResult({ kind, message: reason }: Stop): AttemptResult {
  switch (kind) {
    case "lost":
      return { kind: "lost", reason };
    case "budget":
      return { kind: "over_budget", reason };
    case "time":
      return failedResult("timeout", reason);
    case "cancelled":
      return { kind: "given_back", end: "cancelled", reason };
    case "leaving":
      return { kind: "given_back", end: "released", reason };
  }
}

function failedResult(end: "failed" | "timeout", reason: string): AttemptResult {
  return { kind: "failed", end, reason, isRetryable: true };
}
