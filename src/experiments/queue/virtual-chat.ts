import type { ClaimOptions, ClaimedTask } from "../../contract/tasks.ts";
import type { Self } from "../../contract/values.ts";
import type { QueueChat } from "./queue-record.ts";
import type { TaskHistory } from "./run-queue.ts";
import type { VirtualHost } from "./virtual-host.ts";

export interface ChatDeps {
  readonly host: VirtualHost;
  /** By their numbers in the run. */
  readonly tasks: ReadonlyMap<number, TaskHistory>;
}

/** A chat sends one every 15 s; the coordinator stores each second one [TA17]. */
const storedBeatMs = 30_000;
const beatsPerStored = 2;
const maxClaims = 50;

interface Attempt {
  readonly task: number;
  readonly claim: number;
  /** Ended during a silence: its result waits. */
  isOver: boolean;
  beatAt: number;
}

/**
 * A chat of the record, which works on as many tasks as it has capacity, also during a silence.
 * Messages between it and the coordinator take no time.
 */
export class VirtualChat {
  /** Times in which it did not die, and was offline when it came back. */
  falseDepartures = 0;
  readonly #id: string;
  readonly #record: QueueChat;
  readonly #deps: ChatDeps;
  readonly #running = new Map<number, Attempt>();
  #phase: "absent" | "present" | "silent" | "gone" = "absent";
  /** The coordinator has an open connection of the chat, as far as it knows. */
  #isConnected = false;
  /** First ping of the connection; during a silence, the last one. */
  #heardAt = 0;
  #pingEveryMs = 1;
  #incarnation = 0;
  #requests = 0;

  constructor(id: string, record: QueueChat, deps: ChatDeps) {
    this.#id = id;
    this.#record = record;
    this.#deps = deps;
  }

