import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { LeaseBeliefs } from "../client/leasing.ts";
import type { Commit, SimHost, Request } from "../host/sim-host.ts";
import { type Sim, atoms, indexesOf, maskOf } from "../sim.ts";
import { all, ChangeLog, keepMap, MessageModel, type PutBack, WriteModel } from "./state-and-messages.ts";
import { TaskAnswers } from "./task-answers.ts";
import { type KnownTask, TaskLedger } from "./task-ledger.ts";
import { standing } from "./task-moves.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { Fact, GrantContext, LeaseFact, WaiterFact } from "../host/recording-sql.ts";

export class Oracle {
  readonly leases: LeaseLedger;
  readonly changes: ChangeLog;
  readonly writes: WriteModel;
  readonly messages: MessageModel;
  readonly tasks: TaskLedger;
  readonly #answers: TaskAnswers;
  readonly #sim: Sim;
  readonly #host: SimHost;

  constructor(sim: Sim, host: SimHost, beliefs: LeaseBeliefs) {
    this.#sim = sim;
    this.leases = new LeaseLedger(sim, beliefs);
    this.changes = new ChangeLog(sim, () => host.settings().keepChangesMs);
    this.writes = new WriteModel(sim, this.leases);
    this.messages = new MessageModel(sim);
    this.tasks = new TaskLedger(sim, host);
    this.#answers = new TaskAnswers(sim, this.tasks);
    this.#host = host;
  }

  committed(commit: Commit): void {
    // A guarded write is judged by the leases before it.
    this.writes.committed(commit);
    const checkAnswer = this.#answers.committed(commit);
    this.tasks.committed(commit);
    checkAnswer();
    this.leases.committed(commit);
    this.changes.committed(commit);
    this.messages.committed(commit);
    for (const fact of commit.facts) if (fact.kind === "offline") this.#sim.count(`offline: ${fact.reason}`);
    const { request, result } = commit;
    if (request && !result.ok) this.#refused(request.name, result.error.code);
  }

  #refused(name: EngineOperation, code: string): void {
    this.#sim.count(`refused: ${code}`);
    const { errors }: Operation = operations[name];
    const isListed = [...commonErrors, ...errors].some((one) => one === code);
    this.#sim.must(isListed, "requests", () => `${name} answered ${code}, which its contract does not list`);
  }

  /** The state that a restore brings back. Numbers given out after it are lost, and must not be given again. */
  keep(): PutBack {
    const { leases, changes, writes, messages, tasks } = this;
    return all(keepMap(tasks.workers), ...[leases, changes, writes, messages].map((part) => part.keep()));
  }

  trim(): void {
    this.changes.trim();
    this.messages.trim();
  }

  /** Whatever is due was noticed. */
  check(): void {
    const { leases, tasks } = this;
    for (const { resource, isBound, expiresAt } of leases.leases.values())
      if (isBound === 0) this.#mustBeAhead(expiresAt, `the lease of ${resource}`);
    for (const { seq, until } of leases.waiters.values()) this.#mustBeAhead(until, `waiter ${seq}`);
    for (const [resource, until] of leases.delays) this.#mustBeAhead(until, `the lock delay of ${resource}`);
    for (const known of tasks.tasks.values()) {
      const end = endOfTime(known);
      if (end !== null) this.#mustBeAhead(end, `task ${known.task}, which is ${known.state},`);
      const isStuck = known.state === "blocked" && standing(known, (other) => tasks.tasks.get(other)) !== "blocked";
      if (isStuck) this.#sim.fail("due", `task ${known.task} waits, and everything that it waits for has ended`);
    }
    for (const { chat, incarnation } of tasks.workers.values())
      if (tasks.countHeld(chat) > 0 && this.#host.isGone(chat, incarnation))
        this.#mustBeAhead(this.#sim.hostNow, `the life of ${chat}, which holds tasks,`);
    const next = this.#host.nextDue();
    const { at } = this.#host.alarm;
    if (at !== null && next !== null && at > next) this.#sim.fail("due", `the alarm is set ${at - next} ms too late`);
  }

  /** Nothing may be overdue while the alarm is on time. */
  #mustBeAhead(at: number, what: string): void {
    const lateMs = this.#sim.hostNow - at;
    if (lateMs >= 0 && this.#host.alarm.isOnTime) this.#sim.fail("due", `${what} is over for ${lateMs} ms`);
  }
}

