import { isBadInput } from "../../contract/errors.ts";
import type { Json } from "../../contract/values.ts";
import type { CallInput } from "../../contract/operations.ts";
import type { ClaimedTask, ClaimOptions, TaskState } from "../../contract/tasks.ts";
import { callUntilAnswered, gaveUpCode } from "../../coordinator-client/coordinator-client.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import { redact } from "../../redaction/redact.ts";
import { messageOf } from "../../shared/error.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import {
  failed,
  type Executor,
  type RunOutcome,
  type Stop,
  TaskFolderError,
  type FinishedWork,
  type TaskFolder,
  type TaskFolders,
} from "./executor.ts";
import { readInputWork } from "./task-inputs.ts";
import { BoundedOutput } from "./command-executor.ts";
import { TaskHeartbeat, type Checkpoint } from "./task-heartbeat.ts";

/** thrown_away: the result came too late; unreported: no report was answered. */
export type AttemptEndKind =
  | "done"
  | "failed"
  | "timeout"
  | "budget_exceeded"
  | "cancelled"
  | "released"
  | "lost"
  | "thrown_away"
  | "unreported";

type AttemptEvent =
  | { readonly type: "began"; readonly attempt: number; readonly folder: string; readonly isContinued: boolean }
  | { readonly type: "progress"; readonly percent: number | null; readonly note: string | null }
  | {
      readonly type: "ended";
      readonly end: AttemptEndKind;
      readonly state: TaskState | null;
      readonly reason: string | null;
      readonly wallMs: number;
    }
  | { readonly type: "note"; readonly message: string };

export type WorkerEvent =
  | ({ readonly task: number; readonly taskType: string } & AttemptEvent)
  | { readonly type: "registered"; readonly chat: string; readonly taskTypes: readonly string[] }
  | { readonly type: "backoff"; readonly failures: number; readonly forMs: number }
  /** No task of the type is taken for `forMs`. */
  | { readonly type: "waiting"; readonly taskType: string; readonly reason: string; readonly forMs: number }
  | { readonly type: "draining"; readonly reason: string; readonly running: number }
  | { readonly type: "problem"; readonly message: string };

export type EmitWorkerEvent = (event: WorkerEvent) => void;

export interface TaskSetup {
  readonly executor: Executor;
  readonly folders: TaskFolders;
}

export interface AttemptDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  /** Aborted: no answer is awaited any more. */
  readonly giveUp: AbortSignal;
  /** The task that the answer to the end may bring. */
  readonly next: (isFailed: boolean) => ClaimOptions | undefined;
  readonly emit: EmitWorkerEvent;
  readonly keepOutput: (task: ClaimedTask, text: string) => void;
}

export interface AttemptEnd {
  readonly end: AttemptEndKind;
  /** Null if the task is another's or unknown. */
  readonly state: TaskState | null;
  readonly reason: string | null;
  /** How long no task of the type can be done here; null: not known of any such time. */
  readonly typeWaitMs: number | null;
  readonly next: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant };
}

/** The end as the coordinator gets it. */
interface Report {
  /** Operation that reports it; null where the claim has ended. */
  readonly call: "tasks.ack" | "tasks.nack" | "tasks.release" | null;
  readonly end: AttemptEndKind;
  /** Empty for a task that is done. */
  readonly reason: string;
  readonly result?: Json;
  readonly isRetryable?: boolean;
  readonly delayMs?: number;
  readonly isOfType?: true;
}

const saveEveryMs = 60_000;
const askTimeoutMs = 30_000;
const reportTiming = { timeoutMs: 30_000, maxPauseMs: 10_000 };
const maxReasonChars = 500;

const noWork: FinishedWork = { work: null, problem: null, note: null };
const openTaskStates: ReadonlySet<string> = new Set(["queued", "scheduled", "assigned", "running"]);

/** One try at a task: opens its folder, executes it, keeps its work, and reports its end. */
export class Attempt {
  readonly task: ClaimedTask;
  readonly #deps: AttemptDeps;
  readonly #setup: TaskSetup;
  readonly #heartbeat: TaskHeartbeat;
  readonly #stopController = new AbortController();
  readonly #output = new BoundedOutput();
  /** Checkpoints of the next save; null if none is due. */
  #unsaved: Checkpoint[] | null = null;
  #saving: Promise<void> | null = null;
  #cancelSave: () => void = () => undefined;

