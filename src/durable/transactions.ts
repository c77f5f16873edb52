import type { Refusal } from "../contract/errors.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Hint, Presence, Tx, WorkspaceFacts } from "../coordination/kernel/tx.ts";
import { err, type Result } from "../shared/result.ts";
import { KeptRows } from "./kept-rows.ts";
import type { StorageSql } from "./storage-sql.ts";

/** Thrown for a refusal, so that the runtime rolls the transaction back. */
export const rollbackSignal = Symbol("rollback");

interface TransactionsOptions {
  readonly storage: DurableObjectStorage;
  readonly sql: StorageSql;
  readonly presence: Presence;
  readonly now: () => number;
  /** Size of the storage, in bytes. */
  readonly size: () => number;
}

export class Transactions {
  readonly #options: TransactionsOptions;
  #hints: Hint[] = [];
  readonly #facts: KeptRows<WorkspaceFacts>;
  #isFull: boolean | null = null;
  #isTogether = false;
  #needsDispatch = false;

  constructor(options: TransactionsOptions) {
    this.#options = options;
    this.#facts = new KeptRows(options.sql, "meta", () => meta.readFacts(options.sql));
  }

  beginEvent(): void {
    this.#isFull = null;
  }

  /** [DO27] Measured once per event: one event adds far less than the free reserve. */
  get isFull(): boolean {
    return this.tx().isFull === true;
  }

  /** False where the event has not measured it. */
  get isKnownFull(): boolean {
    return this.#isFull === true;
  }

  tell(hint: Hint): void {
    this.#hints.push(hint);
  }

  takeHints(): Hint[] {
    const hints = this.#hints;
    this.#hints = [];
    return hints;
  }

  /** A rolled-back transaction may have asked for it, which costs a dispatch without work. */
  takeDispatchRequest(): boolean {
    const needsDispatch = this.#needsDispatch;
    this.#needsDispatch = false;
    return needsDispatch;
  }

  /** Runs one transaction; a refusal or an exception rolls it back with its hints. */
  run<T>(work: (tx: Tx) => Result<T, Refusal>): Result<T, Refusal> {
    if (this.#isTogether) return this.#runPart(work);
    let refused: Result<never, Refusal> | null = null;
    return this.#runOrRollBack<Result<T, Refusal>>(
      () => {
        const result = work(this.tx());
        if (result.ok) return result;
        refused = err(result.error);
        throw rollbackSignal;
      },
      () => {
        if (!refused) throw new Error("a transaction was rolled back without a refusal");
        return refused;
      },
    );
  }

  /**
   * Runs several transactions as one, which costs a third less; if one refuses or throws, repeats
   * all separately. `work` must touch only the storage.
   */
  together<T>(work: () => T): T {
    this.#isTogether = true;
    return this.#runOrRollBack(
      () => {
        try {
          return work();
        } finally {
          this.#isTogether = false;
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
      // Rethrown (and logged) when the request is retried on its own.
      throw rollbackSignal;
    }
    if (!result.ok) throw rollbackSignal;
    return result;
  }

  #runOrRollBack<T>(work: () => T, otherwise: () => T): T {
    const hintCount = this.#hints.length;
    try {
      return this.#options.storage.transactionSync(work);
    } catch (error) {
      this.#hints.length = hintCount;
      this.#facts.drop();
      if (error !== rollbackSignal) throw error;
    }
    return otherwise();
  }

  tx(): Tx {
    const { sql, presence, now, size } = this.#options;
    const facts = this.#facts.get("");
    const isFull = (this.#isFull ??= size() >= fullThreshold(facts.settings.maxStorageBytes));
    return {
      sql,
      now: now(),
      presence,
      ...facts,
      isFull,
      tell: (hint) => this.#hints.push(hint),
      spend: (micros) => sql.spend(micros),
      requestDispatch: () => void (this.#needsDispatch = true),
    };
  }
}

function fullThreshold(maxBytes: number): number {
  return maxBytes * 0.8;
}
