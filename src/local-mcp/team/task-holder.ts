import type { OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Outside } from "../edge/outside.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import { StoreError } from "../store/store-error.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask } from "./held-tasks.ts";
import * as news from "./news.ts";

export interface HolderSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly outside: Pick<Outside, "setTimer">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
  /** Whether a summary of the work may go along with a checkpoint's id: whoever runs an edge could read it. */
  readonly isLocal: boolean;
}

/** Four in the silence that is allowed, but no rarer than this, in ms. */
const rarestBeatMs = 30_000;
const beatWithinMs = 10_000;
/** The claim is over, whatever this chat does. */
const overCodes: ReadonlySet<string> = new Set(["stale_claim", "unknown_task", "unknown_chat", "chat_replaced"]);

/**
 * Keeps the tasks of the chat its own: [TE4] heartbeats as long as the process lives, which carry the newest checkpoint, so that the next attempt can
 * go on from it. [TE5] A claim that is lost, and a task that somebody has cancelled, is news for the chat.
 */
export class TaskHolder {
  readonly #around: HolderSurroundings;
  /** By task: the checkpoint that was told last, and when the attempt's time is over. */
  readonly #told = new Map<number, string | null>();
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

  /** Until the time of its attempt is over, in ms; null: not known yet. */
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

  /** Looks whether the tasks are still wanted and still this chat's; after a registration, too. */
  look(): void {
    if (this.#isBeating || this.#isClosed) return;
    this.#isBeating = true;
    void this.#beatAll()
      .catch((error: unknown) => this.#around.runtime.log("error", "heartbeat of a task", { error: String(error) }))
      .finally(() => {
        this.#isBeating = false;
        this.#schedule();
      });
  }

  /** A checkpoint that the next attempt would miss if this chat died now. */
  lookIfSaved(): void {
    if (this.list().some(({ task }) => this.#checkpointOf(task.task) !== null)) this.look();
  }

  /** The last heartbeats, with the last checkpoint. */
  async flush(): Promise<void> {
    await this.#beatAll();
  }

  /** All of it is another's now. */
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
    this.#cancelTimer = this.#around.outside.setTimer(() => this.look(), everyMs);
  }

  /** Null: it has none. What it has cannot be read now: it may be so later. */
  #pauseMs(): number | null {
    try {
      const held = this.list();
      return held.length === 0 ? null : Math.min(rarestBeatMs, ...held.map(({ task }) => task.heartbeatMs / 4));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return rarestBeatMs;
    }
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
    const answer = await this.#around.link.call(
      "tasks.heartbeat",
      { task, claim, ...(newest === null ? {} : { checkpoint: newest }) },
      beatWithinMs,
    );
    if (this.#isClosed) return;
    if (answer.ok) this.#heard(held, answer.value, newest);
    else this.#failed(held, answer.error);
  }

  /** Null: nothing new. */
  #checkpointOf(task: number): Json {
    const newest = this.newestCheckpoint();
    return newest !== null && this.#told.get(task) !== JSON.stringify(newest) ? newest : null;
  }

  #heard(held: HeldTask, answer: OutputOf<"tasks.heartbeat">, told: Json): void {
    const { isCancelled, isOverBudget, reason, remainingMs } = answer;
    const { runtime } = this.#around;
    const { task, claim, type: title } = held.task;
    if (told !== null) this.#told.set(task, JSON.stringify(told));
    this.#closesAt.set(task, runtime.now() + remainingMs);
    if (isOverBudget) this.#lose(held, reason ?? "its budget is used up");
    else if (isCancelled) {
      this.#tell(`cancelled:${task}:${claim}`, { kind: "task_cancelled", task, title, reason: reason ?? "cancelled" });
    }
  }

  #failed(held: HeldTask, error: Trouble): void {
    if (overCodes.has(error.code)) this.#lose(held, error.message);
    else if (!isPassing(error)) this.#around.runtime.log("warn", "heartbeat of a task", { code: error.code });
  }

  /** Unless its end was reported meanwhile. */
  #lose({ task: claimed }: HeldTask, reason: string): void {
    const { runtime, sessionId } = this.#around;
    const { task, claim, type: title } = claimed;
    runtime.store.write((sql) => {
      if (!heldTasks.drop(sql, this.#around, claimed)) return;
      news.add(sql, runtime.now(), sessionId, `lost:${task}:${claim}`, { kind: "claim_lost", task, title, reason });
    });
    this.#told.delete(task);
    this.#closesAt.delete(task);
  }

  #tell(key: string, told: news.News): void {
    const { runtime, sessionId } = this.#around;
    // Most heartbeats of a cancelled task tell nothing new.
    const isKnown = runtime.store.read((sql) => news.has(sql, sessionId, key), false);
    if (!isKnown) runtime.store.write((sql) => void news.add(sql, runtime.now(), sessionId, key, told));
  }
}
