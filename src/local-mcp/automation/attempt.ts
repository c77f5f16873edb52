import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { messageOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Instant } from "../edge/trust.ts";
import { Conclusion, type ConclusionSurroundings, type Ended } from "./conclusion.ts";
import type { Executor, Outcome } from "./executor.ts";
import { inputWork, type InputWork } from "./input-work.ts";
import { KeptOutput } from "./kept-output.ts";
import { News } from "./news.ts";
import { Pulse } from "./pulse.ts";
import { Stop } from "./stop.ts";
import { verdictOf } from "./verdict.ts";
import { PlaceError, type Work, type WorkPlace, type WorkPlaces } from "./work-place.ts";
import type { Tell, WorkerEvent } from "./worker-events.ts";

/** How tasks of one type are done. */
export interface Setup {
  readonly executor: Executor;
  readonly places: WorkPlaces;
}

export interface AttemptSurroundings extends ConclusionSurroundings {
  readonly tell: Tell;
  /** Work in progress is kept so often, in ms. */
  readonly saveEveryMs: number;
  /** Keeps for people what a program has written. */
  readonly keepOutput: (task: ClaimedTask, text: string) => void;
}

/** For the result of another task, in ms. */
const askWithinMs = 30_000;

type Checkpoint = Readonly<Record<string, Json>>;

/** States in which another attempt follows. */
const openStates: ReadonlySet<string> = new Set(["queued", "scheduled", "assigned", "running"]);

/** One task that this worker has: from its claim until the coordinator knows how it ended. [WK2] */
export class Attempt {
  readonly task: ClaimedTask;
  readonly #around: AttemptSurroundings;
  readonly #setup: Setup;
  readonly #news: News;
  readonly #pulse: Pulse;
  readonly #stopping = new AbortController();
  readonly #output = new KeptOutput();
  /** Checkpoints that wait for the files to be kept; null: nobody wants that now. */
  #unsaved: Checkpoint[] | null = null;
  #saving: Promise<void> | null = null;
  #cancelSave: () => void = () => undefined;

  /** @param since start of the request that brought the task */
  constructor(around: AttemptSurroundings, setup: Setup, task: ClaimedTask, since: Instant) {
    this.task = task;
    this.#around = around;
    this.#setup = setup;
    this.#news = new News(task.checkpoint, (message) => this.#note(message));
    this.#pulse = new Pulse(around, task, since, this.#news, (stop) => this.stop(stop));
  }

  /** The first reason counts. */
  stop(stop: Stop): void {
    this.#stopping.abort(stop);
  }

  /** Asks at once whether the task is still wanted. */
  check(): void {
    this.#pulse.beatSoon();
  }

  async run(): Promise<Ended> {
    this.#pulse.start();
    const opened = await this.#open();
    const outcome = opened.ok ? await this.#execute(opened.value) : this.#notOpened(opened.error);
    const work = opened.ok ? await this.#putAway(opened.value, outcome.kind === "done") : ok(null);
    const conclusion = new Conclusion(this.#around, this.task, this.#pulse, this.#news);
    const ended = await conclusion.tell(verdictOf(outcome, this.#stop, work));
    if (opened.ok) await this.#leave(opened.value, ended);
    this.#keepOutput();
    this.#tell({
      type: "ended",
      end: ended.end,
      state: ended.state,
      reason: ended.reason,
      wallMs: this.#news.usage.wallMs,
    });
    return ended;
  }

  get #stop(): Stop | null {
    const { signal } = this.#stopping;
    return signal.aborted ? (signal.reason as Stop) : null;
  }

  /** What was stopped before it began needs no place. */
  async #open(): Promise<Result<WorkPlace, PlaceError>> {
    if (this.#stop) return err(new PlaceError(this.#stop.message, true));
    try {
      const place = await this.#setup.places.open(this.task, () => this.#inputWork());
      this.#tell({ type: "began", attempt: this.task.attempt, folder: place.folder, isContinued: place.isContinued });
      for (const note of place.notes) this.#note(note);
      this.#news.setWork(place.where());
      return ok(place);
    } catch (error) {
      if (error instanceof PlaceError) return err(error);
      return err(new PlaceError(`there is no place to work: ${messageOf(error)}`, true));
    }
  }

