import { err, ok, type Result } from "../../shared/result.ts";
import { Claimer } from "../automation/claimer.ts";
import type { Outside } from "../edge/outside.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { HeldTask } from "./held-tasks.ts";
import { TaskAlert, type AlertSurroundings } from "./task-alert.ts";
import type { TaskHolder } from "./task-holder.ts";
import { waited, type Waited } from "./waited-tasks.ts";

export interface ClaimSurroundings extends AlertSurroundings {
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  readonly link: ChatLink;
  readonly tasks: TaskHolder;
  /** The capabilities of the chat. */
  readonly able: () => readonly string[];
  /** It has one task more. */
  readonly taken: () => void;
}

/** A tool waits for the answer. */
const claimWithinMs = 8_000;

/** The tasks that a chat asks for. */
export class TaskClaims {
  readonly #around: ClaimSurroundings;
  readonly #claimer: Claimer;
  readonly #alert: TaskAlert;
  readonly #closed = new AbortController();

  constructor(around: ClaimSurroundings) {
    this.#around = around;
    this.#claimer = new Claimer(around.link, around.outside, []);
    this.#alert = new TaskAlert(around);
  }

  /**
   * Takes a task: where there is none, the first that comes within `waitMs` (0: it is asked for once). [TE40] Where that brings none either, news tell the
   * chat when there is one.
   *
   * @param types empty: all
   * @returns null: there is no task
   */
  async take(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, Trouble>> {
    this.#alert.forget();
    const taken = await this.#takeWithin(types, waitMs);
    if (taken.ok && taken.value === null) this.#alert.want(types);
    return taken;
  }

  /** [TE39] Why a request for tasks of these types brought nothing. */
  waited(types: readonly string[]): Promise<Result<Waited[], Trouble>> {
    return waited(this.#around.link, types, this.#around.able());
  }

  /** [TE40] */
  check(): Promise<void> {
    return this.#alert.check(this.#around.able());
  }

  close(): void {
    this.#closed.abort();
  }

  /** Asks again when something may have come, and now and then. */
  async #takeWithin(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, Trouble>> {
    const { link, outside } = this.#around;
    const waiting = new Waiting(this.#closed.signal);
    const stops = [link.onNews(() => waiting.wake()), outside.setTimer(() => waiting.end(), waitMs)];
    try {
      for (;;) {
        waiting.begin();
        const answer = await this.#take(types);
        const isEmpty = answer.ok ? answer.value === null : isPassing(answer.error);
        if (!isEmpty || waitMs === 0 || waiting.isOver) return answer;
        const cancel = outside.setTimer(() => waiting.wake(), link.pollEveryMs);
        await waiting.woken;
        cancel();
      }
    } finally {
      for (const stop of stops) stop();
    }
  }

  async #take(types: readonly string[]): Promise<Result<HeldTask | null, Trouble>> {
    const { tasks, trouble } = await this.#claimer.claim(1, types, claimWithinMs);
    const [task] = tasks;
    if (!task) return trouble ? err(trouble) : ok(null);
    const held = this.#around.tasks.take(task);
    this.#around.taken();
    return ok(held);
  }
}

/** One wait, in rounds: what happens during a round wakes at its end. */
class Waiting {
  #round = Promise.withResolvers<void>();
  #isOver = false;

  constructor(over: AbortSignal) {
    over.addEventListener("abort", () => this.end(), { once: true });
    this.#isOver = over.aborted;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get woken(): Promise<void> {
    return this.#round.promise;
  }

  begin(): void {
    this.#round = Promise.withResolvers<void>();
  }

  wake(): void {
    this.#round.resolve();
  }

  end(): void {
    this.#isOver = true;
    this.wake();
  }
}
