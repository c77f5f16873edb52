import type { ChatInput } from "../coordinator-client/edge/connection.ts";
import { pauseBeforeRetry } from "../coordinator-client/call-until-answered.ts";
import { pollEveryMs, type CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { Health } from "../contract/chats.ts";
import type { ClaimedTask, ClaimOptions } from "../contract/tasks.ts";
import { fullJitter } from "../shared/backoff.ts";
import { stackOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import type { Instant } from "../coordinator-client/edge/trust.ts";
import { Attempt, type AttemptDeps, type TaskSetup } from "./attempt.ts";
import { ChatStatusReporter } from "../coordinator-client/chat-status.ts";
import { Claimer, type ClaimResult } from "../coordinator-client/claimer.ts";
import type { AttemptEnd } from "./finish-attempt.ts";
import { WaitingTypes } from "./waiting-types.ts";
import type { AttemptEndKind, EmitWorkerEvent } from "./worker-events.ts";
import { endOfWork, type WorkerState } from "./worker-state.ts";

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

/** Tasks by the end of their last attempt here. */
export type EndCounts = Partial<Readonly<Record<AttemptEndKind, number>>>;

/** [WK9] The first failure may be the task's own fault: no pause. */
const pauseBackoff = { baseMs: 2_000, capMs: 60_000 };
const suspiciousFailures = 2;
const saveEveryMs = 60_000;
const stopTimeoutMs = 20_000;
const leaveTimeoutMs = 5_000;
const askTimeoutMs = 5_000;

export class WorkerAutomation {
  readonly #options: WorkerOptions;
  readonly #deps: WorkerDeps;
  readonly #claimer: Claimer;
  readonly #statusReporter: ChatStatusReporter;
  readonly #running = new Set<Attempt>();
  readonly #timers = new Set<() => void>();
  readonly #giveUp = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  readonly #endCounts = new Map<AttemptEndKind, number>();
  /** Tasks that may come back, with their last end. */
  readonly #unfinished = new Map<number, AttemptEndKind>();
  readonly #types: WaitingTypes;
  #claiming: "no" | "once" | "again" = "no";
  #isClaimRepeated = false;
  #failedClaims = 0;
  #state: WorkerState = {
    phase: "working",
    taken: 0,
    failures: 0,
    isQueueEmpty: false,
    claimError: null,
    fatalError: null,
  };

  constructor(options: WorkerOptions, deps: WorkerDeps) {
    const { link, platform, health } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#types = new WaitingTypes(options.setups.keys());
    this.#claimer = new Claimer(link, platform, [...options.setups.keys()]);
    this.#statusReporter = new ChatStatusReporter(link, platform.clock, health);
  }

  async run(): Promise<Result<EndCounts, CallError>> {
    const { link, emit } = this.#deps;
    const { chat, setups, concurrency } = this.#options;
    const taskTypes = [...setups.keys()];
    const abilities = { role: "worker", isInteractive: false, capacity: concurrency, taskTypes } as const;
    const registered = await link.register({ ...chat, ...abilities });
    if (!registered.ok) return registered;
    emit({ type: "registered", chat: chat.chat, taskTypes });
    const unsubscribes = [
      link.onHint((hint) => {
        if (hint === "message") return;
        for (const attempt of this.#running) attempt.check();
        void this.#claimAll();
      }),
      link.onLost((reason) => this.#onLost(reason)),
    ];
    this.#check();
    await this.#finished.promise;
    for (const stop of [...unsubscribes, ...this.#timers]) stop();
    await link.leave(leaveTimeoutMs);
    const { fatalError } = this.#state;
    return fatalError ? err(fatalError) : ok(Object.fromEntries([...this.#endCounts].filter(([, count]) => count > 0)));
  }

  drain(reason: string): void {
    if (this.#isDraining) return;
    const { link, emit } = this.#deps;
    this.#change({ phase: "draining" });
    emit({ type: "draining", reason, running: this.#running.size });
    void link.call("chats.drain", { chat: this.#options.chat.chat, reason }, askTimeoutMs);
    this.#schedule(this.#options.drainMs, () => this.stopNow(reason));
    this.#finishIfIdle();
  }

  stopNow(reason: string): void {
    this.drain(reason);
    for (const attempt of this.#running) attempt.stop({ kind: "leaving", message: reason });
    this.#schedule(stopTimeoutMs, () => this.#giveUp.abort());
  }

  #onLost(message: string): void {
    this.#change({ phase: "draining" });
    this.#fail({ code: "chat_lost", message });
    this.#giveUp.abort();
    for (const attempt of this.#running) attempt.stop({ kind: "lost", message });
    this.#finishIfIdle();
  }

  #change(change: Partial<WorkerState>): void {
    this.#state = { ...this.#state, ...change };
  }

  #fail(error: CallError | null): void {
    this.#change({ fatalError: this.#state.fatalError ?? error });
  }

  get #isDraining(): boolean {
    return this.#state.phase === "draining";
  }

  /** A hint may have been missed. */
  #check(): void {
    this.#schedule(pollEveryMs, () => this.#check());
    const isFull = this.#freeSlots <= 0;
    void this.#claimAll();
    this.#reportStatus(isFull);
  }

  #reportStatus(isForced = false): void {
    const { phase, failures } = this.#state;
    const pause = `${failures} attempts failed in a row; the worker takes no new tasks for a while`;
    const reason = phase === "paused" ? pause : this.#types.reason;
    const status = reason !== null ? "stuck" : this.#running.size > 0 ? "busy" : "idle";
    void this.#statusReporter.report({ status, taskCount: this.#running.size, progress: reason ?? "" }, isForced);
  }

  get #freeSlots(): number {
    const { concurrency, maxTasks } = this.#options;
    const { phase, taken } = this.#state;
    if (phase !== "working" || this.#types.reason !== null) return 0;
    return Math.min(concurrency - this.#running.size, (maxTasks ?? Number.POSITIVE_INFINITY) - taken);
  }

  async #claimAll(): Promise<void> {
    const isClaiming = this.#claiming !== "no";
    this.#claiming = "again";
    if (isClaiming) return;
    while (this.#claiming === "again" && this.#freeSlots > 0) {
      this.#claiming = "once";
      const claimed = await this.#claimer.claim(this.#freeSlots, this.#types.open);
      if (claimed.tasks.length > 0) this.#claiming = "again";
      this.#startAll(claimed);
      this.#recordClaimResult(claimed);
    }
    this.#claiming = "no";
    this.#finishIfIdle();
  }

  #recordClaimResult({ tasks, error }: ClaimResult): void {
    const previousError = this.#state.claimError;
    this.#change({ isQueueEmpty: tasks.length === 0 && !(error && isTransient(error)), claimError: error });
    if (error && isTransient(error)) this.#repeatClaim(error);
    else this.#failedClaims = 0;
    if (error) this.#onClaimError(error, previousError);
  }

  /** [WK2] */
  #repeatClaim(error: CallError): void {
    if (this.#isClaimRepeated) return;
    this.#isClaimRepeated = true;
    const pauseMs = pauseBeforeRetry(error, this.#failedClaims, pollEveryMs, this.#deps.platform.random);
    this.#failedClaims += 1;
    this.#schedule(pauseMs, () => {
      this.#isClaimRepeated = false;
      void this.#claimAll();
    });
  }

  #onClaimError({ code, message }: CallError, previousError: CallError | null): void {
    if (code === "chat_draining") return this.drain("the chat was asked to end");
    if (message !== previousError?.message) this.#deps.emit({ type: "problem", message });
    // No retry helps without another token.
    if (code === "forbidden") this.#onLost(message);
  }

  #startAll({ tasks, since }: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant }): void {
    for (const task of tasks) this.#startAttempt(task, since);
    if (tasks.length > 0) this.#reportStatus();
  }

  #startAttempt(task: ClaimedTask, since: Instant): void {
    const setup = this.#options.setups.get(task.type);
    if (!setup) return this.#releaseUnrequested(task);
    const { link, platform, emit, keepOutput } = this.#deps;
    const next = (isFailed: boolean): ClaimOptions | undefined => this.#nextClaim(isFailed);
    const deps = { link, platform, emit, keepOutput, saveEveryMs, giveUp: this.#giveUp.signal, next };
    const attempt = new Attempt(deps, setup, task, since);
    this.#change({ taken: this.#state.taken + 1 });
    this.#running.add(attempt);
    if (this.#isDraining) attempt.stop({ kind: "leaving", message: "the worker ends" });
    void attempt.run().then(
      (attemptEnd) => this.#onAttemptEnd(attempt, attemptEnd),
      (error: unknown) => this.#onAttemptBug(attempt, error),
    );
  }

  #releaseUnrequested({ task, claim, type }: ClaimedTask): void {
    const { link, emit } = this.#deps;
    emit({ type: "problem", message: `task ${task} is of type ${type}, which was not requested; it is released` });
    void link.call("tasks.release", { task, claim }, askTimeoutMs);
  }

  /** [WK3] The answer to an end brings the next task. */
  #nextClaim(isFailed: boolean): ClaimOptions | undefined {
    const { maxTasks } = this.#options;
    const { phase, failures } = this.#state;
    const types = this.#types.open;
    const isPausing = (isFailed && failures + 1 >= suspiciousFailures) || types.length === 0;
    if (phase !== "working" || isPausing || maxTasks !== null) return undefined;
    return { limit: 1, types, isStarted: true };
  }

  #onAttemptEnd(attempt: Attempt, { end, next, reason, typeWaitMs }: AttemptEnd): void {
    this.#running.delete(attempt);
    this.#countEnd(attempt.task, end);
    if (end === "done") this.#change({ failures: 0 });
    if (typeWaitMs !== null) this.#awaitType(attempt.task.type, reason ?? "it has to wait", typeWaitMs);
    if (end === "failed" || end === "timeout") this.#onFailure(this.#state.failures + 1);
    this.#startAll(next);
    this.#continue();
    if (this.#options.isOnce && this.#state.phase === "paused" && this.#running.size === 0) void this.#endIfEmpty();
  }

  /** [WK271] A task of several attempts counts once. */
  #countEnd({ task }: ClaimedTask, end: AttemptEndKind): void {
    const before = this.#unfinished.get(task);
    if (before) this.#endCounts.set(before, (this.#endCounts.get(before) ?? 0) - 1);
    this.#endCounts.set(end, (this.#endCounts.get(end) ?? 0) + 1);
    if (end === "done") this.#unfinished.delete(task);
    else this.#unfinished.set(task, end);
  }

  /** [WK272] A pause claims nothing, so the queue is read. */
  async #endIfEmpty(): Promise<void> {
    for (const type of this.#types.open) {
      const queued = await this.#deps.link.call("tasks.list", { type, state: "queued", limit: 1 }, askTimeoutMs);
      if (!queued.ok || queued.value.tasks.length > 0 || queued.value.cursor !== null) return;
    }
    this.#change({ isQueueEmpty: true });
    this.#finishIfIdle();
  }

  #continue(): void {
    this.#reportStatus();
    void this.#claimAll();
  }

  /** [CX29] */
  #awaitType(taskType: string, reason: string, forMs: number): void {
    if (!this.#types.add(taskType, reason)) return;
    this.#deps.emit({ type: "waiting", taskType, reason, forMs });
    this.#schedule(forMs, () => {
      this.#types.remove(taskType);
      this.#continue();
    });
  }

  #onAttemptBug(attempt: Attempt, error: unknown): void {
    this.#running.delete(attempt);
    this.#countEnd(attempt.task, "untold");
    this.#deps.emit({ type: "problem", message: `a bug in SHIM: ${stackOf(error)}` });
    this.#finishIfIdle();
  }

  #onFailure(failures: number): void {
    this.#change({ failures, isQueueEmpty: false });
    if (failures < suspiciousFailures) return;
    const forMs = fullJitter(pauseBackoff, failures - suspiciousFailures, this.#deps.platform.random);
    if (!this.#isDraining) this.#change({ phase: "paused" });
    this.#deps.emit({ type: "backoff", failures, forMs });
    this.#schedule(forMs, () => {
      if (!this.#isDraining) this.#change({ phase: "working" });
      this.#continue();
    });
  }

  #finishIfIdle(): void {
    if (this.#running.size > 0 || this.#claiming !== "no") return;
    const end = endOfWork(this.#options, this.#state, this.#types.reason !== null);
    if (end === null) return;
    if (end === "queue_empty") this.#fail(this.#state.claimError);
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
