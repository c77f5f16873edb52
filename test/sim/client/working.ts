import type { Usage } from "#src/contract/budgets.ts";
import type { ClaimedTask, ClaimOptions } from "#src/contract/tasks.ts";
import { type Instant, toTrust } from "#src/coordinator-client/edge/trust.ts";
import { TaskBelief } from "../beliefs.ts";
import { stepOf } from "../oracle/task-known.ts";
import type { Rng } from "../rng.ts";
import type { Answer, Client } from "./client.ts";
import type { CheckedInputOf } from "#src/contract/operations.ts";

/** A task that the process has, and how far it is. */
interface Hold {
  readonly belief: TaskBelief;
  readonly claimed: ClaimedTask;
  isStarted: boolean;
  isOver: boolean;
  /** When it first said that it begins. */
  begunAt: Instant | null;
  isCancelled: boolean;
  step: number;
  /** Tokens that it has used. */
  tokens: number;
  /** Heartbeats that are left before its end. */
  left: number;
  /** The mean time between two of them. */
  paceMs: number;
}

/** Claims that are over and are kept to try what they still do. */
const mostOld = 8;
const mostRoom = 10;

/** The client's side of tasks: it asks when it has room, works, tells how far it is, and ends what it has begun. */
export class Working {
  /** By task. */
  readonly holds = new Map<number, Hold>();
  isDraining = false;
  readonly #client: Client;
  readonly #old: Hold[] = [];
  #isAsking = false;
  #isWanted = false;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Registered: what is queued is not told to it otherwise. */
  registered(): void {
    this.isDraining = false;
    this.#freed();
  }

  /** The host says that something was given to it, or cancelled. */
  hinted(): void {
    for (const hold of this.holds.values()) if (hold.isStarted) this.#client.run(() => this.#beat(hold));
    this.ask();
  }

  dropAll(): void {
    for (const hold of this.holds.values()) this.#drop(hold);
  }

  ask(request: Partial<ClaimOptions> = {}): void {
    const { self, identity, isLeaving } = this.#client;
    const room = identity.skills.capacity - this.holds.size;
    if (!self || isLeaving || this.isDraining || room <= 0) return;
    if (this.#isAsking) {
      this.#isWanted = true;
      return;
    }
    this.#client.run(() => this.#claim({ limit: Math.min(room, mostRoom), isStarted: true, ...request }));
  }

