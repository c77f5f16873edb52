import type { ClaimedTask, ClaimOptions } from "#src/contract/tasks.ts";
import { stepOf } from "../oracle/task-ledger.ts";
import type { Rng } from "../sim.ts";
import type { Answer, Client } from "./client.ts";

interface Hold extends Record<"isStarted" | "isOver" | "isCancelled", boolean> {
  readonly claimed: ClaimedTask;
  readonly paceMs: number;
  step: number;
  left: number;
}

/** Ended claims, kept to try what they still do. */
const mostOld = 8;
const mostAtOnce = 10;

/** The worker of a process: it asks while it has free capacity, reports its progress, and ends what it has begun. */
export class Working {
  readonly holds = new Map<number, Hold>();
  #isDraining = false;
  readonly #client: Client;
  readonly #old: Hold[] = [];
  #isAsking = false;
  #isWanted = false;

  constructor(client: Client) {
    this.#client = client;
  }

  registered(): void {
    this.#isDraining = false;
    this.ask();
  }

  hinted(): void {
    for (const hold of this.holds.values()) if (hold.isStarted) this.#client.run(() => this.#beat(hold));
    this.ask();
  }

  dropAll(): void {
    for (const hold of this.holds.values()) this.#drop(hold);
  }

  ask(request: Partial<ClaimOptions> = {}): void {
    const { self, identity, isLeaving } = this.#client;
    const free = identity.capacity - this.holds.size;
    if (!self || isLeaving || this.#isDraining || free <= 0) return;
    if (this.#isAsking) this.#isWanted = true;
    else this.#client.run(() => this.#claim({ limit: Math.min(free, mostAtOnce), isStarted: true, ...request }));
  }

  async #claim(next: ClaimOptions): Promise<void> {
    this.#isAsking = true;
    const reply = await this.#client.call("tasks.claim", next);
    this.#isAsking = false;
    if (reply.ok) this.#takeAll(reply.value.claims);
    else if (reply.error.code === "chat_draining") this.#isDraining = true;
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.ask();
  }

  /** A call on an ended claim must be refused, or is a repeat. */
  async callLate(rng: Rng): Promise<void> {
    if (this.#old.length === 0) return;
    const hold = rng.pick(this.#old);
    if (rng.chance(0.5)) return void (await this.#client.call("tasks.heartbeat", claimOf(hold)));
    await this.#client.call("tasks.ack", { ...claimOf(hold), result: resultOf(hold) });
  }

  #takeAll(claims: readonly ClaimedTask[]): void {
    for (const claimed of claims) this.#take(claimed);
  }

  #take(claimed: ClaimedTask): void {
    const { task, claim, heartbeatMs } = claimed;
    const { sim, habits } = this.#client.world;
    const all = [...this.#old, ...this.holds.values()];
    if (all.some(({ claimed: other }) => other.task === task && other.claim >= claim)) return;
    const older = this.holds.get(task);
    if (older) this.#drop(older);
    const [step, left] = [stepOf(claimed.checkpoint), sim.rng.pick([0, 0, 1, 2, 4, 12])];
    const paceMs = habits.isNight ? 200 : sim.rng.pick([200, 1_500, heartbeatMs / 3, heartbeatMs]);
    const state = { isStarted: claimed.isStarted, isOver: false, isCancelled: false };
    const hold: Hold = { claimed, ...state, step, left, paceMs };
    this.holds.set(task, hold);
    this.#continueLater(hold);
  }

  #continueLater(hold: Hold): void {
    const { sim, habits } = this.#client.world;
    if (!habits.isNight && sim.rng.chance(habits.neglects)) {
      sim.count("task forgotten");
      return this.#drop(hold);
    }
    this.#client.later(sim.rng.between(1, 2 * hold.paceMs), "works", () => this.#continue(hold));
  }

  #continue(hold: Hold): void {
    if (hold.isOver) return;
    if (this.#client.isUp) {
      const { isNight } = this.#client.world.habits;
      if (!hold.isStarted) this.#client.run(() => this.#start(hold));
      else if (hold.isCancelled || hold.left <= 0 || isNight) return this.#client.run(() => this.#end(hold));
      else {
        hold.left -= 1;
        this.#client.run(() => this.#beat(hold));
      }
    }
    this.#continueLater(hold);
  }

  async #start(hold: Hold): Promise<void> {
    const reply = await this.#client.call("tasks.heartbeat", claimOf(hold));
    if (hold.isOver) return;
    if (reply.ok) hold.isStarted = true;
    else this.#refused(hold, reply.error.code);
  }

  async #beat(hold: Hold): Promise<void> {
    const { rng } = this.#client.world.sim;
    const isNews = rng.chance(0.7);
    if (isNews) hold.step += 1;
    const news = isNews ? { progress: { note: `step ${hold.step}` }, checkpoint: { step: hold.step } } : {};
    const reply = await this.#client.call("tasks.heartbeat", { ...claimOf(hold), ...news });
    if (hold.isOver) return;
    if (!reply.ok) return this.#refused(hold, reply.error.code);
    hold.isCancelled = reply.value.isCancelled;
  }

  /** The process no longer works on the task from the moment it reports the end. */
  async #end(hold: Hold): Promise<void> {
    const { sim, habits } = this.#client.world;
    this.#drop(hold);
    const how = endingOf(sim.rng, hold.isCancelled, habits.isNight);
    const reply = await this.#report(hold, how, sim.rng);
    if (reply.ok && "next" in reply.value) this.#takeAll(reply.value.next ?? []);
    this.ask();
  }

  #report(hold: Hold, how: Ending, rng: Rng): Promise<Answer<"tasks.ack" | "tasks.nack" | "tasks.release">> {
    const { identity, isLeaving } = this.#client;
    const said = claimOf(hold);
    if (how === "release") return this.#client.call("tasks.release", said);
    const hasRoom = this.holds.size < identity.capacity && !isLeaving;
    const next = hasRoom && rng.chance(0.5) ? { next: { limit: 1, isStarted: rng.chance(0.7) } } : {};
    if (how === "ack") return this.#client.call("tasks.ack", { ...said, result: resultOf(hold), ...next });
    const isRetryable = rng.chance(0.8);
    const delay = rng.chance(0.3) ? { delayMs: rng.between(0, 20_000) } : {};
    return this.#client.call("tasks.nack", { ...said, reason: "broken", isRetryable, ...delay, ...next });
  }

  /** Other refusals concern the chat, not the claim. */
  #refused(hold: Hold, code: string): void {
    if (code !== "stale_claim" && code !== "unknown_task") return;
    this.#drop(hold);
    this.ask();
  }

  #drop(hold: Hold): void {
    hold.isOver = true;
    const { task } = hold.claimed;
    if (this.holds.get(task) === hold) this.holds.delete(task);
    this.#old.push(hold);
    if (this.#old.length > mostOld) this.#old.shift();
  }
}

function resultOf({ claimed: { task, claim }, step }: Hold): { by: string; step: number } {
  return { by: `${task}/${claim}`, step };
}

const claimOf = ({ claimed: { task, claim } }: Hold): { task: number; claim: number } => ({ task, claim });

type Ending = "ack" | "nack" | "release";

function endingOf(rng: Rng, isCancelled: boolean, isNight: boolean): Ending {
  const draw = rng.below(10);
  if (isNight) return "ack";
  if (isCancelled) return draw < 6 ? "release" : "ack";
  return draw < 6 ? "ack" : draw < 9 ? "nack" : "release";
}
