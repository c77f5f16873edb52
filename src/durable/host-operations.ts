import type { CheckedInputOf, OperationName, OutputOf } from "../contract/operations.ts";
import { protocolVersion } from "../contract/protocol.ts";
import { closeCodes } from "../contract/sockets.ts";
import * as liveness from "../coordination/chats/liveness.ts";
import * as due from "../coordination/due.ts";
import { run, type EngineHost } from "../coordination/engine.ts";
import type { HostOperation } from "../coordination/kernel/handlers.ts";
import * as changes from "../coordination/kernel/changes.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Actor, Tx } from "../coordination/kernel/tx.ts";
import { outbox } from "../coordination/tasks/task-tables.ts";
import { remainingMs } from "../coordination/workspace/freeze.ts";
import { addWrittenRows, rowsWrittenInMonth, hostSamples } from "../coordination/workspace/metrics.ts";
import * as boxes from "../coordination/workspace/boxes.ts";
import * as tokens from "../coordination/workspace/tokens.ts";
import { isWithin } from "../shared/known-time.ts";
import { schemaState } from "../shared/migrate.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import type { RefusalCounts } from "./load-limits.ts";
import { socketOnly, tagOf, type Sockets } from "./sockets.ts";
import type { StorageSql } from "./storage-sql.ts";
import type { Watches } from "./watches.ts";

/** Rows of each kind that one sweep handles. */
export const sweepRows = 200;

/** An alarm later than this has been lost. */
const maxLateMs = 60_000;
/** Pause after an alarm whose work has failed. */
export const retryPauseMs = 30_000;

export class Alarm {
  readonly #storage: Pick<DurableObjectStorage, "getAlarm" | "setAlarm">;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
  }

  get at(): number | null {
    return this.#at;
  }

  ring(): void {
    this.#at = null;
  }

  isLost(now: number): boolean {
    return this.#at !== null && this.#at < now - maxLateMs;
  }

  /** Without an await, so the alarm is stored with the rows. */
  arm(at: number, now: number): void {
    if (this.#at !== null && this.#at <= at && !this.isLost(now)) return;
    this.#at = at;
    void this.#storage.setAlarm(at);
  }
}

interface HostOperationsOptions {
  readonly sql: StorageSql;
  readonly refusals: RefusalCounts;
  readonly sockets: Sockets;
  readonly watches: Watches;
  readonly alarm: Alarm;
  readonly size: () => number;
  readonly engine: EngineHost;
  readonly closeSocket: (socket: WebSocket, code: number, reason: string) => void;
}

const keepSamplesMs = 10_000;
const rowsPerCount = 1_000;
const reader: Actor = { machine: "metrics", isAdmin: false };

/** Operations on connections, tokens and the object itself. */
export class HostOperations {
  readonly #options: HostOperationsOptions;
  /** Written rows up to which they are stored. */
  #counted = 0;
  #sampled: { readonly at: number; readonly samples: OutputOf<"metrics">["samples"] } | null = null;

  constructor(options: HostOperationsOptions) {
    this.#options = options;
  }

  /** Effects on the host of an operation of the engine, in its transaction. */
  follow(tx: Tx, name: OperationName, result: Result<unknown>, socket: WebSocket | null): void {
    if (name === "settings.set" || name === "epoch.raise") this.#options.engine.beginEvent();
    if (result.ok && name === "chats.register") this.#bind(tx, socket, result.value as never);
  }

