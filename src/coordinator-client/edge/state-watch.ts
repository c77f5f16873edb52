import { isFinal } from "../../contract/errors.ts";
import { oneAfterAnother } from "../../shared/async-work.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Change } from "../../contract/state.ts";
import type { Calls } from "./calls.ts";
import type { ClientConnection } from "./connection.ts";
import { isUp, type EdgeEvent, type EdgeEvents } from "./events.ts";
import type { Platform } from "./platform.ts";

/** Changes in order; null: read everything again; empty: rows changed that are not state. */
export type OnChanges = (changes: readonly Change[] | null) => void;

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

/** Rows that are no state: a hint at them is all that there is. */
const rowPrefixes: ReadonlySet<string> = new Set(["$task/", "$message/"]);

type WatchStep = "done" | "again" | "later";

/**
 * Delivers everything once and in order: after a hint, and after any gap, it asks from its
 * own revision.
 */
export class StateWatch {
  readonly #deps: WatchDeps;
  readonly #id: string;
  readonly #prefix: string;
  readonly #onChanges: OnChanges;
  readonly #stopListening: () => void;
  /** Everything up to here is delivered; null: the reader has to read everything first. */
  #cursor: number | null = null;
  /** Has a new name each time, so that late hints of an earlier one are ignored. */
  #subscription: { readonly generation: number; readonly watch: string } | null = null;
  /** A hint during a run leads to another one, but for the pause after a failure. */
  readonly #catchUp = oneAfterAnother(
    () => this.#deliver(),
    (step) => step === "later",
  );
  #watchCount = 0;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(deps: WatchDeps, id: string, prefix: string, onChanges: OnChanges) {
    this.#deps = deps;
    this.#id = id;
    this.#prefix = prefix;
    this.#onChanges = onChanges;
    this.#stopListening = deps.events.on((event) => this.#onEvent(event));
    void this.#catchUp();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#unsubscribe();
    this.#isClosed = true;
    this.#stopListening();
    this.#cancelTimer();
  }

  #onEvent(event: EdgeEvent): void {
    if (event.type === "state" && event.state === "closed") return this.close();
    if (event.type === "changed" || (event.type === "state" && isUp(event.state))) return void this.#catchUp();
    if (event.type !== "notified" || event.notification.method !== "state.changed") return;
    if (event.notification.params.watch !== this.#subscription?.watch) return;
    if (rowPrefixes.has(this.#prefix)) this.#onChanges([]);
    else void this.#catchUp();
  }

  #isSubscribed(): boolean {
    return this.#subscription?.generation === this.#deps.connection.generation;
  }

  #unsubscribe(): void {
    if (!this.#subscription || !this.#isSubscribed()) return;
    void this.#deps.connection.send("state.unwatch", { watch: this.#subscription.watch }, timeoutMs);
    this.#subscription = null;
  }

  async #deliver(): Promise<WatchStep> {
    this.#cancelTimer();
    let step = await this.#step();
    while (step === "again") step = await this.#step();
    const { isPushing, signalsCommits } = this.#deps.connection;
    const isPolling = !isPushing && !signalsCommits;
    const ms = step === "later" ? retryAfterMs : pollEveryMs;
    if (!this.#isClosed && (step === "later" || isPolling))
      this.#cancelTimer = this.#deps.platform.setTimer(() => void this.#catchUp(), ms);
    return step;
  }

  async #step(): Promise<WatchStep> {
    if (this.#isClosed) return "done";
    const isUnheard = this.#deps.connection.isPushing && !this.#isSubscribed();
    const result = await (isUnheard
      ? this.#subscribe()
      : this.#cursor === null
        ? this.#begin()
        : this.#pull(this.#cursor));
    if (result.ok) return result.value;
    if (result.error.code === "compacted") {
      this.#cursor = null;
      return "again";
    }
    if (!isFinal(result.error)) return "later";
    this.close();
    return "done";
  }

  async #subscribe(): Promise<Result<WatchStep>> {
    const { connection, calls } = this.#deps;
    if ((await calls.untilUp(timeoutMs)) !== "up") return ok("later");
    if (!connection.isPushing) return ok("again");
    const { generation } = connection;
    const watch = `${this.#id}.${(this.#watchCount += 1)}`;
    // A hint may come before the answer is handled.
    this.#subscription = { generation, watch };
    const outcome = await connection.send("state.watch", { watch, prefix: this.#prefix }, timeoutMs);
    const result = outcome.kind === "answered" ? outcome.result : null;
    const isCurrent = this.#isSubscribed() && connection.isPushing;
    if (result?.ok && isCurrent) return ok("again");
    this.#subscription = null;
    // Over HTTP it is refused, which says nothing once the connection is another one.
    return result === null || result.ok || !isCurrent ? ok("later") : result;
  }

  /** Later reads of the reader are at least as new. */
  async #begin(): Promise<Result<WatchStep>> {
    const result = await this.#deps.calls.call("state.list", { prefix: this.#prefix, limit: 1 });
    if (!result.ok || this.#isClosed) return result.ok ? ok("done") : result;
    this.#cursor = result.value.revision;
    this.#onChanges(null);
    return ok("done");
  }

  async #pull(after: number): Promise<Result<WatchStep>> {
    const input = { prefix: this.#prefix, after, limit: pageSize };
    const result = await this.#deps.calls.call("state.changes", input);
    if (!result.ok || this.#isClosed) return result.ok ? ok("done") : result;
    const { changes, revision, isMore } = result.value;
    this.#cursor = revision;
    if (changes.length > 0) this.#onChanges(changes);
    return ok(isMore ? "again" : "done");
  }
}
