import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { TierCounts } from "../contract/routes.ts";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Instant } from "../coordinator-client/edge/trust.ts";
import type { Executor, RunOutcome, Stop } from "./executor.ts";
import { AttemptFinisher, type AttemptFinisherDeps, type AttemptEnd, toAttemptResult } from "./finish-attempt.ts";
import { HeartbeatData } from "./heartbeat-data.ts";
import { readInputWork } from "./input-work.ts";
import { BoundedOutput } from "./output-files.ts";
import { TaskFolderError, type CommittedWork, type TaskFolder, type TaskFolders } from "./task-folder.ts";
import { TaskHeartbeat } from "./task-heartbeat.ts";
import type { EmitWorkerEvent, WorkerEvent } from "./worker-events.ts";

export interface TaskSetup {
  readonly executor: Executor;
  readonly folders: TaskFolders;
}

export interface AttemptDeps extends AttemptFinisherDeps {
  readonly emit: EmitWorkerEvent;
  readonly saveEveryMs: number;
  readonly keepOutput: (task: ClaimedTask, text: string) => void;
}

const askTimeoutMs = 30_000;

type Checkpoint = Readonly<Record<string, Json>>;

const openTaskStates: ReadonlySet<string> = new Set(["queued", "scheduled", "assigned", "running"]);

export class Attempt {
  readonly task: ClaimedTask;
  readonly #deps: AttemptDeps;
  readonly #setup: TaskSetup;
  readonly #heartbeatData: HeartbeatData;
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
    this.#heartbeatData = new HeartbeatData(task.checkpoint, (message) => this.#note(message));
    this.#heartbeat = new TaskHeartbeat(deps, task, since, this.#heartbeatData, (stop) => this.stop(stop));
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
    const openedFolder = await this.#openFolder();
    const outcome = openedFolder.ok
      ? await this.#execute(openedFolder.value)
      : toFailure(openedFolder.error.message, openedFolder.error.isRetryable);
    const work = openedFolder.ok ? await this.#finishWork(openedFolder.value, outcome.kind === "done") : ok(null);
    const conclusion = new AttemptFinisher(this.#deps, this.task, this.#heartbeat, this.#heartbeatData);
    const attemptEnd = await conclusion.finish(toAttemptResult(outcome, this.#stop, work));
    if (openedFolder.ok) await this.#releaseFolder(openedFolder.value, attemptEnd);
    this.#keepOutput();
    const { end, state, reason } = attemptEnd;
    this.#emit({ type: "ended", end, state, reason, wallMs: this.#heartbeatData.usage.wallMs });
    return attemptEnd;
  }

  get #stop(): Stop | null {
    const { signal } = this.#stopController;
    return signal.aborted ? (signal.reason as Stop) : null;
  }

  async #openFolder(): Promise<Result<TaskFolder, TaskFolderError>> {
    if (this.#stop) return err(new TaskFolderError(this.#stop.message, true));
    try {
      const taskFolder = await this.#setup.folders.open(this.task, () =>
        readInputWork((input) => this.#deps.link.call("tasks.get", input, askTimeoutMs), this.task.inputs),
      );
      const { folder, isContinued } = taskFolder;
      this.#emit({ type: "began", attempt: this.task.attempt, folder, isContinued });
      for (const note of taskFolder.notes) this.#note(note);
      this.#heartbeatData.setWork(taskFolder.location());
      if (taskFolder.isNew) await this.#heartbeat.report();
      return ok(taskFolder);
    } catch (error) {
      if (error instanceof TaskFolderError) return err(error);
      return err(new TaskFolderError(`the folder to work in could not be prepared: ${messageOf(error)}`, true));
    }
  }

  async #execute(taskFolder: TaskFolder): Promise<RunOutcome> {
    if (this.#stop) return { kind: "stopped" };
    this.#scheduleSave(taskFolder);
    try {
      const outcome = await this.#setup.executor.run({
        task: this.task,
        folder: taskFolder.folder,
        merged: taskFolder.merged,
        base: taskFolder.base,
        signal: this.#stopController.signal,
        budgetLeft: this.task.budget,
        onUsage: (usage) => this.#heartbeatData.addUsage(usage),
        onProgress: (progress) => {
          this.#heartbeatData.setProgress(progress);
          const { percent = null, note = null } = this.#heartbeatData.progress;
          this.#emit({ type: "progress", percent, note });
        },
        onCheckpoint: (checkpoint) => this.#save(taskFolder, checkpoint),
        onOutput: (text) => this.#output.push(text),
        findRouteCounts: () => this.#findRouteCounts(),
        onRoute: (route) => this.#heartbeatData.setRoute(route),
        onModel: (ran) => this.#heartbeatData.setModel(ran),
      });
      const problem = outcome.kind === "done" ? await taskFolder.problem() : null;
      return problem === null ? outcome : toFailure(problem);
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
    }, this.#deps.saveEveryMs);
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
      await this.#saveOnce(taskFolder);
      for (const checkpoint of checkpoints) this.#heartbeatData.mergeCheckpoint(checkpoint);
    }
  }

  async #saveOnce(taskFolder: TaskFolder): Promise<void> {
    try {
      await taskFolder.save();
      this.#heartbeatData.setWork(taskFolder.location());
    } catch (error) {
      this.#note(`its work in progress was not kept: ${messageOf(error)}`);
    }
  }

  async #finishWork(taskFolder: TaskFolder, isDone: boolean): Promise<Result<CommittedWork | null, string>> {
    await this.#saving;
    try {
      const work = await taskFolder.finish();
      this.#heartbeatData.setWork(taskFolder.location());
      if (!work || !isDone) return ok(work);
      const published = await taskFolder.publish(work);
      if (published.note !== null) this.#note(published.note);
      return ok(published.work);
    } catch (error) {
      const reason = messageOf(error);
      this.#note(`its work was not committed: ${reason}`);
      return err(reason);
    }
  }

  async #releaseFolder(taskFolder: TaskFolder, attemptEnd: AttemptEnd): Promise<void> {
    try {
      const note = await taskFolder.release(mayContinue(attemptEnd));
      if (note !== null) this.#note(note);
    } catch (error) {
      this.#note(`${taskFolder.folder} was left as it is: ${messageOf(error)}`);
    }
  }

  #keepOutput(): void {
    try {
      this.#deps.keepOutput(this.task, this.#output.text);
    } catch (error) {
      this.#note(`what it has written was not kept: ${messageOf(error)}`);
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