  readonly handlers: HostHandlers = {
    metrics: () => this.#sampleMetrics(),
    "state.watch": (input, _actor, socket) =>
      socket ? this.#options.watches.watch(socket, input) : socketOnly("state.watch"),
    "state.unwatch": (input, _actor, socket) =>
      socket ? ok(this.#options.watches.unwatch(socket, input)) : socketOnly("state.unwatch"),
    "boxes.create": () => fail("bad_input", "boxes are made over HTTP"),
    "tokens.create": () => fail("bad_input", "tokens are created over HTTP"),
    "tokens.renew": () => fail("bad_input", "tokens are renewed over HTTP"),
    "workspace.restore": () => fail("bad_input", "a workspace is restored over HTTP"),
    "workspace.delete": () => fail("bad_input", "a workspace is deleted over HTTP"),
    "tokens.list": () => this.#options.engine.run((tx) => ok(tokens.list(tx))),
    "tokens.revoke": ({ id }, actor) => {
      const revoked = this.#options.engine.run((tx) => {
        boxes.end(tx, { token: id });
        return tokens.revoke(tx, actor, id);
      }, true);
      if (revoked.ok) {
        for (const open of this.#options.sockets.open(tagOf(id)))
          this.#options.closeSocket(open, closeCodes.token, "the token was revoked");
      }
      return revoked;
    },
    health: () => this.#options.engine.run((tx) => ok(this.#health(tx)), true),
  };

  /** Kept for ten seconds: however many scrape, the object reads the rows once. */
  #sampleMetrics(): Result<OutputOf<"metrics">> {
    const { now } = this.#options.engine.tx();
    if (this.#sampled && isWithin(now - this.#sampled.at, keepSamplesMs)) return ok({ samples: this.#sampled.samples });
    return this.#options.engine.run((tx) => {
      const sampled = run(tx, reader, "metrics", {});
      if (!sampled.ok) return sampled;
      const samples = [...sampled.value.samples, ...hostSamples(this.#health(tx)), ...this.#countersOfStart()];
      this.#sampled = { at: now, samples };
      return ok({ samples });
    });
  }

  #countersOfStart(): OutputOf<"metrics">["samples"] {
    const { refusals, sql } = this.#options;
    const refused = refusals.all().map(([code, value]) => {
      return { name: "shim_requests_refused_total", labels: { code }, value } as const;
    });
    return [...refused, { name: "shim_rows_written_total", labels: {}, value: sql.written }];
  }

  #bind(tx: Tx, socket: WebSocket | null, { chat, incarnation }: OutputOf<"chats.register">): void {
    this.#options.sockets.bind(chat, incarnation, socket);
    if (this.#options.sockets.lastSeen({ chat }) !== null) liveness.markConnected(tx, chat);
  }

  /** Stores the count of written rows now and then: to store each would double it. */
  countRows(): void {
    const { engine, sql } = this.#options;
    if (sql.written - this.#counted < rowsPerCount) return;
    const rows = sql.written - this.#counted;
    this.#counted = sql.written;
    engine.run((tx) => ok(addWrittenRows(tx, rows)), true);
  }

  #health(tx: Tx): OutputOf<"health"> {
    return {
      alarmInMs: this.#options.alarm.at === null ? null : this.#options.alarm.at - tx.now,
      overdueRows: due.isDue(tx) ? liveness.listDue(tx, sweepRows).length || 1 : 0,
      outboxDepth: outbox.count(tx.sql),
      sockets: this.#options.sockets.open().length,
      chats: meta.countLiveChats(tx.sql),
      boxes: boxes.totals(tx.sql),
      schemaVersion: schemaState(this.#options.sql).version,
      epoch: tx.epoch,
      revision: changes.readTotals(tx.sql).revision,
      protocol: protocolVersion,
      storage: {
        bytes: this.#options.size(),
        limitBytes: tx.settings.maxStorageBytes,
        state: this.#options.engine.tx().isFull === true ? "full" : "normal",
      },
      rowsThisMonth: rowsWrittenInMonth(tx) + this.#options.sql.written - this.#counted,
      frozenForMs: remainingMs(tx),
    };
  }
}

type HostHandlers = {
  readonly [Name in HostOperation | "metrics"]: (
    input: CheckedInputOf<Name>,
    actor: Actor,
    socket: WebSocket | null,
  ) => Result<unknown>;
};
