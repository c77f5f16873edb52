import type { Failure } from "../../contract/errors.ts";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import { protocolVersion } from "../../contract/protocol.ts";
import type { Self } from "../../contract/values.ts";
import * as liveness from "../../coordination/chats/liveness.ts";
import * as due from "../../coordination/due.ts";
import {
  followUpOf,
  rollbackSignal,
  isEngineOperation,
  runUnlessFrozen,
  type EngineOperation,
} from "../../coordination/engine.ts";
import * as changes from "../../coordination/kernel/changes.ts";
import * as chatRows from "../../coordination/kernel/chat-rows.ts";
import * as meta from "../../coordination/kernel/meta.ts";
import type { Actor, Tx } from "../../coordination/kernel/tx.ts";
import * as dispatch from "../../coordination/scheduling/dispatch.ts";
import { remainingMs } from "../../coordination/workspace/freeze.ts";
import { hostSamples } from "../../coordination/workspace/metrics.ts";
import type { Processes } from "../../platform/processes.ts";
import { type LocalCalls, CallLostError } from "../../runtime/runtime.ts";
import { checkInput, isRead } from "../../shared/check-input.ts";
import { isWithin } from "../../shared/known-time.ts";
import { migrate, schemaState } from "../../shared/migrate.ts";
import { err, ok, type Result, fail } from "../../shared/result.ts";
import { inSavepoint, type Sql } from "../../shared/sql.ts";
import { inMemory } from "../../store/driver.ts";
import { storeRefusal } from "../../store/store-error.ts";
import type { Store } from "../../store/store.ts";
import { lostOutcome, type SendRequest } from "../edge/outcomes.ts";
import type { ClientConnection, Registration } from "../edge/connection.ts";
import type { ConnectionState, EdgeEvents } from "../edge/events.ts";
import type { Platform } from "../edge/platform.ts";
import { processLives } from "./process-key.ts";

export interface LocalCoordinatorOptions {
  readonly store: Store;
  readonly processes: Processes;
  readonly machine: string;
  readonly now: () => number;
}

const sweepRows = 20;
/** A death is attested at once: until then a running chat is checked this much more seldom. */
const sureForMs = 300_000;
/** Interval of the process checks, in ms; each reads the process table. */
const pollEveryMs = 1_000;