/** Null: the task waits for no time, or for the full hour of the housekeeping. */
function endOfTime(known: KnownTask): number | null {
  const { state, input, queuedAt, notBefore } = known;
  if (state === "assigned" || state === "running") return known.endsAt();
  if (state === "scheduled") return notBefore;
  if (state !== "queued" || input.scheduleToStartMs === undefined) return null;
  return queuedAt + input.scheduleToStartMs;
}

type Held = LeaseFact & Readonly<{ mask: number }>;

type Waiter = WaiterFact & Readonly<{ mask: number }>;

type FactReaders = {
  readonly [Kind in Fact["kind"]]?: (fact: Extract<Fact, { kind: Kind }>, request: Request | null) => void;
};

const voluntary = new Set(["leases.release", "elections.resign", "chats.unregister", "chats.attest-death"]);

export class LeaseLedger {
  readonly leases = new Map<string, Held>();
  readonly waiters = new Map<number, Waiter>();
  readonly delays = new Map<string, number>();
  /** Whether the coordinator has yet to notice that the quiet period after a restore is over. */
  isQuiet: () => boolean = () => false;
  readonly #sim: Sim;
  readonly #beliefs: LeaseBeliefs;
  /** By atom: its highest token, over all histories and in the present one. */
  readonly #tops: number[] = atoms.map(() => 0);
  readonly #present: number[] = atoms.map(() => 0);
  readonly #closed: number[] = atoms.map(() => 0);
  /** All tokens of the present epoch are higher. */
  #least = 0;
  #quietUntil = 0;
  /** The waiter that left the line last in this commit; the next grant may be its own. */
  #left: Waiter | null = null;

  constructor(sim: Sim, beliefs: LeaseBeliefs) {
    this.#sim = sim;
    this.#beliefs = beliefs;
  }

