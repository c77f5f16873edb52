import { isBadInput, type CallError } from "../contract/errors.ts";
import type { Json } from "../contract/json.ts";
import type { CallInput } from "../contract/operations.ts";
import type { TierCounts } from "../contract/routes.ts";
import type { ClaimedTask, ClaimOptions, TaskState } from "../contract/tasks.ts";
import { callUntilAnswered, gaveUpCode } from "../coordinator-client/call-until-answered.ts";
import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import { readClock, type Instant } from "../coordinator-client/edge/trust.ts";
import { redact } from "../redaction/redact.ts";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Executor, RunOutcome, Stop } from "./executor.ts";
import { readInputWork } from "./input-work.ts";
import { BoundedOutput } from "./output-files.ts";
import { TaskFolderError, type FinishedWork, type TaskFolder, type TaskFolders } from "./task-folder.ts";
import { TaskHeartbeat, type Checkpoint } from "./task-heartbeat.ts";
import type { AttemptEndKind, EmitWorkerEvent, WorkerEvent } from "./worker-events.ts";

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

/** Report of the end to the coordinator. */
type Report =
  | { readonly call: "tasks.ack"; readonly result: Json }
  | {
      readonly call: "tasks.nack";
      readonly end: "failed" | "timeout" | "budget_exceeded";
      readonly reason: string;
      readonly isRetryable: boolean;
      readonly delayMs?: number;
    }
  | {
      readonly call: "tasks.release";
      readonly end: "cancelled" | "released";
      readonly reason: string;
      readonly delayMs?: number;
      readonly isOfType?: true;
    }
  /** The claim has ended: nothing is reported. */
  | { readonly call: null; readonly reason: string };

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
    if (taskFolder)
      await this.#orNote(`${taskFolder.folder} was left as it is`, async () => {
        const note = await taskFolder.release(mayContinue(attemptEnd));
        if (note !== null) this.#note(note);
      });
    await this.#orNote("what it has written was not kept", () => this.#deps.keepOutput(this.task, this.#output.text));
    const { end, state, reason } = attemptEnd;
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
      if (error instanceof TaskFolderError) return toFailure(error.message, error.isRetryable);
      return toFailure(`the folder to work in could not be prepared: ${messageOf(error)}`);
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
        findRouteCounts: () => this.#findRouteCounts(),
        onRoute: (route) => this.#heartbeat.setRoute(route),
        onModel: (ran) => this.#heartbeat.setModel(ran),
      });
    } catch (error) {
      return toFailure(`the executor threw, which is a bug in it: ${messageOf(error)}`);
    } finally {
      this.#cancelSave();
    }
  }

  async #findRouteCounts(): Promise<readonly TierCounts[] | null> {
    const answer = await this.#deps.link.call("tasks.routes", { type: this.task.type }, askTimeoutMs);
    return answer.ok ? (answer.value.routes?.tiers ?? []) : null;
  }

  #scheduleSave(taskFolder: TaskFolder): void {
    this.#cancelSave = this.#deps.platform.setTimer(() => {
      this.#save(taskFolder, {});
      this.#scheduleSave(taskFolder);
    }, saveEveryMs);
  }

  /** [WK46] Files first, so that no checkpoint is ahead of them. */
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
    if (report.call === null || report.call === "tasks.ack") {
      heartbeat.end();
      return report.call === null ? this.#toEnd("lost", null, report.reason) : this.#acknowledge(report.result);
    }
    if (heartbeat.budgetReason === null) await heartbeat.flush();
    if (heartbeat.budgetReason !== null) return this.#toEnd("budget_exceeded", "dead", heartbeat.budgetReason);
    return report.call === "tasks.nack" ? this.#fail(report) : this.#release(report);
  }

  async #acknowledge(result: Json): Promise<AttemptEnd> {
    const since = readClock(this.#deps.platform.clock);
    const answer = await this.#report("tasks.ack", { ...this.#claim, result, ...this.#next(false) });
    if (answer.ok) return this.#toEnd("done", answer.value.state, null, { tasks: answer.value.next, since });
    if (!isBadInput(answer.error)) return this.#notReported("thrown_away", answer.error);
    const reason = `its result was rejected: ${answer.error.message}`;
    return this.#fail({ call: "tasks.nack", end: "failed", reason, isRetryable: false });
  }

  async #fail({
    end,
    reason: rawReason,
    isRetryable,
    delayMs,
  }: Extract<Report, { call: "tasks.nack" }>): Promise<AttemptEnd> {
    const reason = toReason(rawReason);
    const since = readClock(this.#deps.platform.clock);
    const delay = delayMs === undefined ? {} : { delayMs };
    const input = { ...this.#claim, reason, isRetryable, ...delay, ...this.#next(true) };
    const answer = await this.#report("tasks.nack", input);
    if (answer.ok) return this.#toEnd(end, answer.value.state, reason, { tasks: answer.value.next, since });
    // The coordinator ends an attempt at its deadline by itself.
    return end === "timeout" ? this.#toEnd(end, null, reason) : this.#notReported("lost", answer.error);
  }

  async #release({ end, reason, delayMs, isOfType }: Extract<Report, { call: "tasks.release" }>): Promise<AttemptEnd> {
    const wait = delayMs === undefined ? {} : { reason: toReason(reason), delayMs };
    const answer = await this.#report("tasks.release", { ...this.#claim, ...wait });
    const attemptEnd = answer.ok
      ? this.#toEnd(end, answer.value.state, reason)
      : this.#notReported("lost", answer.error);
    return isOfType ? { ...attemptEnd, typeWaitMs: delayMs ?? null } : attemptEnd;
  }

  #report<Name extends NonNullable<Report["call"]>>(
    name: Name,
    input: CallInput<Name>,
  ): ReturnType<typeof callUntilAnswered<Name>> {
    return callUntilAnswered(this.#deps, name, input, { ...reportTiming, signal: this.#deps.giveUp });
  }

  get #claim(): Pick<ClaimedTask, "task" | "claim"> & TaskHeartbeat["used"] {
    const { task, claim } = this.task;
    return { task, claim, ...this.#heartbeat.used };
  }

  #next(isFailed: boolean): { readonly next?: ClaimOptions } {
    const next = this.#deps.next(isFailed);
    return next ? { next } : {};
  }

  #notReported(end: "lost" | "thrown_away", { code, message }: CallError): AttemptEnd {
    return this.#toEnd(code === gaveUpCode ? "unreported" : end, null, message);
  }

  #toEnd(
    end: AttemptEndKind,
    state: TaskState | null,
    reason: string | null,
    next: AttemptEnd["next"] = { tasks: [], since: readClock(this.#deps.platform.clock) },
  ): AttemptEnd {
    return { end, state, reason, typeWaitMs: null, next };
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

/** After a lost claim the state is unknown: another attempt may come here. */
function mayContinue({ end, state }: AttemptEnd): boolean {
  return state === null ? end !== "thrown_away" : openTaskStates.has(state);
}

type AttemptEvent = DistributiveOmit<Extract<WorkerEvent, { readonly task: number }>, "task" | "taskType">;
type DistributiveOmit<Event, Keys extends PropertyKey> = Event extends unknown ? Omit<Event, Keys> : never;

function toFailure(reason: string, isRetryable = true): RunOutcome {
  return { kind: "failed", reason, isRetryable };
}

function toReason(text: string): string {
  return redact(text).text.slice(0, maxReasonChars) || "no reason given";
}

/** The coordinator decides whether the result of a stopped attempt still counts. */
function toReport(outcome: RunOutcome, stop: Stop | null, finished: Result<FinishedWork, string>): Report {
  if (outcome.kind === "done") {
    const { result: output, tests } = outcome;
    if (!finished.ok) return failed("failed", `its work could not be saved: ${finished.error}`);
    const { work, problem } = finished.value;
    if (problem !== null) return stop ? reportOfStop(stop) : failed("failed", problem);
    return { call: "tasks.ack", result: work ? { ...work, ...(tests ? { tests } : {}), output } : output };
  }
  if (outcome.kind === "over_budget") return { ...failed("budget_exceeded", outcome.reason), isRetryable: false };
  if (stop) return reportOfStop(stop);
  if (outcome.kind === "failed") return { ...outcome, call: "tasks.nack", end: "failed" };
  if (outcome.kind === "waiting") return { ...outcome, call: "tasks.release", end: "released" };
  return failed("failed", "it stopped on its own");
}

function reportOfStop({ kind, message: reason }: Stop): Report {
  switch (kind) {
    case "lost":
      return { call: null, reason };
    case "budget":
      return { ...failed("budget_exceeded", reason), isRetryable: false };
    case "time":
      return failed("timeout", reason);
    case "cancelled":
      return { call: "tasks.release", end: "cancelled", reason };
    case "leaving":
      return { call: "tasks.release", end: "released", reason };
  }
}

function failed(
  end: "failed" | "timeout" | "budget_exceeded",
  reason: string,
): Extract<Report, { call: "tasks.nack" }> {
  return { call: "tasks.nack", end, reason, isRetryable: true };
}