  /** @param since start of the request that brought the task */
  constructor(deps: AttemptDeps, setup: TaskSetup, task: ClaimedTask, since: Instant) {
    this.task = task;
    this.#deps = deps;
    this.#setup = setup;
    const own = { onStop: (stop: Stop) => this.stop(stop), warn: (message: string) => this.#note(message) };
    this.#heartbeat = new TaskHeartbeat({ ...deps, ...own }, task, since);
  }

  /** The first reason counts. */
  stop(stop: Stop): void {
    this.#stopController.abort(stop);
  }

  check(): void {
    this.#heartbeat.beatSoon();
  }

  async run(): Promise<AttemptEnd> {
    this.#heartbeat.start();
    const opened = await this.#openFolder();
    const taskFolder = "kind" in opened ? null : opened;
    const outcome = "kind" in opened ? opened : await this.#execute(opened);
    const finished = taskFolder ? await this.#finishWork(taskFolder, outcome.kind === "done") : ok(noWork);
    const attemptEnd = await this.#finish(toReport(outcome, this.#stop, finished));
    const { end, state, reason } = attemptEnd;
    if (taskFolder)
      await this.#orNote(`${taskFolder.folder} was left as it is`, async () => {
        // After a lost claim the state is unknown: another attempt may come here.
        const isOpen = state === null ? end !== "thrown_away" : openTaskStates.has(state);
        const note = await taskFolder.release(isOpen);
        if (note !== null) this.#note(note);
      });
    await this.#orNote("what it has written was not kept", () => this.#deps.keepOutput(this.task, this.#output.text));
    this.#emit({ type: "ended", end, state, reason, wallMs: this.#heartbeat.used.usage.wallMs });
    return attemptEnd;
  }

  get #stop(): Stop | null {
    const { signal } = this.#stopController;
    return signal.aborted ? (signal.reason as Stop) : null;
  }

  /** @returns the outcome where there is none */
  async #openFolder(): Promise<TaskFolder | RunOutcome> {
    if (this.#stop) return { kind: "stopped" };
    const { task } = this;
    try {
      const taskFolder = await this.#setup.folders.open(task, () =>
        readInputWork((input) => this.#deps.link.call("tasks.get", input, askTimeoutMs), task.inputs),
      );
      const { folder, isContinued } = taskFolder;
      this.#emit({ type: "began", attempt: task.attempt, folder, isContinued });
      for (const note of taskFolder.notes) this.#note(note);
      this.#heartbeat.setCheckpoint({ work: taskFolder.location() });
      if (taskFolder.isNew) await this.#heartbeat.report();
      return taskFolder;
    } catch (error) {
      if (error instanceof TaskFolderError) return failed(error.message, error.isRetryable);
      return failed(`the folder to work in could not be prepared: ${messageOf(error)}`, true);
    }
  }

  async #execute(taskFolder: TaskFolder): Promise<RunOutcome> {
    if (this.#stop) return { kind: "stopped" };
    const { task } = this;
    const { folder, merged, base } = taskFolder;
    this.#scheduleSave(taskFolder);
    try {
      return await this.#setup.executor.run({
        task,
        folder,
        merged,
        base,
        signal: this.#stopController.signal,
        budgetLeft: task.budget,
        onUsage: (usage) => this.#heartbeat.addUsage(usage),
        onProgress: (progress) => {
          this.#heartbeat.setProgress(progress);
          const { percent = null, note = null } = this.#heartbeat.progress;
          this.#emit({ type: "progress", percent, note });
        },
        onCheckpoint: (checkpoint) => this.#save(taskFolder, checkpoint),
        onOutput: (text) => this.#output.push(text),
        findRouteCounts: async () => {
          const answer = await this.#deps.link.call("tasks.routes", { type: task.type }, askTimeoutMs);
          return answer.ok ? (answer.value.routes?.tiers ?? []) : null;
        },
        onRoute: (route) => this.#heartbeat.add({ route }),
        onModel: (ran) => this.#heartbeat.add({ ran }),
      });
    } catch (error) {
      return failed(`the executor threw, which is a bug in it: ${messageOf(error)}`, true);
    } finally {
      this.#cancelSave();
    }
  }

  #scheduleSave(taskFolder: TaskFolder): void {
    this.#cancelSave = this.#deps.platform.setTimer(() => {
      this.#save(taskFolder, {});
      this.#scheduleSave(taskFolder);
    }, saveEveryMs);
  }

  /** Files first, so that no checkpoint is ahead of them. */
  #save(taskFolder: TaskFolder, checkpoint: Checkpoint): void {
    (this.#unsaved ??= []).push(checkpoint);
    this.#saving ??= this.#saveAll(taskFolder).finally(() => (this.#saving = null));
  }

  async #saveAll(taskFolder: TaskFolder): Promise<void> {
    while (this.#unsaved) {
      const checkpoints = this.#unsaved.filter((checkpoint) => Object.keys(checkpoint).length > 0);
      this.#unsaved = null;
      await this.#orNote("its work in progress was not kept", async () => {
        await taskFolder.save();
        this.#heartbeat.setCheckpoint({ work: taskFolder.location() });
      });
      for (const checkpoint of checkpoints)
        this.#heartbeat.setCheckpoint({ ...checkpoint, work: taskFolder.location() });
    }
  }

  async #finishWork(taskFolder: TaskFolder, isDone: boolean): Promise<Result<FinishedWork, string>> {
    await this.#saving;
    try {
      const finished = await taskFolder.finish(isDone);
      this.#heartbeat.setCheckpoint({ work: taskFolder.location() });
      if (finished.note !== null) this.#note(finished.note);
      return ok(finished);
    } catch (error) {
      const reason = messageOf(error);
      this.#note(`its work was not committed: ${reason}`);
      return err(reason);
    }
  }

  async #finish(report: Report): Promise<AttemptEnd> {
    const heartbeat = this.#heartbeat;
    heartbeat.measure();
    if (report.call === null || report.call === "tasks.ack") heartbeat.end();
    else if (heartbeat.budgetReason === null) await heartbeat.flush();
    if (report.call === null) return this.#toEnd(report, null);
    if (report.call === "tasks.ack" || heartbeat.budgetReason === null) return this.#report(report);
    return this.#toEnd({ end: "budget_exceeded", reason: heartbeat.budgetReason }, "dead");
  }

  async #report(report: Report): Promise<AttemptEnd> {
    const { call, end, result = null, isRetryable = true } = report;
    const since = readClock(this.#deps.platform.clock);
    const { task, claim } = this.task;
    const own = { task, claim, ...this.#heartbeat.used };
    const reason = redact(report.reason).text.slice(0, maxReasonChars) || "no reason given";
    const delay = omitUndefined({ delayMs: report.delayMs });
    const answer =
      call === "tasks.ack"
        ? await this.#call(call, { ...own, result, ...this.#next(false) })
        : call === "tasks.nack"
          ? await this.#call(call, { ...own, reason, isRetryable, ...delay, ...this.#next(true) })
          : await this.#call("tasks.release", {
              ...own,
              ...(report.delayMs === undefined ? {} : { reason, ...delay }),
            });
    if (answer.ok) {
      const { state, next: tasks = [] }: { state: TaskState; next?: readonly ClaimedTask[] } = answer.value;
      const shown = call === "tasks.nack" ? { ...report, reason } : report;
      return { ...this.#toEnd(shown, state), next: { tasks, since } };
    }
    const { code, message } = answer.error;
    if (call === "tasks.ack" && isBadInput(answer.error))
      return this.#report({ ...failedReport("failed", `its result was rejected: ${message}`), isRetryable: false });
    // The coordinator ends an attempt at its deadline by itself.
    if (end === "timeout") return this.#toEnd({ end, reason }, null);
    const lost = call === "tasks.ack" ? "thrown_away" : "lost";
    return this.#toEnd({ ...report, end: code === gaveUpCode ? "unreported" : lost, reason: message }, null);
  }

  #call<Name extends NonNullable<Report["call"]>>(
    name: Name,
    input: CallInput<Name>,
  ): ReturnType<typeof callUntilAnswered<Name>> {
    return callUntilAnswered(this.#deps, name, input, { ...reportTiming, signal: this.#deps.giveUp });
  }

  #next(isFailed: boolean): { readonly next?: ClaimOptions } {
    return omitUndefined({ next: this.#deps.next(isFailed) });
  }

  #toEnd({ end, reason, delayMs, isOfType }: Omit<Report, "call">, state: TaskState | null): AttemptEnd {
    const typeWaitMs = isOfType ? (delayMs ?? null) : null;
    const next = { tasks: [], since: readClock(this.#deps.platform.clock) };
    return { end, state, reason: end === "done" ? null : reason, typeWaitMs, next };
  }

  async #orNote(failure: string, work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#note(`${failure}: ${messageOf(error)}`);
    }
  }

  #note(message: string): void {
    this.#emit({ type: "note", message });
  }

  #emit(event: AttemptEvent): void {
    const { task, type } = this.task;
    this.#deps.emit({ task, taskType: type, ...event });
  }
}

