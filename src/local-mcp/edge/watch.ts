import type { Change } from "../../contract/state.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Calls } from "./calls.ts";
import type { Emitter, Signal } from "./events.ts";
import type { EdgeError } from "./failure.ts";
import type { Link } from "./link.ts";
import type { Outside } from "./outside.ts";
import { snapshotOf, type Entered } from "./snapshot.ts";

/** Steps of a watch, in order: a reader that applies each of them has the coordinator's state at `revision`. */
export type WatchEvent =
  /** All keys below the prefix: forget what was known before. Keys that begin with `$` are never among them. */
  | { readonly type: "snapshot"; readonly entries: readonly Entered[]; readonly revision: number }
  /** Whole groups only: changes of one update stand in one event. */
  | { readonly type: "changes"; readonly changes: readonly Change[]; readonly revision: number }
  /** The last event: the watch cannot go on. */
  | { readonly type: "failed"; readonly error: EdgeError };

export interface Watch extends AsyncIterableIterator<WatchEvent, undefined> {
  /** Up to here everything was taken out: a later watch may begin here. Null before the first event. */
  readonly revision: number | null;
  close(): void;
}

export interface WatchOptions {
  readonly prefix?: string;
  /** Begin behind this revision; without it a snapshot comes first. */
  readonly after?: number;
}

type Pushed = Extract<Signal, { readonly method: "state.changes" }>["params"];

/** What a watch needs of the client around it. */
export interface WatchSurroundings {
  readonly outside: Pick<Outside, "setTimer">;
  readonly calls: Calls;
  readonly link: Link;
  readonly signals: Emitter<Signal>;
}

/** Over HTTP nothing is pushed: it asks so often, in ms. */
const pollMs = 5_000;
/** After a failure it asks again, in ms. */
const retryMs = 2_000;
/** For a connection, and for the answer, in ms. */
const waitMs = 10_000;
/** Events that nobody has taken out yet; what is pushed beyond is left to a later look. */
const maxWaiting = 100;
const page = 500;
/** An event in the line is told as failure when the coordinator will never answer it. */
const finalCodes: ReadonlySet<string> = new Set(["quota_exceeded", "forbidden", "bad_input", "closed", "bad_answer"]);

type Step = "done" | "again" | "later";

/**
 * One watch over all interruptions. [EC15] Everything once and in order: what is pushed is taken where it continues what was told before;
 * after any doubt it asks from its own revision on. [EC16] What was compacted meanwhile is replaced by a snapshot.
 */
