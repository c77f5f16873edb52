import type { ChatInput } from "../coordinator-client/edge/registration.ts";
import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { Health } from "../contract/chats.ts";
import type { ClaimedTask, ClaimOptions } from "../contract/tasks.ts";
import { stackOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import type { Instant } from "../coordinator-client/edge/trust.ts";
import { Attempt, type AttemptDeps, type TaskSetup } from "./attempt.ts";
import { ChatStatusReporter } from "../coordinator-client/chat-status.ts";
import { Claimer, type ClaimResult } from "../coordinator-client/claimer.ts";
import type { AttemptEnd } from "./finish-attempt.ts";
import { FailureStreak } from "./failure-streak.ts";
import { Stop } from "./stop.ts";
import type { AttemptEndKind, EmitWorkerEvent } from "./worker-events.ts";

export interface WorkerOptions {
  readonly chat: Pick<ChatInput, "chat" | "session" | "process" | "machine" | "client" | "capabilities">;
  readonly setups: ReadonlyMap<string, TaskSetup>;
  readonly concurrency: number;
  readonly maxTasks: number | null;
  readonly isOnce: boolean;
  readonly drainMs: number;
}

export interface WorkerDeps {
  readonly link: CoordinatorClient;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly health: () => Health;
  readonly emit: EmitWorkerEvent;
  readonly keepOutput: AttemptDeps["keepOutput"];
}

export type EndCounts = Partial<Readonly<Record<AttemptEndKind, number>>>;

const saveEveryMs = 60_000;
const stopTimeoutMs = 20_000;
const leaveTimeoutMs = 5_000;
const askTimeoutMs = 5_000;

/** [WK1] */
export class WorkerAutomation {
  readonly #options: WorkerOptions;
  readonly #deps: WorkerDeps;
  readonly #claimer: Claimer;
  readonly #statusReporter: ChatStatusReporter;
  readonly #streak: FailureStreak;
  readonly #running = new Set<Attempt>();
  readonly #timers = new Set<() => void>();
  readonly #giveUp = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  readonly #endCounts = new Map<AttemptEndKind, number>();
  #isPulling = false;
  #isPullWanted = false;
  #isQueueEmpty = false;
  #isDraining = false;
  #isPaused = false;
  #takenCount = 0;
  #claimError: CallError | null = null;
  #fatalError: CallError | null = null;

  constructor(options: WorkerOptions, deps: WorkerDeps) {
    const { link, platform, health } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#claimer = new Claimer(link, platform, [...options.setups.keys()]);
    this.#statusReporter = new ChatStatusReporter(link, platform.clock, health);
    this.#streak = new FailureStreak(platform.random);
  }

  async run(): Promise<Result<EndCounts, CallError>> {
    const { link, emit } = this.#deps;
    const { chat, setups, concurrency } = this.#options;
    const taskTypes = [...setups.keys()];
    const registered = await link.register({
      ...chat,
      role: "worker",
      isInteractive: false,
      capacity: concurrency,
      taskTypes,
    });
    if (!registered.ok) return registered;
    emit({ type: "registered", chat: chat.chat, taskTypes });
    const unsubscribes = [
      link.onHint((hint) => void (hint !== "message" && this.#onHint())),
      link.onLost((reason) => this.#onLost(reason)),
    ];
    this.#check();
    await this.#finished.promise;
    for (const stop of [...unsubscribes, ...this.#timers]) stop();
    await link.leave(leaveTimeoutMs);
    return this.#fatalError ? err(this.#fatalError) : ok(Object.fromEntries(this.#endCounts));
  }

  /** [WK10] */
  drain(reason: string): void {
    if (this.#isDraining) return;
    const { link, emit } = this.#deps;
    this.#isDraining = true;
    emit({ type: "draining", reason, running: this.#running.size });
    void link.call("chats.drain", { chat: this.#options.chat.chat, reason }, askTimeoutMs);
    this.#schedule(this.#options.drainMs, () => this.stopNow(reason));
    this.#finishIfIdle();
  }

  stopNow(reason: string): void {
    this.drain(reason);
    for (const attempt of this.#running) attempt.stop(new Stop("leaving", reason));
    this.#schedule(stopTimeoutMs, () => this.#giveUp.abort());
  }

  #onLost(message: string): void {
    this.#fatalError ??= { code: "chat_lost", message };
    this.#isDraining = true;
    this.#giveUp.abort();
    for (const attempt of this.#running) attempt.stop(new Stop("lost", message));
    this.#finishIfIdle();
  }

  /** A hint may have been missed. */
  #check(): void {
    this.#schedule(this.#deps.link.pollEveryMs, () => this.#check());
    const canClaim = this.#freeSlots > 0;
    void this.#claimAll();
    this.#reportStatus(!canClaim);
  }

  #onHint(): void {
    for (const attempt of this.#running) attempt.check();
    void this.#claimAll();
  }

  #reportStatus(isForced = false): void {
    const failures = this.#streak.failures;
    const state = {
      status: this.#isPaused ? "stuck" : this.#running.size > 0 ? "busy" : "idle",
      taskCount: this.#running.size,
      progress: this.#isPaused
        ? `${failures} attempts failed one after the other; it takes nothing new for a while`
        : "",
    } as const;
    void this.#statusReporter.report(state, isForced);
  }

  get #freeSlots(): number {
    const { concurrency, maxTasks } = this.#options;
    if (this.#isDraining || this.#isPaused) return 0;
    return Math.min(concurrency - this.#running.size, (maxTasks ?? Number.POSITIVE_INFINITY) - this.#takenCount);
  }

  async #claimAll(): Promise<void> {
    this.#isPullWanted = true;
    if (this.#isPulling) return;
    this.#isPulling = true;
    while (this.#isPullWanted && this.#freeSlots > 0) {
      this.#isPullWanted = false;
      const claimed = await this.#claimer.claim(this.#freeSlots);
      this.#isPullWanted ||= claimed.tasks.length > 0;
      this.#startAll(claimed);
      this.#recordClaimResult(claimed);
    }
    this.#isPulling = false;
    this.#finishIfIdle();
  }

  #recordClaimResult({ tasks, error }: ClaimResult): void {
    this.#isQueueEmpty = tasks.length === 0 && !(error && isTransient(error));
    const previousError = this.#claimError;
    this.#claimError = error;
    if (error) this.#onClaimError(error, previousError);
  }

  #onClaimError({ code, message }: CallError, previousError: CallError | null): void {
    if (code === "chat_draining") return this.drain("the chat was asked to end");
    if (message !== previousError?.message) this.#deps.emit({ type: "problem", message });
    // No retry helps without another token.
    if (code === "forbidden") this.#onLost(message);
  }

  #startAll({ tasks, since }: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant }): void {
    for (const task of tasks) this.#startAttempt(task, since);
  }

  #startAttempt(task: ClaimedTask, since: Instant): void {
    const setup = this.#options.setups.get(task.type);
    if (!setup) return this.#releaseUnrequested(task);
    const { link, platform, emit, keepOutput } = this.#deps;
    const next = (isFailed: boolean): ClaimOptions | undefined => this.#nextClaim(isFailed);
    const deps = { link, platform, emit, keepOutput, saveEveryMs, giveUp: this.#giveUp.signal, next };
    const attempt = new Attempt(deps, setup, task, since);
    this.#takenCount += 1;
    this.#running.add(attempt);
    if (this.#isDraining) attempt.stop(new Stop("leaving", "the worker ends"));
    void attempt.run().then(
      (attemptEnd) => this.#onAttemptEnd(attempt, attemptEnd),
      (error: unknown) => this.#onAttemptBug(attempt, error),
    );
  }

  #releaseUnrequested({ task, claim, type }: ClaimedTask): void {
    const { link, emit } = this.#deps;
    emit({ type: "problem", message: `task ${task} is of type ${type}, which was not asked for; it is given back` });
    void link.call("tasks.release", { task, claim }, askTimeoutMs);
  }

  /** [WK3] The answer to an end brings the next task. */
  #nextClaim(isFailed: boolean): ClaimOptions | undefined {
    const { maxTasks, setups } = this.#options;
    const isPausing = this.#isPaused || (isFailed && this.#streak.wouldPause);
    if (this.#isDraining || isPausing || maxTasks !== null) return undefined;
    return { limit: 1, types: [...setups.keys()], isStarted: true };
  }

  #onAttemptEnd(attempt: Attempt, { end, next }: AttemptEnd): void {
    this.#running.delete(attempt);
    this.#endCounts.set(end, (this.#endCounts.get(end) ?? 0) + 1);
    if (end === "done") this.#streak.recordSuccess();
    if (end === "failed" || end === "timeout") this.#pauseFor(this.#streak.recordFailure());
    this.#startAll(next);
    this.#reportStatus();
    void this.#claimAll();
  }

  #onAttemptBug(attempt: Attempt, error: unknown): void {
    this.#running.delete(attempt);
    this.#endCounts.set("untold", (this.#endCounts.get("untold") ?? 0) + 1);
    this.#deps.emit({ type: "problem", message: `a bug of SHIM: ${stackOf(error)}` });
    this.#finishIfIdle();
  }

  #pauseFor(forMs: number): void {
    if (forMs === 0) return;
    this.#isPaused = true;
    this.#deps.emit({ type: "backoff", failures: this.#streak.failures, forMs });
    this.#schedule(forMs, () => {
      this.#isPaused = false;
      this.#reportStatus();
      void this.#claimAll();
    });
  }

  get #isQueueDrained(): boolean {
    return this.#options.isOnce && this.#isQueueEmpty && !this.#isPaused;
  }

  #finishIfIdle(): void {
    if (this.#running.size > 0 || this.#isPulling) return;
    const { maxTasks } = this.#options;
    const isEndDue = this.#isDraining || (maxTasks !== null && this.#takenCount >= maxTasks);
    if (!isEndDue && !this.#isQueueDrained) return;
    if (!isEndDue) this.#fatalError ??= this.#claimError;
    this.#finished.resolve();
  }

  #schedule(ms: number, work: () => void): void {
    const cancel = this.#deps.platform.setTimer(() => {
      this.#timers.delete(cancel);
      work();
    }, ms);
    this.#timers.add(cancel);
  }
}
