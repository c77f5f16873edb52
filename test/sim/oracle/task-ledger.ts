import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { TaskState } from "#src/contract/tasks.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import type { TaskFact } from "../host/facts.ts";
import type { Commit, SimHost } from "../host/sim-host.ts";
import type { Rng } from "../rng.ts";
import type { Sim } from "../sim.ts";
import { resultOfJoin } from "./claims.ts";
import { KnownTask, stepOf } from "./task-known.ts";
import { type Act, endOf, standing, whyWrong } from "./task-moves.ts";
import { isAble, wants, type Worker, Workers } from "./workers.ts";

/** A task that somebody got in this commit. */
export interface Grant {
  readonly known: KnownTask;
  readonly chat: string;
}

/** Every task that was accepted and is still kept, and how it must stand. Each change needs a cause that is known without the tables. */
export class TaskLedger {
  readonly tasks = new Map<number, KnownTask>();
  readonly queued = new Map<number, KnownTask>();
  readonly workers = new Workers();
  /** Of the present commit. */
  grants: Grant[] = [];
  /** A new claim of a task. */
  onGrant: (task: number) => void = () => undefined;
  readonly #sim: Sim;
  readonly #host: SimHost;
  /** No number comes twice. */
  #newest = 0;
  #leastClaim = 0;
  #open = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  committed(commit: Commit): void {
    const { request, result, facts } = commit;
    if (request?.name === "epoch.raise" && result.ok) {
      this.#leastClaim = (result.value as { epoch: number }).epoch * numbersPerEpoch;
    }
    this.grants = [];
    const fresh = submitted(commit, this.#sim.hostNow);
    let act: Act | null = null;
    for (const fact of facts) {
      if (fact.kind !== "task") continue;
      act ??= this.#actOf(commit);
      this.#changed(fact.before, fact.after, act, fresh);
    }
    if (act) this.#lookAtRoom();
    this.workers.committed(commit);
  }