  committed({ request, result, facts }: Commit): void {
    if (request?.name === "epoch.raise" && result.ok) {
      this.#least = (result.value as { epoch: number }).epoch * numbersPerEpoch;
      this.#quietUntil = this.#sim.hostNow + (request.input as { quietMs: number }).quietMs;
    }
    this.#left = null;
    let isTouched = false;
    for (const fact of facts) {
      const read = this.#on[fact.kind] as ((fact: Fact, request: Request | null) => void) | undefined;
      read?.(fact, request);
      isTouched ||= read !== undefined;
    }
    if (!isTouched) return;
    // A waiter waits for something whose end will be noticed.
    for (const waiter of this.waiters.values())
      this.#sim.must(
        this.#isBlocked(waiter),
        "line",
        () => `${waiter.chat} waits for ${waiter.resource}, which is free`,
      );
  }

  /** Without the highest tokens, which count over all histories. */
  keep(): PutBack {
    const [closed, present] = [[...this.#closed], [...this.#present]];
    const rest = all(keepMap(this.leases), keepMap(this.waiters), keepMap(this.delays));
    return () => {
      rest();
      this.#closed.splice(0, closed.length, ...closed);
      this.#present.splice(0, present.length, ...present);
    };
  }

  /** Why a token is not the newest of all that its guard covers; null: it is. */
  whyStale(resource: string, token: number): string | null {
    const mask = maskOf(resource);
    const held = [...this.leases.values()].find((lease) => lease.token === token);
    if (!held) return "no lease is held with it";
    if ((held.mask & mask) !== mask) return `its lease is on ${held.resource}`;
    const newer = indexesOf(mask).find((index) => (this.#present[index] ?? 0) > token);
    return newer === undefined ? null : `${atoms[newer]} has token ${this.#present[newer]} since`;
  }

  readonly #on: FactReaders = {
    granted: ({ lease, context }, request) => this.#granted(lease, context, request),
    freed: ({ resource }, request) => this.#freed(resource, request),
    renewed: (fact) => this.#moved(fact),
    frozen: (fact) => this.#moved(fact),
    queued: ({ waiter }) => {
      this.#sim.count("waits in line");
      this.waiters.set(waiter.seq, { ...waiter, mask: maskOf(waiter.resource) });
    },
    unqueued: ({ seq }) => {
      this.#left = this.waiters.get(seq) ?? null;
      this.waiters.delete(seq);
    },
    "unqueued-all": ({ chat }) => {
      for (const waiter of this.waiters.values()) if (waiter.chat === chat) this.waiters.delete(waiter.seq);
    },
    delayed: ({ resource, until }) => void this.delays.set(resource, until),
    undelayed: ({ resource }) => void this.delays.delete(resource),
  };

  #granted(lease: LeaseFact, { isHolderGone, living }: GrantContext, request: Request | null): void {
    const sim: Sim = this.#sim;
    const { resource, holder, token } = lease;
    const mask = maskOf(resource);
    sim.count(this.#left ? "granted to one who waited" : "granted at once");
    sim.must(this.#quietUntil <= sim.hostNow, "restore", () => `${resource} was granted in the quiet after a restore`);
    sim.must(!isHolderGone, "line", () => `${resource} was granted to ${holder}, which is gone`);
    for (const other of this.leases.values()) {
      const isApart = (other.mask & mask) === 0;
      sim.must(isApart, "one-holder", () => `${resource} was granted while ${other.holder} holds ${other.resource}`);
    }
    for (const index of indexesOf(mask)) this.#raise(index, token);
    // No living waiter that came before wants any of it.
    const before = this.#numberOf(lease, request);
    for (const seq of living) {
      const waiter = this.waiters.get(seq);
      if (!waiter || seq >= before || (waiter.mask & mask) === 0 || waiter.until <= sim.hostNow) continue;
      sim.fail("line", `${holder} got ${resource} before ${waiter.chat}`);
    }
    this.leases.set(resource, { ...lease, mask });
  }

  #raise(index: number, token: number): void {
    const sim: Sim = this.#sim;
    const top = Math.max(this.#least, this.#tops[index] ?? 0);
    sim.must(token > top, "tokens-grow", () => `${atoms[index]} was granted with token ${token} after ${top}`);
    const isOpen = (this.#closed[index] ?? 0) <= sim.hostNow;
    sim.must(isOpen, "lock-delay", () => `${atoms[index]} was granted within its lock delay`);
    this.#tops[index] = token;
    this.#present[index] = token;
  }

  /** The number in the line from which a grant came; Infinity: its holder asked just now. */
  #numberOf({ resource, holder }: LeaseFact, request: Request | null): number {
    const left = this.#left;
    this.#left = null;
    if (left?.resource !== resource || left.chat !== holder) return Infinity;
    if (left.until > this.#sim.hostNow) return left.seq;
    // Its wait was over: the grant is to a new request, or wrong.
    const isAsked = request?.name === "leases.acquire" || request?.name === "elections.campaign";
    const { self } = (request?.input ?? {}) as { readonly self?: { readonly chat: string } };
    const isNew = isAsked && self?.chat === holder;
    this.#sim.must(isNew, "line", () => `${holder} no longer waits for ${resource}`);
    return Infinity;
  }

  #freed(resource: string, request: Request | null): void {
    const held = this.leases.get(resource);
    if (!held) return;
    this.leases.delete(resource);
    this.#beliefs.freed(held.token, resource);
    if (!isBy(request, held.holder)) this.#expired(held);
  }

  #expired({ resource, expiresAt, lockDelayMs, isBound, mask }: Held): void {
    this.#sim.count("lease expired");
    if (isBound === 1) return;
    const early = expiresAt - this.#sim.hostNow;
    this.#sim.must(early <= 0, "kept-while-trusted", () => `${resource} is free ${early} ms before its time`);
    for (const index of lockDelayMs > 0 ? indexesOf(mask) : [])
      this.#closed[index] = Math.max(this.#closed[index] ?? 0, expiresAt + lockDelayMs);
  }

  #moved({ kind, resource, expiresAt }: Extract<Fact, { kind: "renewed" | "frozen" }>): void {
    const held = this.leases.get(resource);
    if (!held) return;
    this.leases.set(resource, { ...held, expiresAt, isBound: kind === "renewed" ? held.isBound : 0 });
  }

  #isBlocked({ mask, seq }: Waiter): boolean {
    const overlaps = (other: number): boolean => (other & mask) !== 0;
    for (const lease of this.leases.values()) if (overlaps(lease.mask)) return true;
    for (const resource of this.delays.keys()) if (overlaps(maskOf(resource))) return true;
    for (const waiter of this.waiters.values()) if (waiter.seq < seq && overlaps(waiter.mask)) return true;
    return this.isQuiet();
  }
}

function isBy(request: Request | null, holder: string): boolean {
  if (!request || !voluntary.has(request.name)) return false;
  const input = request.input as { self?: { chat: string }; chat?: string };
  return (input.self?.chat ?? input.chat) === holder;
}
