import type { LeaseBeliefs } from "../beliefs.ts";
import type { Commit, SimHost } from "../host/sim-host.ts";
import type { Sim } from "../sim.ts";
import { ChangeLog, StateModel } from "./state-model.ts";
import { FullCheck } from "./full-check.ts";
import { all, keepMap, type PutBack, MessageModel } from "./message-model.ts";
import { LeaseLedger, Life } from "./lease-ledger.ts";
import { TaskAnswers } from "./task-answers.ts";
import { TaskLedger } from "./task-ledger.ts";

/** The models of the coordinator, which judge each commit. */
export class Oracle {
  readonly leases: LeaseLedger;
  readonly changes: ChangeLog;
  readonly state: StateModel;
  readonly messages: MessageModel;
  readonly life: Life;
  readonly full: FullCheck;
  readonly tasks: TaskLedger;
  readonly #answers: TaskAnswers;

  constructor(sim: Sim, host: SimHost, beliefs: LeaseBeliefs) {
    const settings = (): ReturnType<SimHost["settings"]> => host.settings();
    this.life = new Life(sim, settings, (chat) => host.connections.lastSeen(chat) !== null);
    this.leases = new LeaseLedger(sim, beliefs);
    this.changes = new ChangeLog(sim, () => settings().keepChangesMs);
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
    this.life.committed(commit);
  }

  /** The state that a restore brings back. Numbers given out after it are lost, and must not be given again. */
  keep(): PutBack {
    const { leases, changes, state, messages, life, tasks } = this;
    const workers = keepMap(tasks.workers);
    return all(workers, ...[leases, changes, state, messages, life].map((part) => part.keep()));
  }

  trim(): void {
    this.changes.trim();
    this.messages.trim();
  }
}