  /** @param toTime from ms since the record's start to epoch ms */
  schedule(toTime: (ms: number) => number): void {
    const { fromMs, untilMs, end, silences } = this.#record;
    const { host } = this.#deps;
    const from = Math.max(0, fromMs);
    if (untilMs !== null && untilMs <= from) return;
    host.at(toTime(from), () => {
      this.#connect();
      this.#claimAll();
    });
    for (const { atMs, forMs } of silences) {
      if (atMs < from || forMs <= 0) continue;
      host.at(toTime(atMs), () => this.#fallSilent(toTime(atMs + forMs)));
    }
    if (untilMs !== null) host.at(toTime(untilMs), () => (end === "left" ? this.#leave() : this.#die()));
  }

  /** [CH6] Last ping that has arrived; null: no connection. */
  lastSeen(): number | null {
    if (!this.#isConnected) return null;
    if (this.#phase !== "present") return this.#heardAt;
    const since = this.#deps.host.now - this.#heardAt;
    return this.#heardAt + since - (since % this.#pingEveryMs);
  }

  onTaskHint(): void {
    if (this.#phase === "present") this.#claimAll();
  }

  /** The coordinator closes the connections of a chat that is offline. */
  onOffline(): void {
    if (this.#phase !== "present") this.#isConnected = false;
  }

  #connect(): void {
    const { host } = this.#deps;
    const { capacity, types } = this.#record;
    const registered = host.register({
      chat: this.#id,
      session: this.#id,
      process: this.#id,
      machine: "simulation",
      client: "simulation",
      role: "worker",
      isInteractive: false,
      capabilities: [],
      capacity,
      taskTypes: types === null ? ["*"] : [...types],
      metadata: {},
    });
    if (!registered.ok) throw new Error(registered.error.message);
    const { incarnation, pingIntervalMs, wasOffline, isNew } = registered.value;
    // After a day offline its row is gone.
    if (wasOffline || (isNew && this.#incarnation > 0)) this.falseDepartures += 1;
    this.#incarnation = incarnation;
    this.#pingEveryMs = pingIntervalMs;
    this.#phase = "present";
    this.#isConnected = true;
    this.#heardAt = host.now;
  }

  #fallSilent(until: number): void {
    if (this.#phase !== "present") return;
    this.#phase = "silent";
    this.#heardAt = this.#deps.host.now;
    this.#deps.host.at(until, () => this.#comeBack());
  }

  #comeBack(): void {
    if (this.#phase !== "silent") return;
    this.#connect();
    for (const attempt of this.#running.values()) {
      if (attempt.isOver) this.#report(attempt);
      else this.#beat(attempt);
    }
    this.#claimAll();
  }

  #leave(): void {
    if (this.#phase !== "present") return this.#die();
    this.#phase = "gone";
    this.#isConnected = false;
    this.#running.clear();
    this.#deps.host.call("chats.unregister", { self: this.#self });
  }

  #die(): void {
    this.#heardAt = this.lastSeen() ?? 0;
    this.#phase = "gone";
    this.#running.clear();
  }

  get #self(): Self {
    return { chat: this.#id, incarnation: this.#incarnation };
  }

  #options(limit: number): ClaimOptions {
    const { types } = this.#record;
    return { limit, isStarted: true, ...(types === null ? {} : { types: [...types] }) };
  }

  #claimAll(): void {
    for (;;) {
      const room = Math.min(maxClaims, this.#record.capacity - this.#running.size);
      if (room <= 0) return;
      const requestId = `r${(this.#requests += 1)}`;
      const claimed = this.#deps.host.call("tasks.claim", { self: this.#self, requestId, ...this.#options(room) });
      if (!claimed.ok || claimed.value.claims.length === 0) return;
      this.#startAll(claimed.value.claims);
    }
  }

  #startAll(claims: readonly ClaimedTask[]): void {
    const { host } = this.#deps;
    for (const { task, claim } of claims) {
      const attempt = { task, claim, isOver: false, beatAt: 0 };
      const history = this.#historyOf(task);
      history.firstStartAt ??= host.now;
      this.#running.set(task, attempt);
      host.at(host.now + Math.max(0, history.record.runMs), () => this.#end(attempt));
      this.#scheduleBeat(attempt);
    }
  }

  #historyOf(task: number): TaskHistory {
    const history = this.#deps.tasks.get(task);
    if (!history) throw new Error(`task ${task} was not submitted`);
    return history;
  }

  #isCurrent(attempt: Attempt): boolean {
    return this.#running.get(attempt.task) === attempt;
  }

  #scheduleBeat(attempt: Attempt): void {
    const { host } = this.#deps;
    const at = host.now + storedBeatMs;
    attempt.beatAt = at;
    host.at(at, () => {
      const isDue = this.#isCurrent(attempt) && attempt.beatAt === at && !attempt.isOver;
      if (isDue && this.#phase === "present") this.#beat(attempt);
    });
  }

  /** A refusal says that the task is another chat's, or queued again. */
  #beat(attempt: Attempt): void {
    const { host } = this.#deps;
    const { task, claim } = attempt;
    host.operations += beatsPerStored - 1;
    if (host.call("tasks.heartbeat", { self: this.#self, task, claim }).ok) return this.#scheduleBeat(attempt);
    this.#running.delete(task);
    this.#claimAll();
  }

  #end(attempt: Attempt): void {
    if (!this.#isCurrent(attempt)) return;
    if (this.#phase === "silent") attempt.isOver = true;
    else this.#report(attempt);
  }

  /** The answer to an end brings the next task. */
  #report(attempt: Attempt): void {
    const { host } = this.#deps;
    const { task, claim } = attempt;
    const history = this.#historyOf(task);
    const input = { self: this.#self, task, claim, next: this.#options(1) };
    const isFailure = history.failures < history.record.failures;
    this.#running.delete(task);
    const ended = isFailure
      ? host.call("tasks.nack", { ...input, isRetryable: true, reason: "failed in the record" })
      : host.call("tasks.ack", { ...input, result: null });
    if (!ended.ok) return this.#claimAll();
    if (isFailure) history.failures += 1;
    else history.doneAt = host.now;
    this.#startAll(ended.value.next);
  }
}
