import type { Refusal } from "../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../contract/operations.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import * as due from "./due.ts";
import { followUpOf, runFirst, type EngineOperation } from "./engine.ts";
import { firstOf } from "./kernel/handlers.ts";
import * as meta from "./kernel/meta.ts";
import type { Actor, Hint, Presence, Tx, WorkspaceFacts } from "./kernel/tx.ts";
import * as outbox from "./tasks/dispatch-outbox.ts";
import { unlessFrozen } from "./workspace/freeze.ts";

/** Thrown for a refusal, so that the store rolls the transaction back. */
export const rollbackSignal = Symbol("rollback");

export interface EngineStore {
  readonly sql: Sql;
  /** Runs work as one transaction, or as a part of one; rolled back when it throws. */
  readonly transaction: <T>(work: () => T) => T;
}

interface EngineHostOptions {
  readonly store: EngineStore;
  readonly presence: Presence;
  /** Epoch ms. */
  readonly now: () => number;
  /** Settings and epoch; absent: they are read each time. */
  readonly facts?: () => WorkspaceFacts;
  /** Size of the storage, in bytes. Absent: it has no limit. */
  readonly size?: () => number;
  /** A transaction was rolled back: what was read in it may be wrong. */
  readonly onRollBack?: () => void;
}

const sweepsAtOnce = 20;
const changesFrozen: ReadonlySet<EngineOperation> = new Set(["workspace.freeze", "workspace.import"]);

/** The engine in its transactions, with what follows them: hints, dispatch, what is due. */
export class EngineHost {
  readonly #options: EngineHostOptions;
  #hints: Hint[] = [];
  #isTogether = false;
  #needsDispatch = false;
  #isFull: boolean | null = null;

  constructor(options: EngineHostOptions) {
    this.#options = options;
  }

  /** The size is measured once per event: one event adds far less than the free reserve. */
  beginEvent(): void {
    this.#isFull = null;
  }

  /** False where the event has not measured it. */
  get isKnownFull(): boolean {
    return this.#isFull === true;
  }

  tx(): Tx {
    const { store, presence, now, facts, size } = this.#options;
    const read = facts ? facts() : meta.readFacts(store.sql);
    this.#isFull ??= size !== undefined && size() >= fullThreshold(read.settings.maxStorageBytes);
    return {
      sql: store.sql,
      now: now(),
      presence,
      ...read,
      isFull: this.#isFull,
      tell: (hint) => this.tell(hint),
      requestDispatch: () => void (this.#needsDispatch = true),
    };
  }

  tell(hint: Hint): void {
    this.#hints.push(hint);
  }

  takeHints(): Hint[] {
    const hints = this.#hints;
    this.#hints = [];
    return hints;
  }

  /** Runs one operation. What is to be kept of a refusal is written in a transaction of its own. */
  call<Name extends EngineOperation>(
    actor: Actor,
    name: Name,
    input: CheckedInputOf<Name>,
    after: (tx: Tx, result: Result<OutputOf<Name>, Refusal>) => void = () => undefined,
  ): Result<OutputOf<Name>, Refusal> {
    const result = this.run((tx) => {
      const done = firstOf(runFirst(tx, actor, name, [input]));
      after(tx, done);
      return done;
    }, changesFrozen.has(name));
    const followUp = result.ok ? null : followUpOf(input, result.error);
    if (followUp) this.run((tx) => ok(followUp(tx)));
    return result;
  }

  /**
   * Runs one transaction; a refusal or an exception rolls it back with its hints.
   * @param isForced also changes a frozen workspace
   */
  run<T>(work: (tx: Tx) => Result<T, Refusal>, isForced = false): Result<T, Refusal> {
    if (this.#isTogether) return this.#runPart(work, isForced);
    let refused: Result<never, Refusal> | null = null;
    return this.#runOrRollBack<Result<T, Refusal>>(
      () => {
        const result = isForced ? work(this.tx()) : unlessFrozen(this.tx(), work);
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

  #runPart<T>(work: (tx: Tx) => Result<T, Refusal>, isForced: boolean): Result<T, Refusal> {
    let result: Result<T, Refusal>;
    try {
      result = isForced ? work(this.tx()) : unlessFrozen(this.tx(), work);
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
      return this.#options.store.transaction(work);
    } catch (error) {
      this.#hints.length = hintCount;
      this.#options.onRollBack?.();
      if (error !== rollbackSignal) throw error;
    }
    return otherwise();
  }

  /**
   * Before the commit: assigns what requests have made runnable since the last call. One
   * that was rolled back may have asked for it, which costs a dispatch without work.
   * @param onFailure a failure undoes no request: the queue repeats the dispatch. Absent: it throws
   */
  dispatch(assign: (tx: Tx) => void, onFailure?: (error: unknown) => void): void {
    if (!this.#needsDispatch) return;
    this.#needsDispatch = false;
    try {
      this.run((tx) => ok(assign(tx)));
    } catch (error) {
      if (!onFailure) throw error;
      onFailure(error);
      this.run((tx) => ok(outbox.enqueue(tx, () => true)));
    }
  }

  /** Does what is due, in transactions of its own. Runnable tasks go through the queue. */
  sweep(limit: number): string[] {
    const problems: string[] = [];
    for (let times = 0; times < sweepsAtOnce; times++) {
      const tx = { ...this.tx(), requestDispatch: null };
      const next = due.nextDue(tx);
      if (next === null || next > tx.now) break;
      problems.push(...due.sweep(tx, this.#options.store.transaction, limit));
    }
    return problems;
  }
}

function fullThreshold(maxBytes: number): number {
  return maxBytes * 0.8;
}
