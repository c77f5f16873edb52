import type { Usage } from "../../contract/budgets.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Outside } from "../edge/outside.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import { StoreError } from "../store/store-error.ts";
import * as spending from "../usage/task-spending.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask } from "./held-tasks.ts";
import * as news from "./news.ts";

export interface HolderSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly outside: Pick<Outside, "setTimer">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
  /** Whether a checkpoint is sent with a summary of the work, which the operator of an edge could read. */
  readonly isLocal: boolean;
  /** Whether the chat shows signs of work. */
  readonly isAtWork: () => boolean;
}

/** Four heartbeats within the allowed silence, but at least one in this time, in ms. */
const rarestBeatMs = 30_000;
const beatWithinMs = 10_000;
/** The claim is over, whatever this chat does. */
const overCodes: ReadonlySet<string> = new Set(["stale_claim", "unknown_task", "unknown_chat", "chat_replaced"]);

/**
 * Keeps the claims of the chat: [TE4] heartbeats as long as the chat shows signs of work [TE26], with the newest checkpoint, so that the next
 * attempt can continue from it. [TE5] A lost claim and a cancelled task are news for the chat.
 */
export class TaskHolder {
  readonly #around: HolderSurroundings;
  /** The last reported checkpoint, by task. */
  readonly #reported = new Map<number, string | null>();
  readonly #closesAt = new Map<number, number>();
  #isBeating = false;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(around: HolderSurroundings) {
    this.#around = around;
  }

  /** The oldest first. */
  list(): HeldTask[] {
    return this.#around.runtime.store.read((sql) => heldTasks.list(sql, this.#around), []);
  }

  /** Remaining time of the attempt, in ms; null: not known yet. */
  remainingMs({ task }: HeldTask): number | null {
    const at = this.#closesAt.get(task.task);
    return at === undefined ? null : Math.max(0, at - this.#around.runtime.now());
  }

  take(task: ClaimedTask): HeldTask {
    const { runtime, link } = this.#around;
    const held = { task, incarnation: link.self?.incarnation ?? 0, at: runtime.now() };
    runtime.store.write((sql) => heldTasks.keep(sql, this.#around, held));
    this.#closesAt.set(task.task, held.at + task.remainingMs);
    this.#schedule();
    return held;
  }

  /** The newest checkpoint of the session as others may see it; null before the first. */
  newestCheckpoint(): Json {
    const { runtime, sessionId, isLocal } = this.#around;
    const found = runtime.store.read((sql) => checkpoints.latest(sql, sessionId), null);
    if (!found) return null;
    return { session: sessionId, checkpoint: found.id, ...(isLocal ? { summary: found.summary } : {}) };
  }

  /** [BU8] The usage of the attempt by the client's figures and its transcript; null: not known. */
  usageOf({ task: { claim } }: HeldTask): Usage | null {
    const { runtime, sessionId } = this.#around;
    const found = runtime.store.read((sql) => spending.get(sql, sessionId), null);
    return found?.claim === claim ? spending.toUsage(found, runtime.now()) : null;
  }

  /** Checks by heartbeats that the tasks are not cancelled and still this chat's; also after a registration. */
  check(): void {
    if (this.#isBeating || this.#isClosed) return;
    this.#isBeating = true;
    void this.#beatIfAtWork()
      .catch((error: unknown) => this.#around.runtime.log("error", "heartbeat of a task", { error: String(error) }))
      .finally(() => {
        this.#isBeating = false;
        this.#schedule();
      });
  }

  /** Reports a checkpoint that the next attempt would miss if this chat died now. */
  beatIfSaved(): void {
    if (this.list().some(({ task }) => this.#checkpointOf(task.task) !== null)) this.check();
  }

  /** The last heartbeats, with the last checkpoint. */
  async flush(): Promise<void> {
    await this.#beatAll();
  }

  /** All tasks of the chat are lost. */
  loseAll(reason: string): void {
    for (const held of this.list()) this.#lose(held, reason);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  #schedule(): void {
    this.#cancelTimer();
    const everyMs = this.#isClosed ? null : this.#pauseMs();
    if (everyMs === null) return;
    this.#cancelTimer = this.#around.outside.setTimer(() => this.check(), everyMs);
  }

  /** Null: the chat has no task. If the tasks cannot be read now, it is tried again later. */
  #pauseMs(): number | null {
    try {
      const held = this.list();
      return held.length === 0 ? null : Math.min(rarestBeatMs, ...held.map(({ task }) => task.heartbeatMs / 4));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return rarestBeatMs;
    }
  }

  async #beatIfAtWork(): Promise<void> {
    if (this.#around.isAtWork()) await this.#beatAll();
  }

  async #beatAll(): Promise<void> {
    const { self } = this.#around.link;
    if (!self) return;
    for (const held of this.list()) {
      if (held.incarnation === self.incarnation) await this.#beat(held);
      else this.#lose(held, "the chat counted as gone, and goes on in another process");
    }
  }

  async #beat(held: HeldTask): Promise<void> {
    const { task, claim } = held.task;
    const newest = this.#checkpointOf(task);
    const usage = this.usageOf(held);
    const answer = await this.#around.link.call(
      "tasks.heartbeat",
      { task, claim, ...(newest === null ? {} : { checkpoint: newest }), ...(usage ? { usage } : {}) },
      beatWithinMs,
    );
    if (this.#isClosed) return;
    if (answer.ok) this.#heard(held, answer.value, newest, usage);
    else this.#failed(held, answer.error);
  }

  /** Null: nothing new. */
  #checkpointOf(task: number): Json {
    const newest = this.newestCheckpoint();
    return newest !== null && this.#reported.get(task) !== JSON.stringify(newest) ? newest : null;
  }

  #heard(held: HeldTask, answer: OutputOf<"tasks.heartbeat">, told: Json, usage: Usage | null): void {
    const { isCancelled, isOverBudget, reason, remainingMs } = answer;
    const { runtime } = this.#around;
    const { task, claim, type: title } = held.task;
    if (told !== null) this.#reported.set(task, JSON.stringify(told));
    this.#closesAt.set(task, runtime.now() + remainingMs);
    if (isOverBudget) return this.#overspent(held, reason ?? "its budget is used up");
    if (usage) this.#confirm(claim, usage);
    if (isCancelled) {
      this.#tell(`cancelled:${task}:${claim}`, { kind: "task_cancelled", task, title, reason: reason ?? "cancelled" });
    }
  }

  /** Most heartbeats are below every limit, and write nothing. */
  #confirm(claim: number, usage: Usage): void {
    const { runtime, sessionId } = this.#around;
    const isOver = runtime.store.read(
      (sql) => spending.refusal(sql, sessionId, undefined, runtime.now()) !== null,
      false,
    );
    if (isOver) runtime.store.write((sql) => spending.confirm(sql, sessionId, claim, usage));
  }

  #overspent(held: HeldTask, reason: string): void {
    const { runtime, sessionId } = this.#around;
    runtime.store.write((sql) => spending.exceed(sql, sessionId, held.task.claim, reason));
    this.#lose(held, reason);
  }

  #failed(held: HeldTask, error: Trouble): void {
    if (overCodes.has(error.code)) this.#lose(held, error.message);
    else if (!isPassing(error)) this.#around.runtime.log("warn", "heartbeat of a task", { code: error.code });
  }

  /** Unless its end was reported meanwhile. */
  #lose({ task: claimed }: HeldTask, reason: string): void {
    const { runtime, sessionId, workspace } = this.#around;
    const { task, claim, type: title } = claimed;
    const told = { kind: "claim_lost", task, title, reason, workspace } as const;
    runtime.store.write((sql) => {
      if (!heldTasks.drop(sql, this.#around, claimed)) return;
      news.add(sql, runtime.now(), sessionId, `lost:${task}:${claim}`, told);
    });
    this.#reported.delete(task);
    this.#closesAt.delete(task);
  }

  #tell(key: string, told: news.News): void {
    const { runtime, sessionId } = this.#around;
    // Most heartbeats of a cancelled task bring nothing new.
    const isKnown = runtime.store.read((sql) => news.has(sql, sessionId, key), false);
    if (!isKnown) runtime.store.write((sql) => void news.add(sql, runtime.now(), sessionId, key, told));
  }
}