  #inputWork(): Promise<InputWork[]> {
    return inputWork((input) => this.#around.link.call("tasks.get", input, askWithinMs), this.task.inputs);
  }

  #notOpened({ message: reason, isRetryable }: PlaceError): Outcome {
    return this.#stop ? { kind: "stopped" } : { kind: "failed", reason, isRetryable };
  }

  async #execute(place: WorkPlace): Promise<Outcome> {
    if (this.#stop) return { kind: "stopped" };
    this.#saveLater(place);
    try {
      const outcome = await this.#setup.executor.run({
        task: this.task,
        folder: place.folder,
        merged: place.merged,
        signal: this.#stopping.signal,
        left: this.task.budget,
        onUsage: (usage) => this.#news.use(usage),
        onProgress: (progress) => {
          this.#news.report(progress);
          const { percent = null, note = null } = this.#news.progress;
          this.#tell({ type: "progress", percent, note });
        },
        onCheckpoint: (checkpoint) => this.#save(place, checkpoint),
        onOutput: (text) => this.#output.push(text),
      });
      const problem = outcome.kind === "done" ? await place.problem() : null;
      return problem === null ? outcome : failed(problem);
    } catch (error) {
      return failed(`the executor threw, which is a bug of it: ${messageOf(error)}`);
    } finally {
      this.#cancelSave();
    }
  }

  #saveLater(place: WorkPlace): void {
    this.#cancelSave = this.#around.outside.setTimer(() => {
      this.#save(place, {});
      this.#saveLater(place);
    }, this.#around.saveEveryMs);
  }

  /** [WK11] One after the other; files first, so that no checkpoint is ahead of them. What comes meanwhile is kept together. */
  #save(place: WorkPlace, checkpoint: Checkpoint): void {
    (this.#unsaved ??= []).push(checkpoint);
    this.#saving ??= this.#saveAll(place).finally(() => (this.#saving = null));
  }

  async #saveAll(place: WorkPlace): Promise<void> {
    while (this.#unsaved) {
      const checkpoints = this.#unsaved.filter((checkpoint) => Object.keys(checkpoint).length > 0);
      this.#unsaved = null;
      await this.#saveOnce(place);
      for (const checkpoint of checkpoints) this.#news.keep(checkpoint);
    }
  }

  async #saveOnce(place: WorkPlace): Promise<void> {
    try {
      await place.save();
      this.#news.setWork(place.where());
    } catch (error) {
      this.#note(`its work in progress was not kept: ${messageOf(error)}`);
    }
  }

  async #putAway(place: WorkPlace, isDone: boolean): Promise<Result<Work | null, string>> {
    await this.#saving;
    try {
      const work = await place.finish();
      this.#news.setWork(place.where());
      return ok(work && isDone ? await this.#publish(place, work) : work);
    } catch (error) {
      const reason = messageOf(error);
      this.#note(`its work was not committed: ${reason}`);
      return err(reason);
    }
  }

  async #publish(place: WorkPlace, finished: Work): Promise<Work> {
    const { work, note } = await place.publish(finished);
    if (note !== null) this.#note(note);
    return work;
  }

  async #leave(place: WorkPlace, ended: Ended): Promise<void> {
    try {
      const note = await place.leave(mayGoOn(ended));
      if (note !== null) this.#note(note);
    } catch (error) {
      this.#note(`${place.folder} was left as it is: ${messageOf(error)}`);
    }
  }

  #keepOutput(): void {
    try {
      this.#around.keepOutput(this.task, this.#output.text);
    } catch (error) {
      this.#note(`what it has written was not kept: ${messageOf(error)}`);
    }
  }

  #note(message: string): void {
    this.#tell({ type: "note", message });
  }

  #tell(event: OwnEvent): void {
    const { task, type } = this.task;
    this.#around.tell({ task, taskType: type, ...event });
  }
}

/** What became of a task whose claim was lost nobody has told: another attempt may come here. */
function mayGoOn({ end, state }: Ended): boolean {
  return state === null ? end !== "thrown_away" : openStates.has(state);
}

type OwnEvent = DistributiveOmit<Extract<WorkerEvent, { readonly task: number }>, "task" | "taskType">;
type DistributiveOmit<Event, Keys extends PropertyKey> = Event extends unknown ? Omit<Event, Keys> : never;

function failed(reason: string): Outcome {
  return { kind: "failed", reason, isRetryable: true };
}
