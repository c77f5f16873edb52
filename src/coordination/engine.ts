import type { Failure } from "../contract/errors.ts";
import type { CheckedInputOf, OperationName, OutputOf } from "../contract/operations.ts";
import type { ClaimedTaskReference } from "../contract/tasks.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import * as chats from "./chats/chats.ts";
import * as due from "./due.ts";
import * as audit from "./kernel/audit.ts";
import { firstOf, type Handlers, type ListHandlers } from "./kernel/handlers.ts";
import * as meta from "./kernel/meta.ts";
import type { Actor, List, Tx, Hint, Presence, WorkspaceFacts } from "./kernel/tx.ts";
import * as leases from "./leases/leases.ts";
import * as messages from "./messages/messages.ts";
import * as plans from "./plans/plans.ts";
import * as explain from "./scheduling/explain.ts";
import * as state from "./state/state.ts";
import * as syncPut from "./sync/sync-put.ts";
import * as sync from "./sync/sync.ts";
import { countLateCall } from "./tasks/attempt-rows.ts";
import * as attempts from "./tasks/attempts.ts";
import * as budgets from "./tasks/budgets.ts";
import * as claims from "./tasks/claims.ts";
import * as deadLetters from "./tasks/dead-letters.ts";
import * as dispatch from "./scheduling/dispatch.ts";
import * as routes from "./tasks/routes.ts";
import * as submit from "./tasks/submit.ts";
import * as taskQueries from "./tasks/task-queries.ts";
import * as transfer from "./transfer.ts";
import * as boxes from "./workspace/boxes.ts";
import * as freeze from "./workspace/freeze.ts";
import * as metrics from "./workspace/metrics.ts";
import * as settings from "./workspace/settings.ts";

export type EngineOperation = keyof Handlers | keyof ListHandlers;

const handlers: Handlers = {
  ...chats.handlers,
  ...leases.handlers,
  ...state.handlers,
  ...messages.handlers,
  ...submit.handlers,
  ...claims.handlers,
  ...attempts.handlers,
  ...taskQueries.handlers,
  ...explain.handlers,
  ...routes.handlers,
  ...deadLetters.handlers,
  ...plans.handlers,
  ...sync.handlers,
  ...syncPut.handlers,
  ...budgets.handlers,
  ...settings.handlers,
  ...freeze.handlers,
  ...transfer.handlers,
  ...metrics.handlers,
  ...audit.handlers,
  ...boxes.handlers,
};

const lists: ListHandlers = { ...leases.lists, ...state.lists, ...attempts.lists };

export function isEngineOperation(name: string): name is EngineOperation {
  return Object.hasOwn(handlers, name) || isListOperation(name);
}

/** Whether requests of a frame may run together. */
export function isListOperation(name: string): name is keyof ListHandlers {
  return Object.hasOwn(lists, name);
}

/** Runs one operation; the host rolls back its transaction on a refusal or an exception. */
export function run<Name extends EngineOperation>(
  tx: Tx,
  actor: Actor,
  name: Name,
  input: CheckedInputOf<Name>,
): Result<OutputOf<Name>> {
  const withActor = { ...tx, actor };
  if (isListOperation(name)) return firstOf<Result<OutputOf<Name>>>(lists[name](withActor, [input], actor));
  return handlers[name as Exclude<Name, keyof ListHandlers>](withActor, input, actor);
}

/** Runs the first of several requests of one operation, at least one: see `ListHandler`. */
export function runFirst<Name extends keyof ListHandlers>(
  tx: Tx,
  actor: Actor,
  name: Name,
  inputs: List<CheckedInputOf<Name>>,
): readonly Result<OutputOf<Name>>[] {
  return lists[name]({ ...tx, actor }, inputs, actor);
}

/** {@link run}, refused where the workspace is frozen. */
export function runUnlessFrozen<Name extends EngineOperation>(
  tx: Tx,
  actor: Actor,
  name: Name,
  input: CheckedInputOf<Name>,
): Result<OutputOf<Name>> {
  return unlessFrozen(tx, (part) => run(part, actor, name, input), changesFrozen.has(name));
}

function unlessFrozen<T>(tx: Tx, work: (tx: Tx) => Result<T>, isForced: boolean): Result<T> {
  return isForced || !meta.isFrozen(tx) ? work(tx) : freeze.withoutChange(tx, work);
}

/** Runs after the operation's rollback, in a transaction of its own; null: nothing to do. */
export function followUpOf(input: unknown, refusal: Failure): ((tx: Pick<Tx, "sql">) => void) | null {
  if (refusal.code !== "stale_claim") return null;
  const { self, task, claim } = input as ClaimedTaskReference;
  return (tx) => countLateCall(tx, task, claim, self.chat);
}

/** Thrown for a refusal, so that the store rolls the transaction back. */
export const rollbackSignal = Symbol("rollback");

interface EngineHostOptions {
  /** `transaction` runs work as one, or as a part of one; it is rolled back when it throws. */
  readonly store: { readonly sql: Sql; readonly transaction: <T>(work: () => T) => T };
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
/** Share of its bound from which on the storage counts as full. */
const fullShare = 0.8;
/** Done in a frozen workspace too, and while an import is not complete. */
export const changesFrozen: ReadonlySet<OperationName> = new Set([
  "workspace.freeze",
  "workspace.import",
  "workspace.delete",
  "boxes.end",
]);

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
    this.#isFull ??= size !== undefined && size() >= read.settings.maxStorageBytes * fullShare;
    return {
      sql: store.sql,
      now: now(),
      presence,
      ...read,
      isFull: this.#isFull,
      tell: (hint) => void this.#hints.push(hint),
      requestDispatch: () => void (this.#needsDispatch = true),
    };
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
    after: (tx: Tx, result: Result<OutputOf<Name>>) => void = () => undefined,
  ): Result<OutputOf<Name>> {
    const result = this.run((tx) => {
      const done = run(tx, actor, name, input);
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
  run<T>(work: (tx: Tx) => Result<T>, isForced = false): Result<T> {
    if (this.#isTogether) return this.#runPart(work, isForced);
    let refused: Result<never> | null = null;
    return this.#runOrRollBack<Result<T>>(
      () => {
        const result = unlessFrozen(this.tx(), work, isForced);
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

  #runPart<T>(work: (tx: Tx) => Result<T>, isForced: boolean): Result<T> {
    let result: Result<T>;
    try {
      result = unlessFrozen(this.tx(), work, isForced);
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
   * @param onFailure a failure undoes no request: the alarm repeats it. Absent: it throws
   */
  dispatch(assign: (tx: Tx) => void, onFailure?: (error: unknown) => void): void {
    if (!this.#needsDispatch) return;
    this.#needsDispatch = false;
    try {
      this.run((tx) => ok(assign(tx)));
    } catch (error) {
      if (!onFailure) throw error;
      onFailure(error);
      this.run((tx) => ok(dispatch.enqueue(tx, () => true)));
    }
  }

  /** Does what is due, in transactions of its own. */
  sweep(limit: number): string[] {
    const problems: string[] = [];
    for (let times = 0; times < sweepsAtOnce; times++) {
      const tx = this.tx();
      if (!due.isDue(tx)) break;
      problems.push(...due.sweep(tx, this.#options.store.transaction, limit));
    }
    return problems;
  }
}
