import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { Claimer } from "../../coordinator-client/claimer.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { HeldTask } from "./held-tasks.ts";
import { TaskAlert, type TaskAlertDeps } from "./task-alert.ts";
import type { ClaimKeeper } from "./claim-keeper.ts";
import { findWaiting, type WaitingTasks } from "./waiting-tasks.ts";

export interface TaskClaimsDeps extends TaskAlertDeps {
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly link: CoordinatorClient;
  readonly tasks: ClaimKeeper;
  readonly capabilities: () => readonly string[];
  readonly onTaken: () => void;
}

const claimTimeoutMs = 8_000;

export class TaskClaims {
  readonly #deps: TaskClaimsDeps;
  readonly #claimer: Claimer;
  readonly #alert: TaskAlert;
  readonly #closing = new AbortController();

  constructor(deps: TaskClaimsDeps) {
    this.#deps = deps;
    this.#claimer = new Claimer(deps.link, deps.platform, []);
    this.#alert = new TaskAlert(deps);
  }

  /** [TE40] @param types empty: all; @param waitMs 0: asks once */
  async claim(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    this.#alert.cancel();
    const result = await this.#claimWithin(types, waitMs);
    if (result.ok && result.value === null) this.#alert.watchFor(types);
    return result;
  }

  /** [TE39] */
  findWaiting(types: readonly string[]): Promise<Result<WaitingTasks[], CallError>> {
    return findWaiting(this.#deps.link, types, this.#deps.capabilities());
  }

  check(): Promise<void> {
    return this.#alert.check(this.#deps.capabilities());
  }

  close(): void {
    this.#closing.abort();
  }

  async #claimWithin(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null, CallError>> {
    const { link, platform } = this.#deps;
    const wait = new InterruptibleWait(this.#closing.signal);
    const unsubscribes = [link.onHint(() => wait.wake()), platform.setTimer(() => wait.end(), waitMs)];
    try {
      for (;;) {
        wait.startRound();
        const answer = await this.#claimOnce(types);
        const isEmpty = answer.ok ? answer.value === null : isTransient(answer.error);
        if (!isEmpty || waitMs === 0 || wait.hasEnded) return answer;
        const cancelTimer = platform.setTimer(() => wait.wake(), link.pollEveryMs);
        await wait.whenWoken;
        cancelTimer();
      }
    } finally {
      for (const stop of unsubscribes) stop();
    }
  }

  async #claimOnce(types: readonly string[]): Promise<Result<HeldTask | null, CallError>> {
    const { tasks, error } = await this.#claimer.claim(1, types, claimTimeoutMs);
    const [task] = tasks;
    if (!task) return error ? err(error) : ok(null);
    const held = this.#deps.tasks.add(task);
    this.#deps.onTaken();
    return ok(held);
  }
}

/** Rounds keep an event that comes before the wait begins. */
class InterruptibleWait {
  #round = Promise.withResolvers<void>();
  #hasEnded = false;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.end(), { once: true });
    this.#hasEnded = signal.aborted;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get whenWoken(): Promise<void> {
    return this.#round.promise;
  }

  startRound(): void {
    this.#round = Promise.withResolvers<void>();
  }

  wake(): void {
    this.#round.resolve();
  }

  end(): void {
    this.#hasEnded = true;
    this.wake();
  }
}