  async #claim(next: ClaimOptions): Promise<void> {
    this.#isAsking = true;
    const since = this.#client.stamp();
    const reply = await this.#client.call("tasks.claim", next);
    this.#isAsking = false;
    if (reply.ok) this.#take(reply.value.claims, since);
    else if (reply.error.code === "chat_draining") this.isDraining = true;
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.ask();
  }

  /** From now on it works on none of these. @returns the ends, for a frame */
  finish(count: number): { readonly task: number; readonly claim: number; readonly result: object }[] {
    const ended = [...this.holds.values()].filter(({ isStarted }) => isStarted).slice(0, count);
    for (const hold of ended) this.#drop(hold);
    return ended.map((hold) => Object.assign(of(hold), { result: resultOf(hold) }));
  }

  /** What comes of a claim that is over must not be taken, or is a repeat. */
  async callLate(rng: Rng): Promise<void> {
    if (this.#old.length === 0) return;
    const hold = rng.pick(this.#old);
    const { task, claim } = hold.belief;
    if (rng.chance(0.5)) {
      const reply = await this.#client.call("tasks.ack", { task, claim, result: resultOf(hold) });
      if (reply.ok) this.#client.around.oracle.queue.counted(task, claim);
    } else await this.#client.call("tasks.heartbeat", { task, claim });
  }

  /** Who has room again asks for itself. */
  #freed(): void {
    if (!this.#client.around.bugs.neverAsks) this.ask();
  }

  #take(claims: readonly ClaimedTask[], since: Instant): void {
    for (const claimed of claims) this.#takeOne(claimed, since);
  }

  #takeOne(claimed: ClaimedTask, since: Instant): void {
    const { task, claim } = claimed;
    this.#client.around.oracle.queue.received((claimed.payload as { job: number }).job, task, claim);
    const known = this.holds.get(task);
    if (this.#isKnown(task, claim)) return;
    if (known) this.#drop(known);
    const hold = this.#holdOf(claimed);
    this.holds.set(task, hold);
    const silenceMs = Math.min(claimed.remainingMs, claimed.heartbeatMs);
    this.#prove(hold, since, hold.isStarted ? silenceMs : (claimed.startInMs ?? 0));
    this.#later(hold);
  }

  /** Told before, or given up since. */
  #isKnown(task: number, claim: number): boolean {
    const all = [...this.#old, ...this.holds.values()];
    return all.some(({ belief }) => belief.task === task && belief.claim >= claim);
  }

  #holdOf(claimed: ClaimedTask): Hold {
    const { bugs, sim, habits } = this.#client.around;
    return {
      belief: new TaskBelief(this.#client, claimed.task, claimed.claim),
      claimed,
      isStarted: claimed.isStarted,
      isOver: false,
      begunAt: null,
      isCancelled: false,
      step: bugs.beginsAnew ? 0 : stepOf(claimed.checkpoint),
      tokens: 0,
      left: sim.rng.pick([0, 0, 1, 2, 4, 12]),
      paceMs: habits.isNight ? 200 : sim.rng.pick([200, 1_500, claimed.heartbeatMs / 3, claimed.heartbeatMs]),
    };
  }

  #later(hold: Hold): void {
    const { sim, habits } = this.#client.around;
    // Now and then somebody forgets it.
    if (!habits.isNight && sim.rng.chance(habits.neglects)) return this.#forget(hold);
    this.#client.later(sim.rng.between(1, 2 * hold.paceMs), "works", () => this.#work(hold));
  }

  #work(hold: Hold): void {
    if (hold.isOver) return;
    if (!this.#client.isUp) return this.#later(hold);
    if (!hold.isStarted) {
      this.#client.run(() => this.#start(hold));
      return this.#later(hold);
    }
    if (hold.isCancelled || hold.left <= 0 || this.#client.around.habits.isNight) {
      return this.#client.run(() => this.#end(hold));
    }
    hold.left -= 1;
    this.#client.run(() => this.#beat(hold));
    this.#later(hold);
  }

  /** A start that is sent again is no sign of life: time counts from the first one. */
  async #start(hold: Hold): Promise<void> {
    const since = (hold.begunAt ??= this.#client.stamp());
    // From now on it may run, and then a silence is what ends it.
    const spanMs = Math.min(hold.claimed.heartbeatMs, hold.claimed.remainingMs);
    hold.belief.shorten(toTrust(since, spanMs, spanMs));
    const reply = await this.#client.call("tasks.heartbeat", of(hold));
    if (hold.isOver) return;
    if (!reply.ok) return this.#refused(hold, reply.error.code);
    hold.isStarted = true;
    this.#prove(hold, since, Math.min(reply.value.remainingMs, hold.claimed.heartbeatMs));
  }

  async #beat(hold: Hold): Promise<void> {
    const { rng } = this.#client.around.sim;
    const isNews = rng.chance(0.7);
    if (isNews) hold.step += 1;
    const news = isNews ? { progress: { note: `step ${hold.step}` }, checkpoint: { step: hold.step } } : {};
    hold.tokens += rng.between(0, 10);
    const { usage } = usageOf(hold);
    // Who tells that it has reached its limit has ended.
    if (usage.tokens >= (hold.claimed.budget.tokens ?? Infinity)) this.#client.around.taskBeliefs.drop(hold.belief);
    const sent = this.#client.stamp();
    const reply = await this.#client.call("tasks.heartbeat", { ...of(hold), ...news, usage });
    if (hold.isOver) return;
    if (!reply.ok) return this.#refused(hold, reply.error.code);
    if (reply.value.isOverBudget) return this.#refused(hold, "stale_claim");
    hold.isCancelled = reply.value.isCancelled;
    // Without news it may have written nothing for a third of the time.
    const silenceMs = hold.claimed.heartbeatMs * (2 / 3);
    this.#prove(hold, sent, Math.min(reply.value.remainingMs, silenceMs));
  }

  /** From the moment it says that it is through with it, it is. */
  async #end(hold: Hold): Promise<void> {
    const { sim, bugs, habits, oracle } = this.#client.around;
    const ending = endingOf(sim.rng, hold.isCancelled, habits.isNight);
    if (!bugs.keepsReturned || ending.how === "ack") this.#drop(hold);
    const since = this.#client.stamp();
    const reply = await this.#say(hold, ending);
    const { task, claim } = hold.belief;
    if (ending.how === "ack" && (reply.ok || bugs.countsRefused)) oracle.queue.counted(task, claim);
    if (reply.ok && "next" in reply.value) this.#take(reply.value.next ?? [], since);
    this.#freed();
  }

  #say(hold: Hold, { how, next, nack }: Ending): Promise<Answer<"tasks.ack" | "tasks.nack" | "tasks.release">> {
    const { identity, isLeaving } = this.#client;
    const said = { ...of(hold), ...usageOf(hold) };
    const request = next && this.holds.size < identity.skills.capacity && !isLeaving ? { next } : {};
    if (how === "ack") return this.#client.call("tasks.ack", { ...said, result: resultOf(hold), ...request });
    if (how === "nack") return this.#client.call("tasks.nack", { ...said, ...nack, ...request });
    return this.#client.call("tasks.release", said);
  }

  /** Only `stale_claim` says that it is over; else the chat itself is the matter. */
  #refused(hold: Hold, code: string): void {
    if (code !== "stale_claim" && code !== "unknown_task") return;
    this.#drop(hold);
    this.#freed();
  }

  #forget(hold: Hold): void {
    this.#client.around.sim.count("task forgotten");
    this.#drop(hold);
  }

  #drop(hold: Hold): void {
    hold.isOver = true;
    this.#client.around.taskBeliefs.drop(hold.belief);
    if (this.holds.get(hold.belief.task) === hold) this.holds.delete(hold.belief.task);
    this.#old.push(hold);
    if (this.#old.length > mostOld) this.#old.shift();
  }

  #prove(hold: Hold, since: Instant, spanMs: number): void {
    this.#client.around.taskBeliefs.prove(hold.belief, toTrust(since, spanMs, spanMs));
  }
}

