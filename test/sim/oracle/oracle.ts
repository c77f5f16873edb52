import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import type { state } from "#src/coordination/state/state.ts";
import type { RowOf } from "#src/shared/table.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { LeaseBeliefs } from "../beliefs.ts";
import type { Commit, SimHost } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { ChangeLog, StateModel } from "./state-model.ts";
import { all, keepMap, type PutBack, MessageModel } from "./message-model.ts";
import { LeaseLedger } from "./lease-ledger.ts";
import { TaskAnswers } from "./task-answers.ts";
import { type KnownTask, TaskLedger } from "./task-ledger.ts";
import { standing } from "./task-moves.ts";

export class Oracle {
  readonly leases: LeaseLedger;
  readonly changes: ChangeLog;
  readonly state: StateModel;
  readonly messages: MessageModel;
  readonly tasks: TaskLedger;
  readonly #answers: TaskAnswers;
  readonly #sim: Sim;
  readonly #host: SimHost;

  constructor(sim: Sim, host: SimHost, beliefs: LeaseBeliefs) {
    this.#sim = sim;
    this.leases = new LeaseLedger(sim, beliefs);
    this.changes = new ChangeLog(sim, () => host.settings().keepChangesMs);
    this.state = new StateModel(sim, this.leases);
    this.messages = new MessageModel(sim);
    this.tasks = new TaskLedger(sim, host);
    this.#answers = new TaskAnswers(sim, this.tasks);
    this.#host = host;
  }

  committed(commit: Commit): void {
    // A guarded write is judged by the leases before it.
    this.state.committed(commit);
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
    const { leases, changes, state, messages, tasks } = this;
    const workers = keepMap(tasks.workers);
    return all(workers, ...[leases, changes, state, messages].map((part) => part.keep()));
  }

  trim(): void {
    this.changes.trim();
    this.messages.trim();
  }

  /** Whatever is due was noticed, and the keys are stored as they were written. */
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
    this.#keys();
    const next = this.#host.nextDue();
    const { at } = this.#host.alarm;
    if (at !== null && next !== null && at > next) this.#sim.fail("due", `the alarm is set ${at - next} ms too late`);
  }

  /** Nothing may be overdue while the alarm is on time. */
  #mustBeAhead(at: number, what: string): void {
    const lateMs = this.#sim.hostNow - at;
    if (lateMs >= 0 && this.#host.alarm.isOnTime) this.#sim.fail("due", `${what} is over for ${lateMs} ms`);
  }

  #keys(): void {
    const sim: Sim = this.#sim;
    const { keys } = this.state;
    const rows = this.#host.sql.peek<RowOf<typeof state>>("SELECT * FROM state");
    sim.must(rows.length === keys.size, "state", () => `${rows.length} keys are stored, not ${keys.size}`);
    for (const { key, value, version, expiresAt } of rows) {
      const model = keys.get(key);
      const isSame = model?.value === value && model.version === version && model.expiresAt === expiresAt;
      sim.must(isSame, "state", () => `${key} is stored as ${value}`);
    }
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
