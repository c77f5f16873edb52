/** Tasks as their rules tell of them, without storage: what a host must show after whatever happens to it. */

export interface Wished {
  readonly type: string;
  readonly priority: number;
  readonly capabilities: readonly string[];
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly queueMs: number | null;
  readonly closeMs: number;
  readonly heartbeatMs: number;
  readonly isIgnoring: boolean;
}

export interface ModelTask extends Wished {
  readonly task: number;
  readonly needs: readonly ModelTask[];
  readonly notBefore: number;
  state: string;
  reason: string | null;
  chat: string | null;
  /** When something happens by itself; null: nothing does. */
  dueAt: number | null;
  /** Of a running one. */
  closeAt: number;
  seenAt: number;
  failures: number;
  stalls: number;
  lost: number;
  isCancelAsked: boolean;
}

export interface ModelChat {
  readonly capabilities: readonly string[];
  readonly capacity: number;
  isHere: boolean;
}

type Cost = "failures" | "stalls" | "lost";

const ends = new Set(["done", "dead", "cancelled"]);
const maxStalls = 3;
const maxLostChats = 3;
const startMs = 30_000;
export const backoff = { baseMs: 2_000, capMs: 5_000, hasJitter: false };

export class TaskModel {
  now: number;
  readonly tasks: ModelTask[] = [];
  readonly chats: ReadonlyMap<string, ModelChat>;

  constructor(now: number, chats: ReadonlyMap<string, ModelChat>) {
    this.now = now;
    this.chats = chats;
  }

  submit(task: number, wished: Wished, needs: readonly ModelTask[]): void {
    const notBefore = this.now + wished.delayMs;
    const start = { state: "blocked", reason: null, chat: null, dueAt: null, closeAt: 0, seenAt: 0 };
    const counts = { failures: 0, stalls: 0, lost: 0, isCancelAsked: false };
    const one: ModelTask = { ...wished, task, needs, notBefore, ...start, ...counts };
    this.tasks.push(one);
    this.#unblock(one);
  }

  held(chat: string): ModelTask[] {
    return this.tasks.filter((one) => one.chat === chat);
  }

  /** What the chat must get, in this order. */
  claim(name: string, limit: number, types: readonly string[] | undefined, isStarted: boolean): ModelTask[] {
    const chat = this.chats.get(name);
    if (!chat?.isHere) return [];
    const free = Math.min(limit, chat.capacity - this.held(name).length);
    const fitting = this.tasks.filter(
      (one) =>
        one.state === "queued" &&
        (!types || types.includes(one.type)) &&
        one.capabilities.every((capability) => chat.capabilities.includes(capability)),
    );
    const sorted = fitting.toSorted((a, b) => b.priority - a.priority || a.task - b.task);
    const taken = sorted.slice(0, Math.max(0, free));
    for (const one of taken) {
      Object.assign(one, { state: "assigned", chat: name, dueAt: this.now + startMs });
      if (isStarted) this.begin(one);
    }
    return taken;
  }

  begin(one: ModelTask): void {
    if (one.state !== "assigned") return;
    Object.assign(one, { state: "running", closeAt: this.now + one.closeMs, seenAt: this.now });
    this.#look(one);
  }

  beat(one: ModelTask, isNews: boolean): void {
    this.begin(one);
    if (isNews || this.now - one.seenAt >= one.heartbeatMs / 3) one.seenAt = this.now;
    this.#look(one);
  }

  ack(one: ModelTask): void {
    this.#end(one, "done", null);
  }

  nack(one: ModelTask, isRetryable: boolean): void {
    this.#return(one, "failures", isRetryable);
  }

  release(one: ModelTask): void {
    this.#return(one, null);
  }

  cancel(one: ModelTask): void {
    if (ends.has(one.state)) return;
    if (one.state === "running") one.isCancelAsked = true;
    else this.#end(one, "cancelled", null);
  }

  /** The chat has left, or was seen to be dead. */
  gone(name: string, isLost: boolean): void {
    const chat = this.chats.get(name);
    if (chat) chat.isHere = false;
    for (const one of this.held(name)) this.#return(one, isLost && one.state === "running" ? "lost" : null);
  }

  nextEvent(): number | null {
    const times = this.tasks.flatMap(({ dueAt }) => dueAt ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** All that happens by itself now. */
  settle(): void {
    for (const one of this.tasks) {
      if (one.dueAt === null || one.dueAt > this.now) continue;
      if (one.state === "scheduled") this.#queue(one);
      else if (one.state === "queued") this.#end(one, "dead", "expired");
      else if (one.state === "assigned") this.#return(one, null);
      else this.#return(one, one.closeAt <= this.now ? "failures" : "stalls");
    }
  }

  #look(one: ModelTask): void {
    one.dueAt = Math.min(one.closeAt, one.seenAt + one.heartbeatMs);
  }

  #queue(one: ModelTask): void {
    Object.assign(one, { state: "queued", chat: null, dueAt: one.queueMs === null ? null : this.now + one.queueMs });
  }

  #waitUntil(one: ModelTask, until: number): void {
    if (until > this.now) Object.assign(one, { state: "scheduled", chat: null, dueAt: until });
    else this.#queue(one);
  }

  #return(one: ModelTask, cost: Cost | null, isRetryable = true): void {
    if (cost) one[cost] += 1;
    if (one.isCancelAsked) return this.#end(one, "cancelled", null);
    if (!isRetryable || one.failures >= one.maxAttempts) return this.#end(one, "dead", "failed");
    if (one.stalls >= maxStalls || one.lost >= maxLostChats) return this.#end(one, "dead", "poison");
    const usual = Math.min(backoff.capMs, backoff.baseMs * 2 ** (one.failures - 1));
    this.#waitUntil(one, this.now + (cost === "failures" ? usual : 0));
  }

  #end(one: ModelTask, state: string, reason: string | null): void {
    Object.assign(one, { state, reason, chat: null, dueAt: null });
    for (const other of this.tasks) if (other.needs.includes(one)) this.#unblock(other);
  }

  #unblock(one: ModelTask): void {
    if (one.state !== "blocked") return;
    const isDoomed = one.needs.some(({ state }) => state === "dead" || state === "cancelled");
    if (isDoomed && !one.isIgnoring) this.#end(one, "dead", "dependency");
    else if (one.needs.every(({ state }) => ends.has(state))) this.#waitUntil(one, one.notBefore);
  }
}
