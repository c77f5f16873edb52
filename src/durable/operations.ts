import type { Refusal } from "../contract/errors.ts";
import type { CheckedInputOf, OperationName, OutputOf } from "../contract/operations.ts";
import { closeCodes, protocolVersion } from "../contract/protocol.ts";
import { checkScope, type OperationRequest } from "../shared/check-input.ts";
import * as changes from "../coordination/kernel/changes.ts";
import * as due from "../coordination/due.ts";
import { isEngineOperation, isListOperation, run, runFirst, type HostOperation } from "../coordination/engine.ts";
import * as liveness from "../coordination/chats/liveness.ts";
import * as meta from "../coordination/kernel/meta.ts";
import * as outbox from "../coordination/tasks/dispatch-outbox.ts";
import * as tokens from "../coordination/workspace/tokens.ts";
import type { Actor, List, Tx } from "../coordination/kernel/tx.ts";
import { hostSamples } from "../coordination/workspace/metrics.ts";
import { isWithin } from "../shared/elapsed.ts";
import { schemaState } from "../shared/migrate.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { sweepRows, type Alarm } from "./alarm.ts";
import { effectOf } from "./effects.ts";
import { rejectChat, socketOnly, type Sockets } from "./sockets.ts";
import type { EngineHost } from "../coordination/engine-host.ts";
import type { Watches } from "./watches.ts";

interface OperationsOptions {
  readonly sql: Sql;
  readonly sockets: Sockets;
  readonly watches: Watches;
  readonly alarm: Alarm;
  readonly size: () => number;
  readonly engine: EngineHost;
  readonly closeSocket: (socket: WebSocket, code: number, reason: string) => void;
}

const keepSamplesMs = 10_000;
const reader: Actor = { machine: "metrics", isAdmin: false };

export class Operations {
  readonly #options: OperationsOptions;
  #sampled: { readonly at: number; readonly samples: OutputOf<"metrics">["samples"] } | null = null;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  run(
    bearer: tokens.Bearer,
    { name, input }: OperationRequest,
    socket: WebSocket | null = null,
  ): Result<unknown, Refusal> {
    const refused = checkScope(name, bearer.scope) ?? rejectChat(socket, name, input) ?? this.checkStorage(name, input);
    if (refused) return err(refused);
    const actor = actorOf(bearer);
    // checkInput() has validated the input for this name; TypeScript cannot follow that.
    if (name === "metrics") return this.#sampleMetrics();
    if (!isEngineOperation(name)) return this.#hostOperations[name](input as never, actor, socket);
    return this.#options.engine.call(actor, name, input as never, (tx, result) => {
      if (name === "settings.set" || name === "epoch.raise") this.#options.engine.beginEvent();
      if (result.ok && name === "chats.register") this.#bind(tx, socket, result.value as never);
    });
  }

  /**
   * Runs the first of several requests of one operation together.
   * @param format makes the answers; null: they are too long
   * @returns null, without an effect: run the first on its own
   */
  runFirst<T>(
    bearer: tokens.Bearer,
    requests: List<OperationRequest>,
    format: (values: readonly unknown[]) => T | null,
  ): T | null {
    const [{ name }] = requests;
    const { engine } = this.#options;
    if (!isListOperation(name) || checkScope(name, bearer.scope) || engine.tx().isFull === true) return null;
    const result = engine.run((tx) => {
      const results = runFirst(tx, actorOf(bearer), name, requests.map(({ input }) => input) as never);
      const formatted = format(results.flatMap((one) => (one.ok ? [one.value] : [])));
      return results.every(({ ok }) => ok) && formatted !== null ? ok(formatted) : err(tooLong);
    });
    return result.ok ? result.value : null;
  }

  /** Refuses what grows when the storage is nearly full. */
  checkStorage<Name extends OperationName>(name: Name, input: CheckedInputOf<Name>): Refusal | null {
    if (this.#options.engine.tx().isFull !== true || effectOf(name, input, this.#options.sql) !== "grow") return null;
    return {
      code: "quota_exceeded",
      message: `the storage of the workspace is full, so ${name} is refused; delete what is not needed, or raise maxStorageBytes where it is below what the object can hold`,
      details: { bytes: this.#options.size(), limit: "maxStorageBytes" },
    };
  }

  readonly #hostOperations: HostOperations = {
    "state.watch": (input, _actor, socket) =>
      socket ? this.#options.watches.watch(socket, input) : socketOnly("state.watch"),
    "state.unwatch": (input, _actor, socket) =>
      socket ? ok(this.#options.watches.unwatch(socket, input)) : socketOnly("state.unwatch"),
    "tokens.create": () => err({ code: "bad_input", message: "tokens are created over HTTP" }),
    "tokens.list": () => this.#options.engine.run((tx) => ok(tokens.list(tx))),
    "tokens.revoke": ({ id }, actor) => {
      const revoked = this.#options.engine.run((tx) => tokens.revoke(tx, actor, id));
      if (revoked.ok) {
        for (const open of this.#options.sockets.listOfToken(id))
          this.#options.closeSocket(open, closeCodes.token, "the token was revoked");
      }
      return revoked;
    },
    health: () => this.#options.engine.run((tx) => ok(this.#health(tx))),
  };

  /** Kept for ten seconds: however many scrape, the object reads the rows once. */
  #sampleMetrics(): Result<OutputOf<"metrics">, Refusal> {
    const { now } = this.#options.engine.tx();
    if (this.#sampled && isWithin(now - this.#sampled.at, keepSamplesMs)) return ok({ samples: this.#sampled.samples });
    return this.#options.engine.run((tx) => {
      const sampled = run(tx, reader, "metrics", {});
      if (!sampled.ok) return sampled;
      const samples = [...sampled.value.samples, ...hostSamples(this.#health(tx))];
      this.#sampled = { at: now, samples };
      return ok({ samples });
    });
  }

  #bind(tx: Tx, socket: WebSocket | null, { chat, incarnation }: OutputOf<"chats.register">): void {
    this.#options.sockets.bind(chat, incarnation, socket);
    if (this.#options.sockets.lastSeen(chat) !== null) liveness.markConnected(tx, chat);
  }

  #health(tx: Tx): OutputOf<"health"> {
    const next = due.nextDue(tx);
    return {
      alarmInMs: this.#options.alarm.at === null ? null : this.#options.alarm.at - tx.now,
      overdueRows: next !== null && next <= tx.now ? liveness.listDue(tx, sweepRows).length || 1 : 0,
      outboxDepth: outbox.depth(tx),
      sockets: this.#options.sockets.count,
      chats: meta.countLiveChats(tx.sql),
      schemaVersion: schemaState(this.#options.sql).version,
      epoch: tx.epoch,
      revision: changes.readTotals(tx.sql).revision,
      protocol: protocolVersion,
      storage: {
        bytes: this.#options.size(),
        limitBytes: tx.settings.maxStorageBytes,
        state: this.#options.engine.tx().isFull === true ? "full" : "normal",
      },
    };
  }
}

function actorOf({ machine, scope }: tokens.Bearer): Actor {
  return { machine, isAdmin: scope === "admin" };
}

const tooLong: Refusal = { code: "too_large", message: "the answers are too long" };

type HostOperations = {
  readonly [Name in HostOperation]: (
    input: CheckedInputOf<Name>,
    actor: Actor,
    socket: WebSocket | null,
  ) => Result<unknown, Refusal>;
};
