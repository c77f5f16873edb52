import type { Json } from "#src/contract/values.ts";
import type { AttemptEnd, DeathReason, NewTask, TaskState } from "#src/contract/tasks.ts";
import type { CheckedInputOf, OutputOf } from "#src/contract/operations.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { TaskFact } from "../host/recording-sql.ts";
import { type Commit, readAccepted, type Readers, type SimHost } from "../host/sim-host.ts";
import type { Rng, Sim } from "../sim.ts";
import { type Act, endOf, standing, whyWrong } from "./task-moves.ts";

interface HeldClaim {
  readonly claim: number;
  readonly chat: string;
  readonly incarnation: number;
  /** The request that took it; null: a dispatch assigned it, and its chat has not asked yet. */
  requestId: string | null;
  readonly fromStep: number;
  /** The deadline of the start; null: the work has begun. */
  startBy: number | null;
  closeAt: number;
  seenAt: number;
}

type EndedClaim = Readonly<{ end: AttemptEnd; chat: string; incarnation: number; became: TaskState }>;

const mostEnds = 100;

export class KnownTask {
  readonly task: number;
  readonly input: NewTask;
  readonly needs: readonly number[];
  state: TaskState = "blocked";
  reason: DeathReason | null = null;
  notBefore: number;
  queuedAt = 0;
  held: HeldClaim | null = null;
  topClaim = 0;
  isCancelAsked = false;
  progress: string | null = null;
  checkpoint: string | null = null;
  keptUntil: number | null = null;
  readonly ends = new Map<number, EndedClaim>();

  constructor(task: number, input: NewTask, needs: readonly number[], at: number) {
    this.task = task;
    this.input = input;
    this.needs = needs;
    this.notBefore = at + input.delayMs;
  }

  get isEnded(): boolean {
    return this.state === "done" || this.state === "dead" || this.state === "cancelled";
  }

  isExpired(now: number): boolean {
    const { scheduleToStartMs } = this.input;
    return scheduleToStartMs !== undefined && this.queuedAt + scheduleToStartMs <= now;
  }

  endsAt(): number {
    const { held } = this;
    if (!held) return 0;
    return held.startBy ?? Math.min(held.closeAt, held.seenAt + this.input.heartbeatMs);
  }

  isHeldBy(chat: string, incarnation: number, claim: number, now: number): boolean {
    const { held } = this;
    const isOwn = held?.chat === chat && held.incarnation === incarnation && held.claim === claim;
    return isOwn && now < this.endsAt();
  }

  begins(now: number): void {
    if (!this.held) return;
    this.held.startBy = null;
    this.held.closeAt = now + this.input.startToCloseMs;
    this.held.seenAt = now;
  }

  ended(end: AttemptEnd, became: TaskState): void {
    const { held, ends } = this;
    if (!held) return;
    const { chat, incarnation, claim } = held;
    ends.set(claim, { end, chat, incarnation, became });
    const [oldest] = ends.keys();
    if (ends.size > mostEnds && oldest !== undefined) ends.delete(oldest);
    this.held = null;
  }
}

export function stepOf(checkpoint: Json | undefined): number {
  return (checkpoint as { step?: number } | null | undefined)?.step ?? 0;
}

interface Worker {
  readonly chat: string;
  readonly incarnation: number;
  readonly capabilities: ReadonlySet<string>;
  readonly capacity: number;
  /** Null: the chat asks for its tasks. */
  readonly types: ReadonlySet<string> | null;
}

export function isAble({ capabilities }: Worker, { input }: KnownTask): boolean {
  return input.capabilities.every((one) => capabilities.has(one));
}

export type Grant = Readonly<{ known: KnownTask; chat: string }>;

/** Every accepted task that is kept. Each of its changes needs a cause that is known without the tables. */
export class TaskLedger {
  readonly tasks = new Map<number, KnownTask>();
  readonly queued = new Map<number, KnownTask>();
  readonly workers = new Map<string, Worker>();
  grants: Grant[] = [];
  readonly #sim: Sim;
  readonly #host: SimHost;
  /** Over all histories. */
  #newest = 0;
  #leastClaim = 0;
  #open = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  committed(commit: Commit): void {
    const { request, result, facts } = commit;
    if (request?.name === "epoch.raise" && result.ok)
      this.#leastClaim = (result.value as { epoch: number }).epoch * numbersPerEpoch;
    this.grants = [];
    const fresh = submitted(commit, this.#sim.hostNow);
    let act: Act | null = null;
    for (const fact of facts) {
      if (fact.kind !== "task") continue;
      act ??= this.#actOf(commit);
      this.#changed(fact.before, fact.after, act, fresh);
    }
    for (const { chat, capacity } of act ? this.workers.values() : []) {
      const held = this.countHeld(chat);
      this.#sim.must(held <= capacity, "task", () => `${chat} has ${held} tasks and a capacity of ${capacity}`);
    }
    readAccepted(this.#on, commit);
  }

  readonly #on: Readers = {
    "chats.register": ({ chat, capabilities, capacity, taskTypes }, { incarnation }) => {
      const types = taskTypes ? new Set(taskTypes) : null;
      this.workers.set(chat, { chat, incarnation, capabilities: new Set(capabilities), capacity, types });
    },
  };

