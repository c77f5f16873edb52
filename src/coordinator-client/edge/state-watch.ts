import { isFinal, type CallError } from "../../contract/errors.ts";
import type { Notification } from "../../contract/frames.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Change, Entry } from "../../contract/state.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Calls } from "./calls.ts";
import type { ClientConnection } from "./connection.ts";
import { isUp, type EdgeEvent, type EdgeEvents } from "./events.ts";
import type { Platform } from "./platform.ts";

type SnapshotEntry = Pick<Entry, "key" | "value" | "version">;

/** Applying each event in order gives the coordinator's state at `revision`. */
export type WatchEvent =
  /** Replaces all earlier state. Excludes keys that begin with `$`. */
  | { readonly type: "snapshot"; readonly entries: readonly SnapshotEntry[]; readonly revision: number }
  /** The changes of one update are in one event. */
  | { readonly type: "changes"; readonly changes: readonly Change[]; readonly revision: number }
  /** The last event. */
  | { readonly type: "failed"; readonly error: CallError };

export interface WatchOptions {
  readonly prefix?: string;
  readonly after?: number;
}

export interface WatchDeps {
  readonly platform: Pick<Platform, "setTimer">;
  readonly calls: Calls;
  readonly connection: ClientConnection;
  readonly events: EdgeEvents;
}

const pollEveryMs = 5_000;
const retryAfterMs = 2_000;
const timeoutMs = 10_000;
const pageSize = 500;

type WatchStep = "done" | "again" | "later";

/**
 * [EC15] Delivers everything once and in order: continues with pushed changes, and after any gap
 * asks from its own revision. [EC16] A snapshot replaces compacted changes.
 */
