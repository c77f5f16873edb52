import type { Health } from "../../contract/chats.ts";
import type { ClaimedTask, ClaimOptions } from "../../contract/tasks.ts";
import { stackOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Outside } from "../edge/outside.ts";
import type { Instant } from "../edge/trust.ts";
import { Attempt, type AttemptSurroundings, type Setup } from "./attempt.ts";
import { ChatNews } from "./chat-news.ts";
import { Claimer, type Claimed } from "./claimer.ts";
import type { Ended } from "./conclusion.ts";
import { FailureStreak } from "./failure-streak.ts";
import { Stop } from "./stop.ts";
import { isPassing, type Chat, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { End, Tell } from "./worker-events.ts";

export interface WorkerOptions {
  readonly chat: Pick<Chat, "chat" | "session" | "process" | "machine" | "client" | "capabilities">;
  /** By type of task. */
  readonly setups: ReadonlyMap<string, Setup>;
  readonly concurrency: number;
  /** After so many tasks it ends; null: never. */
  readonly maxTasks: number | null;
  /** Ends when nothing is there to be taken. */
  readonly isOnce: boolean;
  /** How long what runs may take to come to its end once the worker is asked to end, in ms. */
  readonly drainMs: number;
}

export interface WorkerSurroundings {
  readonly link: ChatLink;
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  readonly health: () => Health;
  readonly tell: Tell;
  readonly keepOutput: AttemptSurroundings["keepOutput"];
}

/** How the attempts of a worker have ended. */
export type Summary = Partial<Readonly<Record<End, number>>>;

const saveEveryMs = 60_000;
/** For what was stopped to be put away and given back, in ms. */
const farewellMs = 20_000;
const leaveWithinMs = 5_000;
const askWithinMs = 5_000;

/** [WK1] A chat that takes tasks, does them, and tells how they ended, until it is asked to end. */
export class WorkerAutomation {
  readonly #options: WorkerOptions;
  readonly #around: WorkerSurroundings;
  readonly #claimer: Claimer;
  readonly #news: ChatNews;
  readonly #streak: FailureStreak;
  readonly #running = new Set<Attempt>();
  readonly #timers = new Set<() => void>();
  readonly #giveUp = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #ends = new Map<End, number>();
  #isPulling = false;
  #isPullWanted = false;
  #isNothingThere = false;
  #isDraining = false;
  #isPaused = false;
  #taken = 0;
  #trouble: Trouble | null = null;
  /** Why it ended, where nobody has asked for that. */
  #lost: Trouble | null = null;

  constructor(options: WorkerOptions, around: WorkerSurroundings) {
    const { link, outside, health } = around;
    this.#options = options;
    this.#around = around;
    this.#claimer = new Claimer(link, outside, [...options.setups.keys()]);
    this.#news = new ChatNews(link, outside.clock, health);
    this.#streak = new FailureStreak(outside.random);
  }

  /** To its end. @returns how the attempts ended; or why it could not begin, or go on */
  async run(): Promise<Result<Summary, Trouble>> {
    const { link, tell } = this.#around;
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
    tell({ type: "registered", chat: chat.chat, taskTypes });
    const stopHearing = [
      link.onNews((news) => void (news !== "message" && this.#heed())),
      link.onLost((reason) => this.#lose(reason)),
    ];
    this.#check();
    await this.#over.promise;
    for (const stop of [...stopHearing, ...this.#timers]) stop();
    await link.leave(leaveWithinMs);
    return this.#lost ? err(this.#lost) : ok(Object.fromEntries(this.#ends));
  }

  /** [WK10] Takes nothing new, and ends when what runs has ended, or the time for that is over. */
  drain(reason: string): void {
    if (this.#isDraining) return;
    const { link, tell } = this.#around;
    this.#isDraining = true;
    tell({ type: "draining", reason, running: this.#running.size });
    void link.call("chats.drain", { chat: this.#options.chat.chat, reason }, askWithinMs);
    this.#after(this.#options.drainMs, () => this.hurry(reason));
    this.#settle();
  }

  /** Stops what runs, and gives it back with its checkpoints. */
  hurry(reason: string): void {
    this.drain(reason);
    for (const attempt of this.#running) attempt.stop(new Stop("leaving", reason));
    this.#after(farewellMs, () => this.#giveUp.abort());
  }

  #lose(message: string): void {
    this.#lost ??= { code: "chat_lost", message };
    this.#isDraining = true;
    this.#giveUp.abort();
    for (const attempt of this.#running) attempt.stop(new Stop("lost", message));
    this.#settle();
  }

  /** Now and then, as what was told may have been missed. */
  #check(): void {
    this.#after(this.#around.link.pollEveryMs, () => this.#check());
    const isAsking = this.#room > 0;
    void this.#pull();
    this.#tellState(!isAsking);
  }

  #heed(): void {
    for (const attempt of this.#running) attempt.check();
    void this.#pull();
  }

  #tellState(isForced = false): void {
    const failures = this.#streak.failures;
    const state = {
      status: this.#isPaused ? "stuck" : this.#running.size > 0 ? "busy" : "idle",
      taskCount: this.#running.size,
      progress: this.#isPaused
        ? `${failures} attempts failed one after the other; it takes nothing new for a while`
        : "",
    } as const;
    void this.#news.tell(state, isForced);
  }

  /** [WK3] */
  get #room(): number {
    const { concurrency, maxTasks } = this.#options;
    if (this.#isDraining || this.#isPaused) return 0;
    return Math.min(concurrency - this.#running.size, (maxTasks ?? Number.POSITIVE_INFINITY) - this.#taken);
  }

  async #pull(): Promise<void> {
    this.#isPullWanted = true;
    if (this.#isPulling) return;
    this.#isPulling = true;
    while (this.#isPullWanted && this.#room > 0) {
      this.#isPullWanted = false;
      const claimed = await this.#claimer.claim(this.#room);
      this.#isPullWanted ||= claimed.tasks.length > 0;
      this.#beginAll(claimed);
      this.#judge(claimed);
    }
    this.#isPulling = false;
    this.#settle();
  }

  #judge({ tasks, trouble }: Claimed): void {
    this.#isNothingThere = tasks.length === 0 && !(trouble && isPassing(trouble));
    const before = this.#trouble;
    this.#trouble = trouble;
    if (trouble) this.#meet(trouble, before);
  }

  #meet({ code, message }: Trouble, before: Trouble | null): void {
    if (code === "chat_draining") return this.drain("the chat was asked to end");
    if (message !== before?.message) this.#around.tell({ type: "problem", message });
    // Its token does not allow it: nothing changes that.
    if (code === "forbidden") this.#lose(message);
  }

  #beginAll({ tasks, since }: { readonly tasks: readonly ClaimedTask[]; readonly since: Instant }): void {
    for (const task of tasks) this.#begin(task, since);
  }

  #begin(task: ClaimedTask, since: Instant): void {
    const setup = this.#options.setups.get(task.type);
    if (!setup) return this.#refuse(task);
    const { link, outside, tell, keepOutput } = this.#around;
    const next = (isFailed: boolean): ClaimOptions | undefined => this.#next(isFailed);
    const around = { link, outside, tell, keepOutput, saveEveryMs, giveUp: this.#giveUp.signal, next };
    const attempt = new Attempt(around, setup, task, since);
    this.#taken += 1;
    this.#running.add(attempt);
    // It was on its way when the worker was asked to end.
    if (this.#isDraining) attempt.stop(new Stop("leaving", "the worker ends"));
    void attempt.run().then(
      (ended) => this.#ended(attempt, ended),
      (error: unknown) => this.#broke(attempt, error),
    );
  }

  /** A coordinator does not do that. */
  #refuse({ task, claim, type }: ClaimedTask): void {
    const { link, tell } = this.#around;
    tell({ type: "problem", message: `task ${task} is of type ${type}, which was not asked for; it is given back` });
    void link.call("tasks.release", { task, claim }, askWithinMs);
  }

  /** [WK3] With the answer to an end comes what is done in its place. */
  #next(isFailed: boolean): ClaimOptions | undefined {
    const { maxTasks, setups } = this.#options;
    const isPausing = this.#isPaused || (isFailed && this.#streak.isDoubtful);
    if (this.#isDraining || isPausing || maxTasks !== null) return undefined;
    return { limit: 1, types: [...setups.keys()], isStarted: true };
  }

  #ended(attempt: Attempt, { end, next }: Ended): void {
    this.#running.delete(attempt);
    this.#ends.set(end, (this.#ends.get(end) ?? 0) + 1);
    if (end === "done") this.#streak.succeeded();
    if (end === "failed" || end === "timeout") this.#pause(this.#streak.failed());
    this.#beginAll(next);
    this.#tellState();
    void this.#pull();
  }

  /** A bug: the task is given out again when its heartbeats are missed. */
  #broke(attempt: Attempt, error: unknown): void {
    this.#running.delete(attempt);
    this.#ends.set("untold", (this.#ends.get("untold") ?? 0) + 1);
    this.#around.tell({ type: "problem", message: `a bug of SHIM: ${stackOf(error)}` });
    this.#settle();
  }

  /** [WK9] */
  #pause(forMs: number): void {
    if (forMs === 0) return;
    this.#isPaused = true;
    this.#around.tell({ type: "backoff", failures: this.#streak.failures, forMs });
    this.#after(forMs, () => {
      this.#isPaused = false;
      this.#tellState();
      void this.#pull();
    });
  }

  get #isAllTaken(): boolean {
    return this.#options.isOnce && this.#isNothingThere && !this.#isPaused;
  }

  #settle(): void {
    if (this.#running.size > 0 || this.#isPulling) return;
    const { maxTasks } = this.#options;
    const isEnough = this.#isDraining || (maxTasks !== null && this.#taken >= maxTasks);
    if (!isEnough && !this.#isAllTaken) return;
    // Tasks may be there, and it was refused them.
    if (!isEnough) this.#lost ??= this.#trouble;
    this.#over.resolve();
  }

  #after(ms: number, work: () => void): void {
    const cancel = this.#around.outside.setTimer(() => {
      this.#timers.delete(cancel);
      work();
    }, ms);
    this.#timers.add(cancel);
  }
}