  #lookAtRoom(): void {
    for (const { chat, capacity } of this.workers.all.values()) {
      const held = this.countHeld(chat);
      this.#sim.must(held <= capacity, "task", () => `${chat} has ${held} tasks and room for ${capacity}`);
    }
  }

  /** Tasks that have not ended. */
  get countOpen(): number {
    return this.#open;
  }

  /** The number of some task, mostly a new one; null: there is none. */
  some(rng: Rng): number | null {
    const known = [...this.tasks.keys()];
    if (known.length === 0) return null;
    const from = rng.chance(0.8) ? Math.max(0, known.length - 20) : 0;
    return known[rng.between(from, known.length - 1)] ?? null;
  }

  /** By number: of one submit those that others depend on were stored first. */
  heldBy(chat: string): KnownTask[] {
    return [...this.tasks.values()].filter(({ held }) => held?.chat === chat).toSorted((a, b) => a.task - b.task);
  }

  settings(): Settings {
    return this.#host.settings();
  }

  /** Tasks that a chat has, over or not. */
  countHeld(chat: string): number {
    let count = 0;
    for (const { held } of this.tasks.values()) if (held?.chat === chat) count += 1;
    return count;
  }

  #actOf({ request, facts }: Commit): Act {
    const gone = facts.flatMap((fact) => (fact.kind === "offline" ? [[fact.chat, fact.reason] as const] : []));
    return {
      now: this.#sim.hostNow,
      settings: this.#host.settings(),
      request,
      gone: new Map(gone),
      get: (task) => this.tasks.get(task),
      whyNot: (known, fact) => this.#whyNot(known, fact, request === null),
    };
  }

  #changed(before: TaskFact | null, after: TaskFact | null, act: Act, fresh: ReadonlyMap<number, KnownTask>): void {
    const task = (after ?? before)?.task ?? 0;
    if (!after) return this.#pruned(task, act);
    if (!before) return this.#appeared(after, act, fresh.get(task));
    const known = this.#known(task);
    if (known.state !== before.state) this.#sim.fail("mirror", `task ${task} was ${before.state}, not ${known.state}`);
    const why = whyWrong(known, after, act);
    this.#sim.must(why === null, "task", () => `task ${task} was ${known.state} and became ${after.state}: ${why}`);
    this.#apply(known, after, act);
  }

  #known(task: number): KnownTask {
    return this.tasks.get(task) ?? this.#sim.fail("task", `task ${task} is there, and nobody has submitted it`);
  }

  #appeared(after: TaskFact, { get, now, settings }: Act, known: KnownTask | undefined): void {
    const sim: Sim = this.#sim;
    const { task } = after;
    sim.must(known !== undefined, "task", () => `task ${task} appeared, and nobody has submitted it`);
    const expected = firstStateOf(known, get, now);
    sim.must(after.state === expected, "task", () => `task ${task} begins as ${after.state}, not ${expected}`);
    this.tasks.set(task, known);
    this.#open += 1;
    sim.count(`task begins: ${after.state}`);
    this.#stands(known, after, now, settings);
  }

  /** Asked for in this order. */
  numbered(task: number): void {
    this.#sim.must(task > this.#newest, "task", () => `task ${task} was submitted after ${this.#newest}`);
    this.#newest = task;
  }

  #apply(known: KnownTask, after: TaskFact, act: Act): void {
    const isNew = after.claim !== known.topClaim && after.chat !== null;
    if (known.held !== null && (after.chat === null || isNew)) this.#ended(known, after.state, act);
    if (isNew) this.#grant(known, after, act);
    this.#worked(known, after, act);
    if (known.state === "dead" && after.reason === null) known.forgetUse();
    known.topClaim = after.claim;
    this.#stands(known, after, act.now, act.settings);
  }

  #worked(known: KnownTask, { state, reason, claim }: TaskFact, { now, get }: Act): void {
    if (state === known.state && reason === known.reason) return;
    this.#sim.count(`task: ${reason ?? state}`);
    if (state === "running" && claim === known.topClaim) known.begins(now);
    if (state === "done" && known.input.joinRule !== undefined) known.result = resultOfJoin(known, get);
  }

  #ended(known: KnownTask, became: TaskState, act: Act): void {
    const end = endOf(known, act) ?? "moved";
    this.#sim.count(`attempt: ${end}`);
    const isSurprise =
      end === "moved" || end === "cancelled" || act.gone.has(known.held?.chat ?? "") || known.held?.isShaken === true;
    known.ended(end, became, isSurprise);
  }

  #stands(known: KnownTask, after: TaskFact, now: number, settings: Act["settings"]): void {
    if (after.state === "queued") known.queuedAt = now;
    if (after.state === "queued") this.queued.set(known.task, known);
    else this.queued.delete(known.task);
    const wasEnded = known.isEnded;
    known.state = after.state;
    this.#open += Number(wasEnded) - Number(known.isEnded);
    known.reason = after.reason;
    known.failures = after.failures;
    known.stalls = after.stalls;
    known.lostChats = after.lostChats;
    known.notBefore = after.notBefore;
    const keepMs = after.state === "dead" ? settings.keepDeadTasksMs : settings.keepTasksMs;
    known.keptUntil = known.isEnded ? now + keepMs : null;
  }

  #grant(known: KnownTask, after: TaskFact, { now, settings, request }: Act): void {
    const chat = after.chat ?? "";
    known.held = {
      claim: after.claim,
      chat,
      incarnation: after.incarnation ?? 0,
      requestId: request ? requestIdOf(request.input) : null,
      fromStep: stepOf(JSON.parse(known.checkpoint ?? "null")),
      startBy: now + settings.startDeadlineMs,
      closeAt: 0,
      seenAt: 0,
    };
    if (after.state === "running") known.begins(now);
    this.onGrant(known.task);
    if (known.state !== "queued") return this.#sim.count("task moved");
    this.#sim.count(request ? "task taken" : "task given");
    this.grants.push({ known, chat });
  }

  #whyNot(known: KnownTask, { claim, chat, incarnation }: TaskFact, isLook: boolean): string | null {
    const worker = this.workers.all.get(chat ?? "");
    if (!worker) return "nobody is registered who has it";
    if (claim <= Math.max(known.topClaim, this.#leastClaim)) return `claim ${claim} follows ${known.topClaim}`;
    const isPresent = worker.incarnation === incarnation && !this.#host.isGone(worker.chat, worker.incarnation);
    if (!isPresent) return `${worker.chat} is gone`;
    if (this.workers.draining.has(worker.chat)) return `${worker.chat} drains`;
    return this.#whyUnfit(worker, known) ?? (isLook ? this.#whyNotGiven(worker.chat, known) : null);
  }

  #whyUnfit(worker: Worker, known: KnownTask): string | null {
    if (!isAble(worker, known)) return `${worker.chat} cannot do it`;
    // In a round of moves one may come before another has gone.
    if (known.state !== "queued") return null;
    if (this.countHeld(worker.chat) >= worker.capacity) return `${worker.chat} has no room`;
    return known.isExpired(this.#sim.hostNow) ? "it has expired" : null;
  }

  #whyNotGiven(chat: string, known: KnownTask): string | null {
    if (!this.isOpen(chat, known)) return `${chat} has not asked for it`;
    if (known.state !== "queued") return null;
    const own = this.#loadOf(chat);
    for (const other of this.workers.all.keys()) {
      if (this.#loadOf(other) < own && this.isOpen(other, known)) return `${other} has less to do than ${chat}`;
    }
    return null;
  }

  #loadOf(chat: string): number {
    return this.countHeld(chat) / (this.workers.all.get(chat)?.capacity ?? 0);
  }

  /** Whether a chat is given such tasks as they come. */
  isOpen(chat: string, known: KnownTask): boolean {
    const { draining, stuck, all } = this.workers;
    const worker = all.get(chat);
    const isOut = draining.has(chat) || stuck.has(chat);
    if (!worker || isOut || !isAble(worker, known) || !wants(worker, known)) return false;
    return this.#host.connections.lastSeen(chat) !== null && !this.#host.isGone(chat, worker.incarnation);
  }

  #pruned(task: number, { now, settings }: Act): void {
    const sim: Sim = this.#sim;
    const known = this.#known(task);
    const { keptUntil } = known;
    const isSurplus = known.isEnded && this.tasks.size > settings.maxTasks;
    if (isSurplus) sim.count("task went as one too many");
    sim.must(isSurplus || (keptUntil !== null && keptUntil <= now), "task", () => `task ${task} is gone too early`);
    for (const { needs, parent, isEnded, task: other } of this.tasks.values()) {
      const isNeeded = !isEnded && (parent === task || needs.includes(task));
      sim.must(!isNeeded, "task", () => `task ${task} is gone, and task ${other} needs it`);
    }
    sim.count("task pruned");
    this.tasks.delete(task);
  }
}

