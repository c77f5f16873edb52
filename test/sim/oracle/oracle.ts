import { commonErrors, type Operation } from "#src/contract/operation.ts";
import { operations } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { LeaseBeliefs } from "../beliefs.ts";
import type { Commit, SimHost } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { ChangeLog, StateModel } from "./state-model.ts";
import { FullCheck } from "./full-check.ts";
import { all, keepMap, type PutBack, MessageModel } from "./message-model.ts";
import { LeaseLedger } from "./lease-ledger.ts";
import { TaskAnswers } from "./task-answers.ts";
import { TaskLedger } from "./task-ledger.ts";

export class Oracle {
  readonly leases: LeaseLedger;
  readonly changes: ChangeLog;
  readonly state: StateModel;
  readonly messages: MessageModel;
  readonly full: FullCheck;
  readonly tasks: TaskLedger;
  readonly #answers: TaskAnswers;
  readonly #sim: Sim;

  constructor(sim: Sim, host: SimHost, beliefs: LeaseBeliefs) {
    this.#sim = sim;
    this.leases = new LeaseLedger(sim, beliefs);
    this.changes = new ChangeLog(sim, () => host.settings().keepChangesMs);
    this.state = new StateModel(sim, this.leases);
    this.messages = new MessageModel(sim);
    this.tasks = new TaskLedger(sim, host);
    this.#answers = new TaskAnswers(sim, this.tasks);
    this.full = new FullCheck(sim, host, this);
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
}
