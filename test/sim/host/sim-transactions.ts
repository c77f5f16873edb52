import type { Refusal } from "#src/contract/errors.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import type { Hint, Presence, Tx, WorkspaceFacts } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import type { HostBugs } from "../bug.ts";
import type { Sim } from "../sim.ts";
import { type Group, runTogether } from "./frame-lists.ts";
import type { RecordingSql } from "./recording-sql.ts";
import type { Commit, Request } from "./sim-host.ts";

/** What the host commits, rolls back, and with a planted bug forgets. */
export class SimTransactions {
  onCommit: (commit: Commit) => void = () => undefined;
  readonly #sim: Sim;
  readonly #bugs: HostBugs;
  readonly #sql: RecordingSql;
  readonly #presence: Presence;
  /** Read anew after each write of `meta`. */
  #known: WorkspaceFacts | null = null;
  #depth = 0;
  #commits = 0;

  constructor(sim: Sim, bugs: HostBugs, sql: RecordingSql, presence: Presence) {
    this.#sim = sim;
    this.#bugs = bugs;
    this.#sql = sql;
    this.#presence = presence;
  }

  run<T>(
    request: Request | null,
    work: (tx: Tx) => Result<T, Refusal>,
    told: Hint[],
    diesBefore: boolean,
  ): Result<T, Refusal> {
    const sql = this.#sql;
    sql.facts.length = 0;
    if (request) this.#sim.doing = request;
    sql.control("BEGIN");
    let isOver = false;
    try {
      const result = work(this.tx((hint) => told.push(hint)));
      const stands = result.ok && !diesBefore;
      const isForgotten = this.#isForgotten(stands);
      sql.control(stands && !isForgotten ? "COMMIT" : "ROLLBACK");
      isOver = true;
      if (!stands) this.#forget(told);
      if (!diesBefore) this.onCommit({ request, result, facts: sql.facts });
      return result;
    } finally {
      if (!isOver) sql.control("ROLLBACK");
    }
  }

  /** @returns null, without an effect: the first request must run alone */
  runTogether(
    group: Group,
    requestDispatch: (() => void) | null,
    told: Hint[],
    diesBefore: boolean,
  ): readonly Commit[] | null {
    const sql = this.#sql;
    sql.facts.length = 0;
    this.#sim.doing = group;
    sql.control("BEGIN");
    let stands = false;
    try {
      const tx = { ...this.tx((hint) => told.push(hint)), requestDispatch };
      const commits = runTogether(this.#sim, sql, tx, group);
      stands = commits !== null && !diesBefore;
      return commits;
    } finally {
      sql.control(stands ? "COMMIT" : "ROLLBACK");
      if (!stands) this.#forget(told);
    }
  }

  #isForgotten(stands: boolean): boolean {
    const every = this.#bugs.forgetsEvery;
    return stands && every > 0 && this.#sql.facts.length > 0 && (this.#commits += 1) % every === 0;
  }

  #forget(told: Hint[]): void {
    told.length = 0;
    this.#sql.facts.length = 0;
    this.#known = null;
  }

  atomically<T>(work: () => T): T {
    const sql = this.#sql;
    const name = `s${(this.#depth += 1)}`;
    const mark = sql.facts.length;
    sql.control(`SAVEPOINT ${name}`);
    try {
      return work();
    } catch (error) {
      sql.control(`ROLLBACK TO ${name}`);
      sql.facts.length = mark;
      throw error;
    } finally {
      sql.control(`RELEASE ${name}`);
      this.#depth -= 1;
    }
  }

  tx(tell: (hint: Hint) => void): Tx {
    const { skewMs } = this.#bugs;
    const isAhead = skewMs > 0 && this.#sim.rng.chance(0.5);
    const now = this.#sim.hostNow + (isAhead ? skewMs : 0);
    return { sql: this.#sql, now, presence: this.#presence, ...this.facts(), tell };
  }

  facts(): WorkspaceFacts {
    if (this.#sql.isMetaWritten) {
      this.#sql.isMetaWritten = false;
      const { remembersEpoch, ignoresQuiet } = this.#bugs;
      const facts = meta.readFacts(this.#sql);
      const epoch = remembersEpoch ? (this.#known?.epoch ?? facts.epoch) : facts.epoch;
      this.#known = { ...facts, epoch, quietUntil: ignoresQuiet ? 0 : facts.quietUntil };
    }
    return (this.#known ??= meta.readFacts(this.#sql));
  }
}