/** The id under which what was taken is asked for again. */
function requestIdOf(input: object): string {
  const { requestId, task, claim } = input as { requestId?: string; task?: number; claim?: number };
  return requestId ?? afterOf(task ?? 0, claim ?? 0);
}

/** What rides on an end of a claim has the claim for its name. */
export function afterOf(task: number, claim: number): string {
  return `after ${task} ${claim}`;
}

/** What it is before anything happens to it: one that the coordinator joins is looked at when all are stored. */
function firstStateOf(known: KnownTask, get: Act["get"], now: number): TaskState {
  const stands = standing(known, get);
  if (stands === "doomed") return "dead";
  if (stands === "blocked" || known.input.joinRule !== undefined) return "blocked";
  return known.notBefore > now ? "scheduled" : "queued";
}

/** The new tasks of a submit, by number. */
function submitted({ request, result }: Commit, at: number): Map<number, KnownTask> {
  if (request?.name !== "tasks.submit" || !result.ok) return new Map();
  const { tasks: inputs } = request.input as CheckedInputOf<"tasks.submit">;
  const { tasks: answers } = result.value as OutputOf<"tasks.submit">;
  const names = new Map(inputs.map(({ ref }, place) => [ref, answers[place]?.task ?? 0]));
  const numberOf = (other: number | string): number => (typeof other === "number" ? other : (names.get(other) ?? 0));
  const fresh = new Map<number, KnownTask>();
  for (const [place, input] of inputs.entries()) {
    const answer = answers[place];
    if (!answer || answer.isDuplicate) continue;
    const needs = [...new Set(input.dependsOn.map(numberOf))];
    const parent = input.parent === undefined ? null : numberOf(input.parent);
    fresh.set(answer.task, new KnownTask(answer.task, input, { needs, parent, at }, "blocked"));
  }
  return fresh;
}