  get countOpen(): number {
    return this.#open;
  }

  some(rng: Rng): number | null {
    const known = [...this.tasks.keys()];
    if (known.length === 0) return null;
    const from = rng.chance(0.8) ? Math.max(0, known.length - 20) : 0;
    return known[rng.between(from, known.length - 1)] ?? null;
  }

  /** Sorted by number, in which they were stored. */
  heldBy(chat: string): KnownTask[] {
    return [...this.tasks.values()].filter(({ held }) => held?.chat === chat).toSorted((a, b) => a.task - b.task);
  }

  countHeld(chat: string): number {
    let count = 0;
    for (const { held } of this.tasks.values()) if (held?.chat === chat) count += 1;
    return count;
  }

  #actOf({ request, facts }: Commit): Act {
    const gone = facts.flatMap((fact) => (fact.kind === "offline" ? [[fact.chat, fact.reason] as const] : []));
    const whyNot: Act["whyNot"] = (known, fact) => this.#whyNot(known, fact, request === null);
    const at = { now: this.#sim.hostNow, settings: this.#host.settings() };
    return { ...at, request, gone: new Map(gone), get: (task) => this.tasks.get(task), whyNot };
  }

  #changed(before: TaskFact | null, after: TaskFact | null, act: Act, fresh: ReadonlyMap<number, KnownTask>): void {
    const sim: Sim = this.#sim;
    const task = (after ?? before)?.task ?? 0;
    const known = before ? this.tasks.get(task) : fresh.get(task);
    sim.must(known !== undefined, "task", () => `task ${task} is there, and was never submitted`);
    if (!after) return this.#pruned(known, act);
    if (!before) return this.#appeared(after, act, known);
    const why = whyWrong(known, after, act);
    sim.must(why === null, "task", () => `task ${task} was ${known.state} and became ${after.state}: ${why}`);
    this.#apply(known, after, act);
  }

  #appeared(after: TaskFact, act: Act, known: KnownTask): void {
    const { task, state } = after;
    const expected = firstStateOf(known, act);
    this.#sim.must(state === expected, "task", () => `task ${task} begins as ${state}, not ${expected}`);
    this.tasks.set(task, known);
    this.#open += 1;
    this.#sim.count(`task begins: ${state}`);
    this.#stands(known, after, act);
  }

  numbered(task: number): void {
    this.#sim.must(task > this.#newest, "task", () => `task ${task} was submitted after ${this.#newest}`);
    this.#newest = task;
  }

  #apply(known: KnownTask, after: TaskFact, act: Act): void {
    const { state, reason, claim, chat } = after;
    const isNewClaim = claim !== known.topClaim && chat !== null;
    if (known.held !== null && (chat === null || isNewClaim)) {
      const end = endOf(known, act) ?? "moved";
      this.#sim.count(`attempt: ${end}`);
      known.ended(end, state);
    }
    if (isNewClaim) this.#grant(known, after, act);
    if (state !== known.state || reason !== known.reason) {
      this.#sim.count(`task: ${reason ?? state}`);
      if (state === "running" && claim === known.topClaim) known.begins(act.now);
    }
    known.topClaim = claim;
    this.#stands(known, after, act);
  }

  #stands(known: KnownTask, after: TaskFact, { now, settings }: Act): void {
    const { state, reason, notBefore } = after;
    if (state === "queued") known.queuedAt = now;
    if (state === "queued") this.queued.set(known.task, known);
    else this.queued.delete(known.task);
    const wasEnded = known.isEnded;
    Object.assign(known, { state, reason, notBefore });
    this.#open += Number(wasEnded) - Number(known.isEnded);
    const keepMs = state === "dead" ? settings.keepDeadTasksMs : settings.keepTasksMs;
    known.keptUntil = known.isEnded ? now + keepMs : null;
  }

  #grant(known: KnownTask, after: TaskFact, { now, settings, request }: Act): void {
    const [chat, incarnation] = [after.chat ?? "", after.incarnation ?? 0];
    const requestId = request ? requestIdOf(request.input) : null;
    const fromStep = stepOf(JSON.parse(known.checkpoint ?? "null"));
    const times = { startBy: now + settings.startDeadlineMs, closeAt: 0, seenAt: 0 };
    known.held = { claim: after.claim, chat, incarnation, requestId, fromStep, ...times };
    if (after.state === "running") known.begins(now);
    if (known.state !== "queued") return this.#sim.count("task moved");
    this.#sim.count(request ? "task taken" : "task given");
    this.grants.push({ known, chat });
  }

  /** Why a chat must not get a task; null: it may. @param isDispatch the chat did not ask */
  #whyNot(known: KnownTask, { claim, chat, incarnation }: TaskFact, isDispatch: boolean): string | null {
    const worker = this.workers.get(chat ?? "");
    if (!worker) return "its chat is not registered";
    if (claim <= Math.max(known.topClaim, this.#leastClaim)) return `claim ${claim} follows ${known.topClaim}`;
    const isPresent = worker.incarnation === incarnation && !this.#host.isGone(worker.chat, worker.incarnation);
    if (!isPresent) return `${worker.chat} is gone`;
    if (this.statusOf(worker.chat) === "draining") return `${worker.chat} drains`;
    if (!isAble(worker, known)) return `${worker.chat} cannot do it`;
    if (isDispatch && !this.isOpen(worker.chat, known)) return `${worker.chat} has not asked for it`;
    // In a round of moves one task may arrive before another has gone.
    if (known.state !== "queued") return null;
    if (this.countHeld(worker.chat) >= worker.capacity) return `${worker.chat} has no free capacity`;
    return known.isExpired(this.#sim.hostNow) ? "it has expired" : null;
  }

  statusOf(chat: string): string | undefined {
    return this.#host.statusOf(chat);
  }

  /** Whether a dispatch may give such a task to the chat. */
  isOpen(chat: string, known: KnownTask): boolean {
    const worker = this.workers.get(chat);
    const status = this.statusOf(chat);
    if (!worker || status === "draining" || status === "stuck" || !isAble(worker, known)) return false;
    const { types, incarnation } = worker;
    if (types === null || !(types.has("*") || types.has(known.input.type))) return false;
    return this.#host.connections.lastSeen({ chat }) !== null && !this.#host.isGone(chat, incarnation);
  }

  #pruned(known: KnownTask, { now, settings }: Act): void {
    const sim: Sim = this.#sim;
    const { task, keptUntil } = known;
    const isExcess = known.isEnded && this.tasks.size > settings.maxTasks;
    if (isExcess) sim.count("task went as one too many");
    sim.must(isExcess || (keptUntil !== null && keptUntil <= now), "task", () => `task ${task} is gone too early`);
    sim.count("task pruned");
    this.tasks.delete(task);
  }
}