export class StateWatch {
  readonly #deps: WatchDeps;
  readonly #id: string;
  readonly #prefix: string;
  readonly #onEvent: (event: WatchEvent) => void;
  readonly #stopListening: () => void;
  /** Everything up to here is delivered; null: a snapshot comes first. */
  #cursor: number | null;
  /** Has a new name each time, so that late frames of an earlier one are ignored. */
  #subscription: { readonly generation: number; readonly watch: string } | null = null;
  #watchCount = 0;
  #isBehind = true;
  #isCatchingUp = false;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(deps: WatchDeps, id: string, { prefix = "", after }: WatchOptions, onEvent: (event: WatchEvent) => void) {
    this.#deps = deps;
    this.#id = id;
    this.#prefix = prefix;
    this.#cursor = after ?? null;
    this.#onEvent = onEvent;
    this.#stopListening = deps.events.on((event) => this.#onClientEvent(event));
    void this.#catchUp();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#unsubscribe();
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#cancelTimer();
  }

  #onClientEvent(event: EdgeEvent): void {
    if (event.type === "state" && event.state === "closed")
      return this.#fail({ code: "closed", message: event.reason });
    if (event.type === "changed" || (event.type === "state" && isUp(event.state))) return this.#markBehind();
    if (event.type === "notified") this.#onNotified(event.notification);
  }

  #onNotified({ method, params }: Notification): void {
    if (method !== "resync" && method !== "state.changes") return;
    if (params.watch !== this.#subscription?.watch) return;
    // After a resync the coordinator sends nothing until it is asked.
    if (method === "resync") return this.#markBehind();
    const isContinuing = this.#isSubscribed() && !this.#isBehind && this.#cursor !== null;
    // An earlier frame is missing.
    if (isContinuing && params.after > (this.#cursor ?? 0)) this.#markBehind();
    else if (isContinuing) this.#deliverChanges(params.changes, params.revision);
    else this.#isBehind = true;
  }

  #markBehind(): void {
    this.#isBehind = true;
    void this.#catchUp();
  }

  #deliverChanges(changes: readonly Change[], revision: number): void {
    const cursor = this.#cursor ?? 0;
    const fresh = changes.filter((change) => change.revision > cursor);
    this.#cursor = Math.max(cursor, revision);
    if (fresh.length > 0) this.#onEvent({ type: "changes", changes: fresh, revision: this.#cursor });
    if (!this.#subscription || !this.#isSubscribed()) return;
    this.#deps.connection.notify("state.watch-ack", { watch: this.#subscription.watch, revision: this.#cursor });
  }

  #isSubscribed(): boolean {
    const { isPushing, generation } = this.#deps.connection;
    return isPushing && this.#subscription?.generation === generation;
  }

  #unsubscribe(): void {
    if (!this.#subscription || !this.#isSubscribed()) return;
    void this.#deps.connection.send("state.unwatch", { watch: this.#subscription.watch }, timeoutMs);
    this.#subscription = null;
  }

  #fail(error: CallError): void {
    this.#end();
    this.#onEvent({ type: "failed", error });
  }

  async #catchUp(): Promise<void> {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    this.#cancelTimer();
    let step = await this.#step();
    while (!this.#isClosed && (step === "again" || (step === "done" && this.#isBehind))) step = await this.#step();
    this.#isCatchingUp = false;
    if (this.#isClosed) return;
    const { isPushing, signalsCommits } = this.#deps.connection;
    const isPolling = !isPushing && !signalsCommits;
    if (step !== "later" && !isPolling) return;
    const ms = step === "later" ? retryAfterMs : pollEveryMs;
    this.#cancelTimer = this.#deps.platform.setTimer(() => this.#markBehind(), ms);
  }

  async #step(): Promise<WatchStep> {
    if (this.#isClosed) return "done";
    const { isPushing } = this.#deps.connection;
    const result = await (this.#cursor === null
      ? this.#loadSnapshot()
      : isPushing
        ? this.#subscribe(this.#cursor)
        : this.#pullChanges(this.#cursor));
    if (result.ok) return result.value;
    if (result.error.code === "compacted") {
      this.#cursor = null;
      return "again";
    }
    if (!isFinal(result.error)) return "later";
    if (!this.#isClosed) this.#fail(result.error);
    return "done";
  }

  async #subscribe(after: number): Promise<Result<WatchStep, CallError>> {
    const { connection, calls } = this.#deps;
    if (this.#isSubscribed() && !this.#isBehind) return ok("done");
    if ((await calls.untilUp(timeoutMs)) !== "up") return ok("later");
    this.#unsubscribe();
    const { generation } = connection;
    const watch = `${this.#id}.${(this.#watchCount += 1)}`;
    // Changes may be pushed before the answer is handled.
    this.#subscription = { generation, watch };
    this.#isBehind = false;
    const outcome = await connection.send("state.watch", { watch, prefix: this.#prefix, after }, timeoutMs);
    const isPushed = generation === connection.generation && this.#isSubscribed();
    const result = outcome.kind === "answered" ? outcome.result : null;
    if (result?.ok && isPushed) return ok("done");
    this.#isBehind = true;
    if (result === null) return ok("later");
    // HTTP refuses it as bad input, even if a socket has opened meanwhile.
    return result.ok || (!isPushed && result.error.code === "bad_input") ? ok("again") : result;
  }

  async #pullChanges(after: number): Promise<Result<WatchStep, CallError>> {
    this.#isBehind = false;
    const input = { prefix: this.#prefix, after, limit: pageSize };
    const { result } = await this.#deps.calls.call("state.changes", input);
    if (!result.ok || this.#isClosed) return result.ok ? ok("done") : result;
    this.#deliverChanges(result.value.changes, result.value.revision);
    return ok(result.value.isMore || this.#isBehind ? "again" : "done");
  }

  async #loadSnapshot(): Promise<Result<WatchStep, CallError>> {
    const snapshot = await this.#readAll();
    if (!snapshot.ok || this.#isClosed) return snapshot.ok ? ok("done") : snapshot;
    this.#cursor = snapshot.value.revision;
    this.#isBehind = true;
    this.#onEvent({ type: "snapshot", ...snapshot.value });
    return ok("again");
  }

  /**
   * Reads all keys at one revision: pages are of several moments, and the changes between them
   * bring all to the last. Refused with `compacted` when those are gone.
   */
  async #readAll(): Promise<Result<{ readonly entries: SnapshotEntry[]; readonly revision: number }, CallError>> {
    const byKey = new Map<string, SnapshotEntry>();
    let list = await this.#readPage(byKey, undefined);
    let after = list.ok ? list.value.revision : 0;
    while (list.ok && list.value.cursor !== null) {
      if (this.#isClosed) return err({ code: "closed", message: "the watch is closed" });
      list = await this.#readPage(byKey, list.value.cursor);
    }
    if (!list.ok) return list;
    while (after < list.value.revision) {
      const { result } = await this.#deps.calls.call("state.changes", { prefix: this.#prefix, after, limit: pageSize });
      if (!result.ok) return result;
      for (const { key, op, value, revision } of result.value.changes) {
        if (op === "set") byKey.set(key, { key, value, version: revision });
        else byKey.delete(key);
      }
      after = result.value.revision;
    }
    return ok({ entries: [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), revision: after });
  }

  async #readPage(
    byKey: Map<string, SnapshotEntry>,
    cursor: string | undefined,
  ): Promise<Result<OutputOf<"state.list">, CallError>> {
    const input = { prefix: this.#prefix, limit: pageSize, ...omitUndefined({ cursor }) };
    const { result } = await this.#deps.calls.call("state.list", input);
    if (result.ok) for (const { key, value, version } of result.value.entries) byKey.set(key, { key, value, version });
    return result;
  }
}