export class EdgeWatch implements Watch {
  readonly #around: WatchSurroundings;
  readonly #id: string;
  readonly #prefix: string;
  readonly #stopHearing: () => void;
  readonly #events: WatchEvent[] = [];
  #takers: ((event: IteratorResult<WatchEvent, undefined>) => void)[] = [];
  /** Everything up to here is told, or waits to be taken out; null: a snapshot comes first. */
  #cursor: number | null;
  #taken: number | null = null;
  /** Where and under which name the coordinator pushes; another name each time, so that nothing of an earlier one is taken for it. */
  #pushedBy: { readonly way: number; readonly watch: string } | null = null;
  #times = 0;
  #isBehind = true;
  #isCatchingUp = false;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(around: WatchSurroundings, id: string, { prefix = "", after }: WatchOptions) {
    this.#around = around;
    this.#id = id;
    this.#prefix = prefix;
    this.#cursor = after ?? null;
    this.#stopHearing = around.signals.on((signal) => this.#heed(signal));
    void this.#catchUp();
  }

  get revision(): number | null {
    return this.#taken;
  }

  next(): Promise<IteratorResult<WatchEvent, undefined>> {
    const event = this.#events.shift();
    if (!event) {
      if (this.#isClosed) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve) => this.#takers.push(resolve));
    }
    this.#handOver(event);
    if (this.#isOpen()) void this.#catchUp();
    return Promise.resolve({ done: false, value: event });
  }

  return(): Promise<IteratorResult<WatchEvent, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#unwatch();
    this.#events.length = 0;
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    this.#stopHearing();
    this.#cancelTimer();
    for (const taker of this.#takers) taker({ done: true, value: undefined });
    this.#takers = [];
  }

  #heed(signal: Signal): void {
    if (signal.method === "closed") return this.#fail({ code: "closed", message: signal.reason });
    if (signal.method === "usable") return this.#fallBehind();
    if (signal.method !== "resync" && signal.method !== "state.changes") return;
    if (signal.params.watch !== this.#pushedBy?.watch) return;
    // After a resync the coordinator tells nothing more before it is asked anew.
    if (signal.method === "resync") this.#fallBehind();
    else this.#pushed(signal.params);
  }

  #fallBehind(): void {
    this.#isBehind = true;
    void this.#catchUp();
  }

  /** Continues what was told before only where nothing is asked for at the same time, and somebody takes it out. */
  #pushed({ after, changes, revision }: Pushed): void {
    const isPlaced = this.#isPushed() && !this.#isBehind && this.#cursor !== null;
    // A frame before this one did not arrive.
    if (isPlaced && after > (this.#cursor ?? 0)) this.#fallBehind();
    else if (isPlaced && this.#events.length < maxWaiting) this.#told(changes, revision);
    else this.#isBehind = true;
  }

  #told(changes: readonly Change[], revision: number): void {
    const cursor = this.#cursor ?? 0;
    const fresh = changes.filter((change) => change.revision > cursor);
    this.#cursor = Math.max(cursor, revision);
    if (fresh.length > 0) this.#emit({ type: "changes", changes: fresh, revision: this.#cursor });
  }

  #emit(event: WatchEvent): void {
    const taker = this.#takers.shift();
    if (!taker) return void this.#events.push(event);
    this.#handOver(event);
    taker({ done: false, value: event });
  }

  /** A slow reader gets events slowly: the coordinator waits for it. */
  #handOver(event: WatchEvent): void {
    if (event.type === "failed") return;
    this.#taken = event.revision;
    if (!this.#pushedBy || !this.#isPushed()) return;
    this.#around.link.notify("state.watch-ack", { watch: this.#pushedBy.watch, revision: event.revision });
  }

  #isPushed(): boolean {
    return this.#pushedBy?.way === this.#around.link.way;
  }

  #unwatch(): void {
    if (!this.#pushedBy || !this.#isPushed()) return;
    void this.#around.link.ask("state.unwatch", { watch: this.#pushedBy.watch }, waitMs);
    this.#pushedBy = null;
  }

  #fail(error: EdgeError): void {
    this.#emit({ type: "failed", error });
    this.#end();
  }

  /** One at a time, until nothing is open any more. */
  async #catchUp(): Promise<void> {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    this.#cancelTimer();
    let step = await this.#step();
    while (step === "again" || (step === "done" && this.#isOpen())) step = await this.#step();
    this.#isCatchingUp = false;
    const isPolling = this.#around.link.state === "fallback";
    if (step === "later" || isPolling) this.#again(step === "later" ? retryMs : pollMs);
  }

  /** Meanwhile something was left out, or all was taken out. */
  #isOpen(): boolean {
    return this.#isBehind && this.#events.length === 0 && !this.#isClosed;
  }

  #again(ms: number): void {
    if (!this.#isClosed) this.#cancelTimer = this.#around.outside.setTimer(() => this.#fallBehind(), ms);
  }

  async #step(): Promise<Step> {
    // First all is taken out; then next() looks again.
    if (this.#isClosed || this.#events.length > 0) return "done";
    const isPushing = this.#around.link.state !== "fallback";
    const result = await (this.#cursor === null
      ? this.#snapshot()
      : isPushing
        ? this.#watch(this.#cursor)
        : this.#pull(this.#cursor));
    if (result.ok) return result.value;
    if (result.error.code === "compacted") {
      this.#cursor = null;
      return "again";
    }
    if (!finalCodes.has(result.error.code)) return "later";
    if (!this.#isClosed) this.#fail(result.error);
    return "done";
  }

  /** The coordinator tells everything behind the cursor from now on. */
  async #watch(after: number): Promise<Result<Step, EdgeError>> {
    const { link, calls } = this.#around;
    if (this.#isPushed() && !this.#isBehind) return ok("done");
    await link.gate.pass(waitMs);
    this.#unwatch();
    const { way } = link;
    const watch = `${this.#id}.${(this.#times += 1)}`;
    // What is pushed may come before the answer is looked at.
    this.#pushedBy = { way, watch };
    this.#isBehind = false;
    const input = { watch, prefix: this.#prefix, after };
    const { result, way: asked } = await calls.call("state.watch", input, { deadlineMs: waitMs, isQueued: false });
    if (result.ok && asked === way && link.way === way) return ok("done");
    this.#isBehind = true;
    if (result.ok) return ok("again");
    return result.error.code === "bad_input" && link.state === "fallback" ? ok("again") : result;
  }

  async #pull(after: number): Promise<Result<Step, EdgeError>> {
    this.#isBehind = false;
    const input = { prefix: this.#prefix, after, limit: page };
    const { result } = await this.#around.calls.call("state.changes", input);
    if (!result.ok || this.#isClosed) return result.ok ? ok("done") : result;
    this.#told(result.value.changes, result.value.revision);
    return ok(result.value.isMore || this.#isBehind ? "again" : "done");
  }

  async #snapshot(): Promise<Result<Step, EdgeError>> {
    const found = await snapshotOf(this.#around.calls, this.#prefix, () => !this.#isClosed);
    if (!found.ok || this.#isClosed) return found.ok ? ok("done") : found;
    this.#cursor = found.value.revision;
    this.#isBehind = true;
    this.#emit({ type: "snapshot", ...found.value });
    return ok("again");
  }
}
