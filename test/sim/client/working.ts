import type { Usage } from "../../../src/contract/budgets.ts";
import type { ClaimedTask, ClaimOptions } from "../../../src/contract/tasks.ts";
import { toTrust, type Instant } from "../../../src/coordinator-client/edge/trust.ts";
import { Grip } from "../grips.ts";
import { stepOf } from "../oracle/task-known.ts";
import type { Rng } from "../rng.ts";
import type { Client } from "./client.ts";
import { endingOf, type Ending } from "./endings.ts";

/** A task that the process has, and how far it is. */
interface Hold {
  readonly grip: Grip;
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

  /** [QU1] Registered: what is queued is not told to it otherwise. */
  registered(): void {
    this.isDraining = false;
    this.#freed();
  }

  /** The host says that something was given to it, or cancelled. */
  hinted(): void {
    for (const hold of this.holds.values()) if (hold.isStarted) this.#beat(hold);
    this.ask();
  }

  dropAll(): void {
    for (const hold of this.holds.values()) this.#drop(hold);
  }

  ask(wish: Partial<ClaimOptions> = {}): void {
    const { link, identity, isLeaving } = this.#client;
    const room = identity.skills.capacity - this.holds.size;
    if (!link.isRegistered || isLeaving || this.isDraining || room <= 0) return;
    if (this.#isAsking) {
      this.#isWanted = true;
      return;
    }
    this.#isAsking = true;
    const since = this.#client.stamp();
    const input = { limit: Math.min(room, mostRoom), isStarted: true, ...wish };
    const request = { self: this.#client.self, requestId: this.#client.newRequestId(), ...input };
    this.#client.call(
      "tasks.claim",
      request,
      (reply) => {
        this.#isAsking = false;
        if (reply?.ok) this.#take(reply.value.claims, since);
        else if (reply?.error.code === "chat_draining") this.isDraining = true;
        if (!this.#isWanted) return;
        this.#isWanted = false;
        this.ask();
      },
      { late: (reply) => reply?.ok && this.#take(reply.value.claims, since) },
    );
  }

  /** What comes of a claim that is over must not be taken, or is a repeat. */
  callLate(rng: Rng): void {
    if (this.#old.length === 0) return;
    const hold = rng.pick(this.#old);
    const ended = (isTaken: boolean): void => {
      if (isTaken) this.#client.around.jobs.counted(hold.grip.task, hold.grip.claim);
    };
    const of = { self: this.#client.self, task: hold.grip.task, claim: hold.grip.claim };
    const what = rng.pick(["ack", "ack", "start", "extend"] as const);
    if (what === "ack") {
      const input = { ...of, result: resultOf(hold) };
      this.#client.call("tasks.ack", input, (reply) => ended(reply?.ok ?? false), { tries: 2 });
    } else if (what === "start") this.#client.call("tasks.start", of, () => undefined, { tries: 1 });
    else this.#client.call("tasks.extend", { ...of, ms: 60_000 }, () => undefined, { tries: 1 });
  }

  /** [QU1] Who has room again asks for itself. */
  #freed(): void {
    if (!this.#client.around.quirks.neverAsks) this.ask();
  }

  #take(claims: readonly ClaimedTask[], since: Instant): void {
    for (const claimed of claims) this.#takeOne(claimed, since);
  }

  #takeOne(claimed: ClaimedTask, since: Instant): void {
    const { task, claim } = claimed;
    this.#client.around.jobs.received((claimed.payload as { job: number }).job, task, claim);
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
    return all.some(({ grip }) => grip.task === task && grip.claim >= claim);
  }

  #holdOf(claimed: ClaimedTask): Hold {
    const { quirks, sim, habits } = this.#client.around;
    return {
      grip: new Grip(this.#client, claimed.task, claimed.claim),
      claimed,
      isStarted: claimed.isStarted,
      isOver: false,
      begunAt: null,
      isCancelled: false,
      step: quirks.beginsAnew ? 0 : stepOf(claimed.checkpoint),
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
    if (!this.#client.link.isRegistered) return this.#later(hold);
    if (!hold.isStarted) return this.#start(hold);
    if (hold.isCancelled || hold.left <= 0 || this.#client.around.habits.isNight) return this.#end(hold);
    hold.left -= 1;
    const { rng } = this.#client.around.sim;
    if (rng.chance(0.15)) this.#extend(hold, rng.between(1_000, 60_000));
    else this.#beat(hold);
    this.#later(hold);
  }

  /** A start that is sent again is no sign of life: time counts from the first one. */
  #start(hold: Hold): void {
    const since = (hold.begunAt ??= this.#client.stamp());
    // From now on it may run, and then a silence is what ends it.
    const spanMs = Math.min(hold.claimed.heartbeatMs, hold.claimed.remainingMs);
    hold.grip.shorten(toTrust(since, spanMs, spanMs));
    this.#client.call(
      "tasks.start",
      this.#of(hold),
      (reply) => {
        if (hold.isOver || !reply) return;
        if (!reply.ok) return this.#refused(hold, reply.error.code);
        hold.isStarted = true;
        this.#prove(hold, since, Math.min(reply.value.remainingMs, hold.claimed.heartbeatMs));
      },
      { tries: 3 },
    );
    this.#later(hold);
  }

  #beat(hold: Hold): void {
    const { rng } = this.#client.around.sim;
    const isNews = rng.chance(0.7);
    if (isNews) hold.step += 1;
    const news = isNews ? { progress: { note: `step ${hold.step}` }, checkpoint: { step: hold.step } } : {};
    hold.tokens += rng.between(0, 10);
    const { usage } = usageOf(hold);
    // Who tells that it has reached its limit has ended.
    if (usage.tokens >= (hold.claimed.budget.tokens ?? Infinity)) this.#client.around.grips.drop(hold.grip);
    this.#client.call(
      "tasks.heartbeat",
      { ...this.#of(hold), ...news, usage },
      (reply, sent) => {
        if (hold.isOver || !reply) return;
        if (!reply.ok) return this.#refused(hold, reply.error.code);
        if (reply.value.isOverBudget) return this.#refused(hold, "stale_claim");
        hold.isCancelled = reply.value.isCancelled;
        // [TA17] Without news it may have written nothing for a third of the time.
        const silenceMs = hold.claimed.heartbeatMs * (2 / 3);
        this.#prove(hold, sent, Math.min(reply.value.remainingMs, silenceMs));
      },
      { tries: 2 },
    );
  }

  #extend(hold: Hold, ms: number): void {
    this.#client.call(
      "tasks.extend",
      { ...this.#of(hold), ms },
      (reply, sent) => {
        if (hold.isOver || !reply) return;
        if (!reply.ok) return this.#refused(hold, reply.error.code);
        this.#prove(hold, sent, Math.min(reply.value.remainingMs, hold.claimed.heartbeatMs));
      },
      { tries: 2 },
    );
  }

  /** From the moment it says that it is through with it, it is. */
  #end(hold: Hold): void {
    const { sim, quirks, habits } = this.#client.around;
    const ending = endingOf(sim.rng, hold.isCancelled, habits.isNight);
    if (!quirks.keepsReturned || ending.how === "ack") this.#drop(hold);
    const since = this.#client.stamp();
    const done = (reply: { ok: boolean; value?: { next?: readonly ClaimedTask[] } } | null): void => {
      if (ending.how === "ack" && (reply?.ok || quirks.countsRefused))
        this.#client.around.jobs.counted(hold.grip.task, hold.grip.claim);
      this.#take(reply?.value?.next ?? [], since);
      this.#freed();
    };
    this.#say(hold, ending, done);
  }

  #say(
    hold: Hold,
    { how, next, nack }: Ending,
    done: (reply: { ok: boolean; value?: { next?: readonly ClaimedTask[] } } | null) => void,
  ): void {
    const of = this.#of(hold);
    const wish =
      next && this.holds.size < this.#client.identity.skills.capacity && !this.#client.isLeaving ? { next } : {};
    if (how === "ack")
      this.#client.call("tasks.ack", { ...of, ...usageOf(hold), result: resultOf(hold), ...wish }, done, {
        late: done,
      });
    else if (how === "nack")
      this.#client.call("tasks.nack", { ...of, ...usageOf(hold), ...nack, ...wish }, done, { late: done });
    else this.#client.call("tasks.release", { ...of, ...usageOf(hold) }, (reply) => done(reply && { ok: reply.ok }));
  }

  #of({ grip: { task, claim } }: Hold): { self: Client["self"]; task: number; claim: number } {
    return { self: this.#client.self, task, claim };
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
    this.#client.around.grips.drop(hold.grip);
    if (this.holds.get(hold.grip.task) === hold) this.holds.delete(hold.grip.task);
    this.#old.push(hold);
    if (this.#old.length > mostOld) this.#old.shift();
  }

  #prove(hold: Hold, since: Instant, spanMs: number): void {
    this.#client.around.grips.prove(hold.grip, toTrust(since, spanMs, spanMs));
  }
}

function usageOf({ tokens }: Hold): { usage: Usage } {
  return { usage: { wallMs: 0, tokens, costMicros: 0 } };
}

function resultOf({ grip: { task, claim }, step }: Hold): { by: string; step: number } {
  return { by: `${task}/${claim}`, step };
}