function usageOf({ tokens }: Hold): { usage: Usage } {
  return { usage: { wallMs: 0, tokens, costMicros: 0 } };
}

function resultOf({ belief: { task, claim }, step }: Hold): { by: string; step: number } {
  return { by: `${task}/${claim}`, step };
}

function of({ belief: { task, claim } }: Hold): { task: number; claim: number } {
  return { task, claim };
}

/** How a chat is through with a task. */
export interface Ending {
  readonly how: "ack" | "nack" | "release";
  /** What it takes on with the same call. */
  readonly next: ClaimOptions | null;
  readonly nack: Pick<CheckedInputOf<"tasks.nack">, "reason" | "isRetryable" | "delayMs">;
}

function endingOf(rng: Rng, isCancelled: boolean, isNight: boolean): Ending {
  const next = rng.chance(0.5) ? { limit: 1, isStarted: rng.chance(0.7) } : null;
  const delay = rng.chance(0.3) ? { delayMs: rng.between(0, 20_000) } : {};
  const nack = { reason: "broken", isRetryable: rng.chance(0.8), ...delay };
  if (isNight) return { how: "ack", next, nack };
  const draw = rng.below(10);
  if (isCancelled) return { how: draw < 6 ? "release" : "ack", next, nack };
  return { how: draw < 6 ? "ack" : draw < 9 ? "nack" : "release", next, nack };
}