/** The engine without a server: each operation does what is due. */
export class LocalCoordinator {
  readonly #options: LocalCoordinatorOptions;
  readonly #listeners = new Set<CommitListener>();
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LocalCoordinatorOptions) {
    this.#options = options;
  }

  /**
   * @param by the caller, as {@link onCommit} reports it
   * @throws {StoreError} when the file cannot be read or written
   */
  call<Name extends OperationName>(name: Name, input: InputOf<Name>, by: unknown = null): Result<OutputOf<Name>> {
    const checked = checkInput(name, input);
    if (!checked.ok) return checked;
    // The engine's answer has the type of this name; TypeScript cannot follow that.
    return this.#run(checked.value.name, checked.value.input, by) as Result<OutputOf<Name>>;
  }

  /** Does what is due without an operation, so that waiting chats need not ask. */
  settle(): void {
    const { store } = this.#options;
    if (!store.read((sql) => this.#isBehind(this.#tx(sql)), false)) return;
    this.#commit(null, () => undefined);
  }

  #run(name: OperationName, input: unknown, by: unknown): Result<unknown> {
    if (name === "health") return ok(this.#health());
    if (!isEngineOperation(name)) {
      const message = `${name} needs a workspace that machines share, and this machine has not joined a workspace`;
      return fail("bad_input", message);
    }
    const result = this.#runEngine(name, input, by);
    if (name !== "metrics" || !result.ok) return result;
    const { samples } = result.value as OutputOf<"metrics">;
    return ok({ samples: [...samples, ...hostSamples(this.#health())] });
  }

  #runEngine(name: EngineOperation, input: unknown, by: unknown): Result<unknown> {
    if (!isRead(name)) return this.#write(name, input, by);
    const read = (sql: Sql): Result<unknown> | "behind" => {
      const tx = this.#tx(sql);
      return this.#isBehind(tx) ? "behind" : runUnlessFrozen(tx, this.#actor, name, input as never);
    };
    const answer = this.#options.store.read<ReturnType<typeof read> | null>(read, null);
    const found = answer ?? this.#answerFromEmptyStore(read);
    return found === "behind" ? this.#write(name, input, by) : found;
  }

  /** Answers as a new file would, without creating one. */
  #answerFromEmptyStore<T>(read: (sql: Sql) => T): T {
    const { driver, migrations, now } = this.#options.store.context;
    const memory = driver({ path: inMemory, readOnly: false, busyMs: 0 });
    try {
      migrate(memory, now(), migrations);
      return read(memory);
    } finally {
      memory.close();
    }
  }

  /** The operation, all that is due before it and the dispatch after it are one transaction. */
  #write(name: EngineOperation, input: unknown, by: unknown): Result<unknown> {
    const refusals: Failure[] = [];
    try {
      return this.#commit(by, (tx) => {
        const done = runUnlessFrozen(tx, this.#actor, name, input as never);
        if (done.ok) return done;
        refusals.push(done.error);
        throw rollbackSignal;
      });
    } catch (error) {
      const refusal = refusals.at(-1);
      if (error !== rollbackSignal || !refusal) throw error;
      const followUp = followUpOf(input, refusal);
      this.#commit(by, (tx) => followUp?.(tx));
      return err(refusal);
    }
  }

  get #actor(): Actor {
    return { machine: this.#options.machine, isAdmin: true };
  }

  #tx(sql: Sql, requestDispatch: () => void = () => undefined): Tx {
    const { now, processes } = this.#options;
    const at = now();
    return {
      sql,
      now: at,
      presence: {
        lastSeen: ({ status, process }) =>
          status !== "offline" && processLives(processes, process) ? at + sureForMs : null,
      },
      ...meta.readFacts(sql),
      // All chats of a machine follow its commits.
      tell: () => undefined,
      requestDispatch,
    };
  }

  #isBehind(tx: Tx): boolean {
    return !meta.isFrozen(tx) && (due.isDue(tx) || this.#listDead(tx).length > 0);
  }

  /** Attests dead the chats whose process is gone, then does what is due. */
  #catchUp(tx: Tx): void {
    for (const row of this.#listDead(tx)) liveness.goOffline(tx, row, "attested");
    if (due.isDue(tx)) due.sweep(tx, (work) => inSavepoint(tx.sql, work), sweepRows);
  }

  /** Chats whose process is gone; checked again at once until they are offline. */
  #listDead({ sql, now }: Tx): chatRows.ChatRow[] {
    if (isWithin(now - this.#checkedAt, pollEveryMs)) return [];
    const rows = sql.all<chatRows.ChatRow>("SELECT * FROM chats WHERE status <> 'offline'");
    const dead = rows.filter((row) => processLives(this.#options.processes, row.process) === false);
    if (dead.length === 0) this.#checkedAt = now;
    return dead;
  }

  #health(): OutputOf<"health"> {
    const empty = { overdueRows: 0, chats: 0, schemaVersion: 0, epoch: 0, revision: 0, frozenForMs: 0 };
    const figures = this.#options.store.read((sql) => {
      const tx = this.#tx(sql);
      return {
        overdueRows: liveness.listDue(tx, 1_000).length,
        chats: meta.countLiveChats(sql),
        schemaVersion: schemaState(sql).version,
        epoch: tx.epoch,
        revision: changes.readTotals(sql).revision,
        frozenForMs: remainingMs(tx),
      };
    }, empty);
    return {
      alarmInMs: null,
      outboxDepth: 0,
      sockets: 0,
      boxes: { count: 0, chars: 0 },
      storage: null,
      rowsThisMonth: null,
      protocol: protocolVersion,
      ...figures,
    };
  }

  /** Calls `listener` after each change of the file. @returns ends that */
  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Does what is due, then `body`. @param by see {@link call} */
  #commit<T>(by: unknown, body: (tx: Tx) => T): T {
    const { store } = this.#options;
    let isDue = false;
    const { value, changed } = store.commit((sql) => {
      let needsDispatch = false;
      const begin = (): Tx => this.#tx(sql, () => void (needsDispatch = true));
      let tx = begin();
      isDue = this.#isBehind(tx);
      if (isDue) {
        this.#catchUp(tx);
        // The facts of the workspace may have changed.
        tx = begin();
      }
      const done = body(tx);
      // There is no queue here, so tasks are dispatched at once.
      if (needsDispatch) dispatch.assignAll(tx);
      return done;
    });
    if (changed.size > 0) for (const listener of this.#listeners) listener(isDue ? null : by);
    return value;
  }
}