/** The coordinator decides whether the result of a stopped attempt still counts. */
function toReport(outcome: RunOutcome, stop: Stop | null, finished: Result<FinishedWork, string>): Report {
  if (outcome.kind === "done") {
    const { result: output, tests } = outcome;
    if (!finished.ok) return failedReport("failed", `its work could not be saved: ${finished.error}`);
    const { work, problem } = finished.value;
    if (problem !== null) return stop ? reportOfStop(stop) : failedReport("failed", problem);
    const result = work ? { ...work, ...(tests ? { tests } : {}), output } : output;
    return { call: "tasks.ack", end: "done", reason: "", result };
  }
  if (outcome.kind === "over_budget") return { ...failedReport("budget_exceeded", outcome.reason), isRetryable: false };
  if (stop) return reportOfStop(stop);
  if (outcome.kind === "failed") return { ...outcome, call: "tasks.nack", end: "failed" };
  if (outcome.kind === "waiting") return { ...outcome, call: "tasks.release", end: "released" };
  return failedReport("failed", "it stopped on its own");
}

function reportOfStop({ kind, message: reason }: Stop): Report {
  switch (kind) {
    case "lost":
      return { call: null, end: "lost", reason };
    case "budget":
      return { ...failedReport("budget_exceeded", reason), isRetryable: false };
    case "time":
      return failedReport("timeout", reason);
    case "cancelled":
      return { call: "tasks.release", end: "cancelled", reason };
    case "leaving":
      return { call: "tasks.release", end: "released", reason };
  }
}

function failedReport(end: AttemptEndKind, reason: string): Report {
  return { call: "tasks.nack", end, reason };
}