/** The id under which a repeat gets the same tasks. */
function requestIdOf(input: object): string {
  const { requestId, task, claim } = input as { requestId?: string; task?: number; claim?: number };
  return requestId ?? afterOf(task ?? 0, claim ?? 0);
}

export const afterOf = (task: number, claim: number): string => `after ${task} ${claim}`;

function firstStateOf(known: KnownTask, { get, now }: Act): TaskState {
  const stands = standing(known, get);
  if (stands === "doomed") return "dead";
  if (stands === "blocked") return "blocked";
  return known.notBefore > now ? "scheduled" : "queued";
}

function submitted({ request, result }: Commit, at: number): Map<number, KnownTask> {
  const fresh = new Map<number, KnownTask>();
  if (request?.name !== "tasks.submit" || !result.ok) return fresh;
  const { tasks: inputs } = request.input as CheckedInputOf<"tasks.submit">;
  const { tasks: answers } = result.value as OutputOf<"tasks.submit">;
  const names = new Map(inputs.map(({ ref }, index) => [ref, answers[index]?.task ?? 0]));
  const numberOf = (other: number | string): number => (typeof other === "number" ? other : (names.get(other) ?? 0));
  for (const [index, input] of inputs.entries()) {
    const answer = answers[index];
    if (!answer) continue;
    const needs = [...new Set(input.dependsOn.map(numberOf))];
    fresh.set(answer.task, new KnownTask(answer.task, input, needs, at));
  }
  return fresh;
}