/** @param by who has asked for the changes; null: they were due, or it was not said */
type CommitListener = (by: unknown) => void;

/** Calls of one caller, to which the commits that it has asked for are not reported. */
export function callsOf(coordinator: LocalCoordinator, close: () => void): LocalCalls {
  const caller = {};
  return {
    call: (name, input) => coordinator.call(name, input, caller),
    onCommit: (listener) => coordinator.onCommit((by) => void (by === caller || listener())),
    close,
  };
}

/** Pause in ms after a report of commits: frequent writes must not keep all readers busy. */
const minGapMs = 20;

interface LocalDeps {
  readonly coordinator: LocalCalls;
  readonly platform: Pick<Platform, "setTimer">;
  readonly registration: Registration;
  readonly events: EdgeEvents;
}

/** Always up; follows what others change. */
export class LocalConnection implements ClientConnection {
  readonly isPushing = false;
  readonly signalsCommits = true;
  readonly generation = 0;
  readonly sendDirectly = null;
  readonly #deps: LocalDeps;
  #state: ConnectionState = "connected";
  #cancelTimer: () => void = () => undefined;
  #unfollow: (() => void) | null = null;

  constructor(deps: LocalDeps) {
    this.#deps = deps;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Reports the first commit of others at once, and later ones together. */
  start(): void {
    if (this.#unfollow || this.#state === "closed") return;
    let isResting = false;
    let isMissed = false;
    const report = (): void => {
      isResting = isMissed;
      if (!isMissed) return;
      isMissed = false;
      this.#cancelTimer = this.#deps.platform.setTimer(report, minGapMs);
      this.#deps.events.emit({ type: "changed" });
    };
    this.#unfollow = this.#deps.coordinator.onCommit(() => {
      isMissed = true;
      if (isResting) return;
      isResting = true;
      this.#cancelTimer = this.#deps.platform.setTimer(report, 0);
    });
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTimer();
    this.#unfollow?.();
    this.#deps.coordinator.close();
    this.#deps.events.emit({ type: "state", state: "closed", reason });
  }

  readonly send: SendRequest = async (name, input, timeoutMs) => {
    try {
      return { kind: "answered", result: await this.#deps.coordinator.call(name, input, timeoutMs) };
    } catch (error) {
      if (error instanceof CallLostError) return lostOutcome(error.isSent, error.message);
      return { kind: "answered", result: storeRefusal(error) };
    }
  };

  registerChat(): void {
    void this.#deps.registration.register(this.send, () => this.registerChat());
  }

  /** A file that was set aside or put back may not know the chat. */
  handleRefusal(self: Self | null, error: Failure): void {
    const code = error.code === "unknown_chat" ? "chat_offline" : error.code;
    this.#deps.registration.handleRefusal(self, { ...error, code }, () => this.registerChat());
  }

  notify(): void {}

  checkClocks(): void {}
}
