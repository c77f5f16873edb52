import type { Refusal } from "../contract/errors.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Hint, Memory, Presence, Tx } from "../coordination/kernel/tx.ts";
import { err, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";

/** What a refusal inside of a transaction is thrown as, so that the runtime undoes it. */
export const rollbackSignal = Symbol("undoing");

/** The transactions of one object, and what they have to tell when they are over. */
export class Transactions {
  readonly #storage: Pick<DurableObjectStorage, "transactionSync">;
  readonly #sql: Sql;
  readonly #presence: Presence;
  readonly #now: () => number;
  readonly #size: () => number;
  #hints: Hint[] = [];
  /** Read once for each event: within one nothing else can change them. */
  #facts: meta.WorkspaceFacts | null = null;
  #isFull: boolean | null = null;
  /** Of what runs together; null: each by itself. */
  #memory: Memory | null = null;

  /** @param size of the storage, in bytes */
  constructor(storage: DurableObjectStorage, sql: Sql, presence: Presence, now: () => number, size: () => number) {
    this.#storage = storage;
    this.#sql = sql;
    this.#presence = presence;
    this.#now = now;
    this.#size = size;
  }

  /** A new event, or settings that have changed: nothing that was read before holds. */
  beginEvent(): void {
    this.#facts = null;
    this.#isFull = null;
  }

  /** [DO27] Measured once for each event: what a single one can add is far below what is left free. */
  get isFull(): boolean {
    return this.tx().isFull === true;
  }

  tell(hint: Hint): void {
    this.#hints.push(hint);
  }

  takeHints(): Hint[] {
    const hints = this.#hints;
    this.#hints = [];
    return hints;
  }

  /** One transaction; undone, with what it had to tell, when it refuses or throws. */
  run<T>(work: (tx: Tx) => Result<T, Refusal>): Result<T, Refusal> {
    if (this.#memory) return this.#runPart(work);
    let refused: Result<never, Refusal> | null = null;
    return this.#runOrRollBack<Result<T, Refusal>>(
      () => {
        const result = work(this.tx());
        if (result.ok) return result;
        refused = err(result.error);
        throw rollbackSignal;
      },
      () => {
        if (!refused) throw new Error("a transaction was undone without a refusal");
        return refused;
      },
    );
  }

  /**
   * Many of them as one, while all goes well, which costs a third less. Once one refuses or fails all are done again, each by itself, so that
   * only what that one has written is undone. `work` must touch nothing beside the storage.
   */
  together<T>(work: () => T): T {
    this.#memory = { totals: null, livenessRows: new Map(), performances: new Map() };
    return this.#runOrRollBack(
      () => {
        try {
          return work();
        } finally {
          this.#memory = null;
        }
      },
      () => work(),
    );
  }

  #runPart<T>(work: (tx: Tx) => Result<T, Refusal>): Result<T, Refusal> {
    let result: Result<T, Refusal>;
    try {
      result = work(this.tx());
    } catch {
      // It is thrown again, and told of, when it is done by itself.
      throw rollbackSignal;
    }
    if (!result.ok) throw rollbackSignal;
    return result;
  }

  #runOrRollBack<T>(work: () => T, otherwise: () => T): T {
    const hintCount = this.#hints.length;
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#hints.length = hintCount;
      this.#facts = null;
      if (error !== rollbackSignal) throw error;
    }
    return otherwise();
  }

  /** Inside of a transaction, or to look only. */
  tx(): Tx {
    const sql = this.#sql;
    const facts = (this.#facts ??= meta.readFacts(sql));
    const isFull = (this.#isFull ??= this.#size() >= fullThreshold(facts.settings.maxStorageBytes));
    return {
      sql,
      now: this.#now(),
      presence: this.#presence,
      ...facts,
      isFull,
      memory: this.#memory,
      tell: (hint) => this.#hints.push(hint),
    };
  }
}

/** From so many bytes on nothing that grows is accepted: what keeps and deletes has to be written, too. */
function fullThreshold(maxBytes: number): number {
  return maxBytes * 0.8;
}
