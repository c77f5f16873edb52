import type { ChatInput } from "../../coordinator-client/edge/connection.ts";
import {
  pauseBeforeRetry,
  statusReporter,
  type ReportStatus,
  claimer,
  type Claim,
} from "../../coordinator-client/coordinator-client.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";
import { pollEveryMs } from "../../contract/protocol.ts";
import { isTransient, type Failure } from "../../contract/errors.ts";
import type { Health } from "../../contract/chats.ts";
import type { ClaimedTask, ClaimOptions } from "../../contract/tasks.ts";
import { fullJitter } from "../../shared/async-work.ts";
import { stackOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { Attempt, type AttemptDeps, type AttemptEnd, type TaskSetup, type AttemptEndKind } from "./attempt.ts";
import { cpus } from "node:os";
import type { Clock } from "../../coordinator-client/edge/trust.ts";
import { share as memoryShare } from "../../platform/memory.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

export interface WorkerOptions {
  readonly chat: Pick<ChatInput, "chat" | "session" | "process" | "machine" | "client" | "capabilities">;
  readonly setups: ReadonlyMap<string, TaskSetup>;
  readonly concurrency: number;
  readonly maxTasks: number | null;
  readonly isOnce: boolean;
  readonly drainMs: number;
}

export interface WorkerDeps extends Pick<AttemptDeps, "platform" | "emit" | "keepOutput"> {
  readonly link: CoordinatorClient;
  readonly health: () => Health;
}

/** Tasks by the end of their last attempt here. */
export type EndCounts = Partial<Readonly<Record<AttemptEndKind, number>>>;

/** The first failure may be the task's own fault: no pause. */
const pauseBackoff = { baseMs: 2_000, capMs: 60_000 };
const suspiciousFailures = 2;
const stopTimeoutMs = 20_000;
const leaveTimeoutMs = 5_000;
const askTimeoutMs = 5_000;

/** A chat that claims tasks of its types and does them, until it is asked to end. */
export class WorkerAutomation {
  readonly #options: WorkerOptions;
  readonly #deps: WorkerDeps;
  readonly #claim: Claim;
  readonly #sendStatus: ReportStatus;
  readonly #running = new Set<Attempt>();
  readonly #timers = new Set<() => void>();
  readonly #giveUp = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  /** paused: too many failures; draining: for good. */
  #phase: "working" | "paused" | "draining" = "working";
  #tasksLeft: number;
  #doneTasks = 0;
  /** Tasks that may come back, with their last end. */
  readonly #unfinished = new Map<number, AttemptEndKind>();
  /** Consecutive failures of any tasks: the worker itself may be at fault. */
  #failures = 0;
  /** Types of which no task can be done for a while, with the reason. */
  readonly #waitReasons = new Map<string, string>();
  #claiming: "no" | "once" | "again" = "no";
  #isClaimRepeated = false;
  #failedClaims = 0;
  #isQueueEmpty = false;
  #claimError: Failure | null = null;
  #fatalError: Failure | null = null;

  constructor(options: WorkerOptions, deps: WorkerDeps) {
    const { link, platform, health } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#tasksLeft = options.maxTasks ?? Number.POSITIVE_INFINITY;
    this.#claim = claimer(link, platform);
    this.#sendStatus = statusReporter(link, platform.clock, health);
  }

  async run(): Promise<Result<EndCounts>> {
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
    if (this.#fatalError) return err(this.#fatalError);
    // A task of several attempts counts once.
    const counts: Partial<Record<AttemptEndKind, number>> = this.#doneTasks > 0 ? { done: this.#doneTasks } : {};
    for (const end of this.#unfinished.values()) counts[end] = (counts[end] ?? 0) + 1;
    return ok(counts);
  }

  drain(reason: string): void {
    if (this.#phase === "draining") return;
    const { link, emit } = this.#deps;
    this.#phase = "draining";
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
    this.#phase = "draining";
    this.#fatalError ??= { code: "chat_lost", message };
    this.#giveUp.abort();
    for (const attempt of this.#running) attempt.stop({ kind: "lost", message });
    this.#finishIfIdle();
  }

  /** A hint may have been missed. */
  #check(): void {
    this.#schedule(pollEveryMs, () => this.#check());
    const isFull = this.#freeSlots <= 0;
    void this.#claimAll();
    this.#reportStatus(isFull);
  }

  #reportStatus(isForced = false): void {
    const pause = `${this.#failures} attempts failed in a row; the worker takes no new tasks for a while`;
    const reason = this.#phase === "paused" ? pause : this.#waitReason;
    const taskCount = this.#running.size;
    const status = reason !== null ? "stuck" : taskCount > 0 ? "busy" : "idle";
    void this.#sendStatus({ status, taskCount, progress: reason ?? "" }, isForced);
  }

  get #openTypes(): string[] {
    return [...this.#options.setups.keys()].filter((type) => !this.#waitReasons.has(type));
  }

  /** Null while a task of some type can be done. */
  get #waitReason(): string | null {
    const [reason = null] = this.#waitReasons.values();
    return this.#openTypes.length > 0 ? null : reason;
  }

  get #freeSlots(): number {
    if (this.#phase !== "working" || this.#waitReason !== null) return 0;
    return Math.min(this.#options.concurrency - this.#running.size, this.#tasksLeft);
  }

  async #claimAll(): Promise<void> {
    const isClaiming = this.#claiming !== "no";
    this.#claiming = "again";
    if (isClaiming) return;
    while (this.#claiming === "again" && this.#freeSlots > 0) {
      this.#claiming = "once";
      const claimed = await this.#claim(this.#freeSlots, this.#openTypes);
      const { tasks, error } = claimed;
      if (tasks.length > 0) this.#claiming = "again";
      this.#startAll(claimed);
      const isLost = error !== null && isTransient(error);
      this.#isQueueEmpty = tasks.length === 0 && !isLost;
      if (isLost) this.#repeatClaim(error);
      else this.#failedClaims = 0;
      if (error) this.#onClaimError(error);
      this.#claimError = error;
    }
    this.#claiming = "no";
    this.#finishIfIdle();
  }

  #repeatClaim(error: Failure): void {
    if (this.#isClaimRepeated) return;
    this.#isClaimRepeated = true;
    const pauseMs = pauseBeforeRetry(error, this.#failedClaims, pollEveryMs, this.#deps.platform.random);
    this.#failedClaims += 1;
    this.#schedule(pauseMs, () => {
      this.#isClaimRepeated = false;
      void this.#claimAll();
    });
  }

  #onClaimError({ code, message }: Failure): void {
    if (code === "chat_draining") return this.drain("the chat was asked to end");
    if (message !== this.#claimError?.message) this.#deps.emit({ type: "problem", message });
    // No retry helps without another token.
    if (code === "forbidden") this.#onLost(message);
  }

  #startAll({ tasks, since }: AttemptEnd["next"]): void {
    for (const task of tasks) this.#startAttempt(task, since);
    if (tasks.length > 0) this.#reportStatus();
  }

  #startAttempt(task: ClaimedTask, since: AttemptEnd["next"]["since"]): void {
    const { link, emit } = this.#deps;
    const setup = this.#options.setups.get(task.type);
    if (!setup) {
      const message = `task ${task.task} is of type ${task.type}, which was not requested; it is released`;
      emit({ type: "problem", message });
      void link.call("tasks.release", { task: task.task, claim: task.claim }, askTimeoutMs);
      return;
    }
    const next = (isFailed: boolean): ClaimOptions | undefined => this.#nextClaim(isFailed);
    const deps = { ...this.#deps, giveUp: this.#giveUp.signal, next };
    const attempt = new Attempt(deps, setup, task, since);
    this.#tasksLeft -= 1;
    this.#running.add(attempt);
    if (this.#phase === "draining") attempt.stop({ kind: "leaving", message: "the worker ends" });
    void attempt.run().then(
      (attemptEnd) => this.#onAttemptEnd(attempt, attemptEnd),
      (error: unknown) => {
        this.#running.delete(attempt);
        this.#countEnd(task, "unreported");
        emit({ type: "problem", message: `a bug in SHIM: ${stackOf(error)}` });
        this.#finishIfIdle();
      },
    );
  }

  /** The answer to an end brings the next task. */
  #nextClaim(isFailed: boolean): ClaimOptions | undefined {
    const types = this.#openTypes;
    const isPausing = (isFailed && this.#failures + 1 >= suspiciousFailures) || types.length === 0;
    if (this.#phase !== "working" || isPausing || this.#options.maxTasks !== null) return undefined;
    return { limit: 1, types, isStarted: true };
  }

  #onAttemptEnd(attempt: Attempt, { end, next, reason, typeWaitMs }: AttemptEnd): void {
    const { task } = attempt;
    this.#running.delete(attempt);
    this.#countEnd(task, end);
    if (end === "done") this.#failures = 0;
    if (typeWaitMs !== null) this.#awaitType(task.type, reason ?? "it has to wait", typeWaitMs);
    if (end === "failed" || end === "timeout") this.#onFailure();
    this.#startAll(next);
    this.#continue();
    if (this.#options.isOnce && this.#phase === "paused" && this.#running.size === 0) void this.#endIfEmpty();
  }

  #countEnd({ task }: ClaimedTask, end: AttemptEndKind): void {
    if (end !== "done") return void this.#unfinished.set(task, end);
    this.#doneTasks += 1;
    this.#unfinished.delete(task);
  }

  /** A pause claims nothing, so the queue is read. */
  async #endIfEmpty(): Promise<void> {
    for (const type of this.#openTypes) {
      const queued = await this.#deps.link.call("tasks.list", { type, state: "queued", limit: 1 }, askTimeoutMs);
      if (!queued.ok || queued.value.tasks.length > 0 || queued.value.cursor !== null) return;
    }
    this.#isQueueEmpty = true;
    this.#finishIfIdle();
  }

  #continue(): void {
    this.#reportStatus();
    void this.#claimAll();
  }

  #awaitType(taskType: string, reason: string, forMs: number): void {
    if (this.#waitReasons.has(taskType)) return;
    this.#waitReasons.set(taskType, reason);
    this.#deps.emit({ type: "waiting", taskType, reason, forMs });
    this.#schedule(forMs, () => {
      this.#waitReasons.delete(taskType);
      this.#continue();
    });
  }

  #onFailure(): void {
    this.#failures += 1;
    const failures = this.#failures;
    this.#isQueueEmpty = false;
    if (failures < suspiciousFailures) return;
    const forMs = fullJitter(pauseBackoff, failures - suspiciousFailures, this.#deps.platform.random);
    if (this.#phase === "working") this.#phase = "paused";
    this.#deps.emit({ type: "backoff", failures, forMs });
    this.#schedule(forMs, () => {
      if (this.#phase === "paused") this.#phase = "working";
      this.#continue();
    });
  }

  #finishIfIdle(): void {
    if (this.#running.size > 0 || this.#claiming !== "no") return;
    const isAsked = this.#phase === "draining" || this.#tasksLeft <= 0;
    const isEmpty = this.#isQueueEmpty || (this.#waitReason !== null && this.#phase === "working");
    if (!isAsked && !(this.#options.isOnce && isEmpty)) return;
    if (!isAsked) this.#fatalError ??= this.#claimError;
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

function systemCpuTimes(): { readonly busyMs: number; readonly allMs: number } {
  const all = cpus().map(({ times }) => times);
  const idleMs = all.reduce((sum, { idle }) => sum + idle, 0);
  const allMs = all.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busyMs: allMs - idleMs, allMs };
}

/** @returns reads the machine's health, with its cores since the last reading */
export function machineHealth({ monotonic }: Pick<Clock, "monotonic">): () => Health {
  const startedAt = monotonic();
  let last = systemCpuTimes();
  return () => {
    const previous = last;
    last = systemCpuTimes();
    const allMs = last.allMs - previous.allMs;
    const cpu = allMs > 0 ? Math.min(1, Math.max(0, (last.busyMs - previous.busyMs) / allMs)) : undefined;
    const memory = memoryShare() ?? undefined;
    return { ...omitUndefined({ cpu, memory }), uptimeMs: Math.round(monotonic() - startedAt) };
  };
}
